"""Connections that were accepted and have not greeted: the gate decides, and here it is carried out."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from p2pfl.errors import RemoteError
from p2pfl.wire.gate import Gate
from p2pfl.wire.limits import Limits


class Stranger(Protocol):
    """A connection at any stage before its greeting."""

    @property
    def address(self) -> str:
        """The address of the other end."""
        ...

    def abort(self, reason: str) -> None:
        """Cut the connection without a word."""
        ...


class Strangers:
    """Who has come in and not greeted yet; ``report`` is told of each that is not let in or gives way."""

    def __init__(self, limits: Limits, report: Callable[[str, RemoteError], None]) -> None:
        self._gate = Gate(limits)
        self._report = report
        self._here: dict[str, Stranger] = {}  # by address

    def __len__(self) -> int:
        return len(self._here)

    def change_limits(self, limits: Limits) -> None:
        """Other limits, for those who come from now on."""
        self._gate.limits = limits

    def let_in(self, stranger: Stranger) -> bool:
        """May it begin, or go on with the next stage?  Somebody else may have to give way."""
        address = stranger.address
        if address not in self._here:
            try:
                crowded = self._gate.knock(address, _now_s())
            except RemoteError as error:
                self._report(address, error)
                return False
            self._make_room(crowded)
        self._here[address] = stranger
        return True

    def failed(self, address: str, error: RemoteError) -> None:
        """What went wrong with a link; it counts against the host if this was a stranger's."""
        self._gate.failed(address, error.code, _now_s())

    def greeted(self, stranger: Stranger) -> None:
        """It is a stranger no more."""
        if self._here.get(stranger.address) is stranger:
            del self._here[stranger.address]
            self._gate.greeted(stranger.address)

    def left(self, stranger: Stranger) -> None:
        """It is gone, or somebody who is a stranger no more is."""
        if self._here.get(stranger.address) is stranger:
            del self._here[stranger.address]
            self._gate.left(stranger.address)

    def _make_room(self, address: str) -> None:
        stranger = self._here.pop(address, None)
        if stranger is not None:
            self._report(address, RemoteError("did not greet, and others came", code="crowded"))
            stranger.abort("crowded")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
