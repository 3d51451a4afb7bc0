"""Sessions of the console: their cookie, their end, and requests from other sites' pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.access.world import ORIGIN, World, bearer, person

from steward.access.cookies import COOKIE, OpenedSession, clear_cookie, own_site, session_id
from steward.access.guard import Guard
from steward.access.permissions import Role
from steward.access.sessions import SessionTimes
from steward.errors import DeclarationError, Denied

PAGE = {b"sec-fetch-site": b"same-origin"}


def cookie_of(opened: OpenedSession) -> dict[bytes, bytes]:
    return {b"cookie": b"theme=dark; " + opened.set_cookie().split(";")[0].encode()}


async def open_session(world: World) -> dict[bytes, bytes]:
    return cookie_of(await world.guard.sign_in({**bearer(world.key), **PAGE}))


async def ended(world: World, cookie: dict[bytes, bytes]) -> bool:
    try:
        await world.guard.identify(cookie)
    except Denied as error:
        return error.code == "unauthenticated"
    return False


async def test_a_session_shows_who_opened_it(world: World) -> None:
    cookie = await open_session(world)
    ada = await world.guard.identify(cookie)
    assert ada.id == "ada"
    assert ada.credential.startswith("session:")
    assert world.guard.is_current(ada)
    restarted = await Guard.open(world.ledger, world.clock)
    assert (await restarted.identify(cookie)).id == "ada"


def test_the_cookie_keeps_itself_to_the_server() -> None:
    for text in (clear_cookie(), COOKIE):
        assert text.startswith("__Host-")
    for attribute in ("Path=/", "Secure", "HttpOnly", "SameSite=Strict"):
        assert f"; {attribute}" in clear_cookie()
    assert "Domain" not in clear_cookie()


async def test_a_session_ends_when_nobody_uses_it(world: World) -> None:
    cookie = await open_session(world)
    for _ in range(10):
        world.clock.advance(timedelta(minutes=29, seconds=59))
        await world.guard.identify(cookie)
    world.clock.advance(timedelta(minutes=30))
    assert await ended(world, cookie)


async def test_a_session_ends_after_twelve_hours_whatever_happens(world: World) -> None:
    cookie = await open_session(world)
    for _ in range(24):
        assert not await ended(world, cookie)
        world.clock.advance(timedelta(minutes=29))
    world.clock.advance(timedelta(minutes=24))
    assert await ended(world, cookie)


async def test_a_restart_does_not_make_an_idle_session_young(world: World) -> None:
    cookie = await open_session(world)
    world.clock.advance(timedelta(minutes=31))
    restarted = await Guard.open(world.ledger, world.clock)
    with pytest.raises(Denied):
        await restarted.identify(cookie)


async def test_a_clock_set_back_does_not_make_it_last(world: World) -> None:
    cookie = await open_session(world)
    world.clock.advance(timedelta(minutes=-4))
    assert not await ended(world, cookie)
    world.clock.advance(timedelta(days=-1))
    assert await ended(world, cookie)


async def test_signing_in_again_makes_a_new_id_and_ends_the_old(world: World) -> None:
    first = await open_session(world)
    second = cookie_of(await world.guard.sign_in({**bearer(world.key), **PAGE, **first}))
    assert first != second
    assert await ended(world, first)
    assert not await ended(world, second)


async def test_an_id_that_somebody_planted_is_never_taken(world: World) -> None:
    planted = {b"cookie": f"{COOKIE}={'a' * 43}".encode()}
    assert cookie_of(await world.guard.sign_in({**bearer(world.key), **PAGE, **planted})) != planted
    assert await ended(world, planted)


async def test_signing_out_ends_it_for_good(world: World) -> None:
    cookie = await open_session(world)
    with pytest.raises(Denied):
        await world.guard.sign_out(cookie)
    await world.guard.sign_out({**cookie, **PAGE})
    assert await ended(world, cookie)
    size = await world.ledger.size()
    await world.guard.sign_out({**cookie, **PAGE})
    assert await world.ledger.size() == size


async def test_a_session_does_not_open_another_one(world: World) -> None:
    cookie = await open_session(world)
    with pytest.raises(Denied):
        await world.guard.sign_in({**cookie, **PAGE})
    ada = await world.guard.identify(cookie)
    with pytest.raises(Denied):
        await world.guard.sessions.sign_in(ada)


async def test_it_ends_with_its_key_and_its_owner(world: World) -> None:
    for deed in ("revoke key", "expire", "revoke identity"):
        key = await world.add(person("bob", Role.OPERATOR))
        prefix = key.reveal().split("_")[1]
        if deed == "expire":
            bob = await world.guard.identify(bearer(key))
            issued = await world.guard.administration.rotate_key(bob, prefix, lasts=timedelta(minutes=5))
            key, prefix = issued.secret, issued.prefix
        cookie = cookie_of(await world.guard.sign_in({**bearer(key), **PAGE}))
        assert not await ended(world, cookie)
        if deed == "revoke key":
            await world.guard.administration.revoke_key(world.ada, prefix, reason="lost")
        if deed == "expire":
            world.clock.advance(timedelta(minutes=5))
        if deed == "revoke identity":
            await world.guard.administration.revoke_identity(world.ada, "bob", reason="left")
        assert await ended(world, cookie), deed
        if deed != "revoke identity":
            await world.guard.administration.revoke_identity(world.ada, "bob", reason="left")


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({b"sec-fetch-site": b"same-origin"}, True),
        ({b"sec-fetch-site": b"same-site"}, False),
        ({b"sec-fetch-site": b"cross-site"}, False),
        ({b"sec-fetch-site": b"none"}, False),
        ({b"sec-fetch-site": b"cross-site", b"origin": ORIGIN.encode()}, False),
        ({b"origin": ORIGIN.encode()}, True),
        ({b"origin": b"HTTPS://Steward.Example"}, True),
        ({b"origin": b"https://steward.example.evil.example"}, False),
        ({b"origin": b"https://steward.example:8443"}, False),
        ({b"origin": b"http://steward.example"}, False),
        ({b"origin": b"null"}, False),
        ({b"referer": ORIGIN.encode()}, False),
        ({}, False),
    ],
)
async def test_a_session_changes_nothing_from_other_pages(
    world: World, headers: dict[bytes, bytes], passes: bool
) -> None:
    cookie = await open_session(world)
    for method in ("POST", "PUT", "PATCH", "DELETE", "post", "BREW"):
        if passes:
            await world.guard.identify({**cookie, **headers}, method=method)
            continue
        with pytest.raises(Denied) as caught:
            await world.guard.identify({**cookie, **headers}, method=method)
        assert caught.value.code == "cross-site"
    await world.guard.identify({**cookie, **headers}, method="GET")
    assert (await world.guard.identify({**bearer(world.key), **headers}, method="POST")).id == "ada", (
        "keys are no cookies"
    )


def test_without_origins_the_host_that_was_asked_for_counts() -> None:
    def post(origin: bytes, host: bytes = b"steward.example:8700") -> bool:
        return own_site("POST", {b"host": host, b"origin": origin}).allowed

    assert post(b"http://steward.example:8700")
    assert not post(b"http://steward.example")
    assert not post(b"http://evil.example:8700")
    assert not post(b"null", b"null")
    assert not post(b"https://", b"")
    assert not post(b"ftp://steward.example:8700")


@given(st.binary(max_size=200))
def test_any_cookie_header_can_be_read(header: bytes) -> None:
    found = session_id(header)
    assert found is None or COOKIE.encode() in header


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"", None),
        (b"__Host-steward=a", "a"),
        (b"x=1;__Host-steward=a", "a"),
        (b"__Host-steward=a=b", "a=b"),
        (b"__host-steward=a", None),
        (b"x__Host-steward=a", None),
        (b"__Host-steward=a; __Host-steward=a", ""),
        (b"__Host-steward=" + b"a" * 9_000, ""),
    ],
)
def test_only_our_cookie_counts(header: bytes, found: str | None) -> None:
    assert session_id(header) == found


def test_times_in_which_nobody_could_work_are_refused() -> None:
    for idle, absolute in ((0, 1), (-1, 1), (2, 1)):
        with pytest.raises(DeclarationError):
            SessionTimes(idle=timedelta(hours=idle), absolute=timedelta(hours=absolute))
