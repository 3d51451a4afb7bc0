"""Both ways to say how a day goes on: they know nothing of what comes, and something of what came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from steward.cases.grid.data.generator import synthetic_region
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import DAY
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.peak.demand import halved
from steward.cases.grid.peak.nearest_days import PAST, nearest_days
from steward.cases.grid.peak.rest_of_day import RestOfDay
from steward.errors import ContractError

Way = Callable[[History, datetime], Quantiles]


def by_days(history: History, at: datetime) -> Quantiles:
    past = history.between("load_mw", at - PAST, at)
    return nearest_days(past, at, history.local, step=history.step)


@pytest.fixture(scope="module")
def melbourne() -> History:
    return halved(synthetic_region("Australia/Melbourne", date(2013, 1, 1), 300))


@pytest.fixture(scope="module")
def model(melbourne: History) -> RestOfDay:
    return RestOfDay.trained(melbourne, until=date(2013, 9, 1))


@pytest.fixture(params=["nearest days", "model"])
def way(request: pytest.FixtureRequest, model: RestOfDay) -> Way:
    return model.outlook if request.param == "model" else by_days


def moments(history: History) -> list[datetime]:
    """Ten times of day, one of them just after the clocks of Melbourne went forward."""
    start = history.local.start(date(2013, 10, 1))
    return [start + n * timedelta(hours=13) for n in range(10)] + [datetime.fromisoformat("2013-10-05T16:00:00Z")]


def test_what_was_not_known_changes_nothing(melbourne: History, way: Way) -> None:
    for at in moments(melbourne):
        row = melbourne.index(at)
        columns = {name: np.concatenate((c[:row], c[row:] * 3 + 7)) for name, c in melbourne.columns.items()}
        changed = replace(melbourne, columns=columns)
        assert (way(melbourne, at).values == way(changed, at).values).all()


def test_what_was_metered_last_changes_the_rest_of_the_day(melbourne: History, way: Way) -> None:
    at = moments(melbourne)[0] + timedelta(hours=12)
    row = melbourne.index(at)
    higher = {**melbourne.columns, "load_mw": melbourne.columns["load_mw"].copy()}
    higher["load_mw"][row - 1] *= 1.05
    assert way(replace(melbourne, columns=higher), at).median[0] > way(melbourne, at).median[0]


def test_it_reaches_to_midnight_on_long_and_short_days(melbourne: History, way: Way) -> None:
    for day, intervals in ((date(2013, 10, 5), 48), (date(2013, 10, 6), 46)):
        midnight = melbourne.local.start(day)
        assert len(way(melbourne, midnight)) == intervals
        assert len(way(melbourne, melbourne.local.start(day + DAY) - melbourne.step)) == 1


def test_its_median_is_better_than_yesterday(melbourne: History, way: Way) -> None:
    wrong, naive = [], []
    for at in moments(melbourne):
        outlook = way(melbourne, at)
        end = at + len(outlook) * melbourne.step
        truth, yesterday = melbourne.between("load_mw", at, end), melbourne.between("load_mw", at - DAY, end - DAY)
        wrong.append(float(np.abs(outlook.median - truth).mean()))
        naive.append(float(np.abs(yesterday - truth).mean()))
    assert sum(wrong) < sum(naive)


def test_without_readings_it_says_so(melbourne: History, way: Way) -> None:
    at = moments(melbourne)[3]
    blind = melbourne.columns["load_mw"].copy()
    blind[melbourne.index(at) - 8 : melbourne.index(at)] = np.nan
    with pytest.raises(ContractError, match="not known well enough"):
        way(replace(melbourne, columns={**melbourne.columns, "load_mw": blind}), at)


def test_a_model_is_named_by_its_weights(melbourne: History, model: RestOfDay) -> None:
    assert model.digest == RestOfDay.trained(melbourne, until=date(2013, 9, 1)).digest
    assert model.digest != RestOfDay.trained(melbourne, until=date(2013, 9, 2)).digest
    with pytest.raises(ContractError, match="too few"):
        RestOfDay.trained(melbourne, until=date(2013, 3, 1))
