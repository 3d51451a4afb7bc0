"""The overview: what it says of how things stand, to whom, and without a browser."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import APIRouter
from tests.console.world import NOON, REFUND, Company

from steward.bus.deadletters import dead_letter
from steward.console.audience import Audience
from steward.console.console import Case, Console
from steward.console.first_visit import first_example
from steward.console.live import PAGE
from steward.console.pages.overview import NEWEST
from steward.console.ranges import RANGES, range_of
from steward.console.sheets import Sheet
from steward.console.tiles import Tile, latency, over_time, tiles
from steward.console.view import View
from steward.console.zones import UTC_ZONE, Zone
from steward.errors import ContractError, DeclarationError, StewardError
from steward.insight.rows import Pulse, Worth
from steward.ledger.port import Message, StoredMessage

MADRID = Zone("site", "Europe/Madrid")


async def page(company: Company, who: str = "", **parameters: str) -> str:
    async with company.client_of(who) if who else company.client() as browser:
        shown = await browser.get("/", params=parameters)
    assert shown.status_code == 200
    return shown.text


def headline(text: str) -> str:
    return text.partition("<h1>")[2].partition("</h1>")[0]


async def test_before_the_first_decision_it_says_what_will_be_here_and_how_to_get_it(company: Company) -> None:
    text = await page(company)
    assert headline(text) == "Nothing has been decided yet"
    assert "steward decide grid.dispatch &#39;{" in text
    assert "curl http://localhost/v1/decisions/grid.dispatch" in text
    assert "make demo" in text
    assert 'data-live="page"' in text


async def test_the_example_can_be_sent_as_it_stands(company: Company) -> None:
    audience = Audience(Console(), company.app.service, UTC_ZONE, None)
    example = first_example(audience, "http://localhost/")
    assert example is not None
    body = example.request.rpartition(" -d ")[2].strip("'")
    async with company.client() as browser:
        answer = await browser.post(
            "/v1/decisions/grid.dispatch", content=body, headers={"content-type": "application/json"}
        )
    assert answer.status_code == 200
    assert first_example(Audience(Console(), company.app.service, UTC_ZONE, frozenset()), "/") is None


async def test_while_nothing_waits_everything_runs_inside_its_limits(company: Company) -> None:
    run = await company.dispatch()
    text = await page(company)
    assert headline(text) == "Everything runs inside its limits"
    assert f"/decisions/{run}" in text
    assert "Every effect came through" in text
    assert 'class="notice"' not in text


async def test_what_runs_out_first_stands_on_top_with_all_that_is_at_stake(company: Company) -> None:
    slow = await company.refund(900.0)
    urgent = await company.dispatch(price_eur=140.0)
    text = await page(company)
    assert headline(text) == "2 decisions wait for you"
    notice = text.partition('<section class="notice"')[2].partition("</section>")[0]
    assert f'href="/approvals/{urgent}"' in notice
    assert str(slow) not in notice
    assert "Discharge" in notice
    assert "at stake · if nobody answers: Hold" in notice
    assert f'data-due="{(NOON + timedelta(minutes=10)).isoformat()}"' in notice
    assert "10:00" in notice


async def test_one_decision_waits_in_the_singular(company: Company) -> None:
    await company.refund(900.0)
    assert headline(await page(company)) == "1 decision waits for you"


async def test_a_stop_of_everything_comes_before_all_else(company: Company) -> None:
    await company.dispatch(price_eur=140.0)
    await company.runtime.stop(by="ana", reason="<b>smoke</b> in the hall")
    text = await page(company)
    assert headline(text) == "Everything is stopped: &lt;b&gt;smoke&lt;/b&gt; in the hall"
    assert "stopped: nobody can answer until that is lifted" in text
    assert 'href="/stop"' in text


async def test_a_stop_of_one_decision_is_told_beside_the_rest(company: Company) -> None:
    await company.dispatch()
    await company.runtime.stop(REFUND, by="ana", reason="audit")
    text = await page(company)
    assert headline(text) == "Refund is stopped"
    assert "by ana since 14:00:00 CEST: audit" in text


async def test_what_did_not_come_through_needs_attention(company: Company) -> None:
    await company.dispatch()
    await company.runtime.bus.publish([_letter(company, number) for number in range(3)])
    text = await page(company)
    assert "3 events could not be read" in text
    assert "the last for due: load_mw &lt;b&gt;is missing. Mend it" in text


async def test_events_of_other_teams_are_not_told_of(staffed: Company) -> None:
    await staffed.dispatch()
    await staffed.runtime.bus.publish([_letter(staffed, 1, "refund")])
    assert "could not be read" in await page(staffed, "ana")
    assert "could not be read" not in await page(staffed, "olga")


def _letter(company: Company, number: int, topic: str = "due") -> Message:
    now = company.clock.now()
    message = Message(topic, "ES", "meter-7", str(number), b"{}", 1, now, now)
    return dead_letter(StoredMessage(number, message), StewardError("load_mw <b>is missing"), consumer="loop", at=now)


async def test_other_teams_decisions_are_not_counted(staffed: Company) -> None:
    run = await staffed.refund(900.0)
    await staffed.dispatch()
    for who, sees in (("ana", True), ("olga", False)):
        text = await page(staffed, who)
        assert (str(run) in text) is sees
        assert ("Refund" in text) is sees
        assert headline(text) == ("1 decision waits for a person" if sees else "Everything runs inside its limits")
        assert f'<b class="big num">{2 if sees else 1}</b>' in text


@pytest.mark.parametrize("name", RANGES)
async def test_the_range_is_in_the_url_and_kept_by_the_files(company: Company, name: str) -> None:
    await company.dispatch()
    text = await page(company, range=name)
    assert f'href="/?range={name}" aria-current="true"' in text
    assert f'id="overview-tiles-{name}" data-live' in text
    assert f'id="overview-chart-{name}" data-live' in text
    assert f"/data/decisions-by-answer.csv?range={name}" in text
    async with company.client() as browser:
        rows = (await browser.get("/data/decisions-by-answer.json", params={"range": name})).json()
    assert sum(row["by itself"] or 0 for row in rows) == 1
    assert len(rows) == {"1h": 60, "today": 24, "7d": 56, "30d": 30}[name]


async def test_an_unknown_range_is_an_error_that_says_what_there_is(company: Company) -> None:
    async with company.client() as browser:
        shown = await browser.get("/?range=century")
    assert shown.status_code == 422
    assert "choose one of 1h, today, 7d, 30d" in shown.text


async def test_the_newest_decisions_are_a_file_too(company: Company) -> None:
    runs = [await company.dispatch() for _ in range(12)]
    async with company.client() as browser:
        rows = (await browser.get("/data/newest-decisions.json")).json()
    assert len(rows) == 10
    assert rows[0]["choice"] == "Hold"
    assert str(runs[-1]) in await page(company)
    assert str(runs[1]) not in await page(company)


async def test_all_that_lives_on_the_page_is_sent_by_the_stream(company: Company) -> None:
    await company.dispatch()
    text = await page(company)
    names = [part.rpartition('id="')[2].partition('"')[0] for part in text.split(" data-live>")[:-1]]
    assert {"overview-state", "overview-urgent", "overview-newest", "overview-concerns"} < set(names)
    fragments = Console().live._fragments
    assert set(names) <= fragments.keys()
    assert PAGE in fragments


async def test_latency_is_shown_once_somebody_has_called_and_only_to_who_may_see_everything(staffed: Company) -> None:
    async with staffed.client_of("bot") as program:
        event = {"region": "ES", "price_eur": 60.0, "load_mw": 500.0}
        sent = await program.post("/v1/decisions/grid.dispatch", json=event, headers={"accept": "*/*"})
        assert sent.status_code == 200
    assert "p95 latency over HTTP" in await page(staffed, "ana")
    assert "p95 latency over HTTP" not in await page(staffed, "olga")


def test_today_begins_at_midnight_of_the_viewer_and_has_the_hours_of_its_day() -> None:
    spring = datetime.fromisoformat("2026-03-29T10:30:00Z")
    today = range_of({}, spring, MADRID)
    assert (today.since.isoformat(), today.steps) == ("2026-03-28T23:00:00+00:00", 23)
    assert range_of({}, spring, UTC_ZONE).since.isoformat() == "2026-03-29T00:00:00+00:00"
    assert range_of({}, datetime.fromisoformat("2026-10-25T22:59:00Z"), MADRID).steps == 25


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid", "Asia/Kolkata", "America/St_Johns"])
def test_the_present_lies_in_the_last_step_or_within_today(name: str, zone: str) -> None:
    for minutes in range(0, 3 * 24 * 60, 47):
        now = NOON + timedelta(minutes=minutes)
        found = range_of({"range": name}, now, Zone("mine", zone))
        assert found.since <= now < found.until
        if name != "today":
            assert found.until - found.step <= now
        if name != "1h":
            assert (found.since.minute == 0) or name == "today"


def test_an_unknown_range_names_its_field() -> None:
    with pytest.raises(ContractError) as told:
        range_of({"range": "1y"}, NOON, UTC_ZONE)
    assert told.value.field == "range"


def _pulse(runs: int, saved: int | None = None, unit: str = "EUR", **more: Any) -> Pulse:
    worth = (
        ()
        if saved is None
        else (Worth(unit=unit, valued=runs, value_minor=0, baseline_minor=0, saving_minor=saved, squares_minor=0),)
    )
    return Pulse(at=NOON, runs=runs, worth=worth, **more)


def test_the_key_figures_add_up() -> None:
    chosen = range_of({"range": "7d"}, NOON, UTC_ZONE)
    found = tiles(
        [_pulse(60, 12_345, asked=6, approved=3, rejected=1, expired=2, overridden=3), _pulse(40, 100, asked=4)],
        50,
        chosen,
    )
    decisions, alone, value, overrides = found
    assert (decisions.value, decisions.under) == ("100", "+100\xa0% on the 7 days before")
    assert (alone.value, alone.under) == ("90.0\xa0%", "10 asked a person")
    assert (value.value, value.under, value.tone) == ("€124", "saved over 100 with an outcome", "pos")
    assert (overrides.value, overrides.under) == ("30.0\xa0%", "3 of 10 asked, 2 not answered")


def test_an_even_rate_looks_even() -> None:
    chosen = range_of({"range": "7d"}, NOON, UTC_ZONE)
    trend = tiles([_pulse(3)] * 55 + [_pulse(1)], None, chosen)[0].trend
    assert len(trend) > 10
    assert set(trend) == {9.0}


def test_the_key_figures_of_nothing_are_dashes() -> None:
    chosen = range_of({}, NOON, UTC_ZONE)
    decisions, alone, value, overrides = tiles([], 0, chosen)
    assert (decisions.value, decisions.under) == ("0", "none yesterday by now")
    assert (alone.value, value.value, overrides.value) == ("–", "–", "–")


@pytest.mark.parametrize(
    ("before", "words"),
    [(100, "as many as the hour before"), (200, "−50\xa0% on the hour before"), (None, "")],
)
def test_the_number_of_decisions_is_compared(before: int | None, words: str) -> None:
    assert tiles([_pulse(100)], before, range_of({"range": "1h"}, NOON, UTC_ZONE))[0].under == words


def test_losses_are_called_so_and_other_currencies_are_told() -> None:
    chosen = range_of({}, NOON, UTC_ZONE)
    value = tiles([_pulse(2, -300), _pulse(1, 900, unit="USD")], None, chosen)[2]
    assert (value.value, value.tone) == ("−€3.00", "neg")
    assert value.under == "lost over 2 with an outcome, more in 1 other currency"


def test_how_decisions_came_about_counts_each_once() -> None:
    chosen = range_of({}, NOON, UTC_ZONE)
    figure = over_time([_pulse(10, asked=6, approved=2, rejected=1, expired=1)], chosen)
    assert [series.values[0] for series in figure.panels[0].series] == [4, 2, 2, 2]  # type: ignore[union-attr] # bars
    assert [series.values[1] for series in figure.panels[0].series] == [None] * 4  # type: ignore[union-attr] # as above


def test_latency_is_a_bound() -> None:
    assert latency(2.5, 10) == Tile(label="p95 latency over HTTP", value="≤ 2.5 s", under="10 requests since the start")
    assert latency(None, 10) is None


def test_two_tables_of_one_name_are_refused() -> None:
    case = Case("Copy", "/copy", APIRouter(), {}, "steward.console", {NEWEST: _none})
    with pytest.raises(DeclarationError, match=f"two pages have a table named '{NEWEST}'"):
        Console(cases=[case])


async def _none(view: View) -> Sheet[Any]:
    raise NotImplementedError
