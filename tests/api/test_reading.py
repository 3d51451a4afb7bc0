"""The routes that read: lists with their next page, one decision, its proof, the ledger."""

from __future__ import annotations

from datetime import timedelta

import httpx
import msgspec
import pytest
from tests.api.conftest import BIG, DECIDE, REFUND, later

from steward.clock import VirtualClock
from steward.ledger.verify import verify_bundle
from steward.runtime.runtime import Runtime


async def decided(client: httpx.AsyncClient, count: int) -> list[str]:
    """Decide some events and return their ids, the newest first."""
    made = [(await client.post(DECIDE, json={**REFUND, "order_id": str(n)})).json() for n in range(count)]
    return [record["decision_id"] for record in reversed(made)]


async def test_decisions_are_listed_page_by_page(client: httpx.AsyncClient) -> None:
    ids = await decided(client, 7)
    seen, path = [], "/v1/decisions?limit=3"
    while path:
        response = await client.get(path)
        seen += [row["decision_id"] for row in response.json()]
        path = response.links["next"]["url"] if "next" in response.links else ""
    assert seen == ids


async def test_lists_are_filtered(client: httpx.AsyncClient) -> None:
    await decided(client, 2)
    waiting = (await client.post(DECIDE, json=BIG)).json()["decision_id"]
    rows = (await client.get("/v1/decisions", params={"status": "waiting", "decision": "shop.refund"})).json()
    assert [row["decision_id"] for row in rows] == [waiting]
    assert (await client.get("/v1/decisions", params={"decision": "shop.greeting"})).json() == []


@pytest.mark.parametrize(
    ("query", "field"), [("limit=0", "limit"), ("limit=x", "limit"), ("status=gone", "status"), ("before=1", "before")]
)
async def test_a_bad_parameter_is_named(client: httpx.AsyncClient, query: str, field: str) -> None:
    response = await client.get(f"/v1/decisions?{query}")
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["field"]) == (422, field)


async def test_a_decision_is_shown_as_it_stands_now(
    client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock
) -> None:
    record = (await client.post(DECIDE, json=REFUND)).json()
    await later(runtime, clock)
    shown = (await client.get(f"/v1/decisions/{record['decision_id']}")).json()
    assert (record["status"], shown["status"]) == ("decided", "acted")
    steps = shown.pop("history")
    assert {**shown, "status": "decided"} == record
    assert [step["kind"] for step in steps] == ["decided", "acted"]
    assert steps[1]["facts"]["receipt"]["reference"] == record["action"]["key"]


@pytest.mark.parametrize("name", ["00000000-0000-7000-8000-000000000000", "nonsense"])
@pytest.mark.parametrize("tail", ["", "/proof"])
async def test_an_unknown_id_is_not_found(client: httpx.AsyncClient, name: str, tail: str) -> None:
    response = await client.get(f"/v1/decisions/{name}{tail}")
    assert (response.status_code, response.json()["code"]) == (404, "not-found")


async def test_a_proof_holds_by_itself_and_not_when_changed(client: httpx.AsyncClient) -> None:
    ids = await decided(client, 3)
    proof = (await client.get(f"/v1/decisions/{ids[1]}/proof")).content
    assert verify_bundle(proof).ok
    assert not verify_bundle(proof.replace(b"release", b"rElease")).ok


async def test_the_ledger_is_read_page_by_page_in_its_exact_bytes(client: httpx.AsyncClient, runtime: Runtime) -> None:
    await decided(client, 4)
    seen, path = [], "/v1/ledger/entries?limit=2"
    while path:
        response = await client.get(path)
        seen += [(entry["index"], entry["body"].encode()) for entry in response.json()["entries"]]
        path = response.links["next"]["url"] if "next" in response.links else ""
    assert seen == [(entry.index, entry.body) for entry in await runtime.ledger.read()]
    beyond = (await client.get("/v1/ledger/entries?start=10000")).json()
    assert (beyond["size"], beyond["entries"]) == (len(seen), [])


async def test_the_checkpoint_is_a_signed_note_of_the_present_head(client: httpx.AsyncClient, runtime: Runtime) -> None:
    await decided(client, 1)
    response = await client.get("/v1/ledger/checkpoint")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text.split("\n")[1] == str(await runtime.ledger.size())
    assert "\n\n\u2014 " in response.text


