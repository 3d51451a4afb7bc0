"""Keys of issuers: cached, fetched seldom, believed not too long, and never from just anywhere."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import timedelta

import pytest
from tests.access.issuer import EC, ED, RSA, document, serving
from tests.access.pki import Pki
from tests.access.world import NOON

from steward.access.https import HttpsFetcher
from steward.access.jwks import MAX_JWKS_BYTES, Jwks, keys_of
from steward.clock import VirtualClock
from steward.errors import ContractError, DeclarationError, EngineError


class Fetch:
    """Answers from memory, when told to."""

    def __init__(self) -> None:
        self.answer: bytes | Exception = document()
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, url: str) -> bytes:
        self.asked += 1
        await self.may_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def make() -> tuple[Jwks, Fetch, VirtualClock]:
    fetch, clock = Fetch(), VirtualClock(NOON)
    return Jwks("https://id.example/jwks", fetch, clock), fetch, clock


async def test_who_has_no_task_may_ask_too() -> None:
    loop, fetched = asyncio.get_running_loop(), asyncio.Event()

    async def fetch(url: str) -> bytes:
        async with asyncio.timeout(10):  # which needs a task
            await asyncio.sleep(0)
        fetched.set()
        return document()

    asking = Jwks("https://id.example/jwks", fetch, VirtualClock(NOON)).key("rsa")
    loop.call_soon(asking.send, None)
    async with asyncio.timeout(10):
        await fetched.wait()
    asking.close()


async def test_made_up_kids_do_not_make_us_ask_again_and_again() -> None:
    jwks, fetch, clock = make()
    for number in range(100):
        assert await jwks.key(f"made-up-{number}") is None
    assert fetch.asked == 1
    clock.advance(timedelta(seconds=30))
    await jwks.key("made-up")
    assert fetch.asked == 2
    assert await jwks.key("rsa") is not None


async def test_a_new_key_is_found() -> None:
    jwks, fetch, clock = make()
    fetch.answer = document(RSA)
    assert await jwks.key("ec") is None
    fetch.answer = document(RSA, EC)
    clock.advance(timedelta(seconds=30))
    assert await jwks.key("ec") is not None
    assert jwks.version == 2


async def test_many_who_ask_at_once_make_one_fetch() -> None:
    jwks, fetch, _ = make()
    fetch.may_answer.clear()
    asking = [asyncio.ensure_future(jwks.key("rsa")) for _ in range(50)]
    await asyncio.sleep(0)
    fetch.may_answer.set()
    assert None not in await asyncio.gather(*asking)
    assert fetch.asked == 1


async def test_known_keys_do_while_new_ones_are_fetched() -> None:
    jwks, fetch, clock = make()
    await jwks.key("rsa")
    clock.advance(timedelta(minutes=10))
    fetch.may_answer.clear()
    first = asyncio.ensure_future(jwks.key("rsa"))
    await asyncio.sleep(0)
    assert await jwks.key("rsa") is not None
    assert not first.done()
    fetch.may_answer.set()
    assert await first is not None


@pytest.mark.parametrize("failure", [EngineError("gone"), b"<html>", b'{"keys":7}', b'{"keys":[],"keys":[]}'])
async def test_known_keys_are_believed_for_a_day_and_no_longer(failure: bytes | Exception) -> None:
    jwks, fetch, clock = make()
    await jwks.key("rsa")
    fetch.answer = failure
    clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    assert await jwks.key("rsa") is not None
    clock.advance(timedelta(seconds=1))
    with pytest.raises(EngineError) as caught:
        await jwks.key("rsa")
    assert caught.value.code == "engine.jwks"


async def test_a_clock_set_back_makes_keys_old() -> None:
    jwks, fetch, clock = make()
    await jwks.key("rsa")
    clock.advance(timedelta(days=-1))
    await jwks.key("rsa")
    assert fetch.asked == 2


def listed(**changed: object) -> dict[str, object]:
    return {**RSA.as_dict(private=False), **changed}


@pytest.mark.parametrize(
    "key",
    [
        listed(kid=None),
        listed(kid=""),
        listed(kid="x" * 257),
        listed(use="enc"),
        listed(key_ops=["encrypt"]),
        listed(kty="oct", k="c2VjcmV0"),
        listed(kty="RSA2"),
        listed(n="AQAB"),
        {k: v for k, v in listed().items() if k != "n"},
        RSA.as_dict(private=True),
        ["rsa"],
        None,
    ],
)
def test_keys_that_are_not_for_signatures_are_left_out(key: object) -> None:
    found = keys_of(json.dumps({"keys": [key, ED.as_dict(private=False)]}).encode())
    assert list(found) == ["ed"]


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"keys":{}}', b'{"keys":[' + b"1," * 100 + b"1]}", b" " * (MAX_JWKS_BYTES + 1)]
)
def test_what_is_no_jwks_is_refused(text: bytes) -> None:
    with pytest.raises(ContractError):
        keys_of(text)


def test_a_kid_stands_for_one_key() -> None:
    with pytest.raises(ContractError):
        keys_of(json.dumps({"keys": [listed(), listed()]}).encode())


async def test_the_fetcher_gets_what_is_there() -> None:
    with serving() as server:
        assert await HttpsFetcher()(server.url) == document()


@pytest.mark.parametrize("status", [204, 301, 302, 404, 500])
async def test_the_fetcher_follows_nobody(status: int) -> None:
    with serving() as server:
        server.status = status
        server.headers = {"Location": server.url}
        with pytest.raises(EngineError) as caught:
            await HttpsFetcher()(server.url)
        assert caught.value.retryable
        assert server.asked == 1


async def test_the_fetcher_takes_no_endless_document() -> None:
    with serving() as server:
        server.answer = b"x" * (MAX_JWKS_BYTES + 1)
        with pytest.raises(EngineError):
            await HttpsFetcher()(server.url)


async def test_the_fetcher_does_not_wait_for_ever() -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(EngineError):
        await HttpsFetcher(timeout_s=0.2)(f"http://127.0.0.1:{port}/jwks")
    await left.wait()
    server.close()
    await server.wait_closed()


async def test_nobody_there_is_an_engine_error() -> None:
    with pytest.raises(EngineError):
        await HttpsFetcher()("http://127.0.0.1:9/jwks")


async def test_https_wants_a_certificate_that_is_trusted(pki: Pki) -> None:
    with serving(pki.server()) as server:
        trusted = ssl.create_default_context(cafile=str(pki.authority))
        assert await HttpsFetcher(context=trusted)(server.url) == document()
        with pytest.raises(EngineError):
            await HttpsFetcher()(server.url)


@pytest.mark.parametrize(
    "url", ["http://192.0.2.7/", "http://localhost.evil.example/", "gopher://127.0.0.1/", "https://"]
)
async def test_only_safe_addresses_are_asked(url: str) -> None:
    with pytest.raises(DeclarationError):
        await HttpsFetcher()(url)
