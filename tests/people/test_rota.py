"""Rotas and quiet hours follow the local calendar."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import DeclarationError
from steward.people.rota import QuietHours, Rota

MADRID = "Europe/Madrid"
TIMES = st.datetimes(datetime.fromisoformat("2024-01-01"), datetime.fromisoformat("2027-01-01"), timezones=st.just(UTC))
CLOCKS = st.times().map(lambda each: each.replace(microsecond=0))


@given(TIMES, CLOCKS, CLOCKS)
def test_quiet_hours_end_later_and_then_it_is_not_quiet(at: datetime, start: time, end: time) -> None:
    if start == end:
        return
    quiet = QuietHours(start=start, end=end, zone=MADRID)
    ends = quiet.end_after(at)
    wall = at.astimezone(ZoneInfo(MADRID)).time()
    inside = start <= wall < end if start < end else wall >= start or wall < end
    assert (ends is not None) == inside
    if ends is not None and ends.astimezone(ZoneInfo(MADRID)).time() == end:  # not where the clock skips that time
        assert timedelta(0) < ends - at <= timedelta(hours=25)
        assert quiet.end_after(ends) is None


def test_quiet_hours_are_an_hour_shorter_in_the_night_of_spring() -> None:
    quiet = QuietHours(start=time(22), end=time(6), zone=MADRID)
    begins = datetime(2026, 3, 28, 21, tzinfo=UTC)
    assert quiet.end_after(begins) == begins + timedelta(hours=7)
    assert quiet.end_after(begins - timedelta(microseconds=1)) is None


def test_a_turn_changes_at_the_local_hour_through_the_year() -> None:
    weekly = Rota(people=("ana", "bo", "cy"), since=datetime.fromisoformat("2026-01-05T08:00"), days=7, zone=MADRID)
    change_in_summer = datetime(2026, 7, 6, 6, tzinfo=UTC)  # 08:00 in Madrid
    before, after = (weekly.on_call(change_in_summer + by) for by in (timedelta(seconds=-1), timedelta(0)))
    assert (before, after) == ("bo", "cy")


@given(TIMES, st.integers(1, 30), st.integers(1, 5))
def test_everybody_has_the_same_number_of_days(at: datetime, days: int, people: int) -> None:
    names = tuple(f"p{n}" for n in range(people))
    rota = Rota(people=names, since=datetime.fromisoformat("2026-01-01"), days=days)
    seen = [rota.on_call(at + timedelta(days=n)) for n in range(days * people)]
    assert {name: seen.count(name) for name in names} == dict.fromkeys(names, days)


@given(TIMES, st.integers(1, 9), st.integers(2, 3))
def test_a_turn_ends_when_the_next_one_takes_over(at: datetime, days: int, people: int) -> None:
    since = datetime.fromisoformat("2024-01-01T08:00:00")
    rota = Rota(people=("ana", "bo", "cy")[:people], since=since, days=days, zone=MADRID)
    ends = rota.turn_ends(at)
    assert at < ends <= at + timedelta(days=days, hours=1)
    assert ends.astimezone(ZoneInfo(MADRID)).hour == 8
    assert rota.on_call(ends - timedelta(seconds=1)) == rota.on_call(at) != rota.on_call(ends)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: QuietHours(start=time(8), end=time(8)), "empty"),
        (lambda: QuietHours(start=time(8), end=time(9), zone="Mars/Olympus"), "no time zone 'Mars/Olympus'"),
        (lambda: QuietHours(start=time(8), end=time(9), zone="../etc/passwd"), "no time zone"),
        (lambda: Rota(people=(), since=datetime.fromisoformat("2026-01-01")), "needs people"),
        (lambda: Rota(people=("a",), since=datetime.fromisoformat("2026-01-01"), days=0), "needs people"),
        (lambda: Rota(people=("a",), since=datetime(2026, 1, 1, tzinfo=UTC)), "has an offset"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(DeclarationError, match=says):
        make()
