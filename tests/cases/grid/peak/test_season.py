from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import synthetic_region
from steward.cases.grid.peak.demand import Demand, halved
from steward.cases.grid.peak.season import MonthPeak, Season, followed_blindly, possible, replanned, run
from steward.cases.grid.peak.shaving import TUNED
from steward.cases.grid.peak.worth import sure_of
from steward.errors import ContractError

FIRST, UNTIL = date(2014, 2, 20), date(2014, 3, 10)


@pytest.fixture(scope="module")
def demand() -> Demand:
    region = halved(synthetic_region("Australia/Melbourne", date(2014, 1, 1), 80))
    return Demand.of(region, "load_mw", peak_mw=500.0, first=FIRST, until=UNTIL)


def test_nobody_does_better_than_foresight(demand: Demand) -> None:
    battery = Battery()
    limit = possible(demand, FIRST, UNTIL, battery=battery)
    shaved = run(demand, FIRST, UNTIL, replanned(demand.nearest_days, TUNED), battery=battery)
    blind = run(demand, FIRST, UNTIL, followed_blindly(demand, demand.lately), battery=battery)
    assert [month.month for month in shaved.months] == [date(2014, 2, 1), date(2014, 3, 1)]
    for season in (shaved, blind):
        for best, made in zip(limit.months, season.months, strict=True):
            assert made.load_mw == best.load_mw
            assert made.net_mw >= best.net_mw - 0.01
    assert limit.cut_mw >= shaved.cut_mw > 5.0


def test_a_true_forecast_followed_blindly_reaches_the_limit_of_a_day(demand: Demand) -> None:
    day, after = date(2014, 3, 4), date(2014, 3, 5)
    truth = followed_blindly(demand, lambda day: demand.during(day, after))
    made = run(demand, day, after, truth, battery=Battery())
    assert made.cut_mw == pytest.approx(possible(demand, day, after, battery=Battery()).cut_mw, abs=0.01)


def test_days_outside_of_history_are_refused(demand: Demand) -> None:
    region = halved(synthetic_region("UTC", FIRST, 3))
    with pytest.raises(ContractError, match="does not cover"):
        Demand.of(region, "load_mw", peak_mw=500.0, first=FIRST, until=UNTIL)


def test_the_interval_holds_the_figure_and_grows_with_what_differs() -> None:
    loads = np.linspace(300.0, 500.0, 12).tolist()
    alike = Season(tuple(MonthPeak(month=FIRST, load_mw=load, net_mw=load - 9.0) for load in loads), 0.0)
    unlike = Season(
        tuple(MonthPeak(month=FIRST, load_mw=load, net_mw=load - n % 10) for n, load in enumerate(loads)), 0
    )
    annual, monthly = sure_of(alike)
    assert (annual.low, annual.high) == (9.0, 9.0)
    assert monthly.low == pytest.approx(9.0)
    annual, monthly = sure_of(unlike)
    assert monthly.low < monthly.value < monthly.high
    assert annual.times(1000.0).value == pytest.approx(1000.0 * unlike.cut_mw)
