from __future__ import annotations

from datetime import date

from steward.cases.grid.data.day_kinds import days_alike, days_before, is_free, kind

CONSTITUTION_DAY = date(2018, 12, 6)  # a Thursday, free in Spain


def test_a_holiday_is_a_kind_of_its_own_but_a_sunday_stays_one() -> None:
    assert kind("ES", CONSTITUTION_DAY) == 7
    assert kind("ES", date(2017, 1, 1)) == 6
    assert kind("ES", date(2018, 12, 5)) == 2


def test_without_a_country_only_weekends_are_free() -> None:
    assert not is_free(None, CONSTITUTION_DAY)
    assert is_free(None, date(2018, 12, 8))
    assert not is_free("XX", CONSTITUTION_DAY)


def test_the_days_most_alike_are_of_the_kind_else_as_free() -> None:
    past = days_before(CONSTITUTION_DAY, 2, 14)
    assert all(is_free("ES", day) for day in days_alike("ES", CONSTITUTION_DAY, past))
    wednesday = date(2018, 11, 28)
    assert days_alike("ES", wednesday, days_before(wednesday, 2, 14)) == [date(2018, 11, 21), date(2018, 11, 14)]
    assert days_alike("ES", CONSTITUTION_DAY, [wednesday]) == [wednesday]
