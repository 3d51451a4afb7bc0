"""The page of value: its sums are the views' own, to the cent, and it says what is not counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from html import unescape

import pytest
from fastapi import APIRouter
from tests.console.world import DISPATCH, REFUND, STAFF, Company

from steward.api.app import create_app
from steward.console.console import Case, Console
from steward.console.pages.value import compared, sentence
from steward.console.period import Period
from steward.console.references import Reference
from steward.console.view import View
from steward.console.words import exactly
from steward.insight.value import summary
from steward.records import Money


def reference(name: str, amount_minor: int, since: date | None = None, until: date | None = None) -> Reference:
    return Reference(
        decision=DISPATCH,
        name=name,
        amount=Money.of_minor(amount_minor, "EUR"),
        steward=Money.of_minor(50_000, "EUR"),
        about=f"how {name}",
        since=since,
        until=until,
    )


async def history(company: Company) -> None:
    """Make 33 dispatches with outcomes over four days, one without, and a refund without one."""
    for each in range(33):
        run = await company.dispatch(70.0)
        await company.meter(12.34 + each * 0.07 - (90.0 if each == 5 else 0.0), run)
        await company.later(timedelta(hours=3))
    await company.dispatch(70.0)
    await company.refund(20.0)


async def test_before_anything_was_decided_it_says_what_will_be_here(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/value")
        today = await browser.get("/value?range=today")
        data = await browser.get("/data/value-over-time.csv")
    assert "will be here, once some were made" in page.text
    assert "make demo" in page.text
    assert "Nothing was decided today." in today.text
    assert data.status_code == 200


@pytest.mark.parametrize(
    "query", ["", "range=all", "range=7d", "range=30d", "range=today", "since=2026-07-02&until=2026-07-03"]
)
async def test_the_sums_are_those_of_the_views_to_the_cent(company: Company, query: str) -> None:
    await history(company)
    parameters = dict(part.split("=") for part in query.split("&") if part)
    period = Period.of(parameters, company.clock.now())
    found = summary(company.runtime.views, since=period.since, until=period.until)
    [known] = [each for each in found if each.decision == DISPATCH]
    async with company.client() as browser:
        page = unescape((await browser.get(f"/value?{query}")).text)
        rows = {row["decision"]: row for row in (await browser.get(f"/data/value.json?{query}")).json()}
        days = (await browser.get(f"/data/value-over-time.json?{query}")).json()
    assert known.saving is not None
    assert known.valued > 0
    assert exactly(known.saving) in page
    assert f"{known.valued} of {known.runs}" in page
    assert (rows["Dispatch"]["runs"], rows["Dispatch"]["valued"]) == (known.runs, known.valued)
    assert rows["Dispatch"]["saving"] == float(known.saving.amount)
    # Each step adds up to the whole, and the line ends where the sum is.
    step = next(name for name in days[0] if name.startswith("Each "))
    line = next(name for name in days[0] if name not in {"x", step})
    assert sum(Decimal(str(row[step])) for row in days) == known.saving.amount
    assert Decimal(str(days[-1][line])) == known.saving.amount


async def test_it_says_how_many_count_and_how_sure_the_mean_is(company: Company) -> None:
    await history(company)
    async with company.client() as browser:
        page = unescape((await browser.get("/value")).text)
        few = unescape((await browser.get("/value?range=today")).text)
        refunds = unescape((await browser.get(f"/value?decision={REFUND}")).text)
    assert "33 of 34" in page
    assert "1 waits for its outcome" in page
    assert "no interval below 30 outcomes" not in page
    assert "no interval below 30 outcomes" in few
    assert f"Not counted, as no outcome has come so far: {REFUND} (1)." in page
    assert "1 decided so far; no outcome has come yet, so nothing is counted." in refunds
    assert "All decisions" in refunds


async def test_a_loss_is_called_one(company: Company) -> None:
    run = await company.dispatch(70.0)
    await company.meter(-12.5, run)
    async with company.client() as browser:
        page = unescape((await browser.get("/value")).text)
    assert "€12.50 lost against the baseline so far." in page
    assert "−12.50\xa0EUR" in page


@pytest.mark.parametrize(
    "query", ["range=year", "since=yesterday", "since=2026-07-03&until=2026-07-01", "sort=nothing"]
)
async def test_days_that_make_no_sense_are_told(company: Company, query: str) -> None:
    async with company.client() as browser:
        page = await browser.get(f"/value?{query}")
        data = await browser.get(f"/data/value.csv?{query}")
    assert (page.status_code, data.status_code) == (422, 422)


@pytest.mark.parametrize("name", ["ada", *STAFF])
async def test_what_a_hidden_decision_was_worth_is_nowhere(staffed: Company, name: str) -> None:
    sees = name == "ada" or "payments-desk" in STAFF[name][1]
    await staffed.refund(20.0)
    async with staffed.client_of(name) as browser:
        pages = [await browser.get(path) for path in ("/value", "/data/value.csv", f"/value?decision={REFUND}")]
    assert [page.status_code for page in pages] == [200] * 3
    assert [("Refund" in page.text) for page in pages[:2]] == [sees, sees]
    assert ("1 decided" in pages[2].text) == sees


async def test_what_a_case_compares_stands_beside_the_saving(company: Company) -> None:
    asked: list[Period] = []

    async def references(view: View) -> Sequence[Reference]:
        asked.append(Period.of(view.parameters, view.now))
        days = (date(2026, 7, 1), date(2026, 7, 2))
        return [
            reference("limit", 60_000, *days),
            reference("rule", 40_000, *days),
            Reference(
                decision="<b>",
                name="rule",
                amount=Money.of_minor(1, "EUR"),
                steward=Money.of_minor(2, "EUR"),
                about="<i>",
            ),
        ]

    case = Case("Grid", "/grid", APIRouter(), {}, "steward.console", {}, references=references)
    await history(company)
    company.app = create_app(company.runtime, rooms=[Console(cases=[case])])
    async with company.client() as browser:
        page = (await browser.get("/value?range=7d")).text
    assert asked[0].name == "7d"
    found = [page.index(label) for label in ("A simple rule</span>", 'name">Steward</span>', "Best possible</span>")]
    assert found == sorted(found)
    assert "€400" in page
    assert "€600" in page
    assert "from 2026-07-01 to 2026-07-02 (UTC)" in page
    assert "<i>" not in page
    assert "<b>Beside" not in page


async def test_what_is_compared_with_a_hidden_decision_is_left_out(staffed: Company) -> None:
    async def references(view: View) -> Sequence[Reference]:
        amount = Money.of_minor(100, "EUR")
        return [Reference(decision=REFUND, name="rule", amount=amount, steward=amount, about="the secret rule")]

    case = Case("Shop", "/shop", APIRouter(), {}, "steward.console", {}, references=references)
    await staffed.dispatch(70.0)
    staffed.app = create_app(staffed.runtime, rooms=[Console(cases=[case])])
    for name, sees in (("olga", False), ("ana", True)):
        async with staffed.client_of(name) as browser:
            assert ("the secret rule" in (await browser.get("/value")).text) == sees


def test_bars_go_from_nothing_to_the_best_possible() -> None:
    [versus] = compared([reference("limit", 60_000), reference("clock", 40_000)], "")
    assert [label for label, _, _, _ in versus.bars] == ["Baseline", "Clock", "Steward", "Best possible"]
    assert versus.said == "Steward saved 83\xa0% of the best possible and €100 more than clock."
    [behind] = compared([reference("rule", 60_001)], DISPATCH)
    assert behind.said == "Steward saved €100 less than a simple rule."
    assert compared([reference("limit", 1)], "other") == []


def test_the_sentence_says_when_and_by_what() -> None:
    assert sentence([], 3, Period("", date(2026, 7, 1), None)) == (
        "3 decided since 1 July 2026; no outcome has come yet, so nothing is counted."
    )
