"""Half-hours by the wall clock: every interval has a slot, and clock changes move nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.cases.grid.conftest import shared_file

from steward.cases.grid.data.half_hours import by_slot, intervals, wall_slots
from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.data.local_days import DAY, HOUR, LocalDays

MELBOURNE = LocalDays("Australia/Melbourne")
SHORT, LONG = date(2014, 10, 5), date(2014, 4, 6)


def numbered(step: timedelta, first: date, days: int) -> History:
    start = MELBOURNE.start(first)
    rows = (MELBOURNE.start(first + days * DAY) - start) // step
    return History(MELBOURNE, start, step, {"load_mw": np.arange(float(rows))})


@pytest.mark.parametrize("step", [HOUR, HOUR / 2, HOUR / 4])
@pytest.mark.parametrize("day", [SHORT, LONG, date(2014, 7, 1)])
def test_every_interval_shows_the_time_of_its_slot(day: date, step: timedelta) -> None:
    slots = wall_slots(MELBOURNE, day, step)
    assert len(slots) == intervals(MELBOURNE, day, step)
    shown = [(MELBOURNE.start(day) + n * step).astimezone(MELBOURNE.tz) for n in range(len(slots))]
    assert [timedelta(hours=at.hour, minutes=at.minute) for at in shown] == [int(slot) * step for slot in slots]


def test_a_column_by_slot_takes_the_first_of_two_and_the_next_of_none() -> None:
    short = by_slot(numbered(HOUR / 2, SHORT, 2), "load_mw", [SHORT, SHORT + DAY])
    assert short[0, 2:8].tolist() == [2, 3, 4, 4, 4, 5]
    assert short[1].tolist() == list(range(46, 94))
    long = by_slot(numbered(HOUR / 2, LONG, 2), "load_mw", [LONG, LONG + DAY])
    assert long[0, 2:8].tolist() == [2, 3, 4, 5, 8, 9]
    assert long[1].tolist() == list(range(50, 98))


def test_beyond_the_history_nothing_is_known() -> None:
    found = by_slot(numbered(HOUR, SHORT, 1), "load_mw", [SHORT - DAY, SHORT, SHORT + DAY])
    assert np.isfinite(found).all(axis=1).tolist() == [False, True, False]


def test_victoria_is_read_in_half_hours() -> None:
    history = read_history(
        Source(
            path=shared_file("vic_load_temp_2012_2014_30min"),
            time_column="time_utc",
            zone="Australia/Melbourne",
            load_column="load_mw",
            temperature_column="temperature_c",
            known_day_ahead=("holiday",),
        )
    )
    assert (history.start, history.step) == (datetime(2011, 12, 31, 13, tzinfo=UTC), HOUR / 2)
    days = history.days(date(2012, 1, 1), date(2015, 1, 1))
    assert len(days) == 366 + 365 + 365
    counts = [intervals(history.local, day, history.step) for day in days]
    assert [counts.count(n) for n in (46, 48, 50)] == [3, 1090, 3]
    load = by_slot(history, "load_mw", days)
    assert load.shape == (1096, 48)
    assert np.isfinite(load).all()
