"""Addresses: which of them are this machine, which count as one, and from where keys may come."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from steward.errors import DeclarationError

IPV6_NETWORK_BITS: Final = 64
"""Who has one IPv6 address has all of its network, so these count as one."""


def origin(address: str) -> str:
    """Return what failures from an address are counted under; empty if there is none.

    Example:
        >>> origin("192.0.2.7"), origin("2001:db8::1"), origin("a name")
        ('address:192.0.2.7', 'address:2001:db8::/64', '')
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"address:{parsed.ipv4_mapped}"
        network = IPv6Address(int(parsed) >> 128 - IPV6_NETWORK_BITS << 128 - IPV6_NETWORK_BITS)
        return f"address:{network}/{IPV6_NETWORK_BITS}"
    return f"address:{parsed}"


def check_url(url: str) -> SplitResult:
    """Return the parts of a URL that keys may come from.

    Raises:
        DeclarationError: It is neither ``https`` nor on this machine, or holds a password.
    """
    try:
        place = urlsplit(url)
        allowed = place.scheme == "https" or (place.scheme == "http" and is_loopback(place.hostname or ""))
        if allowed and place.hostname and place.username is None and (place.port is None or place.port > 0):
            return place
    except ValueError:
        pass  # an impossible port is as wrong as a wrong scheme
    raise DeclarationError(
        f"keys are not fetched from {url.partition('@')[2] or url}",
        why="on the way anybody could exchange them",
        fix="give an https:// address, or http:// on 127.0.0.1",
        field="jwks_url",
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address can only be this machine.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
