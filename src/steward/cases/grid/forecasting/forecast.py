"""What is known when the plan of a day is fixed, and the models' inputs made from it.

Training and deciding build their inputs with the same functions from the same kind of series, so that a model never
sees in service what it has not seen in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property

import numpy as np

from steward.cases.grid.data import day_kinds
from steward.cases.grid.data.history import Floats, History, mean
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.decision.model import Predictor

PAST_DAYS = 15
"""How much history of load and price the inputs use."""
AHEAD_DAYS = 9
"""How much of a day-ahead column: the day itself and the week before, with room for a clock change."""
Rows = dict[str, Floats]
"""One value for each wall hour 0..23, by the name of the input."""
_WALL = np.arange(24.0)


@dataclass(frozen=True)
class KnownThen:
    """Hourly series as they were known at noon of the day before ``day``; a missing value is NaN.

    Attributes:
        local: The zone whose days count.
        day: The local day to plan.
        price: Prices (EUR/MWh) up to the start of the day: they are published a day ahead.
        load: Load (MW) up to the noon of the day before.
        temperature: Temperature (degrees Celsius) up to the noon of the day before.
        ahead: Columns published before that noon, up to the end of the day, by name.

    Example:
        >>> known = KnownThen(LocalDays("Europe/Madrid"), date(2018, 3, 26), price=np.arange(360.0))
        >>> known.prices([date(2018, 3, 25)])[0, :4].tolist()  # the clock had no 2 o'clock
        [337.0, 338.0, 339.0, 339.0]
    """

    local: LocalDays
    day: date
    price: Floats
    load: Floats | None = None
    temperature: Floats | None = None
    ahead: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(
        cls, history: History, day: date, *, price: str, load: str | None, temperature: str | None, ahead: Sequence[str]
    ) -> KnownThen:
        """Cut out of an hourly history what was known; the columns are named."""
        local, past = history.local, timedelta(days=PAST_DAYS)
        start, noon, end = local.start(day), local.plan_at(day), local.start(day + timedelta(days=1))
        return cls(
            local,
            day,
            price=history.between(price, start - past, start),
            load=history.between(load, noon - past, noon) if load else None,
            temperature=history.between(temperature, noon - past, noon) if temperature else None,
            ahead={name: history.between(name, end - timedelta(days=AHEAD_DAYS), end) for name in ahead},
        )

    @cached_property
    def country(self) -> str | None:
        """Whose holidays count."""
        return self.local.country

    def prices(self, days: Sequence[date]) -> Floats:
        """Return prices by day and wall hour."""
        return by_wall(self.local, self.price, self.local.start(self.day), days)

    def loads(self, days: Sequence[date]) -> Floats:
        """Return loads by day and wall hour."""
        return by_wall(self.local, _or_empty(self.load), self.local.plan_at(self.day), days)

    def on_the_clock(self, by_wall_hour: Floats) -> Floats:
        """Return one value for each of the day's 23, 24 or 25 hours from one for each wall hour."""
        return by_wall_hour[list(self.local.wall_hours(self.day))]


def by_wall(local: LocalDays, hourly: Floats, end: datetime, days: Sequence[date]) -> Floats:
    """Return an hourly series that ends at ``end`` by day and wall hour; NaN where it does not reach."""
    found = np.full((len(days), 24), np.nan)
    for row, day in enumerate(days):
        places = hourly.size - (end - local.start(day)) // HOUR + np.array(local.hours_at_wall(day))
        inside = (places >= 0) & (places < hourly.size)
        found[row, inside] = hourly[places[inside]]
    return found


def load_level(known: KnownThen) -> float:
    """Return the mean load (MW) of the last seven whole days before the plan; NaN if there is none."""
    return float(mean(known.loads(day_kinds.days_before(known.day, 2, 8))))


def load_rows(known: KnownThen) -> Rows:
    """Return the inputs of the load model; loads are relative to :func:`load_level`."""
    day, level = known.day, load_level(known)
    past = known.loads(day_kinds.days_before(day, 1, 14)) / level
    lag = {n: past[n - 1] for n in range(1, 15)}
    morning, week_ago = lag[1][:12], lag[8][:12]
    candidates = day_kinds.days_before(day, 2, 14)
    alike = known.loads(day_kinds.days_alike(known.country, day, candidates)) / level
    free = day_kinds.is_free(known.country, day)
    as_free = [d for d in candidates if day_kinds.is_free(known.country, d) == free]
    rows = {f"load_{n}d": lag[n] for n in (2, 3, 7, 8, 9, 14)}
    rows |= {
        "load_latest": np.concatenate((morning, lag[2][12:])),
        "load_alike": alike[0],
        "load_as_free": mean(known.loads(as_free) / level, axis=0),
        "load_mean": mean(past[1:], axis=0),
        **_flat(
            morning_load=float(mean(morning)),
            noon_load=morning[-1],
            morning_slope=_ratio(mean(morning[6:]), mean(morning[:6])),
            week_growth=_ratio(mean(morning), mean(week_ago)),
            night_growth=_ratio(mean(morning[:6]), mean(week_ago[:6])),
            noon_growth=_ratio(morning[-1], week_ago[-1]),
            growth_2d=_ratio(mean(lag[2]), mean(lag[9])),
            growth_3d=_ratio(mean(lag[3]), mean(lag[10])),
        ),
    }
    rows["load_7d_grown"] = lag[7] * rows["week_growth"]
    return rows | _calendar(known) | _temperatures(known)


