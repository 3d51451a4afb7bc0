"""The case's page: every figure on it is computed here once more, by hand, from the ledger's entries."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from steward.access.identity import Assignment, Identity, Kind
from steward.access.permissions import Role
from steward.api.app import create_app
from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.decision import NAME, make_decision
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.simulation import Answer, Simulation, open_runtime, settings_in
from steward.cases.grid.dispatch.yardsticks import Yardsticks
from steward.cases.grid.screen import page
from steward.cases.grid.screen.daybook import Desk
from steward.cases.grid.screen.page import day_in_words
from steward.cases.grid.screen.recorded import Recorded
from steward.clock import VirtualClock
from steward.console.audience import Audience
from steward.console.console import Console
from steward.console.zones import Zone
from steward.runtime.runtime import Runtime

FIRST = date(2024, 3, 1)
DAY = timedelta(days=1)
NOBODY_YET = 20
"""How many hours of the third day are over; in the next one somebody is asked, and has not answered."""
ASKED_ABOVE_EUR = 450.0
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
HTML = {"accept": "text/html", "sec-fetch-site": "same-origin"}


async def play(folder: Path, region: History) -> None:
    """Play two days and most of a third: the first day people agree, on the second they refuse."""
    local, plant = region.local, SimulatedPlant("region", region.local, Battery())
    clock = VirtualClock(local.start(FIRST) - HOUR, seed=7)
    runtime = await open_runtime(folder, plant, COLUMNS, clock, approve_above_eur=ASKED_ABOVE_EUR)
    async with runtime:
        feed, market = Feed("region", region, COLUMNS), Market.of(region, COLUMNS.price)
        simulation = Simulation(runtime, clock=clock, plant=plant, feed=feed, market=market)
        await simulation.warm_up()
        for n in range(48 + NOBODY_YET):
            await simulation.begin(local.start(FIRST) + n * HOUR)
            await simulation.answer_all(Answer(agrees=n < 24 or n >= 48, by="anna", reason="I looked"))
            simulation.end(local.start(FIRST) + n * HOUR)
        await simulation.begin(local.start(FIRST) + (48 + NOBODY_YET) * HOUR)


@pytest.fixture(scope="module")
def played(region: History, trained_folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "played"
        shutil.copytree(trained_folder, folder)
        asyncio.run(play(folder, region))
        yield folder


@dataclass
class Shown:
    """The console on a ledger that was played; it is opened as a server opens a project, without the simulation."""

    runtime: Runtime
    console: Console
    entries: list[dict[str, Any]]
    yardsticks: Yardsticks

    def client(self, **headers: str) -> httpx.AsyncClient:
        app = create_app(self.runtime, rooms=[self.console])
        transport = httpx.ASGITransport(app=app)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers={**HTML, **headers})

    async def text(self, path: str, status: int = 200) -> str:
        async with self.client() as client:
            answer = await client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["kind"] == kind]

    def decided(self, day: date) -> list[dict[str, Any]]:
        return [entry for entry in self.of("decided") if entry["event"]["day"] == day.isoformat()]

    def saved(self, day: date) -> Decimal:
        runs = {entry["decision_id"] for entry in self.decided(day)}
        valued = [entry for entry in self.of("valued") if entry["decision_id"] in runs]
        return sum((Decimal(entry["saving"]["amount"]) for entry in valued), Decimal())


@pytest.fixture
async def shown(played: Path, tmp_path: Path, region: History) -> AsyncIterator[Shown]:
    folder = tmp_path / "project"
    shutil.copytree(played, folder)
    plant = SimulatedPlant("region", region.local, Battery())
    decision = make_decision(plant, has_temperature=True, ahead=COLUMNS.ahead, approve_above_eur=ASKED_ABOVE_EUR)
    clock = VirtualClock(region.local.start(FIRST) + (48 + NOBODY_YET) * HOUR, seed=8)
    runtime = await Runtime.open([decision], settings=settings_in(folder, region.local.zone), clock=clock)
    yardsticks = Yardsticks(Market.of(region, COLUMNS.price), Battery(), FIRST)
    async with runtime:
        entries = [json.loads(entry.body) for entry in await runtime.ledger.read(0, 10_000)]
        yield Shown(runtime, Console(cases=[page.case(yardsticks)]), entries, yardsticks)


def words(text: str) -> str:
    """Return a page's text without its marks, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).replace("\N{NO-BREAK SPACE}", " ")


def money(amount: Decimal | float) -> str:
    size = abs(Decimal(str(amount)))
    text = f"{size:,.0f}" if size >= 100 else f"{size:,.2f}"
    return f"{MINUS if amount < 0 else ''}€{text}"


