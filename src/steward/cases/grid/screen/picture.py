"""The day's picture and table: four panels over one axis of time, and a row for each decided hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from steward.cases.grid.screen.daybook import DayBook
from steward.cases.grid.screen.recorded import Hour
from steward.console.charts.figures import Bars, Figure, Line, Panel, Tone
from steward.console.sheets import Column, Kind, Sheet

CHART: Final = "grid-day"
TABLE: Final = "grid-hours"


def picture(book: DayBook) -> Figure:
    """Return the day's load, price, dispatch and state of charge, hour by hour."""
    by_hour = {hour.at: hour for hour in book.hours}
    hours = [by_hour.get(at) for at in book.moments]
    plan = book.hours[-1].plan if book.hours else None
    power = [None if hour is None else hour.power_mw for hour in hours]
    load: list[Line] = [Line(name="Load", values=[book.loads.get(at) for at in book.moments], tone=Tone.INK)]
    price = [
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
        dispatch.append(Line(name="Planned", values=plan.power_mw, tone=Tone.QUIET, dashed=True, steps=True))
    panels = [
        Panel(label="Load (MW)", series=load, height=190, zero=False),
        Panel(label="Price (EUR/MWh)", series=price, height=90),
        Panel(label="Dispatch (MW): discharge up, charge down", series=dispatch, height=90),
        Panel(label="State of charge (%)", series=[_charge(book, hours)], height=80),
    ]
    return Figure(
        name=CHART,
        title=f"Load, price, dispatch and state of charge on {book.day}",
        x=book.moments,
        panels=panels if any(value is not None for line in load for value in line.values) else panels[1:],
        now=book.now,
    )


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
