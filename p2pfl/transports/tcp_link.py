"""One TCP connection: proofs and greetings first, then packets both ways, until either side closes it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import assert_never, cast

from p2pfl.errors import P2PError, RemoteError, TransportError
from p2pfl.identity.admission import NotAdmittedError
from p2pfl.membership import Heartbeat
from p2pfl.transports.addresses import as_dialled
from p2pfl.transports.fence import Fence, tell_of_connection
from p2pfl.transports.guests import Objection
from p2pfl.transports.opening import Opening
from p2pfl.transports.tcp_exchange import TcpExchange
from p2pfl.transports.tcp_socket import TcpSocket
from p2pfl.transports.tcp_surroundings import Stage, Surroundings
from p2pfl.transports.tcp_writer import Outgoing, TcpWriter
from p2pfl.wire.greetings import refusal
from p2pfl.wire.heartbeat_codec import encode_heartbeat
from p2pfl.wire.inbound import Arrival, Inbound, Proof, Skipped
from p2pfl.wire.link_codec import Refused, encode_goodbye, encode_greeting, encode_refused
from p2pfl.wire.message_codec import OfferedMessage, encode_message
from p2pfl.wire.packets import Accept, Envelope, Goodbye, Greeting, Packet, Receipt, Reject
from p2pfl.wire.ping import EchoAllowance, Ping, Pong, encode_ping
from p2pfl.wire.traffic import Traffic

TLS_RECORD_BYTES = 17 * 1024  # a record and its frame


class TcpLink(asyncio.BufferedProtocol):
    """A link over one connection; ``outcome`` is settled when it is up, or why it will not be.

    ``peer`` is the id that is meant to answer, "" for any; ``deadline_s`` (of the loop's clock) ends the
    handshake of a connection on which time has been spent already.
    """

    def __init__(
        self,
        shared: "Surroundings[TcpLink]",
        *,
        dialled: bool,
        peer: str = "",
        deadline_s: float | None = None,
    ) -> None:
        self._shared = shared
        self.is_dialled = dialled
        self._wanted = peer
        self._deadline_s = deadline_s
        self._opening: Opening | None = None  # of a secure link
        self._fence = Fence(self._break_down)
        self._inbound = Inbound(shared.limits, shared.schema, shared.pool)
        self._transport: asyncio.Transport
        self._socket: TcpSocket
        self._writer: TcpWriter
        self.traffic: Traffic
        self._exchange: TcpExchange
        self._told: Greeting | None = None  # what a proved peer has heard of us
        self._peer: Greeting | None = None  # set while the link is up
        self._reason = ""  # why the link ends, once it does
        self._timer: asyncio.TimerHandle | None = None  # the deadline of what goes on now
        self._echoes = EchoAllowance()
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def peer(self) -> Greeting:
        """What the other side said of itself."""
        assert self._peer is not None, "the link is not up yet"
        return self._peer

    @property
    def address(self) -> str:
        """The address of the other end of the connection."""
        return self._socket.address

    @property
    def is_up(self) -> bool:
        """Whether both sides have greeted and accepted each other."""
        return self._peer is not None

    @property
    def bytes_received(self) -> int:
        """All that has arrived so far: it grows while a long body keeps heartbeats waiting."""
        return self._inbound.total_bytes

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be sent, and no body is offered, half sent or half received."""
        return self._writer.is_idle and self._inbound.is_idle

    @property
    def waiting(self) -> int:
        """Packets in the outbox, of which none has begun to be sent."""
        return self._writer.waiting

    @property
    def hits(self) -> Counter[str]:
        """Limits that were hit on this link without ending it."""
        return Counter(
            dropped=self._writer.dropped,
            unanswered_pings=self._echoes.dropped,
            delayed_offers=self.traffic.delayed,
            busy=self._inbound.offers.busy,
        )

    def send(self, packet: Packet, replaces: str = "") -> None:
        """Queue a packet; never blocks; drops as the outbox's limit and ``replaces`` say."""
        match packet:
            case Envelope():
                head, body = encode_message(packet, self._shared.schema)
                self._writer.send(Outgoing(packet, head, tuple(body)), replaces)
            case Heartbeat():
                self._writer.send_control(encode_heartbeat(packet))
            case Ping() | Pong():
                self._echoes.sent(packet)
                self._writer.send_control(encode_ping(packet))
            case Goodbye(code, text):
                self.close(code, text)
            case _:
                assert_never(packet)

    def settle(self, sequence: int, code: str, text: str = "") -> None:
        """Give the receipt for a message with arrays that has arrived."""
        if not self._reason:
            self._exchange.settle(Receipt(sequence, code, text))

    def close(self, code: str, text: str = "") -> None:
        """Say good-bye with a code, after the body that is half sent, then close."""
        self._end(f"{code}: {text}" if text else code, encode_goodbye(Goodbye(code, text)))

    def cut(self, code: str, text: str = "") -> None:
        """As ``close``, but what is half sent is dropped, as is what is half received."""
        reason = f"{code}: {text}" if text else code
        self._end(reason, encode_goodbye(Goodbye(code, text)), drops_body=True)

    def forsake(self) -> None:
        """Before there is a connection: make nothing of it should it come all the same."""
        self.outcome.cancel()

    def abort(self, reason: str) -> None:
        """Cut the connection without a word."""
        self._reason = self._reason or reason
        self._transport.abort()

    def retry(self) -> None:
        """There may be memory for the body that is offered."""
        if not self._reason:
            with self._fence:
                self._exchange.retry()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected, and encrypted if links are: whoever is to speak first does."""
        if self.outcome.cancelled():
            cast(asyncio.Transport, transport).abort()
            return
        self._transport = cast(asyncio.Transport, transport)
        is_secure = self._shared.security is not None
        self._socket = TcpSocket(transport, taken_bytes=TLS_RECORD_BYTES if is_secure else 0)
        self.traffic = Traffic(self._shared.limits, self.address, asyncio.get_running_loop().time())
        self._writer = TcpWriter(self._transport, self._shared.limits, may_leave=self._may_leave)
        self._exchange = TcpExchange(
            self._shared.limits,
            self._inbound,
            self._writer,
            objection=lambda offer: self._shared.handler.objection(self, offer),
            traffic=self.traffic,
            refused=self._refused,
            wait=lambda: self._shared.tell(self, Stage.WAITING),
            give_up=self._give_up,
        )
        self._shared.tell(self, Stage.CONNECTED)
        self._start_timer(self._shared.limits.handshake_s, self._expire)
        if self._deadline_s is not None:
            self._start_timer(self._deadline_s - asyncio.get_running_loop().time(), self._expire)
        with self._fence:
            self._open()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where the event loop puts what it reads."""
        return self._inbound.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Something was read."""
        with self._fence:
            self._take(self._inbound.received(nbytes))

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write."""
        self._writer.pause()

    def resume_writing(self) -> None:
        """What was written has been sent."""
        self._writer.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, for whatever reason."""
        if self.outcome.cancelled():
            return
        self._stop_timer()
        self._exchange.stop()
        self._inbound.close()
        self._writer.stop()
        self._reason = self._reason or ("connection closed" if exc is None else f"connection lost: {exc}")
        self._fail(TransportError(f"{self.address} ended the connection before it greeted"))
        self._shared.tell(self, Stage.ENDED)
        if self._peer is not None:
            self._shared.handler.link_down(self, self._reason)

    def _open(self) -> None:
        """Without security the dialling side greets; with it the server does, and asks for a proof."""
        security = self._shared.security
        if security is None:
            if self.is_dialled:
                self._writer.send_control(encode_greeting(self._shared.greeting()))
            return
        opening = Opening(security, dialled=self.is_dialled, peer=self._wanted, address=self.address)
        try:
            first = opening.begin(self._transport.get_extra_info("ssl_object"))
        except RemoteError as error:  # not whom we meant: it is to hear nothing of us
            self._shared.report(self.address, error)
            self._fail(error)
            self.abort(f"{error.code}: {error.what}")
            return
        self._opening = opening
        self._inbound.expect(opening.expects)
        if first:
            self._writer.send_control(first)

    def _take(self, arrivals: Iterator[Arrival]) -> None:
        try:
            for arrival in arrivals:
                self._handle(arrival)
                if self._reason:
                    return
        except RemoteError as error:
            self._break_off(error, _for_the_peer(error))
            return
        if self._peer is not None:
            self._socket.expect(self._inbound.frame_bytes_missing)

    def _handle(self, arrival: Arrival) -> None:
        match arrival:
            case Proof():
                self._prove(arrival)
            case Greeting():
                self._greet(arrival)
            case Refused(code, text):
                error = RemoteError(text or "the peer gave no reason", code=code)
                self._shared.report(self.address, error)
                self._fail(error)
                self.abort(f"refused: {code}: {text}")
            case Goodbye(code, text):
                self._shared.handler.packet_received(self, arrival)
                self.abort(f"{code}: {text}" if text else code)
            case Envelope() | Heartbeat() | Ping() | Pong() | Skipped():
                self._take_packet(arrival)
            case OfferedMessage() | Accept() | Reject() | Receipt():
                self._exchange.take(arrival)
            case _:
                assert_never(arrival)

    def _take_packet(self, packet: Packet | Skipped) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._peer is None:
            return  # a frame to skip; the greeting's own limits have counted it
        self.traffic.note(packet, now_s)
        match packet:
            case Skipped():
                return
            case Ping(payload):
                if self._echoes.take(now_s):
                    self.send(Pong(payload))
                return
            case Pong():
                self._echoes.returned()
        self._shared.handler.packet_received(self, packet)

    def _may_leave(self, envelope: Envelope) -> bool:
        return self._shared.handler.may_leave(self, envelope)

    def _refused(self, answer: Reject | Receipt, unsent: Envelope | None) -> None:
        self._shared.handler.refused(self, answer, unsent=unsent)

    def _give_up(self, error: RemoteError) -> None:
        self._break_off(error, error)

    def _prove(self, proof: Proof) -> None:
        """Answer a proof; once the other side is proved, tell it what only it may know."""
        assert self._opening is not None
        answer = self._opening.answer(proof)
        self._inbound.expect(self._opening.expects)
        objections = self._shared.objection(self._opening.peer)
        if objections is not None:
            self._break_off(*objections)
            return
        if answer:
            self._writer.send_control(answer)
        if self._opening.is_proved:
            self._told = self._own_greeting()
            self._writer.send_control(encode_greeting(self._told))
            self._shared.tell(self, Stage.PROVED)

    def _own_greeting(self) -> Greeting:
        """What we say of ourselves, and to a proved peer whether we accept it and share with it."""
        ours, security = self._shared.greeting(), self._shared.security
        if security is None or self._opening is None:
            return ours
        trust, peer = security.admission.trust, self._opening.peer
        return replace(ours, accepts_you=trust.accepts(peer), shares_with_you=trust.shares_with(peer))

    def _greet(self, theirs: Greeting) -> None:
        ours = self._own_greeting()
        if self._opening is not None:  # what it says of its id is never believed: it has proved one
            theirs = replace(theirs, id=self._opening.peer, network=ours.network)
        objections = refusal(ours, theirs) or self._change(ours) or self._shared.objection(theirs.id)
        if objections is not None:
            self._break_off(*objections)
            return
        if self._opening is None and not self.is_dialled:
            self._writer.send_control(encode_greeting(ours))
        self._stop_timer()
        self._peer = replace(theirs, address=as_dialled(theirs.address, self.address))
        self._inbound.accept(theirs.id)
        self._shared.tell(self, Stage.UP)
        self._shared.handler.link_up(self, dialled=self.is_dialled)
        if not self.outcome.done():
            self.outcome.set_result(None)

    def _change(self, ours: Greeting) -> Objection | None:
        """The lists may have changed since it was proved, when only links that were up were cut."""
        if self._shared.security is None or self._told is None:
            return None
        assert self._opening is not None
        if not self._shared.security.admission.trust.admits(self._opening.peer):
            return _alike(RemoteError("the trust between us has ended", code="not_admitted"))
        if (ours.accepts_you, ours.shares_with_you) == (self._told.accepts_you, self._told.shares_with_you):
            return None
        return _alike(RemoteError("other trust lists are in force", code="trust_changed"))

    def _break_off(self, here: RemoteError, there: RemoteError) -> None:
        """End the link over a fault of the peer's, told in its own words."""
        self._shared.report(self.address, here)
        self._fail(here)
        if self._peer is None:
            farewell = encode_refused(Refused(there.code, there.what))
        else:
            farewell = encode_goodbye(Goodbye(there.code, there.what))
        self._end(f"{here.code}: {here.what}", farewell)

    def _break_down(self, error: Exception) -> None:
        """A bug in what serves this link: it ends, and nothing else does."""
        tell_of_connection(self.address, error)
        self._fail(TransportError(f"the link to {self.address} has failed: {type(error).__name__}: {error}"))
        self.abort("internal_error")

    def _end(self, reason: str, farewell: bytes, *, drops_body: bool = False) -> None:
        if self._reason:
            return
        self._reason = reason
        self._transport.pause_reading()
        self._start_timer(self._shared.limits.closing_s, self._transport.abort)
        self._exchange.stop()
        self._writer.finish(farewell, drops_body=drops_body)

    def _expire(self) -> None:
        """The peer has not greeted in time."""
        what = f"{self.address} did not greet within {self._shared.limits.handshake_s:g} s"
        self._fail(TransportError(what))
        self._shared.report(self.address, RemoteError(what, code="handshake_timeout"))
        self.abort("handshake_timeout")

    def _fail(self, error: P2PError) -> None:
        """Tell whoever dialled that there will be no link; nothing if there has been one."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            self.outcome.exception()  # nobody need ask: on the accepting side nobody does

    def _start_timer(self, delay_s: float, action: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, action)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _alike(error: RemoteError) -> Objection:
    """An objection in the same words for both sides."""
    return error, error


def _for_the_peer(error: RemoteError) -> RemoteError:
    """The same fault in the words that the peer may read."""
    if isinstance(error, NotAdmittedError):
        return RemoteError(error.there, code=error.code)
    return error