async def test_a_whole_day_tells_what_it_saved_beside_the_rule_and_the_limit(shown: Shown) -> None:
    text = words(await shown.text(f"/grid?day={FIRST}"))
    saved, market, battery = shown.saved(FIRST), shown.yardsticks.market, Battery()
    limit = market.limit_eur([FIRST], battery)
    rule, naive = (market.planned_eur([FIRST], battery, guess) for guess in (market.by_the_clock(FIRST), market.naive))
    assert f"Smart grid · {day_in_words(FIRST)}" in text
    assert f"Saved against no battery {money(saved)}" in text
    assert "all 24 hours are metered" in text
    others = f"Simple rule {money(round(rule, 2))} Naive forecast {money(round(naive, 2))}"
    assert f"{others} Steward {money(saved)} Perfect foresight {money(round(limit, 2))}" in text
    assert f"{100 * float(saved) / limit:.0f} % of what perfect foresight would have earned that day" in text


async def test_the_newest_day_is_told_in_part_and_the_days_before_whole(shown: Shown) -> None:
    text, today = words(await shown.text("/grid")), FIRST + 2 * DAY
    whole = shown.saved(FIRST) + shown.saved(FIRST + DAY)
    market, battery = shown.yardsticks.market, Battery()
    days = [FIRST, FIRST + DAY]
    limit = market.limit_eur(days, battery)
    rule, naive = (market.planned_eur(days, battery, guess) for guess in (market.by_the_clock(FIRST), market.naive))
    assert f"Saved so far against no battery {money(shown.saved(today))}" in text
    assert f"The day in part: {NOBODY_YET} of 24 hours are metered" in text
    assert f"2 whole days so far: {money(whole)} saved" in text
    assert f"{len(shown.of('rejected'))} hours were not done, as nobody agreed" in text
    others = f"simple rule {money(round(rule, 2))} , naive forecast {money(round(naive, 2))}"
    assert f"{others} , perfect foresight {money(round(limit, 2))}" in text
    assert f"{100 * float(whole) / limit:.0f} % of what perfect foresight would have earned" in text


async def test_what_waits_is_told_with_its_deadline_and_the_way_to_it(shown: Shown) -> None:
    html = await shown.text("/grid")
    [asked] = shown.runtime.views.waiting()
    assert "Nothing waits" not in html
    assert f'href="/approvals/{asked.decision_id}"' in html
    assert f'data-due="{asked.deadline.isoformat()}"' in html
    assert f"Discharge {asked.choice['power_mw']:g} MW for an hour {money(asked.impact.amount)} at stake" in words(html)  # type: ignore[index]


async def test_the_saving_is_the_sum_of_its_stretches(shown: Shown) -> None:
    desk = Desk(Recorded(shown.runtime))
    for day in (FIRST, FIRST + DAY):
        book = await desk.book(shown.runtime.clock.now(), 0, day)
        assert book is not None
        assert sum(stretch.saving.amount for stretch in book.stretches) == shown.saved(day)
        runs = {entry["decision_id"] for entry in shown.decided(day)}
        metered = [entry["outcome"] for entry in shown.of("observed") if entry["decision_id"] in runs]
        bought = sum(outcome["energy_mwh"] for outcome in metered if outcome["energy_mwh"] < 0)
        done = [stretch for stretch in book.stretches if not stretch.missed]
        assert sum(stretch.energy_mwh for stretch in done if stretch.energy_mwh < 0) == pytest.approx(bought)
        html = await shown.text(f"/grid?day={day}")
        for stretch in book.stretches:
            starts = [hour.at for hour in stretch.hours]
            assert starts == [starts[0] + n * HOUR for n in range(len(starts))]
            zone = book.place.local.tz
            times = f"{starts[0].astimezone(zone):%H:%M}{DASH}{starts[-1].astimezone(zone) + HOUR:%H:%M}"
            assert times in html
            assert f"{stretch.saving.amount:+,.0f}".lstrip("+-") in html or abs(stretch.saving.amount) < 100


