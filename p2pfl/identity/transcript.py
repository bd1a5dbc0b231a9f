"""What a client signs when it comes in, and what both sides authenticate with the network key.

The transcript has 180 bytes, all fields of fixed length:

====== ================== ==================================================================
offset field              why it is in there
====== ================== ==================================================================
0      the tag            a signature for one purpose is none for another
16, 18 versions           server's, then client's major and minor: no downgrade
20     network id         a proof for one network is none for another
52, 84 public keys        server's, then client's: a proof for one server fails at any other
116    server's nonce     a recorded proof fails at the next connection
148    client's nonce
====== ================== ==================================================================
"""

import hmac
import struct
from dataclasses import dataclass
from hashlib import sha256

TRANSCRIPT = struct.Struct(">16s2B2B32s32s32s32s32s")
NONCE_BYTES = 32
MAC_BYTES = 32
NETWORK_KEY_BYTES = 32

_TAG = b"p2pnode-auth-v1\0"
_CLIENT_TAG = b"p2pnode-nk-client-v1\0"
_SERVER_TAG = b"p2pnode-nk-server-v1\0"


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything that the two sides of one connection have said of themselves."""

    server_version: tuple[int, int]
    client_version: tuple[int, int]
    network: bytes
    server: bytes
    client: bytes
    server_nonce: bytes
    client_nonce: bytes

    def encoded(self) -> bytes:
        """The 180 bytes that the client signs."""
        return TRANSCRIPT.pack(
            _TAG,
            *self.server_version,
            *self.client_version,
            self.network,
            self.server,
            self.client,
            self.server_nonce,
            self.client_nonce,
        )

    def client_mac(self, network_key: bytes) -> bytes:
        """The client's proof that it has the network key."""
        return hmac.digest(network_key, _CLIENT_TAG + self.encoded(), sha256)

    def server_mac(self, network_key: bytes) -> bytes:
        """The server's proof that it has the network key."""
        return hmac.digest(network_key, _SERVER_TAG + self.encoded(), sha256)
