"""The wrapper that TLS wants round a node's key: a self-signed certificate, never examined beyond its key."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from p2pfl.errors import RemoteError
from p2pfl.identity.keys import Identity

COMMON_NAME = "p2pnode"
NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2049, 12, 31, tzinfo=UTC)
SERIAL_NUMBER = 1


def certificate_pem(identity: Identity) -> bytes:
    """The certificate of an identity: the same bytes whenever it is made."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=identity.private_key.public_key(),
        serial_number=SERIAL_NUMBER,
        not_valid_before=NOT_BEFORE,
        not_valid_after=NOT_AFTER,
    )
    return builder.sign(identity.private_key, algorithm=None).public_bytes(Encoding.PEM)


def key_in_certificate(der: bytes) -> bytes:
    """The Ed25519 key in a certificate that a server has shown; raises RemoteError for anything else."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise RemoteError("the peer's certificate cannot be read", code="wrong_key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise RemoteError("the peer's key is not an Ed25519 key", code="wrong_key")
    return key.public_bytes_raw()