async def test_the_sources_of_a_saving_are_told_and_make_the_whole(shown: Shown) -> None:
    for day in (FIRST, FIRST + DAY):
        book = await Desk(Recorded(shown.runtime)).book(shown.runtime.clock.now(), 0, day)
        assert book is not None
        runs = {entry["decision_id"] for entry in shown.decided(day)}
        metered = [entry["outcome"] for entry in shown.of("observed") if entry["decision_id"] in runs]
        sources = book.sources
        sold = sum(one["energy_mwh"] * one["price_eur_mwh"] for one in metered if one["energy_mwh"] > 0)
        assert sources.sold_eur == pytest.approx(sold)
        whole = sources.spread_eur - sources.lost_eur - sources.wear_eur
        assert whole == pytest.approx(float(shown.saved(day)), abs=0.15)
        text = words(await shown.text(f"/grid?day={day}"))
        assert f"Spread of prices {'+' if sources.spread_eur > 0 else ''}{money(sources.spread_eur)}" in text
        assert f"Losses, and what is in store {money(-sources.lost_eur)}" in text


async def test_refused_hours_are_told_as_not_done(shown: Shown) -> None:
    text = words(await shown.text(f"/grid?day={FIRST + DAY}"))
    rejected = {entry["decision_id"] for entry in shown.of("rejected")}
    assert rejected
    assert "Not done, as nobody agreed" in text
    assert "Not done" not in words(await shown.text(f"/grid?day={FIRST}"))


async def test_the_forecasts_are_measured_against_the_truth_of_the_last_day(shown: Shown, region: History) -> None:
    until = region.local.start(FIRST + 2 * DAY) + NOBODY_YET * HOUR
    plans = {entry["event"]["day"]: entry for entry in shown.of("decided")}
    errors, naive, prices = [], [], []
    for n in range(24):
        at = until - (24 - n) * HOUR
        one = plans[region.local.day_of(at).isoformat()]
        place = (at - datetime.fromisoformat(one["event"]["day_start"])) // HOUR
        row = region.index(at)
        load, price = region.columns["load_mw"], region.columns["price_eur_mwh"]
        errors.append(abs(one["prediction"]["load_mw"][place] / load[row] - 1))
        naive.append(abs(load[row - 168] / load[row] - 1))
        prices.append(abs(one["prediction"]["price_eur_mwh"][place] - price[row]))
    text = words(await shown.text("/grid"))
    assert f"Load, mean error {100 * sum(errors) / 24:.1f} % Load as a week ago {100 * sum(naive) / 24:.1f} %" in text
    assert f"Better than that by {100 * (1 - sum(errors) / sum(naive)):.0f} %" in text.replace(MINUS, "-")
    assert f"Price, mean error {sum(prices) / 24:.2f} EUR/MWh" in text


async def test_each_hour_leads_to_its_decision(shown: Shown) -> None:
    html = await shown.text(f"/grid?day={FIRST}")
    for entry in shown.decided(FIRST):
        assert f'href="/decisions/{entry["decision_id"]}"' in html


async def test_the_day_leaves_as_csv_and_json(shown: Shown) -> None:
    hours = json.loads(await shown.text(f"/data/grid-hours.json?day={FIRST}"))
    metered = {entry["outcome"]["at"]: entry["outcome"]["energy_mwh"] for entry in shown.of("observed")}
    local = shown.yardsticks.market.history.local
    starts = [(local.start(FIRST) + n * HOUR) for n in range(24)]
    assert [datetime.fromisoformat(row["at"]) for row in hours] == starts
    by_start = {datetime.fromisoformat(at): energy for at, energy in metered.items()}
    assert [row["power_mw"] for row in hours] == [by_start[at] for at in starts]
    assert sum(Decimal(str(row["saving"])) for row in hours) == shown.saved(FIRST)
    chart = list(csv.DictReader(io.StringIO(await shown.text(f"/data/grid-day.csv?day={FIRST}"))))
    charged = [float(row["Charge"] or 0) + float(row["Discharge"] or 0) for row in chart]
    assert charged == [by_start[at] for at in starts]
    stored = [100 * entry["event"]["soc_mwh"] / 40 for entry in shown.decided(FIRST)]
    assert [float(row["State of charge"]) for row in chart] == pytest.approx(stored)


async def test_days_are_chosen_in_the_url_among_those_played(shown: Shown) -> None:
    newest, first = FIRST + 2 * DAY, FIRST
    html = await shown.text("/grid")
    assert f'href="/grid?day={newest - DAY}"' in html
    assert 'rel="next"' not in html
    html = await shown.text(f"/grid?day={first}")
    assert 'rel="prev"' not in html
    assert f'href="/grid?day={first + DAY}"' in html
    assert "Nothing was decided on this day" in await shown.text("/grid?day=2024-02-01")
    assert "is no day" in await shown.text("/grid?day=monday", status=422)


