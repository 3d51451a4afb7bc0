"""Addresses: one spelling for each, and nothing special is called that was not allowed."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.downstream.addresses import Allowed, Target, plain_address, special
from steward.errors import DeclarationError

ANY = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
SPECIAL_V4 = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32"),
]
SPECIAL_V6 = [
    *("::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28"),
    *(
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "::/96",
    ),
]


def within(network: IPv4Network | IPv6Network, offset: int) -> IPv4Address | IPv6Address:
    return network[offset % network.num_addresses]


@given(st.sampled_from(SPECIAL_V4), st.integers(0, 2**32 - 1))
def test_no_special_ipv4_address_is_called_under_any_wrapping(network: str, offset: int) -> None:
    address = within(IPv4Network(network), offset)
    number = int(address)
    wrapped = [
        address,
        IPv6Address(0xFFFF << 32 | number),  # IPv4-mapped
        IPv6Address(number),  # IPv4-compatible
        IPv6Address(0xFFFF << 48 | number),  # IPv4-translated
        IPv6Address(int(IPv6Address("64:ff9b::")) | number),  # NAT64
        IPv6Address(0x2002 << 112 | number << 80),  # 6to4
        IPv6Address(0x2001 << 112 | number ^ 0xFFFFFFFF),  # Teredo
        IPv6Address(int(IPv6Address("2a00::5efe:0:0")) | number),  # ISATAP
        IPv6Address(int(IPv6Address("2a00::200:5efe:0:0")) | number),  # ISATAP, of a universal address
    ]
    assert [each for each in wrapped if Allowed().denies("x", each) is None] == []


@given(st.sampled_from(SPECIAL_V6), st.integers(0, 2**128 - 1))
def test_no_special_ipv6_address_is_called(network: str, offset: int) -> None:
    assert Allowed().denies("x", within(IPv6Network(network), offset)) is not None


@given(ANY)
def test_what_is_called_is_global_by_the_standard_library_too(address: IPv4Address | IPv6Address) -> None:
    if special(address) is None and address not in IPv6Network("64:ff9b::/96"):
        assert plain_address(address).is_global
        assert not plain_address(address).is_multicast


@given(st.ip_addresses(v=4, network="8.0.0.0/8"))
def test_public_addresses_are_called(address: IPv4Address) -> None:
    assert special(address) is None
    assert special(IPv6Address("2606:4700:4700::1111")) is None
    assert special(IPv6Address(0xFFFF << 32 | int(address))) is None


@given(ANY, ANY)
def test_a_network_allows_its_own_addresses_only(
    address: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address
) -> None:
    allowed = Allowed.of([str(plain_address(address))])
    assert allowed.denies("x", address) is None
    if plain_address(other) != plain_address(address):
        assert allowed.denies("x", other) == special(other)


@pytest.mark.parametrize(
    ("address", "denied"),
    [
        ("10.1.2.3", None),
        ("172.31.0.1", None),
        ("192.168.0.1", None),
        ("fd12::1", None),
        ("::ffff:10.1.2.3", None),
        ("8.8.8.8", None),
        ("127.0.0.1", "this machine"),
        ("::1", "this machine"),
        ("0.0.0.0", "this network"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "not global unicast"),
        ("100.100.100.200", "shared by a carrier"),
        ("fd00:ec2::254", "not global unicast"),
        ("168.63.129.16", "metadata of a cloud"),
        ("64:ff9b::10.1.2.3", "private"),
        ("224.0.0.1", "multicast"),
    ],
)
def test_a_name_opens_private_networks_and_neither_this_machine_nor_metadata(address: str, denied: str | None) -> None:
    allowed = Allowed.of(["Plant.Internal."])
    assert allowed.denies("plant.internal", ip_address(address)) == denied
    assert (allowed.denies("other.internal", ip_address(address)) is None) is (address == "8.8.8.8")


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("https://plant.example", "plant.example", 443, "plant.example"),
        ("https://PLANT.example.:443/x", "plant.example", 443, "plant.example"),
        ("https://plant.example:8443/", "plant.example", 8443, "plant.example:8443"),
        ("http://127.0.0.1:80/", "127.0.0.1", 80, "127.0.0.1"),
        ("https://[::FFFF:127.0.0.1]/", "127.0.0.1", 443, "127.0.0.1"),
        ("https://[2606:4700:0::1111]:8443/", "2606:4700::1111", 8443, "[2606:4700::1111]:8443"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
    ],
)
def test_each_host_has_one_spelling(url: str, host: str, port: int, authority: str) -> None:
    target = Target.of(url)
    assert (target.host, target.port, target.authority) == (host, port, authority)


@pytest.mark.parametrize(
    "url",
    [
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1.1/",
        "https://256.0.0.1/",
        "https://10.0.0.01/",
        "https://1.2.3.0x4/",
        "https://foo.0x/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[::1/",
        "https://[127.0.0.1]/",
        "https://::1/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://bücher.example/",
        "https://plant\u3002example/",
        "https://user@plant.example/",
        "https://user:hunter2@plant.example/",
        "https://plant.example\\@evil.example/",
        "https://plant.example/#x",
        "https://plant.example/\\x",
        "https://plant.example/a b",
        "https://plant.example/\r\nx: y",
        "https://plant%2eexample/",
        "https://plant..example/",
        "https://-plant.example/",
        "https://plant.example/\u00fc",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 127 + "example/",
        "https://plant.example:0/",
        "https://plant.example:65536/",
        "https://plant.example:/",
        "https:///x",
        "https:plant.example",
        "HTTPS://plant.example",
        "ftp://plant.example/",
        "file:///etc/passwd",
        "gopher://plant.example/",
        "//plant.example/",
        "",
        "https://plant.example/" + "x" * 2048,
    ],
)
def test_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Target.of(url)
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_target_of_one_spelling_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/", f"https://plant.example/{text}"):
        try:
            target = Target.of(url)
        except DeclarationError:
            continue
        again = Target.of(f"{target.scheme}://{target.authority}{target.path}")
        assert again == target


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "https://plant", "plant:8443", "0x7f.1", "", "a b", "10.0.0.0/33"])
def test_odd_entries_of_the_list_are_refused(entry: str) -> None:
    with pytest.raises(DeclarationError):
        Allowed.of([entry])
