"""Without identities only this machine is served."""

from __future__ import annotations

import pytest
from tests.access.world import NOON, person

from steward.access.addresses import is_loopback
from steward.access.identity import WHOLE, Resource
from steward.access.local import LOCAL, LocalGuard
from steward.access.permissions import Permission
from steward.clock import VirtualClock
from steward.errors import DeclarationError, Denied


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.1", "LOCALHOST", "localhost."])
def test_it_listens_to_this_machine(host: str) -> None:
    assert LocalGuard(host, VirtualClock(NOON)).resource("x") == Resource("x")


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.7", "steward.example", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_it_listens_to_nobody_else(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(DeclarationError) as caught:
        LocalGuard(host, VirtualClock(NOON))
    assert caught.value.field == "host"


async def test_whoever_is_here_may_do_everything() -> None:
    guard = LocalGuard("127.0.0.1", VirtualClock(NOON))
    for address in ("127.0.0.1", "::1", ""):
        assert await guard.identify({}, method="POST", address=address) is LOCAL
    for permission in Permission:
        guard.require(LOCAL, permission, WHOLE)
        guard.require(LOCAL, permission, Resource("grid.dispatch", frozenset({"grid"}), "acme"))
    assert guard.is_current(LOCAL)
    assert not guard.is_current(person("bob"))
    with pytest.raises(Denied):
        guard.require(person("bob"), Permission.READ)
    assert await guard.sweep() == 0


@pytest.mark.parametrize(
    ("headers", "address", "code"),
    [
        ({}, "192.0.2.7", "unauthenticated"),
        ({b"x-forwarded-for": b"192.0.2.7"}, "127.0.0.1", "unauthenticated"),
        ({b"forwarded": b"for=192.0.2.7"}, "127.0.0.1", "unauthenticated"),
        ({b"via": b"1.1 proxy"}, "", "unauthenticated"),
        ({b"sec-fetch-site": b"cross-site"}, "127.0.0.1", "cross-site"),
        ({b"host": b"127.0.0.1:8700", b"origin": b"https://evil.example"}, "127.0.0.1", "cross-site"),
        ({b"host": b"127.0.0.1:8700", b"origin": b"null"}, "127.0.0.1", "cross-site"),
    ],
)
async def test_others_are_refused(headers: dict[bytes, bytes], address: str, code: str) -> None:
    guard = LocalGuard("127.0.0.1", VirtualClock(NOON))
    with pytest.raises(Denied) as caught:
        await guard.identify(headers, method="POST", address=address)
    assert caught.value.code == code


async def test_its_own_pages_may() -> None:
    guard = LocalGuard("127.0.0.1", VirtualClock(NOON))
    own = {b"host": b"127.0.0.1:8700", b"origin": b"http://127.0.0.1:8700"}
    assert await guard.identify(own, method="POST", address="127.0.0.1") is LOCAL


def test_a_page_must_say_that_it_is_ours() -> None:
    guard = LocalGuard("127.0.0.1", VirtualClock(NOON))
    guard.check_site("GET", {})
    guard.check_site("POST", {b"sec-fetch-site": b"same-origin"})
    for told in ({}, {b"sec-fetch-site": b"same-site"}, {b"host": b"a", b"origin": b"http://b"}):
        with pytest.raises(Denied) as caught:
            guard.check_site("POST", told)
        assert caught.value.code == "cross-site"
