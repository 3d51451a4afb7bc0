from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.data.local_days import DAY, HOUR, LocalDays
from steward.errors import ContractError

ZONES = st.sampled_from(["Europe/Madrid", "America/New_York", "Australia/Melbourne", "Asia/Kolkata", "UTC"])
DAYS = st.dates(date(2012, 1, 2), date(2030, 12, 30))


@given(ZONES, DAYS)
def test_days_follow_each_other_without_gap(zone: str, day: date) -> None:
    local = LocalDays(zone)
    assert local.start(day) + local.hours(day) * HOUR == local.start(day + DAY)
    assert local.day_of(local.start(day)) == day
    assert local.day_of(local.start(day + DAY) - timedelta(microseconds=1)) == day


@given(ZONES, DAYS)
def test_wall_hours_and_their_inverse_agree(zone: str, day: date) -> None:
    local = LocalDays(zone)
    shown, places = local.wall_hours(day), local.hours_at_wall(day)
    assert len(shown) == local.hours(day)
    assert len(places) == 24
    for wall, place in enumerate(places):
        assert shown[place] == wall or wall not in shown


def test_spring_has_no_two_oclock_and_takes_the_next_hour() -> None:
    madrid, day = LocalDays("Europe/Madrid"), date(2018, 3, 25)
    assert madrid.wall_hours(day)[:4] == (0, 1, 3, 4)
    assert madrid.hours_at_wall(day)[:5] == (0, 1, 2, 2, 3)


def test_autumn_has_two_oclock_twice_and_takes_the_first() -> None:
    madrid, day = LocalDays("Europe/Madrid"), date(2018, 10, 28)
    assert madrid.wall_hours(day)[:5] == (0, 1, 2, 2, 3)
    assert madrid.hours_at_wall(day)[:4] == (0, 1, 2, 4)


def test_a_plan_is_fixed_at_the_noon_of_the_day_before_by_the_wall_clock() -> None:
    madrid = LocalDays("Europe/Madrid")
    assert madrid.plan_at(date(2018, 3, 26)) == datetime(2018, 3, 25, 10, tzinfo=UTC)
    assert madrid.plan_at(date(2018, 3, 25)) == datetime(2018, 3, 24, 11, tzinfo=UTC)
    assert madrid.at(date(2018, 7, 1), time(13)) == datetime(2018, 7, 1, 11, tzinfo=UTC)


def test_hours_of_india_begin_half_past() -> None:
    assert LocalDays("Asia/Kolkata").past_the_hour == timedelta(minutes=30)
    assert LocalDays("Europe/Madrid").past_the_hour == timedelta(0)


def test_a_zone_of_no_single_country_has_none() -> None:
    assert LocalDays("UTC").country is None


@pytest.mark.parametrize("zone", ["Europe/Madird", "", "../etc/passwd"])
def test_unknown_zones_are_refused(zone: str) -> None:
    with pytest.raises(ContractError, match="time zone"):
        LocalDays(zone)
