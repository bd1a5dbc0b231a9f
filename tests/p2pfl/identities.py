"""Identities by name, the same in every test, with their key and certificate as files."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pfl.identity.admission import Admission
from p2pfl.identity.certificate import certificate_pem
from p2pfl.identity.handshake import Credentials
from p2pfl.identity.keys import Identity, identity_of, to_pem
from p2pfl.transports.tls import Security, make_security
from p2pfl.trust import Trust
from p2pfl.wire.packets import MAJOR_VERSION, MINOR_VERSION

NOBODY: frozenset[str] = frozenset()
NETWORK = b"n" * 32
NETWORK_KEY = b"k" * 32


def someone(name: str) -> Identity:
    """The identity of that name."""
    return identity_of(Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest()))


def ids(*names: str) -> frozenset[str]:
    """The ids of these people."""
    return frozenset(someone(name).id for name in names)


@dataclass(frozen=True)
class Files:
    """A folder for the files that TLS reads."""

    folder: Path

    def security(
        self,
        name: str,
        *,
        trust: Trust | None = None,
        network_key: bytes | None = None,
        network: bytes = NETWORK,
        certificate_of: str = "",
        version: tuple[int, int] = (MAJOR_VERSION, MINOR_VERSION),
    ) -> Security:
        """Security of the person of that name, who lists nobody by default."""
        identity = someone(name)
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        key.write_bytes(to_pem(identity))
        certificate.write_bytes(certificate_pem(someone(certificate_of or name)))
        admission = Admission(trust or Trust(NOBODY, NOBODY), network_key=network_key)
        return make_security(
            Credentials(identity, network, version), admission, certificate=certificate, key=key
        )
