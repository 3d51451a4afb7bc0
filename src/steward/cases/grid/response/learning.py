"""What is learned from past years: the two models of a day's peak, and the days that years are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import DAY
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.response.day_peaks import (
    LEVEL,
    LEVELS,
    SPREAD,
    SPREAD_INPUTS,
    KnownAtNoon,
    Seen,
    inputs,
    peak_of,
)
from steward.cases.grid.response.day_peaks import outlook as outlook_of
from steward.cases.grid.response.top_days import Climate, PastDay
from steward.clock import Clock
from steward.errors import ContractError
from steward.models.engines.linear import LinearFile, LinearModel, Term
from steward.models.manifest import Trained
from steward.models.registry import FolderRegistry

_PENALTY = 3.0
_FOLDS = 8
_FOLD_DAYS = 14
_SMALLEST_ERROR = 0.002
_FEWEST_DAYS = 120


@dataclass(frozen=True)
class Outlook:
    """How tomorrow's peak is forecast: what was learned, beside the two models themselves.

    Attributes:
        with_weather: Whether a forecast of the temperature is used.
        seen: The warmest that was learned from.
        residuals: How far off the level was, in spreads, at each of the quantiles' levels.
    """

    with_weather: bool
    seen: Seen
    residuals: tuple[float, ...]

    def quantiles(self, known: KnownAtNoon, models: Mapping[str, LinearModel]) -> Quantiles:
        """Return the quantiles of the peak (MW) of the day to come."""
        return outlook_of(inputs(known, self.seen), models[LEVEL], models[SPREAD], self.residuals)


@dataclass(frozen=True)
class Learned:
    """All that is learned from past years.

    Attributes:
        outlook: How tomorrow's peak is forecast.
        files: The two models, by name.
        climate: The days that years are made of.
        since: The first day learned from.
        until: The day after the last.
        data: What it was learned from, as a digest.
    """

    outlook: Outlook
    files: Mapping[str, LinearFile]
    climate: Climate
    since: date
    until: date
    data: str

    @property
    def models(self) -> dict[str, LinearModel]:
        """The two models, ready to answer; the same arithmetic as those that the registry holds."""
        return {name: LinearModel(file, name=name) for name, file in self.files.items()}

    def register(self, history: History, registry: FolderRegistry, clock: Clock) -> None:
        """Put both models into a registry."""
        local = history.local
        for name, file in self.files.items():
            registry.register(
                name,
                kind="linear",
                files={"model.json": file.to_bytes()},
                inputs=tuple(term.input for term in file.terms),
                task="regression",
                clock=clock,
                trained=Trained(
                    since=local.start(self.since),
                    until=local.start(self.until),
                    rows=len(self.climate.days),
                    data=f"sha256:{self.data}",
                ),
            )


def learn(history: History, first: date, until: date, *, with_weather: bool) -> Learned:
    """Learn from the local days from ``first`` to before ``until``.

    How far off forecasts are, is learned on fortnights that were left out one eighth at a time.

    Args:
        history: With the columns ``load_mw`` and ``temperature_c``.
        first: The first day.
        until: The day after the last.
        with_weather: Whether a forecast of the temperature is used; measured temperature stands in for it.

    Raises:
        ContractError: There are too few days.
    """
    days, known, peaks_mw = _examples(history, first, until, with_weather=with_weather)
    seen = _warmest(known)
    rows = [inputs(one, seen) for one in known]
    x, y = np.array([list(row.values()) for row in rows]), np.log(peaks_mw)
    fold = np.arange(len(days)) // _FOLD_DAYS % _FOLDS
    off = np.empty(len(days))
    for out in range(min(_FOLDS, int(fold.max()) + 1)):
        kept = fold != out
        level = _linear(tuple(rows[0]), x[kept], y[kept])
        off[~kept] = y[~kept] - LinearModel(level, name=LEVEL).predict(x[~kept])
    s = np.array([[row[name] for name in SPREAD_INPUTS] for row in rows])
    spread = _linear(SPREAD_INPUTS, s, np.log(np.abs(off) + _SMALLEST_ERROR))
    width = LinearModel(spread, name=SPREAD).predict(s)
    residuals = np.quantile(off / np.exp(width), LEVELS)
    past = tuple(
        PastDay(day=day, peak_mw=peak, level=level, spread=wide)
        for day, peak, level, wide in zip(days, peaks_mw.tolist(), (y - off).tolist(), width.tolist(), strict=True)
    )
    return Learned(
        outlook=Outlook(with_weather, seen, tuple(residuals.tolist())),
        files={LEVEL: _linear(tuple(rows[0]), x, y), SPREAD: spread},
        climate=Climate(past, tuple(residuals.tolist())),
        since=days[0],
        until=days[-1] + DAY,
        data=hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest(),
    )


def _examples(
    history: History, first: date, until: date, *, with_weather: bool
) -> tuple[list[date], list[KnownAtNoon], Floats]:
    days, known, peaks = [], [], []
    for day in history.days(first, until):
        peak, one = peak_of(history, day), KnownAtNoon.of(history, day, with_weather=with_weather)
        if np.isfinite(peak) and np.isfinite(one.load_mw).all() and np.isfinite(one.temperature_c).all():
            days.append(day)
            known.append(one)
            peaks.append(peak)
    if len(days) < _FEWEST_DAYS:
        raise ContractError(
            f"{len(days)} days are too few to learn from", fix=f"give at least {_FEWEST_DAYS}", field="data"
        )
    return days, known, np.array(peaks)


def _warmest(known: Sequence[KnownAtNoon]) -> Seen:
    half = len(known[0].temperature_c) // 3
    noons = np.array([one.temperature_c[-1] for one in known])
    nights = np.array([one.temperature_c[-half:].min() for one in known])
    return Seen(float(np.quantile(noons, 0.99)), float(np.quantile(nights, 0.99)))


def _linear(names: Sequence[str], x: Floats, y: Floats) -> LinearFile:
    """Fit a ridge regression on standardised inputs, and return it for plain ones."""
    mean, width = x.mean(axis=0), x.std(axis=0)
    width[width == 0] = 1.0
    z = (x - mean) / width
    weights = np.linalg.solve(z.T @ z + _PENALTY * np.eye(len(names)), z.T @ (y - y.mean())) / width
    terms = tuple(
        Term(name, coefficient=float(weight), mean=float(at), missing=float(at))
        for name, weight, at in zip(names, weights, mean, strict=True)
    )
    return LinearFile(intercept=float(y.mean() - weights @ mean), terms=terms)
