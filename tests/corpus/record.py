"""``python -m tests.corpus.record``: record the present version anew."""

from p2pfl.errors import RemoteError
from tests.corpus.replay import Recorded, arrivals, in_words, write
from tests.corpus.samples import LATER, Stream, hostile, valid


def main() -> None:
    """Write both files; a valid stream that is refused, or a hostile one that is not, is an error."""
    rows = [(kind.name, stream) for kind, streams in valid().items() for stream in streams]
    rows += [("", stream) for stream in LATER]
    write("valid", [Recorded(stream, kind, in_words(arrivals(stream))) for kind, stream in rows])
    write("hostile", [Recorded(stream, "", _refusal(stream)) for stream in hostile()])


def _refusal(stream: Stream) -> str:
    try:
        found = arrivals(stream)
    except RemoteError as error:
        return error.code
    raise AssertionError(f"{stream.name} is not refused, it is {found}")


if __name__ == "__main__":
    main()