async def test_the_inventory_tells_what_each_decision_does(client: httpx.AsyncClient, runtime: Runtime) -> None:
    await decided(client, 3)
    rows = {row["name"]: row for row in (await client.get("/v1/inventory")).json()}
    assert rows.keys() == runtime.decisions.keys()
    declared = runtime.decisions["shop.refund"]
    assert (rows["shop.refund"]["runs"], rows["shop.refund"]["owner"]) == (3, declared.owner)
    assert (rows["shop.refund"]["risk"], rows["shop.refund"]["each"]) == (declared.risk.value, None)


async def test_declarations_tell_what_is_declared(client: httpx.AsyncClient, runtime: Runtime) -> None:
    declared = {one["name"]: one for one in (await client.get("/v1/declarations")).json()}
    assert set(declared) == {"shop.refund", "shop.greeting"}
    assert declared["shop.refund"]["fingerprint"] == runtime.decisions["shop.refund"].fingerprint
    assert msgspec.json.encode(declared)


class TestApprovals:
    async def test_a_waiting_decision_is_listed_approved_and_acted(
        self, client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock
    ) -> None:
        record = (await client.post(DECIDE, json=BIG)).json()
        [row] = (await client.get("/v1/approvals")).json()
        assert row["decision_id"] == record["decision_id"]
        assert (row["impact"], row["otherwise"]) == ({"amount": "900.00", "unit": "EUR"}, "hold")
        path = f"/v1/approvals/{record['decision_id']}/approve"
        answer = {"by": "anna", "reason": "known customer", "evidence": row["evidence"]}
        response = await client.post(path, json=answer)
        assert (response.status_code, response.json()["status"]) == (200, "approved")
        again = await client.post(path, json={**answer, "by": "bob"})
        assert (again.status_code, again.json()["code"]) == (409, "already-answered")
        assert "anna" in again.json()["detail"]
        await later(runtime, clock)
        shown = (await client.get(f"/v1/decisions/{record['decision_id']}")).json()
        assert shown["status"] == "acted"
        assert (await client.get("/v1/approvals")).json() == []

    async def test_a_refusal_takes_the_default(self, client: httpx.AsyncClient) -> None:
        record = (await client.post(DECIDE, json=BIG)).json()
        path = f"/v1/approvals/{record['decision_id']}/reject"
        shown = (await client.post(path, json={"by": "anna", "reason": "no"})).json()
        assert (shown["status"], shown["choice"]) == ("rejected", "hold")

    async def test_evidence_of_something_else_is_refused(self, client: httpx.AsyncClient) -> None:
        record = (await client.post(DECIDE, json=BIG)).json()
        answer = {"by": "anna", "reason": "yes", "evidence": "sha256:" + "0" * 64}
        response = await client.post(f"/v1/approvals/{record['decision_id']}/approve", json=answer)
        assert response.status_code == 409

    async def test_too_late_is_a_conflict(
        self, client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock
    ) -> None:
        record = (await client.post(DECIDE, json=BIG)).json()
        gate = runtime.decisions["shop.refund"].gate
        assert gate is not None
        await later(runtime, clock, gate.within)
        path = f"/v1/approvals/{record['decision_id']}/approve"
        response = await client.post(path, json={"by": "anna", "reason": "yes"})
        assert response.status_code == 409

    @pytest.mark.parametrize(
        "body", [{}, {"by": "a"}, {"by": "", "reason": "r"}, {"by": "a", "reason": "r", "evidence": "x"}, {"by": 1}]
    )
    @pytest.mark.parametrize("verb", ["approvals/{}/approve", "approvals/{}/reject", "decisions/{}/undo"])
    async def test_an_answer_needs_who_and_why(
        self, client: httpx.AsyncClient, verb: str, body: dict[str, object]
    ) -> None:
        record = (await client.post(DECIDE, json=BIG)).json()
        response = await client.post("/v1/" + verb.format(record["decision_id"]), json=body)
        assert (response.status_code, response.json()["code"]) == (422, "contract")

    async def test_an_action_is_undone(self, client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock) -> None:
        record = (await client.post(DECIDE, json=REFUND)).json()
        path = f"/v1/decisions/{record['decision_id']}/undo"
        early = await client.post(path, json={"by": "anna", "reason": "mistake"})
        assert early.status_code == 409
        await later(runtime, clock)
        shown = (await client.post(path, json={"by": "anna", "reason": "mistake"})).json()
        assert shown["status"] == "undone"


