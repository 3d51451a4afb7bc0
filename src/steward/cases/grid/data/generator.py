"""A synthetic region: made up by formulas and seeded chance, with the shape of a real one. No figure of it is real."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np

from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.forecasting.training import Columns

COLUMNS = Columns(
    price="price_eur_mwh",
    load="load_mw",
    temperature="temperature_c",
    ahead=("wind_forecast_mw", "solar_forecast_mw"),
)
"""What the columns of a synthetic region mean."""
_DAY_SHAPE = np.array(
    [0.80, 0.76, 0.74, 0.73, 0.74, 0.78, 0.88, 0.99, 1.05, 1.08, 1.10, 1.10,
     1.09, 1.08, 1.04, 1.02, 1.03, 1.07, 1.13, 1.18, 1.19, 1.13, 1.01, 0.89]
)  # fmt: skip


def synthetic_region(zone: str, first: date, days: int, *, seed: int = 7) -> History:
    """Return hourly load, price, temperature and day-ahead forecasts of wind and sun of a region that does not exist.

    Load follows the hour, the weekday, heating and cooling; sun and wind follow season and weather; the price rises
    with the demand that they leave to fuels, ever more steeply, with rare hours of scarcity; it falls below zero when
    there is too much wind on a holiday morning.

    Args:
        zone: Whose clock people live by.
        first: The first local day.
        days: How many.
        seed: The same seed makes the same region.

    Example:
        >>> region = synthetic_region("Europe/Madrid", date(2018, 1, 1), 7)
        >>> region.rows, bool(region.columns["load_mw"].min() > 10_000)
        (168, True)
    """
    local = LocalDays(zone)
    start = local.start(first)
    hours = (local.start(first + timedelta(days=days)) - start) // HOUR
    moments = [(start + n * HOUR).astimezone(local.tz) for n in range(hours)]
    wall = np.array([moment.hour for moment in moments])
    season = 2 * np.pi * (np.array([moment.timetuple().tm_yday for moment in moments]) - 20) / 365.25
    chance = np.random.default_rng(seed)

    weather = _wandering(chance, hours, memory=0.985)
    temperature = 14 - 9 * np.cos(season) + 4 * np.sin((wall - 9) * np.pi / 12) + 3 * weather
    sun = np.maximum(np.sin((wall - 6) * np.pi / 12), 0) * (0.65 - 0.25 * np.cos(season)) * 15_000
    sun *= np.clip(0.8 + 0.15 * weather, 0.2, 1.0)
    wind = 22_000 / (1 + np.exp(1.2 - 0.4 * np.cos(season) - 1.1 * _wandering(chance, hours, memory=0.97)))
    load = _load(moments, temperature, chance)
    price = _price(load - wind - sun, wall, chance)
    columns = {
        "load_mw": load,
        "price_eur_mwh": price,
        "temperature_c": temperature.round(1),
        "wind_forecast_mw": (wind * (1 + 0.08 * _wandering(chance, hours, memory=0.9))).clip(0).round(),
        "solar_forecast_mw": (sun * (1 + 0.06 * _wandering(chance, hours, memory=0.9))).clip(0).round(),
    }
    return History(local, start, HOUR, columns)


def _load(moments: list[datetime], temperature: Floats, chance: np.random.Generator) -> Floats:
    wall = np.array([moment.hour for moment in moments])
    weekday = np.array([moment.weekday() for moment in moments])
    shape = _DAY_SHAPE[wall] * np.array([1.0, 1.02, 1.02, 1.02, 1.0, 0.90, 0.82])[weekday]
    felt = 0.011 * np.maximum(15 - temperature, 0) + 0.014 * np.maximum(temperature - 23, 0)
    noise = 0.015 * _wandering(chance, len(moments), memory=0.95)
    return np.asarray((27_000 * shape * (1 + felt + noise)).round(1))


def _price(residual_mw: Floats, wall: Floats, chance: np.random.Generator) -> Floats:
    """Return the price of what is left to fuels: nearly straight in the middle, steep at both ends."""
    tight = (residual_mw - 17_000) / 10_000
    level = 50 + 16 * tight + 9 * tight**3 + 4 * _wandering(chance, len(residual_mw), memory=0.99)
    days = len(residual_mw) // 24 + 1
    scarce = np.repeat(chance.random(days) < 0.03, 24)[: len(residual_mw)] & np.isin(wall, (19, 20, 21))
    return np.asarray((level + scarce * chance.gamma(4.0, 15.0, len(residual_mw))).clip(-60, 900).round(2))


def _wandering(chance: np.random.Generator, hours: int, *, memory: float) -> Floats:
    """Return a random walk that is pulled back to zero, of about unit spread."""
    steps = chance.normal(scale=np.sqrt(1 - memory**2), size=hours)
    value, values = 0.0, np.empty(hours)
    for n, step in enumerate(steps.tolist()):
        value = memory * value + step
        values[n] = value
    return values
