"""Blocks of days: what belongs together stays together, joined where season, weekday and weather agree."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.cases.grid.data.generator import synthetic_region
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.scenarios.bootstrap import Bootstrap
from steward.errors import ContractError, DeclarationError

DAY = timedelta(days=1)
MADRID = LocalDays("Europe/Madrid")


@cache
def source(block_days: float = 7.0) -> Bootstrap:
    region = synthetic_region("Europe/Madrid", date(2016, 1, 1), 731)
    days = region.days(date(2016, 1, 1), date(2018, 1, 1))
    return Bootstrap(region, days, weather="temperature_c", block_days=block_days)


def calendar(first: date, days: int) -> list[date]:
    return [first + number * DAY for number in range(days)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.dates(date(2017, 1, 1), date(2019, 12, 31)))
def test_weekday_and_season_agree(seed: int, first: date) -> None:
    wanted = calendar(first, 60)
    drawn = source().draw(wanted, np.random.default_rng(seed))
    for day, found in zip(wanted, drawn, strict=True):
        assert day.weekday() == found.weekday()
        apart = abs(day.timetuple().tm_yday - found.timetuple().tm_yday)
        # A block may run on; it begins at most three weeks away.
        assert min(apart, 365 - apart) <= 21 + 60


@pytest.mark.parametrize("block_days", [4.0, 10.0])
def test_blocks_are_as_long_as_declared(block_days: float) -> None:
    lengths = []
    for seed in range(5):
        drawn = source(block_days).draw(calendar(date(2017, 1, 1), 700), np.random.default_rng(seed))
        lengths.append(700 / sum(after != before + DAY for before, after in pairwise(drawn)))
    # A little longer, as the block that comes next may happen to go on where this one ends.
    assert block_days <= np.mean(lengths) * 1.1
    assert np.mean(lengths) <= block_days * 1.3


def test_weather_goes_on_where_blocks_are_joined() -> None:
    bootstrap = source()
    place = {day: number for number, day in enumerate(bootstrap.days)}
    drawn = bootstrap.draw(calendar(date(2017, 1, 1), 700), np.random.default_rng(3))
    joins = [(place[a] + 1, place[b]) for a, b in pairwise(drawn) if b != a + DAY]
    alike = [bootstrap._weathers[a] == bootstrap._weathers[b] for a, b in joins if a < len(bootstrap.days)]
    assert np.mean(alike) > 0.95


def test_all_columns_of_an_hour_stay_together() -> None:
    bootstrap = source()
    wanted = calendar(date(2017, 6, 1), 20)
    drawn = bootstrap.draw(wanted, np.random.default_rng(9))
    year = bootstrap.year(wanted, np.random.default_rng(9))
    for number, day in enumerate(drawn):
        first = bootstrap.history.index(MADRID.start(day))
        for name, values in year.columns.items():
            assert (values[24 * number : 24 * number + 24] == bootstrap.history.columns[name][first : first + 24]).all()


@pytest.mark.parametrize(("first", "hours"), [(date(2018, 3, 24), 71), (date(2018, 10, 27), 73)])
def test_days_where_clocks_change_have_their_own_length(first: date, hours: int) -> None:
    assert source().year(calendar(first, 3), np.random.default_rng(1)).rows == hours


def test_less_than_a_year_is_refused() -> None:
    with pytest.raises(ContractError, match="less than a year"):
        Bootstrap(source().history, source().days[:300])
    with pytest.raises(DeclarationError, match="a day at least"):
        Bootstrap(source().history, source().days, block_days=0.5)
