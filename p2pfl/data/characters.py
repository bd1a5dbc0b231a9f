"""Text for a model of characters: from so many characters, the next one; each speaker owns their words.

A play names who speaks on a line of its own (``First Citizen:``), with an empty line before it.
"""

import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.data.files import malformed, path_of, read_text, require_share, require_whole
from p2pfl.errors import ConfigError

# Fixed, so that models of different texts fit each other; the last class stands for any other character.
ALPHABET = "\n" + "".join(map(chr, range(32, 127)))
CLASSES = len(ALPHABET) + 1
MAX_NAME_CHARACTERS = 40
SPEECH = re.compile(rf"(?:\A|(?<=\n\n))([^\s:][^\n:]{{0,{MAX_NAME_CHARACTERS - 1}}}):\n")
KIND = "text file"

Piece: TypeAlias = tuple[str, NDArray[np.int64]]  # owner, and character numbers of a text


def characters(
    *,
    path: str,
    context: int = 8,
    stride: int = 4,
    by_speaker: bool = True,
    speakers: int = 0,
    min_characters: int = 2000,
    test_share: float = 0.1,
) -> Dataset:
    """Windows [S, context] of character numbers, each with the character that follows.

    With ``by_speaker`` the owner of a row is who says it: those with ``min_characters`` in all, of them the
    ``speakers`` with most (0: every one).  The last ``test_share`` of each owner's text is for tests, and no
    window crosses the border.  Windows begin ``stride`` characters apart.
    """
    for option, found, least in (
        ("context", context, 1),
        ("stride", stride, 1),
        ("speakers", speakers, 0),
        ("min_characters", min_characters, 0),
    ):
        require_whole(option, found, least=least)
    require_share("test_share", test_share)
    text = read_text(path_of(path), kind=KIND)
    parts = {"": text}
    if by_speaker:
        parts = most_talkative(speeches(text, path), speakers=speakers, min_characters=min_characters)
    train, test = _divided(parts, context, stride, share=test_share)
    if not by_speaker:
        train, test = Samples(train.inputs, train.labels), Samples(test.inputs, test.labels)
    return Dataset(train=train, test=test, classes=CLASSES)


def speeches(text: str, path: str) -> dict[str, str]:
    """All that each speaker says, speeches joined by empty lines; raises ConfigError where nobody speaks."""
    pieces = SPEECH.split(text)
    if len(pieces) < 3:
        raise malformed(
            KIND, f"{path}, line 1", expected="lines like 'NAME:' above each speech", found="none"
        )
    if pieces[0].strip():
        raise malformed(KIND, f"{path}, line 1", expected="a line like 'NAME:'", found=repr(pieces[0][:40]))
    said: dict[str, list[str]] = {}
    for name, speech in zip(pieces[1::2], pieces[2::2], strict=True):
        said.setdefault(name, []).append(speech.rstrip("\n"))
    return {name: "\n\n".join(parts) + "\n" for name, parts in said.items()}


def most_talkative(said: dict[str, str], *, speakers: int, min_characters: int) -> dict[str, str]:
    """The speakers of at least ``min_characters``, of them the first so many by length (0: all), by name."""
    enough = sorted((name for name in said if len(said[name]) >= min_characters), key=lambda n: -len(said[n]))
    if not enough or len(enough) < speakers:
        raise ConfigError(
            f"{len(enough)} of {len(said)} speakers have at least {min_characters} characters, "
            f"expected {speakers or 'some'}",
            where="task.min_characters",
            fix=f"the longest text has {max(map(len, said.values()))} characters",
        )
    return {name: said[name] for name in sorted(enough[: speakers or None])}


def _divided(parts: dict[str, str], context: int, stride: int, *, share: float) -> tuple[Samples, Samples]:
    train: list[Piece] = []
    test: list[Piece] = []
    for owner, text in parts.items():
        border = len(text) - round(share * len(text))
        for pieces, piece in ((train, text[:border]), (test, text[border:])):
            if len(piece) <= context:
                raise ConfigError(
                    f"{len(text)} characters{f' of {owner}' if owner else ''} are too few for windows of "
                    f"{context} in training and test",
                    where="task.context",
                    fix="a shorter context, a larger min_characters, or another test_share",
                )
            pieces.append((owner, encoded(piece)))
    return _windows(train, context, stride), _windows(test, context, stride)


def encoded(text: str) -> NDArray[np.int64]:
    """The number of each character in the alphabet."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    table = np.full(max(map(ord, ALPHABET)) + 2, CLASSES - 1)
    table[[ord(character) for character in ALPHABET]] = np.arange(len(ALPHABET))
    found: NDArray[np.int64] = table[np.minimum(codes, len(table) - 1)]
    return found


def _windows(pieces: Sequence[Piece], context: int, stride: int) -> Samples:
    windows = [sliding_window_view(codes, context + 1)[::stride] for _, codes in pieces]
    owners = np.array([owner for owner, _ in pieces])
    table = np.concatenate(windows)
    return Samples(
        inputs=table[:, :-1].astype(np.float32),
        labels=table[:, -1].astype(np.int64),
        owner=np.repeat(owners, [len(rows) for rows in windows]),
    )
