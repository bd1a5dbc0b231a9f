"""Peers that the operator names: addresses that are hinted at once and never taken back."""

from collections.abc import Callable, Iterable

from p2pfl.discovery.addresses import format_address, parse_address
from p2pfl.discovery.discovery import Announcement, Hint

SOURCE = "static"


class StaticDiscovery:
    """Hints at a fixed list of addresses (``host:port``, ``tcp://host:port`` or a bare host).

    Raises ConfigError that names the entry which is none.
    """

    def __init__(self, addresses: Iterable[str]) -> None:
        parsed = (parse_address(address, where="network.static") for address in addresses)
        self._addresses = tuple(dict.fromkeys(parsed))

    async def start(self, announcement: Announcement, found: Callable[[Hint], None]) -> None:
        """Hint at every address but this node's own; nothing is announced."""
        mine = format_address(announcement.host.strip("[]"), announcement.port)
        for address in self._addresses:
            if address != mine:
                found(Hint(address, source=SOURCE))

    async def close(self) -> None:
        """Nothing was announced, so there is nothing to take back."""
