"""The day's picture and table: four panels over one axis of time, and a row for each decided hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from steward.cases.grid.screen.bands import Interval
from steward.cases.grid.screen.daybook import DayBook
from steward.cases.grid.screen.recorded import Hour, within
from steward.console.charts.figures import Band, Bars, Figure, Line, Panel, Tone
from steward.console.sheets import Column, Kind, Sheet

CHART: Final = "grid-day"
TABLE: Final = "grid-hours"


def picture(book: DayBook) -> Figure:
    """Return the day's load, price, dispatch and state of charge, hour by hour."""
    by_hour = {hour.at: hour for hour in book.hours}
    hours = [by_hour.get(at) for at in book.moments]
    plan = book.hours[0].plan if book.hours else None
    power = [None if hour is None else hour.power_mw for hour in hours]
    load: list[Line | Band] = [Line(name="Load", values=[book.loads.get(at) for at in book.moments], tone=Tone.INK)]
    price: list[Line | Band] = [
        Line(
            name="Price",
            values=[book.prices.get(at) for at in book.moments],
            tone=Tone.CAUTION,
            filled=True,
            steps=True,
        )
    ]
    dispatch: list[Bars | Line] = [
        Bars(name="Discharge", values=[value if value and value > 0 else None for value in power], tone=Tone.GOOD),
        Bars(name="Charge", values=[value if value and value < 0 else None for value in power], tone=Tone.SECOND),
    ]
    if plan is not None:
        if plan.load_mw:
            load.insert(0, Line(name="Day-ahead forecast", values=plan.load_mw))
        price.append(Line(name="Forecast price", values=plan.price_eur_mwh, tone=Tone.CAUTION, dashed=True, steps=True))
        price += _revised(book)
        planned = [
            within(hour.plan.power_mw, at, book.start) for at, hour in zip(book.moments, _deciding(book), strict=True)
        ]
        dispatch.append(Line(name="Planned", values=planned, tone=Tone.QUIET, dashed=True, steps=True))
    load[:0] = _band("Load", book.bands.load, Tone.FIRST)
    price[:0] = _band("Price", book.bands.price, Tone.CAUTION)
    panels = [
        Panel(label="Load (MW)", series=load, height=190, zero=False),
        Panel(label="Price (EUR/MWh)", series=price, height=90),
        Panel(label="Dispatch (MW): discharge up, charge down", series=dispatch, height=90),
        Panel(label="State of charge (%)", series=[_charge(book, hours)], height=80, reach=100.0),
    ]
    return Figure(
        name=CHART,
        title=f"Load, price, dispatch and state of charge on {book.day}",
        x=book.moments,
        panels=panels if book.loads or (plan is not None and plan.load_mw) else panels[1:],
        now=book.now,
        marks=[happening.mark for happening in book.happened],
    )


def _deciding(book: DayBook) -> Iterator[Hour]:
    """Yield for each hour of the day the one whose plan it follows: its own, or the newest."""
    by_hour, last = {hour.at: hour for hour in book.hours}, book.hours[0]
    for at in book.moments:
        last = by_hour.get(at, last)
        yield last


def _revised(book: DayBook) -> list[Line]:
    """Return the newest forecast of the hours to come, where it has changed since the day began."""
    newest = book.hours[-1]
    if newest.plan.price_eur_mwh == book.hours[0].plan.price_eur_mwh:
        return []
    values = [within(newest.plan.price_eur_mwh, at, book.start) if at >= newest.at else None for at in book.moments]
    return [Line(name="Forecast now", values=values, tone=Tone.QUIET, dashed=True, steps=True)]


def _band(name: str, interval: Interval | None, tone: Tone) -> list[Band]:
    if interval is None:
        return []
    return [Band(name=f"{name}, 5 to 95 %", low=interval.low, high=interval.high, tone=tone)]


def _charge(book: DayBook, hours: Sequence[Hour | None]) -> Line:
    """Return what the store held at the beginning of each hour, as the decisions were told."""
    values = [None if hour is None else 100 * hour.soc_mwh / hour.battery.energy_mwh for hour in hours]
    return Line(name="State of charge", values=values, tone=Tone.SECOND, filled=True)


def table(hours: Sequence[Hour]) -> Sheet[Hour]:
    """Return a row for each decided hour, with the way to its decision."""
    return Sheet(
        name=TABLE,
        title="Each hour's decision",
        empty="Nothing was decided on this day.",
        key=lambda hour: str(hour.run),
        rows=hours,
        columns=[
            Column(key="at", label="Hour from", value=lambda hour: hour.at, kind=Kind.TIME, link=decision_link),
            Column(key="power_mw", label="MW", value=lambda hour: hour.power_mw, kind=Kind.NUMBER),
            Column(key="status", label="Status", value=lambda hour: hour.status, kind=Kind.STATUS),
            Column(
                key="forecast_eur_mwh",
                label="Forecast (EUR/MWh)",
                value=lambda hour: hour.forecast_eur_mwh,
                kind=Kind.NUMBER,
            ),
            Column(
                key="price_eur_mwh", label="Price (EUR/MWh)", value=lambda hour: hour.price_eur_mwh, kind=Kind.NUMBER
            ),
            Column(key="saving", label="Saved", value=lambda hour: hour.saving, kind=Kind.MONEY),
            Column(key="why", label="Why", value=lambda hour: "; ".join(hour.reasons)),
        ],
    )


def decision_link(hour: Hour) -> str:
    """Return where an hour's decision is shown."""
    return f"/decisions/{hour.run}"
