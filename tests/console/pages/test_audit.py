"""Audit and proofs: what the page says of a ledger that holds and of one that does not, and who may look."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.console.world import NOON, STAFF, Company

from steward.access.permissions import Role
from steward.api.entrance import Entrance
from steward.api.service import Service
from steward.clock import VirtualClock
from steward.console.audience import Audience
from steward.console.console import Console
from steward.console.pages.audit import FRAGMENTS
from steward.console.seal import seal_of
from steward.console.zones import UTC_ZONE
from steward.ledger.sqlite import SqliteLedger
from steward.runtime.audit import Audit


@pytest.fixture
async def filed(tmp_path: Path) -> AsyncIterator[Company]:
    """The company with its ledger in a file."""
    made = await Company.open(tmp_path, ledger="sqlite:///ledger.db")
    async with made.runtime:
        await made.dispatch(90.0)
        yield made


def flip(company: Company, index: int) -> None:
    """Change a letter of an entry's body in the file that the server has open."""
    ledger = company.runtime.ledger
    assert isinstance(ledger, SqliteLedger)
    with sqlite3.connect(ledger.database_file) as beside:
        [body] = beside.execute("SELECT body FROM entries WHERE idx = ?", (index,)).fetchone()
        beside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    beside.close()
    with ledger.database_file.open("r+b") as file:
        at = file.read().index(body) + body.index(b"decision") + 3
        file.seek(at)
        file.write(b"X")


async def test_it_says_when_the_ledger_was_verified_and_what_was_found(filed: Company) -> None:
    async with filed.client() as browser:
        before = (await browser.get("/audit")).text
        assert "has not been verified since this process began" in before
        assert "Ledger not verified yet" in before
        found = await filed.runtime.audit.verify()
        page = (await browser.get("/audit")).text
        other = (await browser.get("/")).text
    assert f'<b class="num">{found.entries}</b> entries, <b>0</b> gaps' in page
    assert "signed head" in page
    assert "2026-07-01" in page
    assert 'class="seal pos"' in other
    assert "Ledger verified" in other


async def test_a_flipped_byte_under_the_running_server_is_named_on_every_page(filed: Company) -> None:
    [*_, last] = await filed.runtime.ledger.read(0, 100)
    assert (await filed.runtime.audit.verify()).breaks == []
    flip(filed, last.index)
    await filed.runtime.audit.verify()
    async with filed.client() as browser:
        page = (await browser.get("/audit")).text
        overview = (await browser.get("/")).text
        entry = await browser.get(f"/audit?entry={last.index}")
        table = (await browser.get("/data/checkpoints.json")).json()
    assert f"Ledger BROKEN at entry {last.index}" in page
    assert "its body is not the one that was hashed" in page
    assert "What to do" in page
    assert "The ledger does not hold" in overview
    assert 'class="seal neg"' in overview
    assert entry.status_code == 200
    assert "does not hold" in entry.text
    assert sum(row["breaks"] for row in table) == 1


async def test_the_button_begins_and_progress_is_shown(filed: Company) -> None:
    async with filed.client() as browser:
        sent = await browser.post("/audit/verify")
        assert (sent.status_code, sent.headers["location"]) == (303, "/audit")
        under_way = (await browser.get("/audit")).text
        assert 'hx-trigger="every 1s"' in under_way
        assert "<progress" in under_way
        assert "disabled" in under_way
        await filed.runtime.audit.verify()
        assert "<progress" not in (await browser.get("/audit")).text


async def test_an_entry_is_proven_by_its_place_and_by_its_decision(filed: Company) -> None:
    run = await filed.dispatch(70.0)
    entries = await filed.runtime.ledger.of_run(run)
    async with filed.client() as browser:
        by_id = (await browser.get(f"/audit?entry={run}")).text
        by_index = (await browser.get(f"/audit?entry={entries[0].index}")).text
        missing = await browser.get("/audit", params={"entry": "<script>alert(1)</script>"})
        beyond = await browser.get("/audit?entry=99999999999999999999")
    for page in (by_id, by_index):
        assert "verified now" in page
        assert f'href="/decisions/{run}"' in page
        assert f"/audit?entry={entries[1].index}" in page
        assert "audit-path" in page
    assert (missing.status_code, beyond.status_code) == (404, 404)
    assert "<script>alert" not in missing.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in missing.text


