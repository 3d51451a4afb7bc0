"""Who gets in: the first key, keys, sessions, certificates and tokens, over a real server; and who does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from tests.access.issuer import ISS, JwksServer, claims, serving, signed
from tests.access.pki import Pki
from tests.api.conftest import BIG, DECIDE, NOON, REFUND, greeting, refund
from tests.api.people import populate

from steward.access.entries import Refused, decode_access
from steward.access.identity import Assignment, Identity, Kind
from steward.access.permissions import Role
from steward.api import protocol
from steward.api.entrance import Entrance, Peer
from steward.api.server import Server
from steward.clock import VirtualClock
from steward.errors import DeclarationError
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

PAGE = {"sec-fetch-site": "same-origin"}


@asynccontextmanager
async def served(
    clock: VirtualClock, host: str = "127.0.0.1", **settings: Any
) -> AsyncIterator[tuple[Runtime, str, list[str]]]:
    """Give a runtime, its server's address, and the one-time keys that the server has shown."""
    shown: list[str] = []
    chosen = Settings(ledger="memory://", **settings)
    async with await Runtime.open([refund, greeting], settings=chosen, clock=clock) as runtime:
        server = await Server.start(runtime, host, 0, invite=shown.append)
        scheme = "https" if chosen.ssl_certfile else "http"
        yield runtime, f"{scheme}://127.0.0.1:{server.port}", shown
        await server.stop()


async def test_a_server_that_others_reach_shows_a_key_once_and_lets_nobody_in_without(clock: VirtualClock) -> None:
    async with served(clock, "0.0.0.0") as (_runtime, url, shown), httpx.AsyncClient(base_url=url) as client:
        [once] = shown
        for method, path in (("GET", "/v1/decisions"), ("POST", DECIDE), ("GET", "/v1/whoami"), ("GET", "/metrics")):
            response = await client.request(method, path)
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
            assert response.headers["www-authenticate"] == "Bearer"
        assert (await client.get("/healthz")).text == "ok"
        assert (await client.post("/v1/access/claim", json={"id": "eve", "display": "Eve"})).status_code == 401
        sent = {"id": "ada", "display": "Ada", "one_time_key": once}
        issued = await client.post("/v1/access/claim", json=sent)
        assert (issued.status_code, issued.headers["cache-control"]) == (200, "no-store")
        assert (await client.post("/v1/access/claim", json=sent)).status_code == 401
        bearer = {"authorization": f"Bearer {issued.json()['secret']}"}
        assert (await client.get("/v1/whoami", headers=bearer)).json()["id"] == "ada"
        assert (await client.post(DECIDE, json=REFUND, headers=bearer)).status_code == 403


async def test_a_server_whose_key_nobody_would_see_does_not_start(runtime: Runtime) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7"):
        with pytest.raises(DeclarationError, match="this machine only"):
            await Server.start(runtime, host, 0)


async def test_from_the_first_administrator_on_the_machine_itself_needs_a_key(clock: VirtualClock) -> None:
    async with served(clock) as (_, url, shown), httpx.AsyncClient(base_url=url) as client:
        assert shown == []
        assert (await client.post(DECIDE, json=REFUND)).status_code == 200
        proxied = await client.post(DECIDE, json=REFUND, headers={"x-forwarded-for": "203.0.113.7"})
        assert proxied.status_code == 401
        foreign = await client.post(DECIDE, json=REFUND, headers={"origin": "https://evil.example"})
        assert (foreign.status_code, foreign.json()["code"]) == (403, "cross-site")
        claim = {"id": "ada", "display": "Ada"}
        evil = await client.post("/v1/access/claim", json=claim, headers={"sec-fetch-site": "cross-site"})
        assert evil.status_code == 403
        assert (await client.post("/v1/access/claim", json=claim)).status_code == 200
        assert (await client.post(DECIDE, json=REFUND)).status_code == 401
        assert (await client.get("/v1/decisions")).status_code == 401


