"""Keys for the benchmark's secure links: fresh in each process, with one network key between them."""

import atexit
from pathlib import Path
from tempfile import TemporaryDirectory

from p2pfl.identity.admission import Admission
from p2pfl.identity.certificate import certificate_pem
from p2pfl.identity.handshake import Credentials
from p2pfl.identity.keys import generate, to_pem
from p2pfl.transports.tls import Security, make_security
from p2pfl.trust import Trust
from p2pfl.wire.packets import MAJOR_VERSION, MINOR_VERSION

NETWORK = bytes(32)
NETWORK_KEY = bytes(range(32))  # protects nothing: both ends are this benchmark's


def fresh_security() -> Security:
    """Security of a new identity that admits whoever has the benchmark's network key."""
    identity = generate()
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    key, certificate = Path(folder.name) / "key.pem", Path(folder.name) / "certificate.pem"
    key.touch(0o600)
    key.write_bytes(to_pem(identity))
    certificate.write_bytes(certificate_pem(identity))
    nobody: frozenset[str] = frozenset()
    return make_security(
        Credentials(identity, NETWORK, (MAJOR_VERSION, MINOR_VERSION)),
        Admission(Trust(nobody, nobody), network_key=NETWORK_KEY),
        certificate=certificate,
        key=key,
    )
