"""The exchange of bodies over one TCP link: offers and answers carried out, and watched over."""

import asyncio
from collections.abc import Callable
from typing import assert_never

import numpy as np

from p2pfl.errors import RemoteError
from p2pfl.transports.tcp_socket import WAKE_BYTES
from p2pfl.transports.tcp_writer import TcpWriter
from p2pfl.wire.inbound import Exchanged, Inbound
from p2pfl.wire.limits import Limits
from p2pfl.wire.message_codec import OfferedMessage
from p2pfl.wire.offer_codec import encode_answer
from p2pfl.wire.offers import Answer
from p2pfl.wire.packets import BUSY, KEPT, Accept, Envelope, Offer, Receipt, Reject
from p2pfl.wire.traffic import Traffic


class TcpExchange:
    """Answers the peer's offers and follows its answers to ours.

    ``objection`` judges an offer; ``refused`` hears of our own ones that were; ``wait`` asks for a ``retry``
    when there may be memory; ``give_up`` ends the link.
    """

    def __init__(
        self,
        limits: Limits,
        inbound: Inbound,
        writer: TcpWriter,
        *,
        objection: Callable[[Offer], RemoteError | None],
        traffic: Traffic,
        refused: Callable[[Reject | Receipt, Envelope | None], None],
        wait: Callable[[], None],
        give_up: Callable[[RemoteError], None],
    ) -> None:
        self._limits = limits
        self._inbound = inbound
        self._writer = writer
        self._objection = objection
        self._traffic = traffic
        self._refused = refused
        self._wait = wait
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None  # over the body that was accepted
        self._patience: asyncio.TimerHandle | None = None  # of the offer that waits for memory
        self._rest: asyncio.TimerHandle | None = None  # after the peer was busy
        self._brake: asyncio.TimerHandle | None = None  # before an offer that came too fast is judged

    def take(self, arrival: Exchanged) -> None:
        """An offer or an answer has come; raises RemoteError for one that has no place."""
        match arrival:
            case OfferedMessage():
                self._decide_in_time(arrival)
            case Accept(sequence):
                self._traffic.asked_s = self._loop.time()
                self._writer.accepted(sequence)
            case Reject():
                self._rest_or_report(arrival, self._writer.rejected(arrival))
            case Receipt(_, code):
                self._writer.offers.receipt(arrival)
                if code != KEPT:
                    self._refused(arrival, None)
                self._writer.more()
            case _:
                assert_never(arrival)

    def _decide_in_time(self, offered: OfferedMessage) -> None:
        """Offers that come too fast are answered later: the sender waits, and nothing is lost."""
        delay_s = self._traffic.offer_delay_s(self._loop.time())
        if delay_s > 0:
            self._brake = self._loop.call_later(delay_s, self._decide, offered)
        else:
            self._decide(offered)

    def _decide(self, offered: OfferedMessage) -> None:
        objection = offered.flaw or self._objection(offered.offer)
        self._answer(self._inbound.offers.decide(objection, self._loop.time()))
        self._wait_if_need_be()

    def retry(self) -> None:
        """There may be memory for the body of the offer that waits, or its time may be over."""
        self._answer(self._inbound.offers.retry(self._loop.time()))
        self._wait_if_need_be()

    def settle(self, receipt: Receipt) -> None:
        """Give a receipt, if it is owed."""
        if self._inbound.offers.settle(receipt.sequence):
            self._say(receipt)

    def stop(self) -> None:
        """The link ends: nothing more is waited for."""
        for timer in (self._watch, self._patience, self._rest, self._brake):
            if timer is not None:
                timer.cancel()

    def _wait_if_need_be(self) -> None:
        offers = self._inbound.offers
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if offers.is_waiting:
            self._patience = self._loop.call_at(offers.patience_s, self.retry)
            self._wait()

    def _answer(self, answer: Answer | None) -> None:
        if answer is None:
            return
        if isinstance(answer, Accept):
            now_s, size_bytes = self._loop.time(), self._inbound.offers.size_bytes
            self._watch_body(0, until_s=now_s + self._limits.transfer_s(size_bytes))
        self._say(answer)

    def _say(self, answer: Answer | Receipt) -> None:
        self._writer.send_answer(encode_answer(answer))
        if self._writer.is_unread:
            self._give_up(RemoteError("the peer does not read our answers", code="too_slow"))

    def _rest_or_report(self, answer: Reject, envelope: Envelope) -> None:
        if answer.code != BUSY:
            self._refused(answer, envelope)
            return
        longest_s = self._limits.offer_again_s
        rest_s = np.random.default_rng().uniform(longest_s / 10, longest_s)  # that not all come at once
        self._rest = self._loop.call_later(rest_s, self._writer.rested)

    def _watch_body(self, mark: int, *, until_s: float) -> None:
        """The body that was accepted must begin and keep moving."""
        if self._watch is not None:
            self._watch.cancel()
        window_s = self._limits.transfer_window_s
        self._watch = self._loop.call_later(window_s, self._check_pace, mark, until_s)

    def _check_pace(self, mark: int, until_s: float) -> None:
        self._watch = None
        if not self._inbound.offers.is_accepted:
            return  # it has arrived
        limits, here = self._limits, self._inbound.body_bytes
        # Our answer may stand behind a body of our own; an offer of ours that nobody answers excuses nothing.
        is_held_up = here == 0 and self._writer.is_sending
        has_moved = here - mark + WAKE_BYTES >= limits.transfer_window_bytes  # so much may wait unseen
        if self._loop.time() < until_s and (has_moved or is_held_up):
            self._watch_body(here, until_s=until_s)
            return
        slow = f"a body moved by {here - mark} bytes in {limits.transfer_window_s:g} s"
        self._give_up(RemoteError(slow, code="too_slow"))
