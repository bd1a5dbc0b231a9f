from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.data.characters import ALPHABET, CLASSES, characters, encoded, most_talkative, speeches
from p2pfl.data.files import read_text
from p2pfl.errors import ConfigError
from tests.p2pfl.data.small_files import real_data

PLAY = "ANN:\nGood day.\nAnd you?\n\nBob Smith:\nWell: quite well.\n\nANN:\nGood.\n"


def decoded(codes: np.ndarray) -> str:
    return "".join((ALPHABET + "\0")[int(code)] for code in codes)


def test_each_speaker_has_all_of_their_words_and_none_of_another_s() -> None:
    said = speeches(PLAY, "play.txt")

    assert said == {"ANN": "Good day.\nAnd you?\n\nGood.\n", "Bob Smith": "Well: quite well.\n"}


def test_a_window_is_followed_by_its_label_in_the_speaker_s_text(tmp_path: Path) -> None:
    (tmp_path / "play.txt").write_text(PLAY)
    data = characters(path=str(tmp_path / "play.txt"), context=3, stride=1, min_characters=1, test_share=0.3)
    said = speeches(PLAY, "")

    assert data.train.owner is not None
    for samples in (data.train, data.test):
        assert samples.owner is not None
        for row, label, owner in zip(samples.inputs, samples.labels, samples.owner, strict=True):
            assert decoded(np.append(row, label)) in said[str(owner)]
    assert set(data.train.owner.tolist()) == {"ANN", "Bob Smith"}
    assert data.classes == CLASSES == 97
    assert data.train.inputs.dtype == np.float32


def test_the_end_of_each_text_is_for_tests_and_no_window_crosses_the_border(tmp_path: Path) -> None:
    text = "".join(map(chr, range(33, 123)))
    (tmp_path / "t.txt").write_text(text)
    data = characters(path=str(tmp_path / "t.txt"), context=4, stride=2, by_speaker=False, test_share=0.2)
    train = set(decoded(data.train.inputs.reshape(-1))) | set(decoded(data.train.labels))
    test = set(decoded(data.test.inputs.reshape(-1))) | set(decoded(data.test.labels))

    assert train <= set(text[:72])
    assert test <= set(text[72:])
    assert (len(data.train), len(data.test)) == (34, 7)
    assert data.train.owner is None


def test_speakers_are_chosen_by_how_much_they_say() -> None:
    said = {"a": "x" * 10, "b": "x" * 30, "c": "x" * 20}

    assert list(most_talkative(said, speakers=0, min_characters=15)) == ["b", "c"]
    assert list(most_talkative(said, speakers=1, min_characters=0)) == ["b"]
    with pytest.raises(
        ConfigError, match="1 of 3 speakers have at least 25 characters, expected 2"
    ) as caught:
        most_talkative(said, speakers=2, min_characters=25)
    assert caught.value.fix == "the longest text has 30 characters"


def test_a_character_outside_the_alphabet_has_the_last_class() -> None:
    assert encoded("a\né€\U0001f600~").tolist() == [66, 0, 96, 96, 96, 95]


@given(st.text(alphabet=ALPHABET, max_size=50))
def test_characters_of_the_alphabet_come_back(text: str) -> None:
    assert decoded(encoded(text)) == text


@pytest.mark.parametrize(
    ("content", "options", "message", "where"),
    [
        (b"", {}, "expected some text, found an empty file", ", byte 0"),
        (b"ab\xc3", {}, "expected UTF-8, found byte 0xc3", ", byte 2"),
        (b"no speaker here\n", {}, "expected lines like 'NAME:' above each speech", ", line 1"),
        (b"Title\n\nANN:\nGood.\n", {}, "expected a line like 'NAME:', found 'Title", ", line 1"),
        (PLAY.encode(), {"min_characters": 1, "context": 8}, "too few for windows of 8", "task.context"),
        (PLAY.encode(), {}, "0 of 2 speakers have at least 2000 characters", "task.min_characters"),
        (PLAY.encode(), {"stride": 0}, "stride must be a whole number from 1, not 0", "task.stride"),
        (PLAY.encode(), {"test_share": 0}, "test_share must be a number between 0 and 1", "task.test_share"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, content: bytes, options: dict[str, int], message: str, where: str
) -> None:
    (tmp_path / "t.txt").write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        characters(path=str(tmp_path / "t.txt"), **options)  # type: ignore[arg-type]
    assert message in caught.value.what
    assert where in caught.value.where


@given(content=st.binary(max_size=60))
def test_any_bytes_are_text_or_an_error_of_the_operator(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    try:
        text = read_text(path, kind="text file")
    except ConfigError:
        return
    assert "\r" not in text


@pytest.mark.slow
def test_tiny_shakespeare_has_the_published_speakers() -> None:
    path = real_data("tinyshakespeare") / "input.txt"
    said = speeches(read_text(path, kind="text file"), str(path))
    data = characters(path=str(path))

    assert len(said) == 309
    assert sum(len(text) >= 2000 for text in said.values()) == 99
    assert max(said, key=lambda name: len(said[name])) == "GLOUCESTER"
    assert data.train.owner is not None
    assert len(set(data.train.owner.tolist())) == 99
