"""TLS as others might speak it: a server that only listens, keys and certificates that are not ours."""

import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from p2pfl.transports.tls import ALPN
from p2pfl.wire.framing import FrameType, frame

DEADLINE_S = 10.0
NOBODY = x509.Name([])


def all_heard(listener: socket.socket, context: ssl.SSLContext) -> bytes:
    """All that the first caller says inside TLS, up to its end."""
    connection, _ = listener.accept()
    connection.settimeout(DEADLINE_S)
    heard = b""
    with connection, suppress(ConnectionError, ssl.SSLError):
        channel = context.wrap_socket(connection, server_side=True)
        with channel:
            channel.sendall(frame(FrameType.HELLO, b"P2PN\x01\x00" + bytes(32)))
            while piece := channel.recv(1000):
                heard += piece
    return heard


def elliptic_certificate(key: EllipticCurvePrivateKey) -> bytes:
    """A certificate round a key of another kind."""
    begin, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)
    found = x509.CertificateBuilder(NOBODY, NOBODY, key.public_key(), 1, begin, end).sign(key, SHA256())
    return found.public_bytes(Encoding.PEM)


def elliptic_server(file: Path) -> ssl.SSLContext:
    """A server whose key is of another kind."""
    key = generate_private_key(SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + elliptic_certificate(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols([ALPN])
    return context


def write_expired(file: Path, key: Ed25519PrivateKey) -> Path:
    """A certificate that ran out long ago, round the right key."""
    begin, end = datetime(2001, 1, 1, tzinfo=UTC), datetime(2002, 1, 1, tzinfo=UTC)
    certificate = x509.CertificateBuilder(NOBODY, NOBODY, key.public_key(), 7, begin, end).sign(key, None)
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return file
