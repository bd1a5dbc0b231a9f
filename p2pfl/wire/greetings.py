"""Why two nodes cannot have a link, in the words of each of them."""

from p2pfl.errors import RemoteError
from p2pfl.wire.packets import Greeting, check_greeting


def refusal(ours: Greeting, theirs: Greeting) -> tuple[RemoteError, RemoteError] | None:
    """The reason as this node sees it, and the same as its peer sees it; None when the link may be."""
    here = _objection(ours, theirs)
    if here is None:
        return None
    return here, _objection(theirs, ours) or here


def _objection(ours: Greeting, theirs: Greeting) -> RemoteError | None:
    try:
        check_greeting(ours, theirs)
    except RemoteError as error:
        return error
    return None
