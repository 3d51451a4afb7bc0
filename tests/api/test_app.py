"""The hot routes and the front door."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from tests.api.conftest import BIG, DECIDE, REFUND, later

from steward.api.app import Front
from steward.api.exchange import Message
from steward.clock import VirtualClock
from steward.errors import EngineError
from steward.runtime.runtime import Runtime


def problem(response: httpx.Response) -> tuple[int, str, str | None]:
    """Return a problem's status, code and field, having checked its form."""
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == response.status_code
    assert told["type"] == f"urn:steward:problem:{told['code']}"
    assert told["title"]
    assert told["detail"]
    return response.status_code, told["code"], told.get("field")


async def test_a_decision_is_answered_with_its_durable_record(client: httpx.AsyncClient, runtime: Runtime) -> None:
    response = await client.post(DECIDE, json=REFUND)
    record = response.json()
    assert response.status_code == 200
    assert record["choice"] == "release"
    assert record["features"] == {"amount_eur": 20.0}
    [entry] = await runtime.ledger.read(record["provenance"]["ledger_index"], 1)
    assert entry.kind == "decided"
    assert str(entry.run_id) == record["decision_id"]
    assert record["provenance"]["source"] == "http"


async def test_traceparent_ends_up_in_the_record(client: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = await client.post(DECIDE, json=REFUND, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert response.json()["provenance"]["trace_id"] == trace
    response = await client.post(DECIDE, json=REFUND, headers={"traceparent": "nonsense"})
    assert "trace_id" not in response.json()["provenance"]


async def test_respond_async_answers_with_a_location(client: httpx.AsyncClient) -> None:
    response = await client.post(DECIDE, json=BIG, headers={"Prefer": "respond-async, wait=1"})
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "respond-async"
    assert response.json()["status"] == "waiting"
    shown = await client.get(response.headers["location"])
    assert shown.json()["decision_id"] == response.json()["decision_id"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"order_id": "A"', (400, "contract.not-json", "$")),
        (b"", (400, "contract.not-json", "$")),
        (b'\xff{"a": 1}', (400, "contract.not-json", "$")),
        (b'{"order_id": "A", "amount_eur": NaN}', (400, "contract.not-json", "$")),
        (b'{"order_id": "A", "amount_eur": "20"}', (422, "contract", "amount_eur")),
        (b'{"order_id": "A", "amount_eur": -1}', (422, "contract", "amount_eur")),
        (b'{"order_id": "A"}', (422, "contract", "amount_eur")),
        (b'{"order_id": "A", "amount_eur": 1, "amuont": 2}', (422, "contract", "amuont")),
        (b'{"order_id": "A", "amount_eur": 1, "amount_eur": 2}', (422, "contract.duplicate-key", "amount_eur")),
        (
            b'{"order_id": "A", "amount_eur": 1, "reason": ' + b"[" * 40 + b"]" * 40 + b"}",
            (422, "contract", "reason"),
        ),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(
    client: httpx.AsyncClient, runtime: Runtime, body: bytes, expected: tuple[int, str, str]
) -> None:
    size = await runtime.ledger.size()
    response = await client.post(DECIDE, content=body, headers={"content-type": "application/json"})
    assert problem(response) == expected
    assert await runtime.ledger.size() == size


async def test_an_unknown_decision_is_not_found_and_a_near_one_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/decisions/shop.refnud", json=REFUND)
    assert problem(response) == (404, "not-found", "name")
    assert "shop.refund" in response.json()["next"]
    assert (await client.post("/v1/decisions/shop.refnud/batch", json=[])).status_code == 404


@pytest.mark.parametrize(
    "sent", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""]
)
async def test_another_media_type_is_refused(client: httpx.AsyncClient, sent: str) -> None:
    headers = {"content-type": sent} if sent else {}
    response = await client.post(DECIDE, content=b"{}", headers=headers)
    assert problem(response)[:2] == (415, "http.media-type")


async def test_a_charset_of_utf8_is_taken(client: httpx.AsyncClient) -> None:
    headers = {"content-type": 'Application/JSON; charset="UTF-8"'}
    assert (await client.post(DECIDE, content=json.dumps(REFUND), headers=headers)).status_code == 200


async def test_a_long_body_is_refused_also_when_nobody_announced_it(client: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(10):
            yield b" " * 10_000

    headers = {"content-type": "application/json"}
    announced = await client.post(DECIDE, content=b" " * 70_000, headers=headers)
    streamed = await client.post(DECIDE, content=chunks(), headers=headers)
    assert problem(announced) == problem(streamed) == (413, "http.too-large", None)


async def test_a_chunked_body_is_taken_whole(client: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for letter in json.dumps(REFUND).encode():
            yield bytes([letter])

    response = await client.post(DECIDE, content=chunks(), headers={"content-type": "application/json"})
    assert response.status_code == 200


@pytest.mark.parametrize("path", [f"{DECIDE}/batch", "/v1/events", "/v1/outcomes"])
async def test_a_wrong_method_is_told_the_right_one(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert problem(response)[:2] == (405, "http.method")
    assert response.headers["allow"] == "POST"


async def test_a_name_where_an_id_belongs_is_an_unknown_id_whether_it_is_declared_or_not(
    client: httpx.AsyncClient,
) -> None:
    for name in ("shop.refund", "shop.nothing"):
        response = await client.get(f"/v1/decisions/{name}")
        assert problem(response) == (404, "not-found", None)
    assert problem(await client.put(DECIDE))[:2] == (405, "http.method")


class TestHosts:
    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8700", "127.0.0.1:1", "[::1]:8700"])
    async def test_loopback_names_are_answered_for(self, client: httpx.AsyncClient, host: str) -> None:
        assert (await client.post(DECIDE, json=REFUND, headers={"host": host})).status_code == 200
        assert (await client.get("/healthz", headers={"host": host})).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"])
    @pytest.mark.parametrize("path", [DECIDE, "/v1/approvals/x/approve"])
    async def test_foreign_names_are_not(self, client: httpx.AsyncClient, host: str, path: str) -> None:
        response = await client.post(path, json=REFUND, headers={"host": host})
        assert problem(response)[:2] == (421, "http.host-unknown")

    async def test_a_missing_or_repeated_host_is_malformed(self, app: Front) -> None:
        for headers in ([], [(b"host", b"localhost"), (b"host", b"evil.example")]):
            status, body = await raw(app, DECIDE, headers)
            assert (status, body["title"]) == (400, "The request is malformed")


class TestIdempotency:
    async def test_same_key_and_event_get_the_same_answer(self, client: httpx.AsyncClient, runtime: Runtime) -> None:
        first = await client.post(DECIDE, json=REFUND, headers={"Idempotency-Key": '"order-1"'})
        size = await runtime.ledger.size()
        # The same key as a bare token, and the same event written differently.
        again = await client.post(
            DECIDE,
            content=json.dumps(REFUND, indent=2),
            headers={"Idempotency-Key": "order-1", "content-type": "application/json"},
        )
        assert again.content == first.content
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert await runtime.ledger.size() == size

    async def test_another_event_under_the_key_is_refused(self, client: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": '"order-1"'}
        await client.post(DECIDE, json=REFUND, headers=headers)
        response = await client.post(DECIDE, json={**REFUND, "amount_eur": 21.0}, headers=headers)
        assert problem(response) == (422, "idempotency-key-reused", "Idempotency-Key")

    async def test_while_the_first_is_under_way_the_second_is_told_so(self, client: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": '"order-1"'}
        answers = await asyncio.gather(*(client.post(DECIDE, json=REFUND, headers=headers) for _ in range(5)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses[0] == 200
        assert set(statuses) <= {200, 409}
        assert len({a.content for a in answers if a.status_code == 200}) == 1
        for answer in answers:
            if answer.status_code == 409:
                assert problem(answer)[1] == "idempotency-in-flight"

    @pytest.mark.parametrize("key", ['""', '"open', "two words", "x" * 129, "ü", '"a";"b"'])
    async def test_what_is_no_key_is_refused(self, client: httpx.AsyncClient, key: str) -> None:
        response = await client.post(DECIDE, json=REFUND, headers={b"Idempotency-Key": key.encode()})
        assert problem(response) == (400, "idempotency-key-malformed", "Idempotency-Key")


class TestBatch:
    async def test_each_element_is_a_record_or_a_problem(self, client: httpx.AsyncClient) -> None:
        response = await client.post(f"{DECIDE}/batch", json=[REFUND, {"order_id": "A"}, BIG])
        first, second, third = response.json()
        assert response.status_code == 200
        assert first["choice"] == "release"
        assert (second["status"], second["code"], second["field"]) == (422, "contract", "amount_eur")
        assert third["status"] == "waiting"
        assert third["provenance"]["ledger_index"] > first["provenance"]["ledger_index"]

    async def test_an_empty_batch_is_an_empty_answer(self, client: httpx.AsyncClient) -> None:
        assert (await client.post(f"{DECIDE}/batch", json=[])).json() == []

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"{}", (422, "contract", "$")),
            (b"[", (400, "contract.not-json", "$")),
            (b"[" + b",".join([b"{}"] * 21) + b"]", (413, "http.too-large", None)),
        ],
    )
    async def test_what_is_no_batch_is_refused(
        self, client: httpx.AsyncClient, body: bytes, expected: tuple[int, str, str]
    ) -> None:
        response = await client.post(f"{DECIDE}/batch", content=body, headers={"content-type": "application/json"})
        assert problem(response) == expected

    async def test_a_key_cannot_stand_for_a_batch(self, client: httpx.AsyncClient) -> None:
        response = await client.post(f"{DECIDE}/batch", json=[REFUND], headers={"Idempotency-Key": "a"})
        assert problem(response)[0] == 400


class TestFailures:
    async def test_a_failing_policy_is_a_500_that_tells_no_internals(self, client: httpx.AsyncClient) -> None:
        response = await client.post(DECIDE, json={**REFUND, "amount_eur": 666.0})
        assert problem(response)[:2] == (500, "choose-failed")
        assert "secret" not in response.text

    async def test_an_engine_that_may_recover_is_a_503(
        self, client: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refuse(*_: object, **__: object) -> None:
            raise EngineError("the database is locked", retryable=True, code="engine.locked")

        monkeypatch.setattr(runtime, "decide", refuse)
        response = await client.post(DECIDE, json=REFUND)
        assert problem(response)[:2] == (503, "engine.locked")
        assert int(response.headers["retry-after"]) >= 1

    @pytest.mark.parametrize(
        ("method", "path", "broken"), [("POST", DECIDE, "decide"), ("GET", "/v1/value", "catch_up")]
    )
    async def test_what_nobody_foresaw_is_logged_and_not_told(
        self,
        client: httpx.AsyncClient,
        runtime: Runtime,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        method: str,
        path: str,
        broken: str,
    ) -> None:
        async def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(runtime, broken, fail)
        response = await client.request(method, path, json=REFUND)
        assert problem(response)[:2] == (500, "internal")
        assert "secret" not in response.text
        occurrence = response.json()["instance"].removeprefix("urn:uuid:")
        [logged] = [record for record in caplog.records if occurrence in record.getMessage()]
        assert logged.exc_info

    async def test_a_client_that_goes_away_gets_no_reply(self, app: Front) -> None:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        await app({"type": "http", "method": "POST", "path": DECIDE, "headers": headers}, receive, send)
        assert sent == []


class TestOutcomes:
    async def test_an_outcome_is_joined_and_valued(
        self, client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock
    ) -> None:
        decided = (await client.post(DECIDE, json=REFUND)).json()
        outcome = {"order_id": "A-1", "kept_eur": 5.25}
        body = {"decision": "shop.refund", "outcome_id": "o-1", "outcome": outcome}
        response = await client.post("/v1/outcomes", json=body)
        assert response.json() == {"joined": [decided["decision_id"]]}
        await later(runtime, clock)
        [line] = (await client.get("/v1/value", params={"decision": "shop.refund"})).json()
        assert line["saving"] == {"amount": "4.25", "unit": "EUR"}
        assert line["valued"] == 1

    async def test_what_does_not_fit_is_refused(self, client: httpx.AsyncClient) -> None:
        body = {"decision": "shop.refund", "outcome_id": "o-1", "outcome": {"order_id": "A-1"}}
        assert problem(await client.post("/v1/outcomes", json=body)) == (422, "contract", "kept_eur")
        assert problem(await client.post("/v1/outcomes", json={**body, "x": 1})) == (422, "contract", "x")
        unknown = await client.post("/v1/outcomes", json={**body, "decision": "shop.refnud"})
        assert problem(unknown)[0] == 404


async def raw(app: Front, path: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, Any]:
    """Call the application with headers that httpx would not send."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": path, "headers": headers}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])
