"""Peers that the operator names: addresses that are hinted at once, until the operator changes the list."""

from collections.abc import Callable, Iterable

from p2pfl.discovery.addresses import format_address, parse_address
from p2pfl.discovery.discovery import Announcement, Hint

SOURCE = "static"


class StaticDiscovery:
    """Hints at a fixed list of addresses (``host:port``, ``tcp://host:port`` or a bare host).

    Raises ConfigError that names the entry which is none.
    """

    def __init__(self, addresses: Iterable[str]) -> None:
        self._addresses = _parsed(addresses)
        self._mine = ""
        self._found: Callable[[Hint], None] | None = None  # once it has started

    async def start(self, announcement: Announcement, found: Callable[[Hint], None]) -> None:
        """Hint at every address but this node's own; nothing is announced."""
        self._mine = format_address(announcement.host.strip("[]"), announcement.port)
        self._found = found
        for address in self._addresses:
            self._tell(address, gone=False)

    def change(self, addresses: Iterable[str]) -> None:
        """Another list: hint at what is new and take back what is gone; links that are up stay.

        Raises ConfigError, with the list as it was, for an entry that is none.
        """
        before, self._addresses = self._addresses, _parsed(addresses)
        for address in self._addresses:
            if address not in before:
                self._tell(address, gone=False)
        for address in before:
            if address not in self._addresses:
                self._tell(address, gone=True)

    async def close(self) -> None:
        """Nothing was announced, so there is nothing to take back."""

    def _tell(self, address: str, *, gone: bool) -> None:
        if self._found is not None and address != self._mine:
            self._found(Hint(address, source=SOURCE, gone=gone))


def _parsed(addresses: Iterable[str]) -> tuple[str, ...]:
    parsed = (parse_address(address, where="network.static") for address in addresses)
    return tuple(dict.fromkeys(parsed))
