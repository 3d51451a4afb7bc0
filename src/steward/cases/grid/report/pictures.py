"""The report's pictures, as plain figures; how they look is the console's."""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np

from steward.cases.grid.data.history import Floats
from steward.cases.grid.data.local_days import DAY, HOUR
from steward.cases.grid.dispatch.comparison import KNOWN_DAY, LIMIT, NO_BATTERY
from steward.cases.grid.forecasting.load import LoadForecasts
from steward.cases.grid.peak.season import Season
from steward.cases.grid.report.study import OURS, Storage, Study, band_of
from steward.console.charts.figures import Band, Bars, Figure, Line, Panel, Series, Tone

_LEFT_OUT: Final = {NO_BATTERY, KNOWN_DAY}


def savings(storage: Storage) -> Figure:
    """Return what each way to run the battery earned, up to the limit."""
    standings = [standing for standing in storage.comparison.standings if standing.name not in _LEFT_OUT]
    standings.sort(key=lambda standing: standing.eur)

    def bars(name: str, tone: Tone, *, among: set[str]) -> Bars:
        values = [each.eur_per_mw_year.value if each.name in among else None for each in standings]
        return Bars(name=name, values=values, tone=tone)

    others = {each.name for each in standings} - {OURS, LIMIT}
    series = [
        bars("Simple ways", Tone.QUIET, among=others),
        bars("Steward", Tone.GOOD, among={OURS}),
        bars("The limit", Tone.FIRST, among={LIMIT}),
    ]
    return Figure(
        name="savings",
        title="What a MW of battery earns in a year, by the way it is run",
        x=[each.name for each in standings],
        panels=[Panel(label="EUR per MW and year", series=series, height=200)],
    )


def one_day(study: Study, day: date) -> Figure:
    """Return a day's load with its forecast band, price, dispatch and state of charge."""
    local = study.history.local
    load = [] if study.loads is None else [_load(study, study.loads, day)]
    storage = [] if study.storage is None else _storage(study, study.storage, day)
    return Figure(
        name="day",
        title=f"Load, price, dispatch and state of charge on {day}",
        x=[local.start(day) + n * HOUR for n in range(local.hours(day))],
        panels=[*load, *storage],
    )


def _storage(study: Study, storage: Storage, day: date) -> list[Panel]:
    local = study.history.local
    hourly = study.history if study.history.step == HOUR else study.history.hourly()
    true = hourly.between(study.columns.price, local.start(day), local.start(day + DAY))
    low, high = band_of(storage.forecasts, hourly, day).interval(0.9)
    guess = storage.forecasts.on_day(day)[list(local.wall_hours(day))]
    price: list[Series] = [
        Band(name="90 % interval of the price", low=_told(low), high=_told(high), tone=Tone.CAUTION),
        Line(name="Price", values=_told(true), tone=Tone.CAUTION, steps=True),
        Line(name="Forecast price", values=_told(guess), tone=Tone.CAUTION, dashed=True, steps=True),
    ]
    powers = storage.course.powers_mw[(day - storage.course.days[0]).days].tolist()
    dispatch: list[Series] = [
        Bars(name="Discharge", values=[each if each > 0 else None for each in powers], tone=Tone.GOOD),
        Bars(name="Charge", values=[each if each < 0 else None for each in powers], tone=Tone.SECOND),
    ]
    share = [100 * held / study.battery.energy_mwh for held in storage.state_of_charge_mwh(day)]
    charge = Line(name="State of charge", values=share, tone=Tone.SECOND, filled=True)
    return [
        Panel(label="Price (EUR/MWh)", series=price, height=120),
        Panel(label="Dispatch (MW): discharge up, charge down", series=dispatch, height=90),
        Panel(label="State of charge (%)", series=[charge], height=80),
    ]


def peaks(run: Season, limit: Season) -> Figure:
    """Return by how much each month's peak was cut, beside what was possible."""
    possible = {month.month: month.cut_mw for month in limit.months}
    series: list[Series] = [
        Bars(name="Cut by the battery", values=[month.cut_mw for month in run.months], tone=Tone.GOOD),
        Line(name="What was possible", values=[possible.get(month.month) for month in run.months], tone=Tone.FIRST),
    ]
    return Figure(
        name="peaks",
        title="By how much the highest half-hour of each month was cut",
        x=[f"{month.month:%b %y}" for month in run.months],
        panels=[Panel(label="MW", series=series, height=180)],
    )


def calls(study: Study) -> Figure:
    """Return the peak of each day, and the days on which customers were called."""
    called = set(study.calls.days) if study.calls is not None else set()
    days = sorted(study.peaks_mw)
    hit = [study.peaks_mw[day] if day in called else None for day in days]
    series: list[Series] = [
        Bars(name="Customers were called", values=hit, tone=Tone.CAUTION),
        Line(name="The day's peak", values=[study.peaks_mw[day] for day in days], tone=Tone.INK),
    ]
    return Figure(
        name="calls",
        title="The days on which customers were called",
        x=[study.history.local.start(day) for day in days],
        panels=[Panel(label="MW", series=series, height=180, zero=False)],
    )


def _load(study: Study, loads: LoadForecasts, day: date) -> Panel:
    local, per_hour = study.history.local, round(HOUR / study.history.step)
    metered = study.history.between(study.columns.load or "", local.start(day), local.start(day + DAY))
    forecast = loads.quantiles(day)
    low, high = forecast.interval(0.9)

    def hourly(values: Floats) -> list[float | None]:
        return _told(np.asarray(values).reshape(-1, per_hour).mean(axis=1))

    series: list[Series] = [
        Band(name="90 % interval of the load", low=hourly(low), high=hourly(high)),
        Line(name="Forecast at noon of the day before", values=hourly(forecast.median)),
        Line(name="Load", values=hourly(metered), tone=Tone.INK),
    ]
    return Panel(label="Load (MW)", series=series, height=180, zero=False)


def _told(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
