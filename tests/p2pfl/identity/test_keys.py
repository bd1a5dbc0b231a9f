"""Ids: the published vector, every typing error, weak keys, and keys as PEM."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import ConfigError
from p2pfl.identity.keys import (
    format_id,
    from_pem,
    generate,
    identity_of,
    is_allowed_key,
    network_id,
    parse_id,
    short_id,
    to_pem,
)

KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
TEXT = "25NJQAM-CWEFLPV-KL73J4S-ZAHHIHO-C4XT3KT-CGJNPAI-NGR5YHK-ENAJJFQ"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)


def with_top_bit(key: bytes) -> bytes:
    return key[:-1] + bytes([key[-1] | 0x80])


def test_the_published_vector_holds_both_ways() -> None:
    assert format_id(KEY) == TEXT
    assert parse_id(TEXT) == KEY
    assert short_id(TEXT) == "25NJQAM"


def test_dashes_blanks_and_case_do_not_matter() -> None:
    assert parse_id(f"  {TEXT.replace('-', ' ').lower()}\n") == KEY


def test_every_single_character_change_and_neighbour_swap_is_caught() -> None:
    letters = TEXT.replace("-", "")
    changed = {
        letters[:i] + other + letters[i + 1 :] for i in range(56) for other in ALPHABET if other != letters[i]
    }
    swapped = {letters[:i] + letters[i + 1] + letters[i] + letters[i + 2 :] for i in range(55)} - {letters}
    mistyped = changed | swapped
    assert len(mistyped) == 1789  # the figure of the threat model

    for text in mistyped:
        with pytest.raises(ConfigError):
            parse_id(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not 0"),
        (TEXT[:7], "short form"),
        (TEXT[:-1], "not 55"),
        (TEXT + "A", "not 57"),
        (TEXT.replace("2", "1", 1), "'1'"),
        (TEXT.replace("A", "ı", 1), "contains"),
        ("A" * 200, "longer than"),
        (TEXT[:-1] + "R", "check characters"),
    ],
)
def test_a_bad_id_is_refused_with_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_id(text, where="trust.toml")

    assert caught.value.exit_code == 7
    assert caught.value.where == "trust.toml"
    assert "56 characters" in caught.value.fix


def test_spare_bits_that_are_not_zero_are_refused() -> None:
    letters = TEXT.replace("-", "")
    last = ALPHABET[ALPHABET.index(letters[51]) | 1]

    with pytest.raises(ConfigError, match="spare bits"):
        parse_id(letters[:51] + last + letters[52:])


@pytest.mark.parametrize("text", SMALL_ORDER)
@pytest.mark.parametrize("change", [bytes, with_top_bit])
def test_keys_under_which_anybody_can_sign_are_refused(text: str, change: Callable[[bytes], bytes]) -> None:
    key = change(bytes.fromhex(text))

    assert not is_allowed_key(key)
    with pytest.raises(ConfigError, match="weak key"):
        parse_id(format_id(key))


@pytest.mark.parametrize("excess", range(19))
def test_keys_that_are_not_canonical_are_refused(excess: int) -> None:
    key = (2**255 - 19 + excess).to_bytes(32, "little")

    assert not is_allowed_key(key)
    assert not is_allowed_key(with_top_bit(key))


def test_the_largest_canonical_value_is_of_small_order_and_the_next_one_is_not() -> None:
    assert not is_allowed_key((2**255 - 20).to_bytes(32, "little"))
    assert is_allowed_key((2**255 - 21).to_bytes(32, "little"))


@given(st.binary(min_size=32, max_size=32).filter(is_allowed_key))
def test_every_allowed_key_survives_its_text(key: bytes) -> None:
    assert parse_id(format_id(key)) == key
    assert len(format_id(key)) == 63


@given(st.text(max_size=200))
def test_any_text_is_an_id_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        assert len(parse_id(text)) == 32


def test_a_key_of_another_length_has_no_text() -> None:
    assert not is_allowed_key(KEY[:31])
    with pytest.raises(ValueError, match="32 bytes"):
        format_id(KEY[:31])


def test_an_identity_survives_pem_and_proves_its_id() -> None:
    identity = generate()

    again = from_pem(to_pem(identity))

    assert again == identity
    assert again.private_key.sign(b"x") == identity.private_key.sign(b"x")
    assert parse_id(again.id) == identity.private_key.public_key().public_bytes_raw()


def test_an_identity_shows_no_secret() -> None:
    identity = identity_of(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))

    assert repr(identity) == f"Identity(id='{identity.id}')"


def test_pem_that_is_no_ed25519_key_is_refused_with_words() -> None:
    other = generate_private_key(SECP256R1())
    locked = generate().private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )

    with pytest.raises(ConfigError, match="not Ed25519"):
        from_pem(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for pem in (b"", b"hello", to_pem(generate())[:60], locked):
        with pytest.raises(ConfigError, match="not an unencrypted PEM") as caught:
            from_pem(pem, where="identity.key")
        assert caught.value.exit_code == 7


def test_network_names_follow_the_rule_and_give_32_bytes() -> None:
    assert network_id("demo").hex() == "7f3c2760e137f630419ba37e44cc6b153fec1d8c10bcc7d3a2b20a5d5b25072c"
    assert len(network_id("a" * 32)) == 32
    assert network_id("demo") != network_id("demo2")

    for name in ("", "Demo", "-demo", "a" * 33, "de mo", "demo\n", "dé"):
        with pytest.raises(ConfigError, match="not a network name"):
            network_id(name)
