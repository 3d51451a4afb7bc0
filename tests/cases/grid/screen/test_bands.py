from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pytest
from msgspec.structs import replace
from tests.cases.grid.screen.test_sources import MIDNIGHT, hour

from steward.cases.grid.data.local_days import DAY, HOUR, LocalDays
from steward.cases.grid.dispatch.skills import DispatchPlan
from steward.cases.grid.screen.bands import Banding, Interval, interval
from steward.cases.grid.screen.recorded import Hour, Place, Recorded


def test_nine_of_ten_values_lie_inside_however_few_days_are_known() -> None:
    chance = np.random.default_rng(3)
    for days in (5, 7, 28):
        inside = known = 0
        for _ in range(150):
            missed = chance.gumbel(size=(days + 1, 24))
            band = interval([100.0] * 24, missed[:-1].tolist())
            assert band is not None
            held, of = band.held((100.0 + missed[-1]).tolist())
            inside, known = inside + held, known + of
        assert inside / known == pytest.approx(0.9, abs=0.025), days


def test_a_dear_evening_does_not_widen_the_night() -> None:
    missed = [[1.0 if n < 12 else 50.0 for n in range(24)] for _ in range(20)]
    band = interval([0.0] * 24, [*missed, *([-error for error in day] for day in missed)])
    assert band is not None
    assert (band.low[3], band.high[3], band.low[20], band.high[20]) == (-1.0, 1.0, -50.0, 50.0)


def test_too_few_known_errors_give_no_band() -> None:
    assert interval([1.0] * 24, [[0.0] * 24] * 4) is None
    assert interval([1.0] * 24, [[None] * 24] * 40) is None
    assert interval([], []) is None
    assert interval([1.0], [[0.0]] * 15) is not None


def test_a_day_of_25_hours_is_banded_by_days_of_24() -> None:
    band = interval([1.0] * 25, [[float(n)] * 24 for n in range(20)])
    assert band is not None
    assert band.high[24] is not None


def test_what_is_not_known_is_not_counted() -> None:
    assert Interval((0.0, 0.0, None), (1.0, 1.0, None)).held([0.5, None, 0.5]) == (1, 1)


class Told(Recorded):
    """A ledger that says 1 MW and 1 EUR were forecast, always, and what came."""

    def __init__(self, came: dict[datetime, float]) -> None:
        self.came = came

    async def loads(self, site: str, since: datetime, until: datetime) -> dict[datetime, float]:
        return {at: value for at, value in self.came.items() if since <= at < until}

    prices = loads

    async def before(self, at: datetime) -> Hour:
        ones = (1.0,) * 24
        plan = DispatchPlan(power_mw=ones, price_eur_mwh=ones, load_mw=ones, expected_eur=0.0)
        return replace(hour(0, 0.0, 0.0), at=at - HOUR, day_start=at - HOUR, plan=plan)


async def test_a_band_knows_nothing_of_the_day_before_and_the_day_itself() -> None:
    place = Place("region", LocalDays("UTC"), MIDNIGHT)
    first, day = date(2026, 1, 1), date(2026, 1, 11)
    came = {MIDNIGHT + n * HOUR: float(n % 7) for n in range(11 * 24)}
    plan = (await Told(came).before(MIDNIGHT)).plan
    band = await Banding(Told(came)).around(place, day, first, plan)
    later = {at: value if at < MIDNIGHT + 9 * DAY else 999.0 for at, value in came.items()}
    assert band.load is not None
    assert await Banding(Told(later)).around(place, day, first, plan) == band
    assert await Banding(Told(later)).around(place, day + DAY, first, plan) != band
