"""Load ahead of time, as quantiles, day by day as it would have been at noon of the day before.

The model is trained anew each week from all that is known, its band each day. Walking through the past in the same way
gives forecasts that had to do with what was known then: their errors say how wide the band must be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from steward.cases.grid.data.half_hours import wall_slots
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import DAY, LocalDays
from steward.cases.grid.forecasting.intervals import Spread, Stretch
from steward.cases.grid.forecasting.load_inputs import PAST_DAYS, LoadRows, LoadTask
from steward.cases.grid.forecasting.load_model import SlotRidge
from steward.cases.grid.forecasting.quantiles import DEFAULT_LEVELS, Quantiles
from steward.errors import ContractError

YEAR_DAYS: Final = 365
_KNOWN_DAYS: Final = 2
"""At noon of the day before, the day two days before is the last that is known whole."""
_FEWEST_ERRORS: Final = 40


@dataclass(frozen=True, eq=False)
class LoadForecasts:
    """Forecasts of days in a row, each made at noon of the day before from what was known then.

    Attributes:
        local: The zone whose days they are.
        rows: What they were made from.
        expected: Shape (days, slots): the logarithm of the expected load; NaN for days without a forecast.
        bands: Shape (days, slots, levels): what is to be added for each of the default levels.

    Example:
        >>> from steward.cases.grid.data.generator import synthetic_region
        >>> region = synthetic_region("Europe/Madrid", date(2023, 10, 1), 200)
        >>> forecasts = forecast_loads(region, LoadTask(), date(2024, 4, 1), date(2024, 4, 15))
        >>> tomorrow = forecasts.quantiles(date(2024, 4, 8))
        >>> len(tomorrow), round(forecasts.mape_pct(date(2024, 4, 1), date(2024, 4, 15)))
        (24, 2)
    """

    local: LocalDays
    rows: LoadRows
    expected: Floats
    bands: Floats

    def quantiles(self, day: date) -> Quantiles:
        """Return the load (MW) of each of the day's intervals.

        Raises:
            ContractError: The day was not forecast.
        """
        row = self.row(day)
        logs = (self.rows.base[row] + self.expected[row])[:, None] + self.bands[row]
        if not np.isfinite(logs).all():
            raise ContractError(
                f"the load of {day} was not forecast", why="its history is too short or has gaps", field="day"
            )
        return Quantiles.sorted_from(DEFAULT_LEVELS, np.exp(logs)[wall_slots(self.local, day, self.step)])

    @property
    def step(self) -> timedelta:
        """The length of an interval."""
        slots: int = self.expected.shape[1]
        return DAY / slots

    def row(self, day: date) -> int:
        """Return which of the rows a day is."""
        row = (day - self.rows.days[0]).days
        if not 0 <= row < len(self.rows.days):
            raise ContractError(f"{day} lies outside of the history", field="day")
        return row

    def errors(self) -> Floats:
        """Return how far (in logarithms) the loads lay above what was expected, by day and slot."""
        return np.asarray(self.rows.target - self.expected)

    def mape_pct(self, first: date, until: date) -> float:
        """Return the mean relative error of the medians from ``first`` to before ``until``, in percent."""
        span = slice(self.row(first), self.row(until - DAY) + 1)
        off = self.bands[span][..., len(DEFAULT_LEVELS) // 2] - self.errors()[span]
        return 100.0 * float(np.nanmean(np.abs(np.expm1(off))))


def forecast_loads(history: History, task: LoadTask, first: date, until: date) -> LoadForecasts:
    """Forecast each local day from ``first`` to before ``until``, and as many before as its bands are learnt from.

    Raises:
        ContractError: The history is too short.
    """
    rows = LoadRows.of(history, task)
    forecasts = LoadForecasts(
        history.local,
        rows,
        np.full(rows.base.shape, np.nan),
        np.full((*rows.base.shape, len(DEFAULT_LEVELS)), np.nan),
    )
    begin = max((forecasts.row(first) + PAST_DAYS) // 2, forecasts.row(first) - YEAR_DAYS)
    walk = _Walk(task, forecasts)
    for row in range(begin, forecasts.row(until - DAY) + 1):
        walk.forecast(row, anew=row == begin or rows.days[row].toordinal() % 7 == 0)
    return forecasts


class _Walk:
    """Goes from day to day: trains each week, learns from each day that has become known, forecasts the next."""

    def __init__(self, task: LoadTask, forecasts: LoadForecasts) -> None:
        self._task, self._made, self._rows = task, forecasts, forecasts.rows
        self._unstretched = np.full_like(forecasts.bands, np.nan)
        self._stretch = Stretch.for_slots(forecasts.expected.shape[1])
        self._model: SlotRidge | None = None
        self._spread: Spread | None = None

    def forecast(self, row: int, *, anew: bool) -> None:
        rows, made = self._rows, self._made
        known = row - _KNOWN_DAYS + 1
        if anew or self._model is None:
            self._model = SlotRidge.trained(rows.inputs[:known], rows.target[:known], ridge=self._task.ridge)
            self._spread = self._learn_spread(known) or self._spread
        self._learn_stretch(known - 1)
        made.expected[row] = self._model.predict(rows.inputs[row])
        if self._spread is not None:
            self._unstretched[row] = self._spread.around(rows.inputs[[row]])[0]
            made.bands[row] = self._stretch.over(self._unstretched[row])

    def _learn_spread(self, known: int) -> Spread | None:
        span = slice(max(known - YEAR_DAYS, 0), known)
        errors = self._made.errors()[span]
        if np.isfinite(errors).all(axis=1).sum() < _FEWEST_ERRORS:
            return None
        return Spread.trained(self._rows.inputs[span], errors)

    def _learn_stretch(self, row: int) -> None:
        errors, band = self._made.errors()[row], self._unstretched[row]
        if np.isfinite(errors).all() and np.isfinite(band).all():
            self._stretch = self._stretch.after(errors, band, self._made.bands[row])
