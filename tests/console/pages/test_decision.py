"""One decision: every state it can be in, what if, the proof, and what people can do about it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from tests.console.world import DISPATCH, NOON, Company, dispatch, register_model, write_back, write_setpoint

from steward import Action, Call, Receipt, Signal, Steps, minutes
from steward.api.app import create_app
from steward.clock import VirtualClock
from steward.console.console import Console
from steward.console.proving import prove
from steward.decision.model import Attribution
from steward.errors import EngineError
from steward.ledger.memory import MemoryLedger
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

WHY = {"reason": "as I looked"}


async def get(company: Company, run: object, query: str = "", who: str | None = None) -> httpx.Response:
    browser = company.client() if who is None else company.client_of(who)
    async with browser:
        return await browser.get(f"/decisions/{run}{query}")


async def post(company: Company, run: object, form: str, who: str | None = None, **fields: str) -> httpx.Response:
    browser = company.client() if who is None else company.client_of(who)
    async with browser:
        return await browser.post(f"/decisions/{run}/{form}", data=fields)


def stages(page: httpx.Response) -> list[str]:
    """Return the stages of the path, with the tone of each."""
    return [f"{label}:{tone}" for tone, label in re.findall(r'<div class="stage ([a-z]*)"><b>([^<]+)</b>', page.text)]


def section(page: httpx.Response, name: str) -> str:
    """Return the text of a part of the page, from its id on."""
    return page.text.partition(f'id="{name}"')[2]


class Crew:
    """A dispatch that waits for a crew, and a line to it that can be down."""

    is_down = False

    def tell(self, choice: object, call: Call) -> Receipt:
        """Tell the crew."""
        if self.is_down:
            raise EngineError("the line is down", code="line-down")
        return Receipt(reference=call.key)


@pytest.fixture
def crew() -> Crew:
    return Crew()


def steps(crew: Crew) -> Steps[Any]:
    return Steps(
        Action(do=write_setpoint, undo=write_back),
        Signal(name="crew-clear", within=minutes(5)),
        Action(do=crew.tell, attempts=1),
        name="switch",
    )


async def company_with(folder: Path, decision: Any, **kwargs: Any) -> Company:
    clock = VirtualClock(NOON, seed=7)
    runtime = await Runtime.open(
        [decision],
        settings=Settings(root=folder, ledger="memory://"),
        clock=clock,
        registry=register_model(folder, clock),
        **kwargs,
    )
    return Company(runtime, clock, create_app(runtime, rooms=[Console()]))


@pytest.fixture
async def switching(tmp_path: Path, crew: Crew) -> AsyncIterator[Company]:
    """A company whose dispatch waits for a crew between two steps."""
    made = await company_with(tmp_path, replace(dispatch, action=steps(crew)))
    async with made.runtime:
        yield made


async def test_a_decision_says_what_was_chosen_when_and_why(company: Company) -> None:
    run = await company.dispatch(price_eur=80.0)
    await company.meter(700.0, run)
    page = await get(company, run)
    assert page.status_code == 200
    assert re.search(r"<h1>Discharge\s+<span id=\"stands\"><span class=\"tag pos\">acted</span></span></h1>", page.text)
    assert str(run) in page.text
    assert "14:00:00" in page.text
    assert 'title="Europe/Madrid">CEST' in page.text
    assert "it brings 800 EUR" in page.text
    assert "Charge or discharge the battery for the next interval" in page.text
    assert stages(page) == [
        *("Event:pos", "Features:pos", "Model:pos", "Policy:pos", "Gate:pos", "Done:pos", "Outcome:pos", "Value:pos")
    ]
    wrapper = section(page, "wrapper")
    for text in ("saving", "sha256:", "grid.dispatch@", "propensity", "ledger index", f'href="/v1/decisions/{run}"'):
        assert text in wrapper
    assert "price_eur" in section(page, "values")
    assert "80\xa0EUR" in section(page, "values")
    told = section(page, "happened")
    titles = ("Event received", "Chose: Discharge", "Write setpoint: done", "Outcome came", "Worth 700.00\xa0EUR")
    assert sorted(titles, key=told.index) == list(titles)
    assert "€700" in section(page, "summary")
    assert len(page.content) < 60_000


async def test_a_question_that_waits_is_led_to(company: Company) -> None:
    run = await company.dispatch(price_eur=140.0)
    page = await get(company, run)
    assert "grid-desk must answer" in page.text
    assert f'href="/approvals/{run}"' in page.text
    assert stages(page)[4:] == ["Gate:warn", "Person:warn", "Action:", "Outcome:", "Value:"]
    assert "If nobody does: Hold" in page.text
    assert "nobody is asked" not in section(page, "summary")


@pytest.mark.parametrize(
    ("answer", "stage", "title"),
    [("approve", "Approved:pos", "Approved by ana"), ("reject", "Refused:neg", "Refused by ana")],
)
async def test_an_answer_is_part_of_the_path(company: Company, answer: str, stage: str, title: str) -> None:
    run = await company.dispatch(price_eur=140.0)
    await getattr(company.runtime, answer)(run, by="ana", reason="<b>seen</b>")
    await company.later(timedelta(0))
    page = await get(company, run)
    assert stage in stages(page)
    assert title in section(page, "happened")
    assert "<b>seen</b>" not in page.text
    assert "&lt;b&gt;seen&lt;/b&gt;" in page.text
    assert re.search(rf"<h1>{'Discharge' if answer == 'approve' else 'Hold'}\s", page.text), "what is in force"


async def test_nobody_answered(company: Company) -> None:
    run = await company.dispatch(price_eur=140.0)
    await company.later(timedelta(minutes=6))
    await company.later(timedelta(minutes=5))
    page = await get(company, run)
    assert "Expired:neg" in stages(page)
    assert "duty asked, too" in page.text
    assert "Nobody answered in time" in page.text


async def test_every_state_of_an_action_is_told(switching: Company, crew: Crew) -> None:
    run = await switching.dispatch(price_eur=80.0)
    acting = await get(switching, run)
    assert "Acting:info" in stages(acting)
    assert "Waits for the signal “Crew-clear”" in acting.text or "Waits for the signal “Crew clear”" in acting.text
    assert "until" in acting.text
    crew.is_down = True
    sent = await post(switching, run, "signal", signal="crew-clear", payload='{"crew": 3}')
    assert (sent.status_code, sent.headers["location"]) == (303, f"/decisions/{run}")
    await switching.runtime.advance()
    failed = await get(switching, run)
    assert "Failed:neg" in stages(failed)
    assert "the line is down" in failed.text
    assert "crew 3" in failed.text
    crew.is_down = False
    assert (await post(switching, run, "redrive", reason="the line is back")).status_code == 303
    await switching.runtime.advance()
    again = await get(switching, run)
    assert "Let go on by local" in again.text
    await post(switching, run, "signal", signal="crew-clear", payload="all clear")
    await switching.runtime.advance()
    done = await get(switching, run)
    assert "Done:pos" in stages(done)
    assert "all clear" in done.text


async def test_what_is_ended_is_taken_back(switching: Company) -> None:
    run = await switching.dispatch(price_eur=80.0)
    assert (await post(switching, run, "abort", **WHY)).status_code == 303
    taking = await get(switching, run)
    assert "Taking back:warn" in stages(taking)
    await switching.runtime.advance()
    back = await get(switching, run)
    assert "Taken back:neg" in stages(back)
    assert "Ended by local" in back.text
    assert "as I looked" in back.text


async def test_what_was_done_can_be_undone(company: Company) -> None:
    run = await company.dispatch(price_eur=80.0)
    assert f'action="/decisions/{run}/undo"' in (await get(company, run)).text
    sent = await post(company, run, "undo", **WHY)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/decisions/{run}")
    page = await get(company, run)
    assert "Taken back:neg" in stages(page)
    assert f'action="/decisions/{run}/undo"' not in page.text
    again = await post(company, run, "undo", reason="<i>once more</i>")
    assert again.status_code == 409
    assert "&lt;i&gt;once more&lt;/i&gt;" in again.text, "what was typed is kept"
    assert 'role="alert"' in section(again, "actions")


async def test_whose_code_is_gone_goes_on_with_todays(switching: Company, crew: Crew, tmp_path: Path) -> None:
    ledger = MemoryLedger()
    old = await company_with(tmp_path / "a", replace(dispatch, action=steps(crew)), ledger=ledger)
    run = await old.dispatch(price_eur=80.0)
    new = await company_with(tmp_path / "b", replace(dispatch, action=Action(do=crew.tell)), ledger=ledger)
    async with new.runtime:
        await new.runtime.advance()
        page = await get(new, run)
        assert "Halted:warn" in stages(page)
        assert 'name="adopt"' in page.text
        assert (await post(new, run, "redrive", **WHY)).status_code == 409
        assert (await post(new, run, "redrive", adopt="yes", **WHY)).status_code == 303
        assert "with today&#39;s code" in (await get(new, run)).text


@pytest.mark.parametrize("form", ["undo", "abort", "redrive"])
async def test_a_reason_is_required_and_nothing_is_lost(switching: Company, form: str) -> None:
    run = await switching.dispatch(price_eur=80.0)
    size = await switching.runtime.ledger.size()
    for fields in ({"reason": ""}, {"reason": "  "}):
        page = await post(switching, run, form, **fields)
        assert page.status_code == 422
        assert "reason is missing" in page.text
    long = await post(switching, run, form, reason="x" * 2_001)
    assert long.status_code == 422
    assert "x" * 2_001 in long.text
    strange = await post(switching, run, form, reason="fine", colour="red")
    assert strange.status_code == 422
    assert await switching.runtime.ledger.size() == size


async def test_an_unknown_signal_is_refused_and_what_was_typed_is_kept(switching: Company) -> None:
    run = await switching.dispatch(price_eur=80.0)
    page = await post(switching, run, "signal", signal="crew-cleer", payload='{"a": [1')
    assert page.status_code == 422
    assert "did you mean" in page.text
    assert "{&#34;a&#34;: [1" in page.text


@pytest.mark.parametrize("who", ["ada", "ana", "ben", "olga", "audra", "paula", "piet", "mo"])
@pytest.mark.parametrize("form", ["undo", "abort", "redrive", "signal"])
async def test_the_doors_ask_what_the_api_asks(staffed: Company, who: str, form: str) -> None:
    run = await staffed.dispatch(price_eur=80.0)
    page = await get(staffed, run, who=who)
    async with staffed.client_of(who) as browser:
        path = "signals/none" if form == "signal" else form
        body = {"payload": None} if form == "signal" else {"reason": "as I looked"}
        api = await browser.post(f"/v1/decisions/{run}/{path}", json=body)
    mine = await post(staffed, run, form, who, **({"signal": "none"} if form == "signal" else WHY))
    if form == "undo" and api.status_code == 200:
        assert mine.status_code == 409, "it has just been undone"
        assert f'action="/decisions/{run}/undo"' in page.text
    else:
        assert mine.status_code == api.status_code
        assert f'action="/decisions/{run}/{form}"' not in page.text
    assert page.status_code == 200


async def test_decisions_of_other_teams_do_not_exist(staffed: Company) -> None:
    run = await staffed.refund(20.0)
    assert (await get(staffed, run, who="ana")).status_code == 200
    hidden, unknown = await get(staffed, run, who="audra"), await get(staffed, UUID(int=7), who="audra")
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert hidden.text.replace(str(run), "-") == unknown.text.replace(str(UUID(int=7)), "-")
    for form in ("undo", "abort", "redrive", "signal"):
        assert (await post(staffed, run, form, "olga", **WHY)).status_code == 404
    assert (await get(staffed, "no-id", who="ana")).status_code == 404


async def test_who_may_not_prove_is_shown_no_proof(staffed: Company) -> None:
    run = await staffed.dispatch(price_eur=80.0)
    for who in ("ada", "ana", "olga", "audra", "paula", "piet", "mo"):
        page = await get(staffed, run, who=who)
        async with staffed.client_of(who) as browser:
            api = await browser.get(f"/v1/decisions/{run}/proof")
        assert ("verified just now" in page.text) == (api.status_code == 200)


async def test_the_proof_is_checked_as_the_page_is_made(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [await company.dispatch(price_eur=50.0 + n) for n in range(9)]
    page = await get(company, runs[4])
    assert "verified just now" in page.text
    assert f'href="/v1/decisions/{runs[4]}/proof"' in page.text
    assert f"steward verify {runs[4]}" in page.text
    ledger = company.runtime.ledger
    index = (await company.runtime.run(runs[4])).index
    proof = await prove(ledger, index)
    assert (proof.ok, proof.index, proof.size) == (True, index, await ledger.size())
    assert proof.root.hex() in page.text

    real = ledger.read

    async def forged(start: int = 0, limit: int = 1000, **how: Any) -> Any:
        entries = await real(start, limit, **how)
        is_it = limit == 1 and start == index
        return (
            [msgspec.structs.replace(entries[0], body=entries[0].body.replace(b"hold", b"sell"))] if is_it else entries
        )

    monkeypatch.setattr(ledger, "read", forged)
    broken = await prove(ledger, index)
    assert broken.breaks
    assert "does not hold" in (await get(company, runs[4])).text


async def test_what_if_decides_again_without_effect(company: Company) -> None:
    run = await company.dispatch(price_eur=50.0)
    size = await company.runtime.ledger.size()
    plain = await get(company, run)
    assert "It chose" in section(plain, "what-if-result")
    page = await get(company, run, "?set.price_eur=90")
    result = section(page, "what-if-result").partition("</div>")[0]
    assert "It would choose" in result
    assert "Discharge" in result
    assert "Instead of: Hold" in result
    assert "it brings 1200 EUR" in result
    assert "nobody would be asked" in result
    asks = await get(company, run, "?set.price_eur=140&set.load_mw=")
    assert "a person would be asked" in asks.text
    same = await get(company, run, "?set.price_eur=50")
    assert "It chose" in section(same, "what-if-result"), "the stored value is no change"
    assert await company.runtime.ledger.size() == size


async def test_what_if_tells_where_it_flips(company: Company) -> None:
    run = await company.dispatch(price_eur=50.0)
    page = await get(company, run, "?vary=price_eur&flips=yes")
    flips = section(page, "flips").partition("</div>")[0]
    assert "Flips to “Discharge” from 60" in flips
    other = await get(company, run, "?vary=load_mw&flips=yes")
    assert "The choice stays the same from 0\xa0MW to 1,000\xa0MW." in other.text
    assert 'name="set.load_mw"' in section(other, "moved") or 'id="moved" name="set.load_mw"' in other.text
    lazily = await get(company, run)
    assert "flips=yes" in section(lazily, "flips")


@pytest.mark.parametrize("query", ["?set.price=5", "?set.price_eur=dear", "?set.price_eur=nan", "?set.price_eur=1e999"])
async def test_what_cannot_be_tried_is_said_at_the_form(company: Company, query: str) -> None:
    run = await company.dispatch(price_eur=50.0)
    page = await get(company, run, query)
    assert page.status_code == 422
    assert 'role="alert"' in section(page, "what-if-result").partition("</div>")[0]
    assert "Timeline" in page.text, "the rest of the page stays"


async def test_words_of_others_are_shown_as_words(company: Company) -> None:
    evil = "<script>alert(1)</script>"
    run = await company.dispatch(price_eur=80.0, region=evil)
    page = await get(company, run, f"?vary={evil}&set.{evil}={evil}")
    assert evil not in page.text
    assert " style=" not in page.text
    assert "onclick" not in page.text


async def test_an_attribution_that_is_to_come_says_so(tmp_path: Path) -> None:
    made = await company_with(tmp_path, replace(dispatch, attribution=Attribution.DEFERRED))
    async with made.runtime as runtime:
        event = {"region": "ES", "price_eur": 80.0, "load_mw": 500.0}
        run = (await runtime.decide(DISPATCH, event)).record.decision_id
        assert "is computed afterwards" in (await get(made, run)).text
        await runtime.advance()
        page = await get(made, run)
        assert "What moved the answer" in page.text
        assert "+800" in page.text
        assert "Attribution computed" in page.text


async def test_one_can_go_to_the_decision_before_and_after(company: Company) -> None:
    first = await company.dispatch(price_eur=50.0)
    await company.refund(20.0)
    second = await company.dispatch(price_eur=51.0)
    assert f'href="/decisions/{first}" rel="prev"' in (await get(company, second)).text
    assert 'rel="next"' not in (await get(company, second)).text
    assert f'href="/decisions/{second}" rel="next"' in (await get(company, first)).text
    assert 'rel="prev"' not in (await get(company, first)).text


async def test_a_decision_that_is_not_declared_any_more_can_still_be_read(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    old = await company_with(tmp_path / "a", dispatch, ledger=ledger)
    run = await old.dispatch(price_eur=80.0)
    new = await company_with(tmp_path / "b", replace(dispatch, name="grid.other"), ledger=ledger)
    async with new.runtime:
        page = await get(new, run)
        assert page.status_code == 200
        assert "is not declared any more" in section(page, "what-if")
        assert (await get(new, run, "?set.price_eur=90")).status_code == 409
