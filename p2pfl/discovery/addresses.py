"""Addresses as an operator writes them, ``host:port``, ``tcp://host:port`` or a bare host, made canonical."""

import re
from ipaddress import AddressValueError, IPv6Address

from p2pfl.errors import ConfigError

DEFAULT_PORT = 7964
SCHEME = "tcp://"
MAX_HOST = 253  # characters of a host name, RFC 1035

_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::(.*))?")
_HOST_NAME = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)
_DOTTED_NUMBERS = re.compile(r"[0-9.]+")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}")


def format_address(host: str, port: int) -> str:
    """``tcp://host:port``, an IPv6 host in brackets."""
    return f"{SCHEME}[{host}]:{port}" if ":" in host else f"{SCHEME}{host}:{port}"


def parse_address(text: str, *, where: str = "") -> str:
    """The canonical form of an operator's entry; raises ConfigError that names it."""
    host, port = _split(text, where)
    if not _is_host(host):
        raise _bad_address(text, f"{host!r} is not a host", where)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 2**16):
        raise _bad_address(text, f"{port!r} is not a port from 1 to 65535", where)
    return format_address(host, int(port))


def _split(text: str, where: str) -> tuple[str, str]:
    rest = text.strip()
    scheme, separator, after = rest.partition("://")
    if separator:
        if scheme.lower() != "tcp":
            raise _bad_address(text, f"{scheme!r} is not a transport that can be dialled", where)
        rest = after
    if match := _BRACKETED.fullmatch(rest):
        return match[1], str(DEFAULT_PORT) if match[2] is None else match[2]
    if rest.count(":") > 1:
        raise _bad_address(text, "an IPv6 host stands in brackets", where)
    host, separator, port = rest.partition(":")
    return host, port if separator else str(DEFAULT_PORT)


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            IPv6Address(host)
        except AddressValueError:
            return False
        return True
    if _DOTTED_NUMBERS.fullmatch(host):
        return _IPV4.fullmatch(host) is not None  # 10.0.1 and 256.1.1.1 are mistakes, not names
    return len(host) <= MAX_HOST and _HOST_NAME.fullmatch(host) is not None


def _bad_address(text: str, why: str, where: str) -> ConfigError:
    return ConfigError(
        f"{text[:MAX_HOST]!r} is not an address: {why}",
        where=where,
        fix=f"write host:port, as in 192.168.1.31:{DEFAULT_PORT} or [fe80::1]:{DEFAULT_PORT}",
    )
