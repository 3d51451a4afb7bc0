"""The study behind a report: a region's past, run again by forecasts that knew only what was known then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data import quality
from steward.cases.grid.data.generator import COLUMNS, synthetic_region
from steward.cases.grid.data.history import Floats, History, Source, read_history
from steward.cases.grid.data.local_days import DAY, HOUR
from steward.cases.grid.dispatch.comparison import Comparison, compare
from steward.cases.grid.dispatch.courses import Course
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.forecasting.load import LoadForecasts, forecast_loads
from steward.cases.grid.forecasting.load_inputs import LoadTask
from steward.cases.grid.forecasting.price import PriceForecasts, Refits, forecast_prices
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.forecasting.training import Columns, columns_of
from steward.cases.grid.peak.demand import Demand, halved
from steward.cases.grid.peak.season import Season, possible, replanned
from steward.cases.grid.peak.season import run as run_season
from steward.cases.grid.peak.shaving import Shaving
from steward.cases.grid.response.calls import Called, day_peaks, forecast_of, play
from steward.cases.grid.response.learning import learn
from steward.cases.grid.response.top_days import Season as CallSeason
from steward.errors import ContractError

OURS: Final = "Steward"
PEAK_MW: Final = 500.0
"""The site of the peak study has the region's shape and this annual peak."""
_LEARNT_DAYS: Final = 400
_FIRST, _ZONE = date(2023, 1, 1), "Europe/Madrid"
_SHOWN_DAYS: Final = 365
_BAND_DAYS: Final = 90


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What is studied.

    Args:
        source: The region's past; without one it is a made-up region.
        first: The first day that is run; all before it is only learned from.
        until: The day after the last.
        battery: Its limits.
        seed: Of the made-up region.
        progress: Is told the stage, how many are done, and how many there are.

    Example:
        >>> StudyOptions().battery.power_mw
        10.0
    """

    source: Source | None = None
    first: date | None = None
    until: date | None = None
    battery: Battery = Battery()  # noqa: RUF009 - a frozen value
    seed: int = 7
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None


@dataclass(frozen=True, eq=False)
class Storage:
    """What a battery would have earned.

    Attributes:
        forecasts: The prices it was planned at.
        comparison: Its earnings beside no battery, the clock, the naive forecast and perfect foresight.
    """

    forecasts: PriceForecasts
    comparison: Comparison

    @cached_property
    def course(self) -> Course:
        """What the battery did."""
        return self.comparison.courses[OURS]

    def state_of_charge_mwh(self, day: date) -> list[float]:
        """Return what the store held at the start of each hour of a day.

        Raises:
            ContractError: The day was not run.
        """
        course, soc_mwh = self.course, 0.0
        for each, powers in zip(course.days, course.powers_mw, strict=True):
            state, held = State(soc_mwh=soc_mwh), []
            for power in powers.tolist():
                held.append(state.soc_mwh)
                state = course.battery.follow(power, state)
            if each == day:
                return held
            soc_mwh = state.soc_mwh
        raise ContractError(f"{day} was not run", field="day")


@dataclass(frozen=True, eq=False)
class Study:
    """What a region's past tells; a part is ``None`` where its columns are not there.

    Attributes:
        about: What the data is.
        alerts: What is wrong with it.
        history: The region's past.
        columns: What its columns mean.
        first: The first day that was run.
        until: The day after the last.
        battery: Its limits.
        loads: The load, forecast at noon of each day before.
        storage: What a battery earned.
        peaks: The monthly peaks of a site with a battery, and what was possible.
        calls: The days on which customers were called, and the highest ones.
        peaks_mw: The peak of each day.
    """

    about: str
    alerts: tuple[str, ...]
    history: History
    columns: Columns
    first: date
    until: date
    battery: Battery
    loads: LoadForecasts | None
    storage: Storage | None
    peaks: tuple[Season, Season] | None
    calls: Called | None
    peaks_mw: dict[date, float]

    @property
    def example_day(self) -> date:
        """The day nearest to what the battery earned on an ordinary one; the last, if there is no battery."""
        if self.storage is None:
            return self.until - DAY
        earned = self.storage.course.eur
        return self.storage.course.days[int(np.argmin(np.abs(earned - np.median(earned))))]


def study(options: StudyOptions) -> Study:
    """Run a region's past again.

    Raises:
        ContractError: The file cannot be used, or is too short to learn from.
        EngineError: An extra is not installed.
    """
    history, columns, about, alerts = _read(options)
    first, until = _span(history, options)
    tell = _Stages(options.progress)
    loads = None
    if columns.load:
        tell("forecasting load")
        task = LoadTask(load=columns.load, temperature=columns.temperature)
        loads = forecast_loads(history, task, first, until)
    tell("forecasting prices, planning the battery")
    storage = _storage(history, columns, first, until, options.battery) if columns.price else None
    tell("shaving peaks")
    peaks = None if columns.load is None else _peaks(history, columns.load, first, until, options.battery)
    tell("calling customers")
    calls, peaks_mw = _calls(history, columns, first, until)
    return Study(about, alerts, history, columns, first, until, options.battery, loads, storage, peaks, calls, peaks_mw)


class _Stages:
    """Counts the stages."""

    def __init__(self, progress: Callable[[str, int, int], None]) -> None:
        self._progress, self._done = progress, 0

    def __call__(self, stage: str) -> None:
        self._progress(stage, self._done, 4)
        self._done += 1


def _read(options: StudyOptions) -> tuple[History, Columns, str, tuple[str, ...]]:
    source = options.source
    if source is None:
        region = synthetic_region(_ZONE, _FIRST, _LEARNT_DAYS + _SHOWN_DAYS, seed=options.seed)
        return region, COLUMNS, "A made-up region: formulas and seeded chance. No figure of it is real.", ()
    history = read_history(source)
    alerts = tuple(found.message for found in quality.check(history, source) if found.level == "alert")
    return history, columns_of(source), f"Data of {source.path.name}.", alerts


def _span(history: History, options: StudyOptions) -> tuple[date, date]:
    begins, ends = history.local.day_of(history.start), history.local.day_of(history.end)
    first = options.first or max(begins + _LEARNT_DAYS * DAY, ends - _SHOWN_DAYS * DAY)
    until = options.until or ends
    if not begins + _LEARNT_DAYS * DAY <= first < until <= ends:
        raise ContractError(
            f"{first} to {until} cannot be studied",
            why=f"the data is of {begins} to {ends}, and {_LEARNT_DAYS} days before the first are learned from",
            fix="choose other days, or bring a longer file",
            field="first",
        )
    return first, until


def _storage(history: History, columns: Columns, first: date, until: date, battery: Battery) -> Storage:
    hourly = history if history.step == HOUR else history.hourly()
    known = replace(columns, temperature=None, load=None)
    forecasts = forecast_prices(hourly, known, first, until, refits=Refits(trees=None), band_days=_BAND_DAYS)
    local = hourly.local

    def guess(day: date) -> Floats:
        return forecasts.on_day(day)[list(local.wall_hours(day))]

    market = Market.of(hourly, columns.price)
    return Storage(forecasts, compare(market, forecasts.days, battery, {OURS: guess}, known_until=first))


def _peaks(history: History, load: str, first: date, until: date, battery: Battery) -> tuple[Season, Season]:
    fine = history if history.step < HOUR else halved(replace(history, columns={load: history.columns[load]}))
    demand = Demand.of(fine, load, peak_mw=PEAK_MW, first=first, until=until)
    run = run_season(demand, first, until, replanned(demand.nearest_days, Shaving()), battery=battery)
    return run, possible(demand, first, until, battery=battery)


def _calls(history: History, columns: Columns, first: date, until: date) -> tuple[Called | None, dict[date, float]]:
    is_season = (until - first).days > CallSeason.top
    if columns.load is None or columns.temperature is None or not is_season:
        return None, {}
    named = {"load_mw": history.columns[columns.load], "temperature_c": history.columns[columns.temperature]}
    region = replace(history, columns=named)
    learned = learn(region, region.local.day_of(region.start), first, with_weather=False)
    peaks_mw = day_peaks(region, first, until)
    return play(learned.climate, CallSeason(first, until), peaks_mw, forecast_of(region, learned)), peaks_mw


def band_of(forecasts: PriceForecasts, history: History, day: date) -> Quantiles:
    """Return the quantiles of the price in each hour of a local day."""
    by_wall = forecasts.bands[(day - forecasts.days[0]).days]
    return Quantiles(by_wall.levels, by_wall.values[list(history.local.wall_hours(day))])
