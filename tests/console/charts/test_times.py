"""Ticks of time: round in the viewer's zone, whatever its clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.console.charts.times import time_ticks
from steward.console.zones import Zone

MADRID = Zone("site", "Europe/Madrid")
ZONES = st.sampled_from(
    [MADRID, *(Zone("mine", name) for name in ("UTC", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe"))]
)
FIRST, LAST = datetime(2000, 1, 1), datetime(2040, 1, 1)  # noqa: DTZ001 - hypothesis gives them their zone
STARTS = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
SPANS = st.floats(min_value=1, max_value=20 * 366 * 86_400).map(lambda seconds: timedelta(seconds=seconds))


@given(STARTS, SPANS, ZONES, st.integers(2, 10))
def test_ticks_lie_on_the_axis_in_order_and_are_not_too_many(
    start: datetime, span: timedelta, zone: Zone, count: int
) -> None:
    ticks = [tick.at for tick in time_ticks(start, start + span, zone, count)]
    assert ticks == sorted(set(ticks))
    assert all(start <= at <= start + span for at in ticks)
    assert len(ticks) <= count + 2


@given(STARTS, st.floats(min_value=60, max_value=86_400), ZONES)
def test_ticks_within_days_are_at_full_minutes_of_the_wall_clock(start: datetime, seconds: float, zone: Zone) -> None:
    for tick in time_ticks(start, start + timedelta(seconds=seconds), zone, 2):
        local = zone.local(tick.at)
        assert (local.second, local.microsecond) in ((0, 0), (30, 0))
        assert tick.text.startswith(f"{local:%H:%M}")


@given(STARTS, ZONES)
def test_the_first_day_and_each_new_one_are_told_once(start: datetime, zone: Zone) -> None:
    ticks = time_ticks(start, start + timedelta(days=2), zone, 8)
    days = [(zone.local(tick.at).date(), tick.under) for tick in ticks]
    told = [day for day, under in days if f"{day.day} {day:%b}" in under]
    seen = list(dict.fromkeys(day for day, _ in days))
    assert told == seen or told == seen[1:]
    assert str(start.year) in "".join(under for _, under in days) or str((start + timedelta(2)).year) in str(days)


def shown(start: datetime, hours: float, count: int = 8, zone: Zone = MADRID) -> list[tuple[str, str]]:
    return [(tick.text, tick.under) for tick in time_ticks(start, start + timedelta(hours=hours), zone, count)]


def test_an_hour_that_is_repeated_stands_there_twice_and_the_zone_is_told_again() -> None:
    assert shown(datetime(2026, 10, 24, 23, tzinfo=UTC), 4) [:8] == [
        ("01:00", "Sun 25 Oct 2026 · CEST"),
        ("01:30", ""),
        ("02:00", ""),
        ("02:30", ""),
        ("02:00", "CET"),
        ("02:30", ""),
        ("03:00", ""),
        ("03:30", ""),
    ]  # fmt: skip


def test_an_hour_that_is_skipped_is_not_there() -> None:
    found = [text for text, _ in shown(datetime(2026, 3, 29, 0, tzinfo=UTC), 3, 3)]
    assert found == ["01:00", "03:00", "04:00", "05:00"]


def test_a_clock_that_is_moved_by_half_an_hour_leaves_no_tick_between() -> None:
    howe = Zone("mine", "Australia/Lord_Howe")
    ticks = time_ticks(datetime(2026, 10, 3, 13, tzinfo=UTC), datetime(2026, 10, 3, 18, tzinfo=UTC), howe, 5)
    assert [tick.text for tick in ticks] == ["00:00", "01:00", "03:00", "04:00", "05:00"]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (1 / 60, [("13:30:00", "Wed 1 Jul 2026 · CEST"), ("13:30:10", "")]),
        (24, [("18:00", ""), ("00:00", "Thu 2 Jul 2026 · CEST")]),
        (24 * 6, [("2 Jul", "2026 · Europe/Madrid"), ("3 Jul", "")]),
        (24 * 40, [("6 Jul", "2026 · Europe/Madrid"), ("13 Jul", "")]),
        (24 * 100, [("Aug", "2026 · Europe/Madrid"), ("Sep", "")]),
        (24 * 365, [("Oct", "2026 · Europe/Madrid"), ("Jan", "2027")]),
        (24 * 365 * 9, [("2028", "Europe/Madrid"), ("2030", "")]),
        (24 * 365 * 900, [("2200", "Europe/Madrid"), ("2400", "")]),
    ],
)
def test_the_step_fits_the_span(hours: float, expected: list[tuple[str, str]]) -> None:
    assert shown(datetime(2026, 7, 1, 11, 30, tzinfo=UTC), hours, 6)[:2] == expected


def test_where_the_second_tick_begins_a_day_the_first_tells_none() -> None:
    assert shown(datetime(2026, 7, 1, 21, tzinfo=UTC), 3, 3)[:2] == [("23:00", ""), ("00:00", "Thu 2 Jul 2026 · CEST")]