async def test_those_who_fail_often_wait_and_the_right_key_does_not(runtime: Runtime) -> None:
    people = await populate(runtime)
    server = await Server.start(runtime, "127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        wrong = {"authorization": "Bearer stw_000000000000_" + "A" * 43}
        statuses = [(await client.get("/v1/whoami", headers=wrong)).status_code for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        response = await client.post(DECIDE, json=REFUND, headers=wrong)
        assert (response.status_code, response.headers["retry-after"]) == (429, "60")
        good = people.headers("operator.desk")
        assert (await client.post(DECIDE, json=REFUND, headers=good)).status_code == 200
    await server.stop()
    entries = [decode_access(entry.body) for entry in await runtime.ledger.read(0, 1_000) if entry.kind == "refused"]
    told = [body for body in entries if isinstance(body, Refused) and body.code == "unknown-key"]
    assert sum(body.times for body in told) == 13, "what is noted when the server stops is written too"
    assert {body.address for body in told} == {"127.0.0.1"}


async def test_a_header_that_says_who_twice_is_refused(runtime: Runtime) -> None:
    people = await populate(runtime)
    async with people.client() as client:
        for name in ("authorization", "cookie", "origin", "sec-fetch-site"):
            for method, path in (("GET", "/v1/decisions"), ("POST", DECIDE)):
                twice = await client.request(method, path, headers=[(name, "a"), (name, "b")])
                assert (twice.status_code, twice.json()["code"]) == (400, "http.header-repeated")


async def test_a_session_reads_and_changes_things_from_our_own_pages_only(runtime: Runtime) -> None:
    people = await populate(runtime)
    async with people.client() as client:
        key = people.headers("operator.desk")
        assert (await client.post("/v1/session", headers=key)).json()["code"] == "cross-site"
        assert (await client.post("/v1/session", headers=PAGE)).status_code == 401
        opened = await client.post("/v1/session", headers=key | PAGE)
        assert opened.json()["id"] == "operator.desk"
        set_cookie = opened.headers["set-cookie"]
        assert set_cookie.startswith("__Host-steward=")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(set_cookie.split("; "))
        client.cookies.clear()
        cookie = {"cookie": set_cookie.partition(";")[0]}
        assert (await client.get("/v1/whoami", headers=cookie)).json()["credential"].startswith("session:")
        assert (await client.post(DECIDE, json=REFUND, headers=cookie | PAGE)).status_code == 200
        for foreign in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            for path in (DECIDE, "/v1/session"):
                refused = await client.request(
                    "POST" if path == DECIDE else "DELETE", path, json=REFUND, headers=cookie | foreign
                )
                assert (refused.status_code, refused.json()["code"]) == (403, "cross-site")
        ended = await client.delete("/v1/session", headers=cookie | PAGE)
        assert (ended.status_code, "Max-Age=0" in ended.headers["set-cookie"]) == (204, True)
        assert (await client.get("/v1/whoami", headers=cookie)).status_code == 401


async def test_who_answers_is_who_is_recognised(runtime: Runtime) -> None:
    people = await populate(runtime)
    robot = (Assignment(Role.APPROVER), Assignment(Role.OPERATOR))
    await people.add("robot", *robot, kind=Kind.SERVICE)
    async with people.client("operator.desk") as client:
        record = (await client.post(DECIDE, json=BIG)).json()
        assert record["provenance"]["by"] == "operator.desk"
        approve = f"/v1/approvals/{record['decision_id']}/approve"
    async with people.client("robot") as client:
        response = await client.post(approve, json={"reason": "x"})
        assert (response.status_code, "a service" in response.text) == (403, True)
    async with people.client("approver.desk") as client:
        response = await client.post(approve, json={"reason": "x", "by": "ada"})
        assert (response.status_code, response.json()["code"]) == (422, "not-yourself")
        done = await client.post(approve, json={"reason": "x", "by": "approver.desk"})
        assert [step["by"] for step in done.json()["history"] if step["kind"] == "approved"] == ["approver.desk"]


async def test_a_certificate_signs_in_and_a_key_does_so_too(clock: VirtualClock, tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    own = pki.issue("server", x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))
    billing = pki.issue("billing", x509.UniformResourceIdentifier("spiffe://corp/billing"))
    stranger = pki.issue("stranger")
    tls = {"ssl_certfile": str(own), "ssl_ca_certs": str(pki.authority)}
    clock.advance(datetime.now(UTC) - clock.now())
    async with served(clock, **tls) as (runtime, url, _):
        people = await populate(runtime)
        service = Identity(
            id="billing", kind=Kind.SERVICE, display="B", roles=(Assignment(Role.SERVICE),), teams=frozenset({"desk"})
        )
        await runtime.guard.administration.enrol(people.ada, service, subjects=["uri:spiffe://corp/billing"])
        async with httpx.AsyncClient(base_url=url, verify=pki.client(billing)) as client:
            assert (await client.get("/v1/whoami")).json()["credential"] == "certificate"
            assert (await client.post(DECIDE, json=REFUND)).json()["provenance"]["by"] == "billing"
            named = await client.get("/v1/whoami", headers=people.headers("operator.desk"))
            assert named.json()["id"] == "operator.desk"
        async with httpx.AsyncClient(base_url=url, verify=pki.client(stranger)) as client:
            assert (await client.get("/v1/whoami")).status_code == 401
        async with httpx.AsyncClient(base_url=url, verify=pki.client()) as client:
            assert (await client.get("/v1/whoami")).status_code == 401
            assert (await client.get("/v1/whoami", headers=people.headers("operator.desk"))).status_code == 200


@pytest.fixture
def issuer() -> Iterator[JwksServer]:
    with serving() as server:
        yield server


async def test_tokens_of_a_configured_issuer_are_believed(
    clock: VirtualClock, tmp_path: Path, issuer: JwksServer
) -> None:
    file = tmp_path / "access.toml"
    file.write_text(
        f'[[issuers]]\nname = "corp"\nissuer = "{ISS}"\naudience = "steward"\njwks_url = "{issuer.url}"\n'
        'roles_claim = "groups"\nteams_claim = "teams"\n'
        '[[issuers.roles.desk]]\nrole = "operator"\ndecisions = ["shop.*"]\n'
    )
    async with served(clock, access=str(file)) as (_runtime, url, shown), httpx.AsyncClient(base_url=url) as client:
        assert len(shown) == 1
        assert (await client.get("/v1/whoami")).status_code == 401, "who configures identities is not alone"
        token = signed(claims(NOON.timestamp(), groups=["desk"], teams=["desk"]))
        bearer = {"authorization": f"Bearer {token}"}
        record = await client.post(DECIDE, json=REFUND, headers=bearer)
        assert (record.status_code, record.json()["provenance"]["by"][:5]) == (200, "corp:")
        assert (await client.get("/v1/access/keys", headers=bearer)).status_code == 403
        forged = {"authorization": f"Bearer {signed(claims(NOON.timestamp(), aud='payroll'))}"}
        assert (await client.get("/v1/whoami", headers=forged)).status_code == 401


async def test_too_many_connections_are_refused_but_for_what_is_never_refused(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "SPARE_CONNECTIONS", 1)
    async with served(clock, max_connections=2) as (_, url, _shown):
        port = int(url.rpartition(":")[2])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]

        async def sent(path: str, body: bytes = b"") -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
            writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
            answer = await reader.read()
            writer.close()
            return answer

        stopped = await sent("/v1/stops", b'{"by":"ana","reason":"smoke"}')
        assert stopped.startswith(b"HTTP/1.1 200")
        refused = [await sent(DECIDE, json.dumps(REFUND).encode())]
        held.append(await asyncio.open_connection("127.0.0.1", port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        refused.append(await reader.read())  # before anything is read
        for answer in refused:
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in answer
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "overloaded"
        for each in (*[pair[1] for pair in held], writer):
            each.close()


def test_a_proxy_is_believed_only_if_it_is_known(runtime: Runtime) -> None:
    object.__setattr__(runtime.settings, "trusted_proxies", ("10.0.0.1", "10.0.0.2"))
    entrance = Entrance(runtime, "0.0.0.0")
    named = {b"x-forwarded-for": b"198.51.100.9, 203.0.113.7, 10.0.0.2"}
    assert entrance.address_of(Peer("10.0.0.1"), named) == "203.0.113.7"
    assert entrance.address_of(Peer("192.0.2.1"), named) == "192.0.2.1"
    assert entrance.address_of(Peer("10.0.0.1"), {}) == "10.0.0.1"
