"""Which addresses may be called: public ones, and what is allowed by name or network.

A URL that somebody else may influence, or a name that somebody else resolves, must not lead to this machine, its
neighbours or its cloud's metadata (server-side request forgery). So URLs are read strictly, by one reader, with one
spelling for each address; and it is addresses that are judged, after resolution, each of them. The networks are those
of the IANA special-purpose registries (RFC 6890), written out, as Python's own judgement differs between its versions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from steward.errors import DeclarationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DEFAULT_PORTS: Final = {"https": 443, "http": 80}
MAX_URL_LETTERS: Final = 2048

_URL = re.compile(r"(https?)://([^/?#@\\]+)(/[^?#\\]*)?(\?[^#\\]*)?")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

_SPECIAL: Final[dict[str, str]] = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier",
    "127.0.0.0/8": "this machine",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "for protocols",
    "192.0.2.0/24": "for documents",
    "192.88.99.0/24": "a 6to4 relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documents",
    "203.0.113.0/24": "for documents",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "168.63.129.16/32": "metadata of a cloud",
    "2001::/23": "for protocols, Teredo among them",
    "2001:db8::/32": "for documents",
    "2002::/16": "6to4",
    "3fff::/20": "for documents",
}
_SPECIAL_NETWORKS: Final = tuple((ip_network(text), what) for text, what in _SPECIAL.items())
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_PRIVATE: Final[tuple[Network, ...]] = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_METADATA: Final = frozenset(map(ip_address, ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")))
"""Metadata of clouds that stands at private addresses."""


@dataclass(frozen=True)
class Target:
    """Where a URL leads, in the one spelling that is used from here on.

    Attributes:
        scheme: ``https`` or ``http``.
        host: The name in lower case, or the address.
        port: From the URL, else the scheme's.
        path: The path and query, as they are sent.
        address: The address, if the host is one.

    Example:
        >>> Target.of("https://Plant.Example./v1?zone=ES")
        Target(scheme='https', host='plant.example', port=443, path='/v1?zone=ES', address=None)
        >>> Target.of("http://2130706433/")
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: '2130706433' cannot be called. Why: an address is written as four numbers...
    """

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None

    @classmethod
    def of(cls, url: str) -> Target:
        """Read a URL strictly.

        Raises:
            DeclarationError: It is no ``http(s)`` URL of a plain host, or spells an address in an odd way.
        """
        if len(url) > MAX_URL_LETTERS or not url.isascii() or not url.isprintable() or " " in url:
            raise _refused("the URL", "it is printable ASCII of at most 2048 letters; write names as xn--…")
        parts = _URL.fullmatch(url)
        authority = parts and _AUTHORITY.fullmatch(parts[2])
        if parts is None or authority is None:
            # What stands before an @ may be a password, so the URL is not shown.
            raise _refused("the URL", "it is https://host[:port]/path, without user, password or fragment")
        scheme, path = parts[1], (parts[3] or "/") + (parts[4] or "")
        port = int(authority[3]) if authority[3] else DEFAULT_PORTS[scheme]
        if not 0 < port < 65536:
            raise _refused(f"{port}", "a port is between 1 and 65535")
        if authority[1]:
            address = _ipv6(authority[1])
            return cls(scheme, str(address), port, path, address)
        host, literal = _host(authority[2])
        return cls(scheme, host, port, path, literal)

    @property
    def authority(self) -> str:
        """What the ``Host`` header says."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def _ipv6(text: str) -> Address:
    try:
        return plain_address(IPv6Address(text))
    except ValueError as error:
        raise _refused(f"[{text}]", "it is no IPv6 address") from error


def _host(text: str) -> tuple[str, Address | None]:
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # As browsers read it: what ends in a number is an address. Of its many spellings only one is taken.
        try:
            address = IPv4Address(host)
        except ValueError as error:
            raise _refused(repr(text), "an address is written as four numbers from 0 to 255, decimal") from error
        return str(address), address
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise _refused(repr(text), "it is no name of a host")
    return host, None


def plain_address(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address only wraps, else the address itself.

    Example:
        >>> plain_address(ip_address("::ffff:127.0.0.1"))
        IPv4Address('127.0.0.1')
    """
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def special(address: Address) -> str | None:
    """Return what is special about an address that nobody on the public internet has, else ``None``.

    Example:
        >>> [special(ip_address(text)) for text in ("169.254.169.254", "64:ff9b::a00:1", "8.8.8.8")]
        ['link-local', 'private', None]
    """
    address = plain_address(address)
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return special(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _GLOBAL_UNICAST:
            return "this machine" if address.is_loopback else "not global unicast"
        # ISATAP (RFC 5214) hides an IPv4 address behind any prefix.
        if int(address) >> 32 & 0xFDFF_FFFF == 0x5EFE:
            return "ISATAP"
    return next((what for network, what in _SPECIAL_NETWORKS if address in network), None)


@dataclass(frozen=True)
class Allowed:
    """What may be called besides public addresses.

    Attributes:
        names: Hosts that may have private addresses. Never this machine, link-local ones or a cloud's metadata.
        networks: Whose addresses may be called under every name.

    Example:
        >>> allowed = Allowed.of(["plant.internal", "127.0.0.1"])
        >>> allowed.denies("plant.internal", ip_address("10.1.2.3")), allowed.denies("x", ip_address("127.0.0.1"))
        (None, None)
        >>> allowed.denies("plant.internal", ip_address("169.254.169.254"))
        'link-local'
    """

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: tuple[str, ...] | list[str]) -> Allowed:
        """Read a list of names, addresses and networks.

        Raises:
            DeclarationError: An entry is none of them.
        """
        names, networks = set(), []
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                if "/" in entry or ":" in entry:
                    raise _refused(repr(entry), "it is no network: its bits beyond the prefix are zero") from None
                names.add(_host(entry)[0])
        return cls(frozenset(names), tuple(networks))

    def denies(self, host: str, address: Address) -> str | None:
        """Return why ``address`` may not be called as ``host``; ``None`` if it may."""
        address = plain_address(address)
        if any(address in network for network in self.networks):
            return None
        what = special(address)
        if what is None or (host in self.names and _is_private(address)):
            return None
        return what


def _is_private(address: Address) -> bool:
    return address not in _METADATA and any(address in network for network in _PRIVATE)


def _refused(what: str, why: str) -> DeclarationError:
    return DeclarationError(f"{what} cannot be called", why=why, field="url")
