"""What goes wrong on one connection ends that connection, never the node."""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType

CONNECTION = "p2pnode.connection"  # in a context of the loop's exception handler: whose connection has failed


class Fence:
    """A context manager that hands an exception to ``failed`` instead of raising it.

    Only for code that serves one peer: whatever it has left half done must end with that peer's link.  What
    is not an ``Exception`` (a cancelled task, Ctrl-C) passes.
    """

    __slots__ = ("_failed",)

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed

    def __enter__(self) -> None:
        """Nothing is needed before something fails."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._failed(error)
        return True


def tell_of_connection(address: str, error: Exception) -> None:
    """Tell the loop's exception handler of a bug that has ended the connection with ``address``."""
    context = {"message": "a connection has failed", "exception": error, CONNECTION: address}
    asyncio.get_running_loop().call_exception_handler(context)


def connection_in(context: Mapping[str, object]) -> str | None:
    """Whose connection a context of the loop's exception handler is about; None when it is about none.

    One that names a transport comes from the event loop itself, which has closed that transport.
    """
    if CONNECTION in context:
        return str(context[CONNECTION])
    transport = context.get("transport")
    if not isinstance(transport, asyncio.BaseTransport):
        return None
    found = transport.get_extra_info("peername")
    return "{}:{}".format(*found) if isinstance(found, tuple) and len(found) >= 2 else ""