async def test_proofs_that_are_brought_are_judged(filed: Company, company: Company) -> None:
    run = await filed.dispatch(70.0)
    async with filed.client() as browser:
        own = (await browser.get(f"/v1/decisions/{run}/proof")).text
        tampered = own.replace("dispatch", "dispotch", 1)
        async with company.client() as elsewhere:
            foreign_run = await company.dispatch(70.0)
            foreign = (await elsewhere.get(f"/v1/decisions/{foreign_run}/proof")).text
        key = company.runtime.audit.public_key
        said = {
            "It holds.": {"bundle": own},
            "It does not hold.": {"bundle": tampered},
            "nobody here vouches for its key": {"bundle": foreign},
            "the one that you gave": {"bundle": foreign, "key": key},
            "It can be read as a proof bundle.": {"bundle": "[" * 100_000},
        }
        for words, sent in said.items():
            answer = await browser.post("/audit/bundle", data=sent)
            assert answer.status_code == 200
            assert words in answer.text, words
        for sent in ({"bundle": ""}, {"bundle": own, "key": "my <b>key</b>"}):
            answer = await browser.post("/audit/bundle", data=sent)
            assert answer.status_code == 422
            assert 'role="alert"' in answer.text
            assert "<b>key</b>" not in answer.text
        large = await browser.post("/audit/bundle", data={"bundle": "x" * (filed.runtime.settings.max_body_bytes + 1)})
        assert large.status_code == 413


async def test_what_a_proof_says_is_shown_as_text(filed: Company) -> None:
    run = await filed.dispatch(70.0)
    async with filed.client() as browser:
        plain = json.loads((await browser.get(f"/v1/decisions/{run}/proof")).text)
        plain["entry"]["body"] = plain["entry"]["body"].replace('"decided"', '"<script>alert(1)</script>"', 1)
        plain["public_key"] = plain["public_key"].replace("steward.local", "<img>", 1)
        page = (await browser.post("/audit/bundle", data={"bundle": json.dumps(plain)})).text
    assert "<script>alert" not in page
    assert "<img>" not in page


async def test_who_may_look(staffed: Company) -> None:
    dispatched, refunded = await staffed.dispatch(70.0), await staffed.refund(20.0)
    hidden = (await staffed.runtime.ledger.of_run(refunded))[0].index
    for name, (role, teams) in {**STAFF, "ada": (Role.ADMINISTRATOR, ())}.items():
        async with staffed.client_of(name) as browser:
            page = await browser.get("/audit")
            begun = await browser.post("/audit/verify")
            assert page.status_code == (403 if role is Role.SERVICE else 200), name
            assert begun.status_code == (403 if role is Role.SERVICE else 303), name
            if role is Role.SERVICE:
                assert (await browser.get("/data/checkpoints.csv")).status_code == 403
                continue
            assert ("Turned away" in page.text) is (role is Role.ADMINISTRATOR), name
            assert (await browser.get("/data/refusals.csv")).status_code == (200 if name == "ada" else 403)
            assert (await browser.get(f"/audit?entry={dispatched}")).status_code == 200
            # Of what is another team's, the proof may be seen, and nothing that it says.
            sees = "payments-desk" in teams or role is Role.ADMINISTRATOR
            by_place = await browser.get(f"/audit?entry={hidden}")
            by_id = await browser.get(f"/audit?entry={refunded}")
            assert (by_id.status_code == 200) is sees, name
            assert ("verified now" in by_place.text, "o-1" in by_place.text) == (True, sees), name
    async with staffed.client() as stranger:
        assert (await stranger.get("/audit")).status_code == 303
    async with staffed.client_of("ada") as browser:
        refused = (await browser.get("/audit")).text
    assert "denied" in refused


async def test_whoever_may_not_verify_is_told_of_the_alarm_without_a_link(staffed: Company) -> None:
    async with staffed.client_of("bot") as browser:
        page = (await browser.get("/")).text
    assert 'href="/audit"><span id="seal"' not in page
    assert "Ledger not verified yet" in page


async def test_the_seal_is_kept_up_to_date_by_the_stream(filed: Company) -> None:
    console = Console()
    service = Service(filed.runtime, Entrance(filed.runtime, "127.0.0.1"))
    audience = Audience(console, service, UTC_ZONE, None)
    assert await FRAGMENTS["seal"](audience) == '<span class="seal warn">Ledger not verified yet</span>'
    await filed.runtime.audit.verify()
    assert (await FRAGMENTS["seal"](audience)).startswith('<span class="seal pos">Ledger verified')


async def test_a_seal_is_late_when_nothing_was_verified_for_long(filed: Company) -> None:
    clock = VirtualClock(NOON)
    audit = Audit(filed.runtime.ledger, every_s=300.0, clock=clock)
    assert seal_of(audit).tone == "warn"
    await audit.verify()
    assert (seal_of(audit).text, seal_of(audit).tone) == ("Ledger verified 0 s ago", "pos")
    clock.advance(timedelta(minutes=16))
    assert seal_of(audit).tone == "pos"
    clock.advance(timedelta(minutes=10))
    assert (seal_of(audit).text, seal_of(audit).tone) == ("Ledger verified 26 min ago", "warn")
