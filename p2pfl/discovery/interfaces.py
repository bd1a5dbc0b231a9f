"""The addresses of this machine, and which addresses of others can be meant by a hint from its networks."""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
)
from typing import TypeAlias

from ifaddr import get_adapters

from p2pfl.errors import TransportError

Interface: TypeAlias = IPv4Interface | IPv6Interface
Address: TypeAlias = IPv4Address | IPv6Address

LOOPBACK = "127.0.0.1"


def local_interfaces() -> tuple[Interface, ...]:
    """Every address of this machine with its subnet; IPv6 link-local ones left out, since they need a scope.

    Raises TransportError when the system does not say.
    """
    try:
        adapters = list(get_adapters())
    except OSError as error:
        raise TransportError(f"the network interfaces cannot be listed: {error}") from error
    pairs = [(ip.ip, ip.network_prefix) for adapter in adapters for ip in adapter.ips]
    texts = [(host if isinstance(host, str) else host[0], prefix) for host, prefix in pairs]
    found = (ip_interface(f"{host.partition('%')[0]}/{prefix}") for host, prefix in texts)
    return tuple(one for one in found if one.version == 4 or not one.ip.is_link_local)


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this machine alone."""
    address = _parsed(host)
    return address.is_loopback if address is not None else host == "localhost"


def announced_addresses(host: str, interfaces: Sequence[Interface], *, limit: int) -> list[str]:
    """The addresses under which others reach a node that listens on ``host``.

    A wildcard or a name stands for all networks of the machine; without any, for the loopback.
    """
    address = _parsed(host)
    if address is not None and not address.is_unspecified:
        return [str(address)]
    if is_loopback(host):
        return [LOOPBACK]
    versions = {4} if address is not None and address.version == 4 else {4, 6}
    outside = [one.ip for one in interfaces if one.version in versions and not one.ip.is_loopback]
    outside.sort(key=lambda ip: (ip.version, ip.is_link_local))
    return [str(ip) for ip in outside[:limit]] or [LOOPBACK]


def usable_addresses(
    texts: Iterable[str], interfaces: Sequence[Interface], *, is_local_only: bool
) -> list[str]:
    """Those that belong to this machine or, unless ``is_local_only``, to a subnet it is in."""
    return [text for text in texts if _is_usable(text, interfaces, is_local_only=is_local_only)]


def _is_usable(text: str, interfaces: Sequence[Interface], *, is_local_only: bool) -> bool:
    address = _parsed(text)
    if address is None or address.is_unspecified or address.is_multicast:
        return False
    if address.is_loopback or any(address == one.ip for one in interfaces):
        return True
    return not is_local_only and any(address in one.network for one in interfaces)


def _parsed(text: str) -> Address | None:
    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        return None
