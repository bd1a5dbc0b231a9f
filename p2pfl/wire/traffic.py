"""How much one greeted peer may ask of this node: control frames and offers a second.

An honest peer never sends control frames faster than the limit for long: heartbeats come every 50 ms at most,
and what answers a model comes no faster than models do.  ``control_frames_burst`` covers what gathers in the
socket while this node sleeps.  Offers may well be too fast, with small models and fast rounds: they are
delayed, which makes the sender wait and is no fault.
"""

from p2pfl.errors import RemoteError
from p2pfl.membership import Heartbeat
from p2pfl.wire.gate import host_of
from p2pfl.wire.inbound import Skipped
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Envelope, Packet
from p2pfl.wire.ping import Ping, Pong
from p2pfl.wire.rates import TokenBucket


class Traffic:
    """What one peer sends; ``asked_s`` is when it last sent or took something other than signs of life."""

    def __init__(self, limits: Limits, address: str, now_s: float) -> None:
        times = limits.loopback_times if host_of(address).is_loopback else 1
        self._controls = TokenBucket(limits.control_frames_per_s * times, limits.control_frames_burst * times)
        self._offers = TokenBucket(limits.offers_per_s * times, limits.offers_burst * times)
        self.asked_s = now_s
        self.delayed = 0  # offers that came too fast

    def note(self, packet: Packet | Skipped, now_s: float) -> None:
        """A packet has come; raises RemoteError with code ``too_fast`` for a flood of control frames."""
        if not isinstance(packet, Heartbeat | Ping | Pong | Skipped):
            self.asked_s = now_s
        has_arrays = isinstance(packet, Envelope) and packet.message.has_arrays
        if not has_arrays and not self._controls.take(now_s):
            raise RemoteError("too many control frames a second", code="too_fast")

    def offer_delay_s(self, now_s: float) -> float:
        """An offer has come: answer it after so many seconds, 0 for at once."""
        self.asked_s = now_s
        delay_s = self._offers.delay_s(now_s)
        self.delayed += delay_s > 0
        return delay_s