def price_level(known: KnownThen) -> Floats:
    """Return the mean price (EUR/MWh) of each wall hour over the last seven days; the price model adds to it."""
    week = known.prices(day_kinds.days_before(known.day, 1, 7))
    overall = float(mean(week))
    return np.where(np.isfinite(hourly := mean(week, axis=0)), hourly, 0.0 if np.isnan(overall) else overall)


def price_rows(known: KnownThen) -> Rows:
    """Return the inputs of the price model, in EUR/MWh, and the published columns in their own units."""
    day = known.day
    past = known.prices(day_kinds.days_before(day, 1, 14))
    week, latest, level = past[:7], past[0], mean(past[:7])
    free = day_kinds.is_free(known.country, day)
    same = [
        n
        for n, other in enumerate(day_kinds.days_before(day, 1, 14))
        if day_kinds.is_free(known.country, other) == free
    ]
    alike = past[same] if same else past
    rows = {f"price_{n}d": past[n - 1] for n in (1, 2, 3, 7, 14)}
    rows |= {
        "price_mean": mean(week, axis=0),
        "price_low": week.min(axis=0),
        "price_high": week.max(axis=0),
        "price_alike": alike[0],
        "price_alike_3": mean(alike[:3], axis=0),
        "price_alike_all": mean(alike, axis=0),
        "shape_alike": mean(alike, axis=0) - mean(alike),
        "shape_1d": latest - mean(latest),
        "shape_7d": past[6] - mean(past[6]),
        **_flat(
            level=float(level),
            level_1d=float(mean(latest)),
            level_14d=float(mean(past)),
            low_1d=latest.min(),
            high_1d=latest.max(),
            last_hour=latest[-1],
            last_evening=float(mean(latest[18:])),
        ),
    }
    for name, series in known.ahead.items():
        rows |= _ahead(known, name, series)
    if len(known.ahead) > 1:
        rows |= _residual(known)
    return rows | _calendar(known)


def loads(known: KnownThen, model: Predictor) -> Floats:
    """Return the forecast load (MW) of each of the day's hours."""
    relative = model.predict(matrix(load_rows(known), model.inputs))
    return known.on_the_clock(np.exp(relative) * load_level(known))


def prices(known: KnownThen, model: Predictor) -> Floats:
    """Return the forecast price (EUR/MWh) of each of the day's hours."""
    above = model.predict(matrix(price_rows(known), model.inputs))
    return known.on_the_clock(above + price_level(known))


def matrix(rows: Rows, names: Sequence[str]) -> Floats:
    """Return a model's rows, one for each wall hour, with its inputs in their order."""
    return np.column_stack([rows[name] for name in names])


def _ahead(known: KnownThen, name: str, series: Floats) -> Rows:
    end = known.local.start(known.day + timedelta(days=1))
    days = by_wall(known.local, series, end, day_kinds.days_before(known.day, 0, 7))
    own, week = days[0], days[1:]
    level = float(mean(own))
    return {
        f"{name}": own,
        f"{name}_shape": own - level,
        f"{name}_vs_1d": own - week[0],
        f"{name}_vs_week": own - mean(week, axis=0),
        f"{name}_7d": week[6],
        **_flat(
            **{
                f"{name}_level": level,
                f"{name}_low": own.min(),
                f"{name}_high": own.max(),
                f"{name}_level_vs_1d": level - float(mean(week[0])),
                f"{name}_level_vs_week": level - float(mean(week)),
            }
        ),
    }


def _residual(known: KnownThen) -> Rows:
    """Demand that fuels must meet: what is called load, less everything else; a guess by name that trees may ignore."""
    signs = {name: 1.0 if "load" in name or "demand" in name else -1.0 for name in known.ahead}
    total = np.sum([signs[name] * series for name, series in known.ahead.items()], axis=0)
    return _ahead(known, "residual", total)


def _calendar(known: KnownThen) -> Rows:
    day, country = known.day, known.country
    near = {n: day + timedelta(days=n) for n in (-7, -2, -1, 1)}
    return {
        "wall_hour": _WALL,
        **_flat(
            weekday=day.weekday(),
            day_of_year=day.timetuple().tm_yday,
            day_kind=day_kinds.kind(country, day),
            free_before=day_kinds.is_free(country, near[-1]),
            free_after=day_kinds.is_free(country, near[1]),
            holiday=day in day_kinds.holidays_of(country),
            holiday_1d=near[-1] in day_kinds.holidays_of(country),
            holiday_2d=near[-2] in day_kinds.holidays_of(country),
            holiday_7d=near[-7] in day_kinds.holidays_of(country),
            holiday_next=near[1] in day_kinds.holidays_of(country),
        ),
    }


def _temperatures(known: KnownThen) -> Rows:
    if known.temperature is None:
        return {}
    past = by_wall(
        known.local, known.temperature, known.local.plan_at(known.day), day_kinds.days_before(known.day, 1, 7)
    )
    latest = np.concatenate((past[0][:12], past[1][12:]))
    return {
        "temperature_latest": latest,
        "temperature_7d": past[6],
        **_flat(
            temperature_day=float(mean(latest)),
            temperature_week=float(mean(past)),
            temperature_low=latest.min(),
            temperature_high=latest.max(),
            temperature_change=float(mean(past[0][:12])) - float(mean(past[1][:12])),
        ),
    }


def _flat(**values: float) -> Rows:
    return {name: np.full(24, float(value)) for name, value in values.items()}


def _ratio(a: Floats | float, b: Floats | float) -> float:
    return float(a) / float(b) if float(b) > 0 else float("nan")


def _or_empty(series: Floats | None) -> Floats:
    return np.empty(0) if series is None else series
