"""Links that exist only because ``share_with`` is "any": a few at a time, and none that asks for nothing."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from p2pfl.errors import RemoteError
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Greeting
from p2pfl.wire.traffic import Traffic

# A reason as this node sees it, and the same as its peer may read it.
Objection: TypeAlias = tuple[RemoteError, RemoteError]


class GuestLink(Protocol):
    """A link that is up."""

    @property
    def peer(self) -> Greeting:
        """Who is at the other end."""
        ...

    @property
    def traffic(self) -> Traffic:
        """What came from there."""
        ...

    def close(self, code: str, text: str = "") -> None:
        """Say good-bye, then close."""
        ...


class Guests:
    """Watches the links of a transport; who is a guest is asked anew each time, since lists change."""

    def __init__(self, limits: Limits, is_guest: Callable[[str], bool]) -> None:
        self.limits = limits  # others may be put in force at any time
        self._is_guest = is_guest
        self._looks: dict[GuestLink, asyncio.TimerHandle] = {}

    def objection(self, peer: str) -> Objection | None:
        """Why there is to be no link with a peer, None when there may be one."""
        if not self._is_guest(peer):
            return None
        others = {link.peer.id for link in self._looks} - {peer}
        if sum(map(self._is_guest, others)) < self.limits.guest_links:
            return None
        here = RemoteError(f"{peer} stands on no list, and as many guests are here as may be", code="crowded")
        return here, RemoteError("too many whom this node does not know are linked to it", code="crowded")

    def came(self, link: GuestLink) -> None:
        """A link is up."""
        self._look_later(link, self.limits.guest_idle_s)

    def left(self, link: GuestLink) -> None:
        """A link is gone; nothing if it never was up."""
        timer = self._looks.pop(link, None)
        if timer is not None:
            timer.cancel()

    def _look_later(self, link: GuestLink, delay_s: float) -> None:
        self._looks[link] = asyncio.get_running_loop().call_later(delay_s, self._look, link)

    def _look(self, link: GuestLink) -> None:
        """Close the link of a guest that has asked for nothing, or look again later."""
        limit_s = self.limits.guest_idle_s
        if not self._is_guest(link.peer.id):
            self._look_later(link, limit_s)
            return
        idle_s = asyncio.get_running_loop().time() - link.traffic.asked_s
        if idle_s < limit_s:
            self._look_later(link, limit_s - idle_s)
        else:
            link.close("idle", f"no request for {limit_s:g} s")
