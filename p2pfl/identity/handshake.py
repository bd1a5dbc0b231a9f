"""How two nodes prove to each other who they are, inside a TLS channel that has proved the server's key.

::

    server -> HELLO    "P2PN", major, minor, server nonce
    client -> AUTH     "P2PN", major, minor, network id, client key, client nonce, signature [, MAC]
    server -> WELCOME  [MAC]                         or REFUSED, of the wire

TLS proves the server, the signature over the transcript proves the client, and the MACs prove the network
key where there is one.  Before AUTH is accepted a server reveals its id, its version and a nonce, nothing
else.  The signature is verified before any list is looked at, since otherwise the answer would tell a
stranger who is on them.

Sans-IO: payloads in, payloads out, RemoteError for whatever is wrong; one machine serves one connection.
"""

import hmac
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from p2pfl.errors import RemoteError
from p2pfl.identity.admission import Admission
from p2pfl.identity.keys import Identity, format_id, is_allowed_key
from p2pfl.identity.transcript import MAC_BYTES, NONCE_BYTES, Transcript

MAGIC = b"P2PN"
HELLO = struct.Struct(">4sBB32s")
AUTH = struct.Struct(">4sBB32s32s32s64s")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a node brings to every handshake: its key, its network, and the version that it speaks."""

    identity: Identity
    network: bytes
    version: tuple[int, int]

    @property
    def key(self) -> bytes:
        """The node's public key."""
        return self.identity.private_key.public_key().public_bytes_raw()


class ServerHandshake:
    """The side that was dialled; ``peer`` is the client's id once ``welcome`` has returned."""

    def __init__(self, mine: Credentials, admission: Admission, *, nonce: bytes, address: str = "") -> None:
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
        self._mine = mine
        self._admission = admission
        self._nonce = nonce
        self._address = address
        self.peer = ""

    def hello(self) -> bytes:
        """What the server says first."""
        return HELLO.pack(MAGIC, *self._mine.version, self._nonce)

    def welcome(self, auth: bytes) -> bytes:
        """The answer to an AUTH that is in order; raises RemoteError for any other."""
        if len(auth) not in (AUTH.size, AUTH.size + MAC_BYTES):
            raise RemoteError(f"a proof of {len(auth)} bytes")
        magic, major, minor, network, key, nonce, signature = AUTH.unpack_from(auth)
        check_version(magic, (major, minor), self._mine.version)
        if network != self._mine.network:
            raise RemoteError("the peer belongs to another network", code="wrong_network")
        check_key(key, self._mine.key)
        said = Transcript(
            self._mine.version, (major, minor), network, self._mine.key, key, self._nonce, nonce
        )
        _verify(key, signature, said)
        self._admission.admit(
            format_id(key), has_network_key=self._is_proved(auth[AUTH.size :], said), address=self._address
        )
        self.peer = format_id(key)
        network_key = self._admission.network_key
        return b"" if network_key is None else said.server_mac(network_key)

    def _is_proved(self, mac: bytes, said: Transcript) -> bool:
        network_key = self._admission.network_key
        return network_key is not None and hmac.compare_digest(mac, said.client_mac(network_key))


class ClientHandshake:
    """The side that dialled; ``server`` is the key that TLS has proved."""

    def __init__(self, mine: Credentials, admission: Admission, *, server: bytes, nonce: bytes) -> None:
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
        self._mine = mine
        self._admission = admission
        self._server = server
        self._nonce = nonce
        self._said: Transcript | None = None
        self.peer = format_id(server)

    def auth(self, hello: bytes) -> bytes:
        """The proof that answers a HELLO; raises RemoteError for one of another version."""
        if len(hello) != HELLO.size:
            raise RemoteError(f"a greeting of {len(hello)} bytes")
        magic, major, minor, server_nonce = HELLO.unpack(hello)
        check_version(magic, (major, minor), self._mine.version)
        mine = self._mine
        said = Transcript(
            (major, minor), mine.version, mine.network, self._server, mine.key, server_nonce, self._nonce
        )
        self._said = said
        signature = mine.identity.private_key.sign(said.encoded())
        proof = AUTH.pack(MAGIC, *mine.version, mine.network, mine.key, self._nonce, signature)
        network_key = self._admission.network_key
        return proof if network_key is None else proof + said.client_mac(network_key)

    def welcomed(self, welcome: bytes) -> None:
        """The server lets us in; raises RemoteError when it does not prove what it must."""
        if self._said is None:
            raise RemoteError("a welcome before the greeting", code="unexpected_frame")
        if len(welcome) not in (0, MAC_BYTES):
            raise RemoteError(f"a welcome of {len(welcome)} bytes")
        network_key = self._admission.network_key
        is_proved = network_key is not None and hmac.compare_digest(
            welcome, self._said.server_mac(network_key)
        )
        self._admission.met(self.peer, has_network_key=is_proved)


def check_version(magic: bytes, theirs: tuple[int, int], ours: tuple[int, int]) -> None:
    """Refuse another protocol, and another major version of ours."""
    if magic != MAGIC:
        raise RemoteError("the other side does not speak p2pnode", code="wrong_version")
    if theirs[0] != ours[0]:
        what = f"protocol version {theirs[0]}.{theirs[1]} there, {ours[0]}.{ours[1]} here"
        raise RemoteError(what, code="wrong_version")


def check_key(key: bytes, own: bytes) -> None:
    """Refuse keys under which anybody can sign, and our own."""
    if not is_allowed_key(key):
        raise RemoteError("the peer's key is weak: anybody can sign under it", code="weak_key")
    if key == own:
        raise RemoteError("the peer has our own id", code="own_id")


def _verify(key: bytes, signature: bytes, said: Transcript) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, said.encoded())
    except (InvalidSignature, ValueError) as error:
        raise RemoteError("the peer does not hold the key that it shows", code="bad_signature") from error
