"""The certificate is a wrapper round the key: rebuilt at will, read for its key alone."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from p2pfl.errors import RemoteError
from p2pfl.identity.certificate import NOT_AFTER, NOT_BEFORE, certificate_pem, key_in_certificate
from p2pfl.identity.keys import generate, parse_id


def test_a_certificate_carries_the_key_and_is_the_same_whenever_it_is_made() -> None:
    identity = generate()
    pem = certificate_pem(identity)
    found = x509.load_pem_x509_certificate(pem)

    assert certificate_pem(identity) == pem
    assert key_in_certificate(found.public_bytes(Encoding.DER)) == parse_id(identity.id)
    assert found.subject.rfc4514_string() == found.issuer.rfc4514_string() == "CN=p2pnode"
    assert (found.not_valid_before_utc, found.not_valid_after_utc) == (NOT_BEFORE, NOT_AFTER)


def test_a_certificate_of_another_kind_of_key_is_refused() -> None:
    key = generate_private_key(SECP256R1())
    name = x509.Name([])
    found = x509.CertificateBuilder(name, name, key.public_key(), 1, NOT_BEFORE, NOT_AFTER).sign(
        key, SHA256()
    )

    with pytest.raises(RemoteError) as caught:
        key_in_certificate(found.public_bytes(Encoding.DER))
    assert caught.value.code == "wrong_key"


@pytest.mark.parametrize("der", [b"", b"0", bytes(100)])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(RemoteError):
        key_in_certificate(der)