async def test_the_newest_day_is_pushed_and_another_one_is_fetched(shown: Shown) -> None:
    assert re.search(r'id="grid-saved" data-live[ >]', await shown.text("/grid"))
    assert 'id="grid-saved" data-live="page"' in await shown.text(f"/grid?day={FIRST}")


async def test_a_part_shows_nothing_to_those_who_may_not_read_it(shown: Shown) -> None:
    [case] = shown.console.cases

    class Only:
        runtime = shown.runtime

    def audience(readable: frozenset[str] | None) -> Audience:
        return Audience(shown.console, Only(), Zone("site", "Europe/Madrid"), readable)  # type: ignore[arg-type]

    for name, fragment in case.fragments.items():
        assert await fragment(audience(frozenset({"other.decision"}))) == "", name
        assert await fragment(audience(frozenset({NAME}))) != "", name


async def test_whoever_may_not_read_the_decision_is_refused(shown: Shown) -> None:
    guard = shown.runtime.guard
    once = await guard.bootstrap()
    assert once is not None
    ada = await guard.exchange(once.reveal(), id="ada", display="Ada")
    office = await guard.identify({b"authorization": f"Bearer {ada.secret.reveal()}".encode()})
    keys = {"ada": ada.secret.reveal()}
    for name, role in (("olga", Role.OPERATOR), ("ona", Role.APPROVER)):
        who = Identity(
            id=name, kind=Kind.PERSON, display=name, teams=frozenset({"other-desk"}), roles=(Assignment(role),)
        )
        await guard.administration.enrol(office, who)
        keys[name] = (await guard.administration.issue_key(office, name, label="test")).secret.reveal()
    await guard.administration.limit(office, NAME, ["grid-desk"])
    for name, status in {"ada": 200, "olga": 403, "ona": 403}.items():
        async with shown.client(authorization=f"Bearer {keys[name]}") as client:
            for path in ("/grid", "/data/grid-day.json", "/data/grid-hours.csv"):
                assert (await client.get(path)).status_code == status, (name, path)
            assert f"{NAME}" in (await client.get("/grid")).text or status == 200


async def test_before_the_first_decision_it_says_what_will_be_here(
    tmp_path: Path, trained_folder: Path, region: History
) -> None:
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    plant, clock = SimulatedPlant("region", region.local, Battery()), VirtualClock(region.local.start(FIRST))
    async with await open_runtime(tmp_path, plant, COLUMNS, clock, approve_above_eur=ASKED_ABOVE_EUR) as runtime:
        yardsticks = Yardsticks(Market.of(region, COLUMNS.price), Battery(), FIRST)
        empty = Shown(runtime, Console(cases=[page.case(yardsticks)]), [], yardsticks)
        assert "make demo" in await empty.text("/grid")
        assert json.loads(await empty.text("/data/grid-hours.json")) == []
        assert json.loads(await empty.text("/data/grid-day.json")) == []
        assert await references(empty, "") == []


async def test_without_a_simulation_the_rule_is_left_out(shown: Shown) -> None:
    alone = Shown(shown.runtime, Console(cases=[page.case()]), shown.entries, shown.yardsticks)
    text = words(await alone.text(f"/grid?day={FIRST}"))
    limit = shown.yardsticks.market.limit_eur([FIRST], Battery())
    assert f"Perfect foresight {money(round(limit, 2))}" in text
    assert "Simple rule" not in text
    assert "whole days so far" not in text


async def test_references_are_of_whole_days(shown: Shown) -> None:
    [case] = shown.console.cases
    assert case.references is not None
    seen = await references(shown, "")
    assert {one.name for one in seen} == {"rule", "naive-forecast", "limit"}
    whole = shown.saved(FIRST) + shown.saved(FIRST + DAY)
    assert {one.steward.amount for one in seen} == {whole}
    market = shown.yardsticks.market
    [limit] = [one for one in seen if one.name == "limit"]
    assert float(limit.amount.amount) == pytest.approx(market.limit_eur([FIRST, FIRST + DAY], Battery()), abs=0.01)
    [one_day] = [one for one in await references(shown, f"until={FIRST}") if one.name == "limit"]
    assert one_day.steward.amount == shown.saved(FIRST)
    assert await references(shown, "since=2025-01-01") == []


async def references(shown: Shown, query: str) -> list[Any]:
    [case] = shown.console.cases
    found: list[Any] = []

    async def note(view: Any) -> Any:
        assert case.references is not None
        found.extend(await case.references(view))
        return await case.sources["grid-hours"](view)

    shown.console.sources["noted"] = note
    await shown.text(f"/data/noted.json?{query}")
    return found
