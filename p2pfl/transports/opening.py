"""How a secure link opens: which frame may come next, and what is said in reply, until the peer is proved."""

import os
import ssl

from p2pfl.errors import RemoteError
from p2pfl.identity.handshake import ClientHandshake, ServerHandshake, check_key
from p2pfl.identity.keys import format_id, parse_id
from p2pfl.identity.transcript import NONCE_BYTES
from p2pfl.transports.tls import Security, check_channel, server_key
from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.inbound import Proof


class Opening:
    """The proofs of one connection; ``peer`` is the id of the other side once ``is_proved``."""

    def __init__(self, security: Security, *, dialled: bool, peer: str, address: str) -> None:
        self._security = security
        self._dialled = dialled
        self._wanted = peer  # the id that we mean to reach, "" for any that may be reached
        self._address = address
        self._client: ClientHandshake | None = None
        self._server: ServerHandshake | None = None
        self._has_answered = False  # the HELLO, with our proof: only once, whatever nonces are asked for
        self.is_proved = False
        self.peer = ""

    @property
    def expects(self) -> frozenset[FrameType]:
        """The frames that may come next."""
        if self.is_proved:
            return frozenset({FrameType.INFO, FrameType.REFUSED})
        if self._client is None:
            return frozenset({FrameType.AUTH, FrameType.REFUSED})
        next_one = FrameType.WELCOME if self._has_answered else FrameType.HELLO
        return frozenset({next_one, FrameType.REFUSED})

    def begin(self, channel: ssl.SSLObject | ssl.SSLSocket) -> bytes:
        """What to say first: nothing when we dialled.

        Raises RemoteError for a channel or a server that is not the right one: it is to hear nothing at all.
        """
        check_channel(channel)
        nonce = os.urandom(NONCE_BYTES)
        mine, admission = self._security.credentials, self._security.admission
        if not self._dialled:
            self._server = ServerHandshake(mine, admission, nonce=nonce, address=self._address)
            return frame(FrameType.HELLO, self._server.hello())
        key = server_key(channel)
        check_key(key, mine.key)
        if self._wanted and key != parse_id(self._wanted):
            raise RemoteError(f"the node there is {format_id(key)}, not {self._wanted}", code="wrong_key")
        admission.check_dialled(format_id(key))
        self._client = ClientHandshake(mine, admission, server=key, nonce=nonce)
        return b""

    def answer(self, proof: Proof) -> bytes:
        """The frame that answers a proof, b"" for none; raises RemoteError for a bad one."""
        if self._server is not None:
            welcome = self._server.welcome(proof.payload)
            self.is_proved, self.peer = True, self._server.peer
            return frame(FrameType.WELCOME, welcome)
        assert self._client is not None
        if proof.type is FrameType.HELLO:
            self._has_answered = True
            return frame(FrameType.AUTH, self._client.auth(proof.payload))
        self._client.welcomed(proof.payload)
        self.is_proved, self.peer = True, self._client.peer
        return b""
