"""Approvals: who sees what, and who is offered to answer."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.console.approving import asks, look, say, text_of
from tests.console.world import REFUND, Company

from steward.api.desk import WAYS
from steward.api.doors import DOORS as API_DOORS
from steward.console.doors import DOORS
from steward.console.pages.approvals import EMPTY, ROWS_PER_PAGE
from steward.insight.questions import Which
from steward.records import Interval

EVIL = "<script>alert(1)</script>"


# What is seen


async def test_an_empty_page_says_what_will_be_here(company: Company) -> None:
    for which in Which:
        page = await look(company, f"/approvals?tab={which}")
        assert page.status_code == 200
        assert EMPTY[which] in text_of(page)
    assert "make demo" in text_of(await look(company, "/approvals"))


async def test_the_list_has_first_what_runs_out_first_and_says_what_happens_then(firm: Company) -> None:
    slow = await firm.refund(900.0)
    quick = await firm.dispatch(140.0)
    page = await look(firm, "/approvals")
    assert asks(page) == [str(quick), str(slow)]
    row = page.text[page.text.index('class="ask"') : page.text.index("</a>", page.text.index('class="ask"'))]
    said = unescape(re.sub(r"<[^>]+>", " ", row))
    for part in ("Discharge", "10:00", "Dispatch", "asked is grid-desk", "Otherwise: Hold", "high risk", "€3,200"):
        assert part in said, part
    assert re.search(rf'id="ask-{quick}" data-key="{quick}" aria-current="true"', page.text), "the first one is open"
    assert "inbox chosen" not in page.text, "so that a phone shows the list"
    assert "inbox chosen" in (await look(firm, f"/approvals/{quick}")).text


async def test_a_question_tells_all_that_an_answer_should_know(firm: Company) -> None:
    first = await firm.dispatch(141.0)
    await say(firm, first, "approve", reason="fine")
    run = await firm.dispatch(140.0, 600.0)
    said = text_of(await look(firm, f"/approvals/{run}"))
    for part in (
        "Discharge", "It brings 3210 EUR.", "then: Hold", "more than €2,500 at stake", "1 of 1 of this decision were",
        "saving@1", "Deadline Wed 01 Jul 2026 14:10:00 CEST", "grid-desk; goes to duty at 14:03:20 CEST",
        "goes to plant-lead at 14:06:40 CEST", "one person", "Price 140 EUR", "Load 600 MW", "Region ES", "sha256:",
    ):  # fmt: skip
        assert part in said, part


async def test_nothing_is_said_of_a_worth_that_nobody_can_tell(company: Company) -> None:
    page = await look(company, f"/approvals/{await company.dispatch(140.0)}")
    assert page.status_code == 200
    assert "Expected value" not in text_of(page)
    assert '<summary class="button">Change' not in page.text, "its gate lets nobody change anything"


async def test_past_asks_are_those_that_proposed_the_same_where_there_are_some(firm: Company) -> None:
    for way in ("approve", "approve", "reject"):
        run = await firm.dispatch(140.0)
        await firm.later(timedelta(minutes=2))
        assert (await say(firm, run, way, reason="so")).status_code == 303
    run = await firm.dispatch(140.0)
    said = text_of(await look(firm, f"/approvals/{run}"))
    assert "2 of 3 like this were approved · median answer 2 min 1 rejected" in said


async def test_a_worth_in_an_interval_is_drawn_against_the_safe_choice(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await firm.dispatch(140.0)
    page = await look(firm, f"/approvals/{run}")
    assert "If approved" in text_of(page)
    assert "Otherwise: Hold" in text_of(page)

    seen = firm.runtime.run

    async def with_interval(run_id: UUID) -> Any:
        found = await seen(run_id)
        record = found.record

        return replace(found, record=msgspec.structs.replace(record, interval=Interval(2_650.0, 5_400.0, 0.9)))

    monkeypatch.setattr(firm.runtime, "run", with_interval)
    page = await look(firm, f"/approvals/{run}")
    assert "€2,650" in page.text
    assert "€3,200 expected" in page.text


async def test_pages_of_the_list_are_counted_honestly(firm: Company) -> None:
    for _ in range(ROWS_PER_PAGE + 2):
        await firm.dispatch(140.0)
    first = await look(firm, "/approvals")
    assert len(asks(first)) == ROWS_PER_PAGE
    assert f"1–{ROWS_PER_PAGE} of {ROWS_PER_PAGE + 2} Next" in text_of(first)
    second = await look(firm, "/approvals?tab=mine&page=2")
    assert len(asks(second)) == 2
    assert not set(asks(first)) & set(asks(second))
    for odd in ("0", "-1", "x", "99999999999", "7"):
        assert (await look(firm, f"/approvals?page={odd}")).status_code == 200
    assert len(first.text) < 85_000


async def test_what_people_and_models_write_is_escaped(firm: Company) -> None:
    run = (await firm.runtime.decide(REFUND, {"order_id": EVIL, "amount_eur": 900.0})).record.decision_id
    await say(firm, run, "question", reason=EVIL)
    await say(firm, run, "change", reason=EVIL, **{"choice.pay": "true", "choice.amount_eur": "5"})
    wrong = await say(firm, run, "snooze", reason=EVIL, until=EVIL)
    assert wrong.status_code == 422
    for page in (wrong, await look(firm, f"/approvals/{run}"), await look(firm, f"/approvals/{run}?tab={EVIL}")):
        assert EVIL not in page.text
        assert "&lt;script&gt;" in page.text


# Who sees and may what


async def test_everybody_reads_and_only_approvers_are_offered_to_answer(office: Company) -> None:
    for name in ("ana", "ben", "olga", "audra", "paula", "piet", "mo", "ada"):
        run, may = await office.dispatch(140.0), name in ("ana", "ben")
        page = await look(office, f"/approvals/{run}", name)
        assert page.status_code == 200
        assert ('id="answer"' in page.text) == may
        assert ('aria-current="page">Mine' in page.text) == may, "whoever cannot answer begins with what the team has"
        assert (f"You cannot answer this. {name.title()} may not approve grid.dispatch" in text_of(page)) != may
        sent = await say(office, run, "approve", name, shown="", reason="fine")
        assert sent.status_code == (303 if may else 403)
        assert (await office.runtime.run(run)).is_waiting != may


ENTRIES = {
    "approve": "Approved", "reject": "Rejected", "change": "Changed", "question": "Questioned", "reply": "Replied",
    "escalate": "Escalated", "snooze": "Snoozed",
}  # fmt: skip


@pytest.mark.parametrize("name", ["ben", "olga", "bot"])
async def test_each_way_to_answer_asks_for_its_own_permission(office: Company, name: str) -> None:
    fields = {"snooze": {"until": "2026-07-01T14:05"}, "change": {"choice.value": '"hold"'}}
    for way in WAYS:
        run = await office.dispatch(140.0)
        await say(office, run, "question", "ana", reason="Is it on?")
        sent = await say(office, run, way, name, shown="", reason="so", **fields.get(way, {}))
        may = name == "ben" or (way == "reply" and name == "olga")
        assert sent.status_code == (303 if may else 403), sent.text
        history = [type(placed.body).__name__ for placed in (await office.runtime.run(run)).history]
        assert (history.count(ENTRIES[way]) == (2 if way == "question" else 1)) == may, way


def test_the_console_and_the_api_ask_for_the_same() -> None:
    for way, offered in WAYS.items():
        api = API_DOORS["POST", f"/v1/approvals/{{decision_id}}/{way}"]
        assert DOORS["POST", f"/approvals/{{decision_id}}/{way}"] == api
        assert api.permission == offered.permission


@pytest.mark.parametrize("name", ["olga", "piet"])
async def test_hidden_decisions_do_not_exist(office: Company, name: str) -> None:
    run = await office.refund(900.0)
    made_up = UUID(int=7)
    assert asks(await look(office, "/approvals?tab=team", name)) == []
    assert "Refund" not in (await look(office, "/approvals?tab=team", name)).text
    there, nowhere = [await look(office, f"/approvals/{each}", name) for each in (run, made_up)]
    assert (there.status_code, nowhere.status_code) == (404, 404)
    for way in WAYS:
        sent = [await say(office, each, way, name, shown="", reason="x") for each in (run, made_up)]
        assert {each.status_code for each in sent} == {404}
        assert sent[0].text.replace(str(run), str(made_up)) == sent[1].text
    assert asks(await look(office, "/approvals?tab=team", "ana")) == [str(run)]


async def test_the_file_of_the_list_has_what_its_reader_may_read(office: Company) -> None:
    run, _ = await office.refund(900.0), await office.dispatch(140.0)
    for name, rows in (("ana", 2), ("olga", 1)):
        sheet = (await look(office, "/data/approvals.json?tab=team", name)).json()
        assert len(sheet) == rows
        assert (str(run) in {row["decision_id"] for row in sheet}) == (name == "ana")
    await say(office, run, "reject", "ana", reason="too dear")
    [row] = (await look(office, "/data/approvals.json?tab=done", "ana")).json()
    assert (row["verdict"], row["by"], row["reason"], row["impact"], row["impact_unit"]) == (
        "rejected", "ana", "too dear", 900.0, "EUR",
    )  # fmt: skip


async def test_a_run_that_asks_nobody_has_no_such_page(firm: Company) -> None:
    run = await firm.dispatch(60.0)
    assert (await look(firm, f"/approvals/{run}")).status_code == 409
    assert (await look(firm, "/approvals/nonsense")).status_code == 404


async def test_nobody_answers_from_another_site(office: Company) -> None:
    run = await office.dispatch(140.0)
    async with office.client_of("ana") as browser:
        session = await browser.post("/v1/session")
    cookie = session.headers["set-cookie"].partition(";")[0]
    for site, status in (("cross-site", 403), ("same-origin", 303)):
        async with office.client(cookie=cookie, **{"sec-fetch-site": site}) as browser:
            sent = await browser.post(f"/approvals/{run}/approve", data={"reason": "x"})
        assert sent.status_code == status
