from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.field.cim import READING_TYPES, THINGS
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.reading import Quality

NOON = datetime(2018, 1, 1, 12, tzinfo=UTC)
LOAD = Point("es.feeder-1", "load_mw")


@pytest.mark.parametrize(
    "said", [float("nan"), float("inf"), -float("inf"), "4.2", "x" * 1_000_000, b"4", True, None, [4.2], 10**400, 4j]
)
def test_only_a_finite_number_is_a_value(said: object) -> None:
    reading = LOAD.reading(said, source_time=NOON, server_time=NOON, now=NOON)
    assert (reading.value, reading.quality, reading.is_good) == (None, Quality.BAD, False)


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**300), 10**300)))
def test_a_finite_number_is_kept(said: float) -> None:
    assert LOAD.reading(said, source_time=NOON, server_time=NOON, now=NOON).value == float(said)


def test_a_missing_time_is_stood_in_for_and_makes_it_uncertain() -> None:
    taken, now = NOON + timedelta(seconds=1), NOON + timedelta(seconds=2)
    reading = LOAD.reading(4.2, source_time=None, server_time=taken, now=now)
    assert (reading.source_time, reading.server_time, reading.quality) == (taken, taken, Quality.UNCERTAIN)
    reading = LOAD.reading(4.2, source_time=NOON, server_time=None, now=now)
    assert (reading.source_time, reading.server_time, reading.quality) == (NOON, now, Quality.GOOD)
    reading = LOAD.reading(4.2, quality=Quality.BAD, source_time=None, server_time=None, now=now)
    assert (reading.source_time, reading.value, reading.quality) == (now, 4.2, Quality.BAD)


def test_every_point_has_a_name_in_cim() -> None:
    for point in Layout("es", feeders=2).points:
        assert point.reading_type in READING_TYPES
        assert point.mrid.split(".")[1].split("-")[0] in THINGS


def test_a_code_has_eighteen_parts() -> None:
    codes = [str(name.code) for name in READING_TYPES.values() if name.code is not None]
    assert all(len(code.split(".")) == 18 for code in codes)
    assert len(set(codes)) == len(codes) == 6
