"""Who has a day off: whole countries, some regions, and the days beside a holiday."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from steward.cases.grid.data.local_days import DAY, LocalDays
from steward.cases.grid.forecasting.calendars import Calendar

SPAIN = Calendar.of(LocalDays("Europe/Madrid"))


@pytest.mark.parametrize(
    ("zone", "day", "share"),
    [("Europe/Madrid", date(2018, 12, 6), 1.0), ("Europe/Madrid", date(2018, 12, 5), 0.0),
     ("Europe/Madrid", date(2018, 5, 2), 0.14), ("Australia/Melbourne", date(2014, 11, 4), 1.0),
     ("Europe/Berlin", date(2018, 10, 3), 1.0), ("UTC", date(2018, 12, 25), 0.0)],
)  # fmt: skip
def test_the_share_of_the_people_who_have_a_day_off(zone: str, day: date, share: float) -> None:
    assert Calendar.of(LocalDays(zone)).off(day) == pytest.approx(share, abs=0.01)


def test_a_days_inputs_depend_on_the_day_alone() -> None:
    first = date(2017, 12, 1)
    days = [first + n * DAY for n in range(60)]
    whole = SPAIN.inputs(days)
    assert np.isfinite(whole).all()
    for n in (0, 7, 30, 59):
        assert SPAIN.inputs([days[n]])[0].tolist() == whole[n].tolist()


def test_days_that_differ_have_different_inputs() -> None:
    tuesday, bridge, day_after = date(2018, 10, 9), date(2018, 11, 2), date(2018, 12, 7)
    rows = [SPAIN.inputs([day])[0] for day in (tuesday, bridge, day_after)]
    assert all((a != b).any() for a, b in pairwise(rows))
