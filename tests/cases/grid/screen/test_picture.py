"""The picture of a day whose plan is made anew each hour: what was known when, and what is expected now."""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace
from tests.cases.grid.screen.test_sources import MIDNIGHT, hour

from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.dispatch.skills import DispatchPlan
from steward.cases.grid.screen.bands import Bands, Interval
from steward.cases.grid.screen.daybook import DayBook, Quality
from steward.cases.grid.screen.picture import picture
from steward.cases.grid.screen.recorded import Hour, Place
from steward.console.charts.figures import Band, Line

AHEAD = tuple(50.0 + n for n in range(24))


def planned(place: int, power_mw: float, prices: tuple[float, ...]) -> Hour:
    plan = DispatchPlan(power_mw=(power_mw,) * 24, price_eur_mwh=prices, expected_eur=0.0)
    return replace(hour(place, power_mw, 50.0), plan=plan)


def book(*hours: Hour, price: Interval | None = None) -> DayBook:
    day, place = date(2026, 1, 1), Place("region", LocalDays("UTC"), MIDNIGHT)
    return DayBook(
        place=place,
        day=day,
        now=MIDNIGHT + 3 * HOUR,
        first=day,
        hours=hours,
        loads={},
        prices={MIDNIGHT: 51.0},
        quality=Quality(hours=0),
        bands=Bands(price=price),
    )


def line(book: DayBook, name: str) -> list[float | None]:
    found = [each for panel in picture(book).panels for each in panel.series if each.name == name]
    return [value for one in found if isinstance(one, Line) for value in one.values]


def test_each_hour_shows_the_plan_that_it_followed_and_the_coming_ones_the_newest() -> None:
    dear = tuple(price + 100.0 for price in AHEAD)
    day = book(planned(0, 1.0, AHEAD), planned(1, 2.0, AHEAD), planned(2, 3.0, dear))
    assert line(day, "Planned") == [1.0, 2.0, *(3.0,) * 22]
    assert line(day, "Forecast price") == list(AHEAD)
    assert line(day, "Forecast now") == [None, None, *dear[2:]]


def test_a_plan_that_stays_all_day_has_one_forecast() -> None:
    day = book(planned(0, 1.0, AHEAD), planned(1, 1.0, AHEAD))
    assert line(day, "Forecast now") == []


def test_bands_lie_behind_what_they_are_about() -> None:
    around = Interval(tuple(price - 5 for price in AHEAD), tuple(price + 5 for price in AHEAD))
    panels = picture(book(planned(0, 1.0, AHEAD), price=around)).panels
    first = panels[0].series[0]
    assert isinstance(first, Band)
    assert first.low[0] == 45.0
    assert len(panels) == 3, "no load is read, so there is no panel of it"


def test_a_day_without_decisions_has_a_picture_of_its_prices() -> None:
    assert line(book(), "Price")[0] == 51.0
    assert line(book(), "Planned") == []
