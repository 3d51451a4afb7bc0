"""The inventory: the ranking, what was measured, and each decision's card."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from tests.console.world import DISPATCH, REFUND, STAFF, Company, dispatch, refund

from steward.console.pages.inventory import bubbles, interval_words
from steward.decision.risk import Risk
from steward.insight.inventory import InventoryRow
from steward.insight.value import MeanSaving
from steward.records import Money


def row(name: str, each_minor: int | None, *, unit: str = "EUR", a_month: float | None = 10.0) -> InventoryRow:
    each = None if each_minor is None else MeanSaving(mean=Money.of_minor(each_minor, unit), low=None, high=None)
    return InventoryRow(
        name=name, owner="x", purpose="x", risk=Risk.LOW, declared_a_month=a_month, each=each, runs=3, valued=3
    )


async def some_days(company: Company, days: int = 3) -> None:
    """Make four dispatches a day, each worth 10 EUR, and a refund."""
    for _ in range(days):
        for _ in range(4):
            run = await company.dispatch(70.0)
            await company.meter(10.0, run)
            await company.later(timedelta(hours=6))
        await company.refund(20.0, order_id=str(company.clock.now()))


@pytest.mark.parametrize("name", STAFF)
async def test_everybody_sees_the_decisions_of_their_teams(staffed: Company, name: str) -> None:
    sees = "payments-desk" in STAFF[name][1]
    async with staffed.client_of(name) as browser:
        page = await browser.get("/inventory")
        card = await browser.get(f"/inventory/{REFUND}")
        other = await browser.get(f"/inventory/{DISPATCH}")
        nothing = await browser.get("/inventory/shop.nothing")
    assert (page.status_code, other.status_code, nothing.status_code) == (200, 200, 404)
    assert card.status_code == (200 if sees else 404)
    assert (REFUND in page.text) == sees
    if not sees:
        assert card.text.replace(REFUND, "?") == nothing.text.replace("shop.nothing", "?")


async def test_without_decisions_made_it_says_what_will_be_here(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/inventory")
        card = await browser.get(f"/inventory/{DISPATCH}")
    assert "A decision has its place here once an outcome has told what it saves." in page.text
    assert "declared; measured once a day is whole" in card.text
    assert "no outcome yet" in card.text


async def test_low_risk_goes_before_high_however_often_that_is_made(company: Company) -> None:
    await some_days(company)
    async with company.client() as browser:
        page = await browser.get("/inventory")
        rows = (await browser.get("/data/inventory.json")).json()
        places = (await browser.get("/data/inventory-map.json")).json()
        by_risk = (await browser.get("/data/inventory.json?sort=-measured")).json()
    assert [each["name"] for each in rows] == ["Refund", "Dispatch"]
    assert [each["name"] for each in by_risk] == ["Dispatch", "Refund"]
    assert "Ranked low risk first" in page.text
    [dispatches] = [each for each in rows if each["name"] == "Dispatch"]
    # From noon of the first day on: 2 whole days with 4 each, as the first and the present one do not count.
    assert (dispatches["measured"], dispatches["declared"]) == (120.0, 2_880)
    assert (dispatches["each"], dispatches["a_month"], dispatches["interval"]) == (
        10.0,
        1_200.0,
        "too few: 12 of 30 outcomes",
    )
    assert (dispatches["risk"], dispatches["limit"], dispatches["asked"]) == ("high", 2_500.0, 0.0)
    assert [(each["name"], each["x"], each["y"], each["size"]) for each in places] == [
        ("Dispatch", 120.0, 10.0, 1_200.0)
    ]


def test_the_map_leaves_out_what_has_no_place_on_it() -> None:
    found = [row("a.gain", 500), row("a.loss", -500), row("a.unknown", None), row("a.never", 500, a_month=None),
             row("a.dollars", 500, unit="USD"), row("a.more", 700)]  # fmt: skip
    chart = bubbles(found)
    assert [each.link for each in chart.bubbles] == ["/inventory/a.gain", "/inventory/a.more"]
    assert chart.product == "EUR a month"


def test_an_interval_is_told_only_where_there_is_one() -> None:
    assert interval_words(row("a", None)) is None
    assert interval_words(row("a", 5)) == "too few: 3 of 30 outcomes"


@pytest.mark.parametrize("decision", [dispatch, refund], ids=[DISPATCH, REFUND])
async def test_a_card_tells_all_that_is_declared(company: Company, decision: object) -> None:
    name = decision.name  # type: ignore[attr-defined] # either of two decisions of different types
    declared, running = company.runtime.decisions[name], company.runtime.running[name]
    async with company.client() as browser:
        page = await browser.get(f"/inventory/{name}")
    text = unescape(page.text)
    told = [declared.owner, declared.purpose, declared.fingerprint, running.release, running.policy_hash]
    told += [f"<code>{feature.name}</code>" for feature in declared.features]
    told += [model.digest for model in running.models.values()]
    told += [f'href="{path}?decision={name}"' for path in ("/decisions", "/approvals", "/value")]
    for each in told:
        assert each in text, each
    assert '"fingerprint": "' + declared.fingerprint in text


async def test_a_card_tells_steps_and_how_people_answer(company: Company) -> None:
    run = await company.dispatch(200.0)
    await company.runtime.reject(run, by="ana", reason="no")
    await company.runtime.advance()
    async with company.client() as browser:
        page = unescape((await browser.get(f"/inventory/{DISPATCH}")).text)
        refunds = unescape((await browser.get(f"/inventory/{REFUND}")).text)
    assert "1 of 1 decided otherwise" in page
    assert "100.0\xa0%" in page
    assert "looks whether it is safe to go on, for 30 seconds at most" in page
    assert "tried up to 5 times, can be taken back" in page
    assert "tried up to 5 times, cannot be taken back" in refunds
    assert "comes within 1 day, joined by region" in page
    assert "Without a model: the policy decides from the features alone" in refunds
