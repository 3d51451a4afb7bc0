"""A day's prices by regression: 24 equations over everything published about the days before, cheap to fit anew.

Each hour's price is a linear function of all hours' prices one, two, three and seven days before, of the columns
published a day ahead for the day itself, the day before and the week before, and of the kind of day (the inputs of
LEAR: Lago, Marcjasz, De Schutter, Weron, Applied Energy 293 (2021) 116983). Prices go through asinh, which tames
spikes and can take negative ones.

LEAR leaves most inputs out (lasso). Here all stay and are shrunk (ridge), the more the further their hour lies from the
hour that is forecast: 18 o'clock says more of 19 o'clock than 3 o'clock does. One matrix then serves all 24 hours and
a fit takes a fraction of a second, so that the model is fitted anew each week, over windows of one, two and three
years, whose answers are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np

from steward.cases.grid.data import day_kinds
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.forecasting.forecast import KnownThen, Rows, by_wall
from steward.cases.grid.forecasting.training import Columns
from steward.errors import ContractError

WINDOWS_DAYS: Final = (364, 728, 1092)
"""How far back each of the averaged fits looks; a shorter history is used whole."""
SHRINKAGE: Final = 0.02
"""The ridge penalty of an input of the very hour; it and the next were chosen on the years before the test years."""
SHRINKAGE_AN_HOUR: Final = 3.0
"""How much it grows with each hour of distance, as a multiple; beyond six hours it stays."""
_FARTHEST_HOURS: Final = 6
_PRICE_LAGS: Final = (1, 2, 3, 7)
_AHEAD_LAGS: Final = (0, 1, 7)
_KINDS: Final = 8
_MOST: Final = 6.0
"""No answer leaves sinh of this, times the usual deviation: a broken input cannot promise a fortune."""
_FEWEST_DAYS: Final = 60


@dataclass(frozen=True, eq=False)
class PriceDays:
    """A history by local day and wall hour, as the regression needs it.

    Attributes:
        days: Consecutive local days.
        inputs: Of each day, what was known at noon of the day before; NaN where it was not.
        prices: Of each day by wall hour (EUR/MWh): what was not known then.
    """

    days: tuple[date, ...]
    inputs: Floats
    prices: Floats

    @classmethod
    def of(cls, history: History, columns: Columns) -> PriceDays:
        """Lay out all whole days of an hourly history; the first week only serves as the past of the others."""
        local, end = history.local, history.end
        days = history.days(local.day_of(history.start), local.day_of(end) + timedelta(days=1))
        prices = by_wall(local, history.columns[columns.price], end, days)
        ahead = [by_wall(local, history.columns[name], end, days) for name in columns.ahead]
        kinds = np.array([_kind(local.country, day) for day in days])
        lagged = [_before(prices, lag) for lag in _PRICE_LAGS]
        lagged += [_before(column, lag) for column in ahead for lag in _AHEAD_LAGS]
        return cls(tuple(days), np.concatenate((*lagged, kinds), axis=1), prices)

    def row(self, day: date) -> int:
        """Return the row of a day; it may lie outside."""
        return (day - self.days[0]).days


def day_inputs(known: KnownThen) -> Floats:
    """Return the inputs of one day from what was known then: the same numbers as :class:`PriceDays` holds."""
    end = known.local.start(known.day + timedelta(days=1))
    prices = known.prices([known.day - timedelta(days=lag) for lag in _PRICE_LAGS])
    before = [known.day - timedelta(days=lag) for lag in _AHEAD_LAGS]
    ahead = [by_wall(known.local, series, end, before).ravel() for series in known.ahead.values()]
    return np.concatenate((prices.ravel(), *ahead, _kind(known.country, known.day)))


def regression_rows(known: KnownThen) -> Rows:
    """Return the inputs as a registered model takes them: the wall hour, then the whole day, the same in each hour."""
    inputs = day_inputs(known)
    named = {f"day_{number}": np.full(24, value) for number, value in enumerate(inputs)}
    return {"wall_hour": np.arange(24.0), **named}


def fit(days: PriceDays, until: date) -> dict[str, Floats]:
    """Fit on the days before ``until``, and return the tensors that :func:`answer` needs.

    Raises:
        ContractError: There are less than 60 whole days to learn from.
    """
    last, first = days.row(until), max(_PRICE_LAGS)
    if last - first < _FEWEST_DAYS:
        raise ContractError(
            f"{max(last - first, 0)} days before {until} are too few to learn from",
            fix=f"start the history at least {_FEWEST_DAYS + first} days earlier",
            field="until",
        )
    fits = [_fit(days.inputs[a:last], days.prices[a:last]) for a in (max(first, last - w) for w in WINDOWS_DAYS)]
    return {name: np.stack([each[name] for each in fits]) for name in fits[0]}


def answer(tensors: Mapping[str, Any], rows: Any) -> Any:
    """Return the price (EUR/MWh) for rows of a wall hour and a day's inputs; each by itself."""
    given = np.asarray(rows, dtype=np.float64)
    hours = np.clip(np.nan_to_num(given[:, 0]), 0, 23).astype(int)
    prices = [
        (_whole_day(tensors, fit, row[None, 1:])[0, hour] for fit in range(len(tensors["centre"])))
        for hour, row in zip(hours, given, strict=True)
    ]
    return np.array([sum(each) / len(tensors["centre"]) for each in prices])


