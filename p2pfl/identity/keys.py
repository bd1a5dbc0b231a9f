"""Who a node is: an Ed25519 key, and the text by which people and programs name it.

A node's id *is* its raw 32-byte public key, so an id alone is enough to verify a signature.  Its text is
base32 of the key (52 characters) and 4 check characters, in 8 groups of 7 joined by ``-``; in code a peer's
id is always that canonical text.  Pure: reading and writing files belongs to ``node_daemon``.
"""

import re
from base64 import b32decode, b32encode
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from p2pfl.errors import ConfigError

KEY_BYTES = 32
ID_CHARACTERS = 56  # without the dashes
SHORT_ID_CHARACTERS = 7  # for display only: never accepted where trust is written
MAX_ID_TEXT = 128  # characters looked at before an id is refused for its length

_KEY_CHARACTERS = 52
_CHECK_TAG = b"p2pnode-id-v1\0"
_NETWORK_TAG = b"p2pnode-network-v1\0"
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz234567")
_NETWORK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_FIELD_PRIME = 2**255 - 19
_Y_BITS = 2**255 - 1  # the top bit of a key is the sign of x

# The y of every point of order 1, 2, 4 or 8: a signature under such a key can be forged without a secret.
_SMALL_ORDER_Y = frozenset(
    int.from_bytes(bytes.fromhex(text), "little")
    for text in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's id with the private key that proves it."""

    id: str
    private_key: Ed25519PrivateKey = field(repr=False, compare=False)


def generate() -> Identity:
    """A fresh identity."""
    return identity_of(Ed25519PrivateKey.generate())


def identity_of(private_key: Ed25519PrivateKey) -> Identity:
    """The identity that a private key proves."""
    return Identity(format_id(private_key.public_key().public_bytes_raw()), private_key)


def to_pem(identity: Identity) -> bytes:
    """The private key as PKCS#8 PEM, for a file that only its owner can read."""
    return identity.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def from_pem(pem: bytes, *, where: str = "") -> Identity:
    """The identity in a PKCS#8 PEM; raises ConfigError (exit code 7) for anything but an Ed25519 key."""
    try:
        private_key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _identity_error(
            "the identity is not an unencrypted PEM private key",
            where=where,
            fix="restore the file from a copy, or move it away: the next start makes a new identity",
        ) from error
    if not isinstance(private_key, Ed25519PrivateKey):
        raise _identity_error(
            f"the identity is a {type(private_key).__name__.removesuffix('PrivateKey')} key, not Ed25519",
            where=where,
            fix="move the file away: the next start makes a new identity",
        )
    return identity_of(private_key)


def is_allowed_key(key: bytes) -> bool:
    """Whether a public key is 32 bytes, canonical (y < 2^255 - 19) and not of small order."""
    if len(key) != KEY_BYTES:
        return False
    y = int.from_bytes(key, "little") & _Y_BITS
    return y < _FIELD_PRIME and y not in _SMALL_ORDER_Y


def format_id(key: bytes) -> str:
    """The canonical text of a public key: 8 groups of 7 characters joined by ``-``."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a public key has {KEY_BYTES} bytes, not {len(key)}")
    text = b32encode(key).decode().rstrip("=") + _check_characters(key)
    return "-".join(text[start : start + 7] for start in range(0, ID_CHARACTERS, 7))


def parse_id(text: str, *, where: str = "") -> bytes:
    """The public key behind an id; dashes, blanks and case do not matter, everything else does.

    Raises ConfigError (exit code 7) that says what is wrong with the text.
    """
    letters = "".join(text[: MAX_ID_TEXT + 1].replace("-", "").split())
    strange = sorted(set(letters) - _ALPHABET)  # before upper(), which maps other letters into ours
    if len(text) > MAX_ID_TEXT or strange:
        found = f"contains {strange[0]!r}" if strange else f"is longer than {MAX_ID_TEXT} characters"
        raise _bad_id(f"a node id {found}", where=where)
    letters = letters.upper()
    if len(letters) == SHORT_ID_CHARACTERS:
        raise _bad_id(f"{letters} is the short form of a node id, which proves nothing", where=where)
    if len(letters) != ID_CHARACTERS:
        raise _bad_id(f"a node id has {ID_CHARACTERS} characters, not {len(letters)}", where=where)
    key = b32decode(letters[:_KEY_CHARACTERS] + "====")
    if b32encode(key).decode()[:_KEY_CHARACTERS] != letters[:_KEY_CHARACTERS]:
        raise _bad_id("the node id has spare bits that are not zero", where=where)
    if _check_characters(key) != letters[_KEY_CHARACTERS:]:
        raise _bad_id("the node id is mistyped: its check characters do not match", where=where)
    if not is_allowed_key(key):
        raise _bad_id("the node id is a weak key, under which anybody can sign", where=where)
    return key


def short_id(id: str) -> str:
    """The first 7 characters, for display."""
    return id[:SHORT_ID_CHARACTERS]


def network_id(name: str, *, where: str = "") -> bytes:
    """The 32 bytes that stand for a network's name on the wire; raises ConfigError for a bad name."""
    if not _NETWORK_NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:64]!r} is not a network name",
            where=where,
            fix="use 1 to 32 of a-z, 0-9 and '-', beginning with a letter or a digit",
        )
    return sha256(_NETWORK_TAG + name.encode()).digest()


def _check_characters(key: bytes) -> str:
    return b32encode(sha256(_CHECK_TAG + key).digest()).decode()[: ID_CHARACTERS - _KEY_CHARACTERS]


def _bad_id(what: str, *, where: str) -> ConfigError:
    fix = "paste all 56 characters that `p2pnode id` prints on the other node"
    return _identity_error(what, where=where, fix=fix)


def _identity_error(what: str, *, where: str, fix: str) -> ConfigError:
    return ConfigError(what, where=where, fix=fix, exit_code=7)