class TestHealth:
    async def test_a_working_server_is_ready(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/readyz")
        assert response.status_code == 200
        assert response.json()["checks"]["ledger"] == "ok"
        assert (await client.get("/healthz")).text == "ok"

    async def test_without_a_ledger_it_is_alive_but_not_ready(
        self, client: httpx.AsyncClient, runtime: Runtime
    ) -> None:
        await runtime.ledger.close()
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["ready"]) == (503, False)
        assert response.json()["checks"]["ledger"].startswith("engine.closed")
        assert (await client.get("/healthz")).status_code == 200

    async def test_metrics_count_what_was_done(self, client: httpx.AsyncClient, runtime: Runtime) -> None:
        for body in (REFUND, BIG, {}):
            await client.post(DECIDE, json=body)
        await client.get("/nowhere")
        response = await client.get("/metrics")
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        lines = response.text.splitlines()
        assert 'steward_decisions_total{decision="shop.refund",status="decided"} 1' in lines
        assert 'steward_decisions_total{decision="shop.refund",status="waiting"} 1' in lines
        assert 'steward_http_requests_total{route="decide",status="200"} 2' in lines
        assert 'steward_http_requests_total{route="decide",status="422"} 1' in lines
        assert 'steward_http_requests_total{route="other",status="404"} 1' in lines
        assert 'steward_errors_total{code="contract"} 1' in lines
        assert 'steward_http_request_seconds_count{route="decide"} 3' in lines
        assert "steward_approvals_waiting 1" in lines
        assert f"steward_ledger_entries {await runtime.ledger.size()}" in lines
        await runtime.advance()
        lines = (await client.get("/metrics")).text.splitlines()
        assert [line for line in lines if line.startswith("steward_breaker_state{")] == [
            f'steward_breaker_state{{destination="{each.destination}"}} 0' for each in runtime.lines.facts()
        ]
        assert f'steward_downstream_calls_total{{destination="{runtime.lines.facts()[0].destination}"}} 1' in lines


async def test_a_stored_decision_is_decided_again_without_effect(client: httpx.AsyncClient, runtime: Runtime) -> None:
    record = (await client.post(DECIDE, json=REFUND)).json()
    before = await runtime.ledger.size()
    path = f"/v1/decisions/{record['decision_id']}/what-if"
    found = (await client.post(path, json={"changes": {"amount_eur": 900}, "flips": "amount_eur"})).json()
    assert (found["choice"], found["asks"], found["is_same"]) == ("release", True, True)
    assert found["changed"] == {"amount_eur": 900.0}
    [flip] = found["flips"]["flips"]
    assert 500 < flip["at"] < 510
    unknown = await client.post(path, json={"changes": {"amount": 900}})
    assert (unknown.status_code, unknown.json()["next"]) == (422, "did you mean 'amount_eur'?")
    fails = await client.post(path, json={"changes": {"amount_eur": 666.0}})
    assert (fails.status_code, fails.json()["code"]) == (409, "what-if-failed")
    assert await runtime.ledger.size() == before


async def test_what_would_have_changed_a_choice_is_told_without_effect(
    client: httpx.AsyncClient, runtime: Runtime
) -> None:
    record = (await client.post(DECIDE, json=REFUND)).json()
    before = await runtime.ledger.size()
    path = f"/v1/decisions/{record['decision_id']}/counterfactuals"
    found = (await client.post(path, json={"features": ["amount_eur"], "most": 1})).json()
    assert (found["choice"], found["moved"], found["recorded"]) == (record["choice"], ["amount_eur"], record["choice"])
    for one in found["found"]:
        assert one["choice"] != record["choice"]
    none = (await client.post(path, json={"toward": "never"})).json()
    assert none["found"] == []
    for sent, field in (({"features": ["amount"]}, "features"), ({"most": 0}, "most"), ({"depth": 3}, "depth")):
        refused = await client.post(path, json=sent)
        assert refused.status_code == 422, (sent, field)
    assert await runtime.ledger.size() == before


async def test_decisions_are_searched_and_cut_to_a_stretch_of_time(
    client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock
) -> None:
    first = (await client.post(DECIDE, json=REFUND)).json()
    await later(runtime, clock, timedelta(hours=1))
    second = (await client.post(DECIDE, json={**REFUND, "amount_eur": 33.0})).json()
    for query, found in {
        "q=33.0 EUR": [second],
        "q=eur asked": [second, first],
        f"q={first['decision_id'][-8:]}": [first],
        "since=2026-01-01T13:00:00Z": [second],
        "until=2026-01-01T14:00:00%2B01:00": [first],
    }.items():
        rows = (await client.get(f"/v1/decisions?{query}")).json()
        assert [row["decision_id"] for row in rows] == [each["decision_id"] for each in found], query
    assert (await client.get("/v1/decisions?since=2026-01-01T13:00:00")).status_code == 422
