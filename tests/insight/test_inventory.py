"""The inventory over real runs: whole days only, one currency, and the ranking."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from tests.console.world import DISPATCH, REFUND, Company, dispatch, refund

from steward.decision.risk import Risk
from steward.insight.inventory import inventory


@pytest.fixture
async def company(tmp_path: Path) -> Company:
    return await Company.open(tmp_path)


async def test_nothing_is_measured_before_a_day_was_whole(company: Company) -> None:
    async with company.runtime as runtime:
        await company.dispatch()
        await company.later(timedelta(days=1))
        [first, second] = inventory([dispatch, refund], runtime.views, company.clock.now())
    assert (first.name, first.a_month, first.runs, first.asked_share, first.each) == (REFUND, None, 0, None, None)
    assert (second.measured_a_month, second.a_month, second.runs) == (None, 2_880, 1)
    assert second.value_a_month is None


async def test_the_first_day_and_the_present_one_do_not_count(company: Company) -> None:
    async with company.runtime as runtime:
        for runs in (9, 2, 4, 7):  # noon of the first of July, and the noons after it
            for _ in range(runs):
                await company.dispatch()
            await company.later(timedelta(days=1))
        today = company.clock.now() - timedelta(days=1)
        assert runtime.views.first_days() == {DISPATCH: date(2026, 7, 1)}
        [row] = inventory([dispatch], runtime.views, today)
        later = [
            inventory([dispatch], runtime.views, today + timedelta(days=days))[0].measured_a_month
            for days in (1, 28, 29, 40)
        ]
    assert row.measured_a_month == (2 + 4) * 30 / 2
    # The last were made on the fourth: they leave the last 30 whole days with the fourth of August.
    assert later == [(2 + 4 + 7) * 30 / 3, 2 + 4 + 7, 4 + 7, 0.0]


async def test_only_outcomes_in_the_declared_currency_make_the_mean(company: Company) -> None:
    async with company.runtime as runtime:
        for saved in (10.0, 20.0):
            await company.meter(saved, await company.dispatch())
        await company.dispatch()
        assert dispatch.economics is not None
        dollars = replace(dispatch, economics=replace(dispatch.economics, unit="USD"))
        now = company.clock.now()
        [euros], [others] = inventory([dispatch], runtime.views, now), inventory([dollars], runtime.views, now)
    assert euros.each is not None
    assert (str(euros.each.mean.amount), euros.valued, euros.runs) == ("15.00", 2, 3)
    assert euros.value_a_month is not None
    assert str(euros.value_a_month.amount) == "43200.00"
    assert (others.each, others.valued, others.runs) == (None, 0, 3)


async def test_who_decided_otherwise_is_counted_of_those_who_were_asked(company: Company) -> None:
    async with company.runtime as runtime:
        runs = [await company.dispatch(200.0) for _ in range(4)]
        await company.dispatch()
        await runtime.reject(runs[0], by="ana", reason="no")
        await runtime.approve(runs[1], by="ana", reason="yes")
        await runtime.advance()
        [row] = inventory([dispatch], runtime.views, company.clock.now())
    assert (row.asked, row.asked_share, row.overridden_share) == (4, 0.8, 0.25)


async def test_low_risk_comes_first_and_what_is_made_most_often_in_it(company: Company) -> None:
    def named(name: str, risk: Risk, per_month: float | None) -> object:
        assert dispatch.economics is not None
        return replace(dispatch, name=name, risk=risk, economics=replace(dispatch.economics, per_month=per_month))

    declared = [
        named("a.high", Risk.HIGH, 9_000), named("a.seldom", Risk.LOW, 5), named("a.often", Risk.LOW, 50),
        named("a.medium", Risk.MEDIUM, 1), named("a.unknown", Risk.LOW, None),
    ]  # fmt: skip
    async with company.runtime as runtime:
        rows = inventory(declared, runtime.views, company.clock.now())  # type: ignore[arg-type] # made by replace()
        among = inventory([dispatch, refund], runtime.views, company.clock.now(), among={REFUND})
    assert [row.name for row in rows] == ["a.often", "a.seldom", "a.unknown", "a.medium", "a.high"]
    assert [row.name for row in among] == [REFUND]
