from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.cases.grid.battery import Battery, earned_eur
from steward.cases.grid.dispatch.plan import DispatchProgram, program_for
from steward.errors import EngineError

PRICES = st.lists(st.floats(0, 300), min_size=24, max_size=24)
LOSSLESS = Battery(power_mw=1.0, energy_mwh=2.0, round_trip=1.0, daily_withdrawal_mwh=2.0)


def best_by_search(prices: list[float], soc: int, taken: int = 0) -> float:
    """Try every whole-megawatt plan of the lossless battery; the program's optimum lies on whole numbers too."""
    if not prices:
        return 0.0
    best = -np.inf
    for power in (-1, 0, 1):
        left, used = soc - power, taken + max(power, 0)
        if 0 <= left <= 2 and used <= 2:
            best = max(best, power * prices[0] + best_by_search(prices[1:], left, used))
    return float(best)


@settings(max_examples=40)
@given(st.lists(st.floats(0, 100), min_size=6, max_size=6), st.integers(0, 2))
def test_the_plan_is_as_good_as_trying_everything(prices: list[float], soc: int) -> None:
    power = program_for(LOSSLESS, (6,)).solve(prices, soc_mwh=float(soc))
    assert earned_eur(power.tolist(), prices) == pytest.approx(best_by_search(prices, soc), abs=1e-5)


@settings(max_examples=40)
@given(PRICES, st.floats(0, 40))
def test_a_plan_at_positive_prices_can_be_held(prices: list[float], soc_mwh: float) -> None:
    battery = Battery()
    wanted = program_for(battery, (24,)).solve([price + 1 for price in prices], soc_mwh=soc_mwh)
    held, _ = battery.follow_day(wanted.tolist(), soc_mwh)
    assert held == pytest.approx(wanted.tolist(), abs=1e-4)


@settings(max_examples=30)
@given(PRICES, PRICES)
def test_a_plan_depends_on_its_own_prices_only(prices: list[float], others: list[float]) -> None:
    shared = program_for(Battery(), (24,))
    shared.solve(others, soc_mwh=3.0)
    again = shared.solve(prices, soc_mwh=0.0).tolist()
    assert again == DispatchProgram(Battery(), (24,)).solve(prices, soc_mwh=0.0).tolist()


def test_equal_prices_plan_nothing_as_every_cycle_loses() -> None:
    assert program_for(Battery(), (24,)).solve([50.0] * 24, soc_mwh=0.0).tolist() == [0.0] * 24


def test_the_withdrawal_limit_holds_for_each_day() -> None:
    battery = Battery(energy_mwh=400.0, daily_withdrawal_mwh=10.0)
    power = program_for(battery, (4, 4)).solve([0.0, 0.0, 100.0, 90.0, 0.0, 0.0, 100.0, 90.0], soc_mwh=0.0)
    for day in (power[:4], power[4:]):
        assert day.clip(0).sum() / battery.one_way == pytest.approx(10.0)


def test_a_year_is_planned_in_one_program() -> None:
    prices = np.tile([20.0] * 12 + [80.0] * 12, 365)
    power = DispatchProgram(Battery(), (24,) * 365).solve(prices, soc_mwh=0.0)
    assert power.clip(0).sum() == pytest.approx(365 * 40 * Battery().one_way, rel=1e-6)


@pytest.mark.parametrize("prices", [[1.0] * 23, [1.0] * 23 + [float("nan")], [float("inf")] * 24])
def test_prices_that_are_not_there_are_refused(prices: list[float]) -> None:
    with pytest.raises(EngineError, match="24 hours"):
        program_for(Battery(), (24,)).solve(prices, soc_mwh=0.0)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    DispatchProgram(Battery(), (5,)).solve([1.0, 2.0, 3.0, 2.0, 1.0], soc_mwh=0.0)
    assert capfd.readouterr() == ("", "")
