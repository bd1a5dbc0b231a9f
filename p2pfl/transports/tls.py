"""TLS 1.3 between pinned keys: the only module that may switch the usual checks of certificates off.

``ssl`` has no callback in which a server could judge a client's certificate, and a chain of authorities says
nothing here.  So TLS proves one thing, that the server holds the key in its certificate; the client compares
that key with the id that it meant to reach *before it sends anything*; and the client proves itself inside
the channel (``p2pfl.identity.handshake``).  ``CERT_NONE`` drops the checks of chain and name only: a server
that shows a certificate without its key fails with BAD_SIGNATURE all the same.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from p2pfl.errors import ConfigError, RemoteError
from p2pfl.identity.admission import Admission
from p2pfl.identity.certificate import key_in_certificate
from p2pfl.identity.handshake import Credentials

ALPN = "p2pnode/1"
VERSION = "TLSv1.3"
IDENTITY_PROBLEM = 7  # exit code


@dataclass(frozen=True, slots=True, eq=False)
class Security:
    """What makes the links of a transport secure: who we are, whom we let in, and TLS for both sides."""

    credentials: Credentials
    admission: Admission
    server: ssl.SSLContext
    client: ssl.SSLContext


def make_security(
    credentials: Credentials, admission: Admission, *, certificate: Path, key: Path
) -> Security:
    """Security with the certificate and key in these files; raises ConfigError when they do not fit."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"TLS cannot use {certificate} with {key}: {error.strerror or error}",
            fix=f"remove {certificate}: the next start makes it anew",
            exit_code=IDENTITY_PROBLEM,
        ) from error
    server.num_tickets = 0
    client = client_context()
    for context in (server, client):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([ALPN])
    return Security(credentials, admission, server, client)


def client_context() -> ssl.SSLContext:
    """TLS of the dialling side, which pins the key instead of following a chain of authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the key is pinned instead: see above
    return context


def check_channel(channel: ssl.SSLObject | ssl.SSLSocket) -> None:
    """Refuse anything but TLS 1.3 with our protocol in it, on either side."""
    if channel.version() != VERSION or channel.selected_alpn_protocol() != ALPN:
        found = f"{channel.version()} with {channel.selected_alpn_protocol() or 'no protocol'}"
        raise RemoteError(f"the peer speaks {found}, not {VERSION} with {ALPN}", code="wrong_version")


def server_key(channel: ssl.SSLObject | ssl.SSLSocket) -> bytes:
    """The key that the server has proved to hold; raises RemoteError for any kind but Ed25519."""
    return key_in_certificate(channel.getpeercert(binary_form=True) or b"")


def tls_problem(error: ssl.SSLError) -> RemoteError:
    """Why there was no TLS channel, in words."""
    reason = (error.reason or str(error)).replace("_", " ").lower()
    return RemoteError(
        f"no {VERSION} with the other side ({reason}); does it run in mode open?", code="no_tls"
    )