def day_prices(tensors: Mapping[str, Floats], inputs: Floats) -> Floats:
    """Return the prices (EUR/MWh) of days by wall hour, from their inputs."""
    fits = [_whole_day(tensors, fit, inputs) for fit in range(len(tensors["centre"]))]
    return np.asarray(sum(fits) / len(fits))


def _fit(inputs: Floats, prices: Floats) -> dict[str, Floats]:
    there = np.isfinite(prices).all(axis=1)
    inputs, prices = inputs[there], prices[there]
    centre = np.median(prices)
    spread = max(1.4826 * float(np.median(np.abs(prices - centre))), 0.01)
    x, y = _tamed(inputs, centre, spread), np.arcsinh((prices - centre) / spread)
    count = np.maximum(np.isfinite(x).sum(axis=0), 1)
    mean = np.nansum(x, axis=0) / count
    scale = np.sqrt(np.nansum((x - mean) ** 2, axis=0) / count)
    scale = np.where(scale > 1e-3, scale, 1.0)
    x, level = np.nan_to_num((x - mean) / scale), y.mean(axis=0)
    gram, toward = x.T @ x, x.T @ (y - level)
    penalties = SHRINKAGE * len(x) * (1.0 + SHRINKAGE_AN_HOUR * _distance(x.shape[1]))
    weights = np.empty_like(toward)
    for hour in range(24):
        weights[:, hour] = np.linalg.solve(gram + np.diag(penalties[:, hour]), toward[:, hour])
    return {
        "centre": np.array(centre),
        "spread": np.array(spread),
        "mean": mean,
        "scale": scale,
        "weights": weights,
        "level": level,
    }


def _whole_day(tensors: Mapping[str, Floats], fit: int, inputs: Floats) -> Floats:
    centre, spread = float(tensors["centre"][fit]), float(tensors["spread"][fit])
    x = np.nan_to_num((_tamed(inputs, centre, spread) - tensors["mean"][fit]) / tensors["scale"][fit])
    y = x @ tensors["weights"][fit] + tensors["level"][fit]
    return np.asarray(centre + spread * np.sinh(np.clip(y, -_MOST, _MOST)))


def _tamed(inputs: Floats, centre: float, spread: float) -> Floats:
    tamed, prices = inputs.copy(), 24 * len(_PRICE_LAGS)
    tamed[:, :prices] = np.arcsinh((inputs[:, :prices] - centre) / spread)
    return tamed


def _distance(inputs: int) -> Floats:
    """Return how many hours each input lies from each hour; the kind of day is as near to all."""
    hours = np.tile(np.arange(24), (inputs - _KINDS) // 24)
    apart = np.minimum(np.abs(hours[:, None] - np.arange(24)), _FARTHEST_HOURS)
    return np.concatenate((apart, np.zeros((_KINDS, 24))))


def _before(values: Floats, days: int) -> Floats:
    return np.concatenate((np.full((days, values.shape[1]), np.nan), values[: len(values) - days]))


def _kind(country: str | None, day: date) -> Floats:
    flags = np.zeros(_KINDS)
    flags[day.weekday()] = 1.0
    flags[7] = float(day_kinds.kind(country, day) == 7)
    return flags
