"""Load of the rest of a day, from what has been metered of it: how a forecast's error goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steward.cases.grid.data.half_hours import wall_slots
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import DAY
from steward.cases.grid.forecasting.intervals import Spread
from steward.cases.grid.forecasting.load import YEAR_DAYS, LoadForecasts, forecast_loads
from steward.cases.grid.forecasting.load_inputs import LoadTask
from steward.cases.grid.forecasting.load_model import SlotRidge
from steward.cases.grid.forecasting.quantiles import DEFAULT_LEVELS, Quantiles
from steward.errors import ContractError

_RIDGE: Final = 1.0
_LATELY_HOURS: Final = 2


def load_quantiles(history: History, plan_at: datetime, day: date, task: LoadTask) -> Quantiles:
    """Return the load (MW) of each interval of a local day, from what was known at ``plan_at``.

    Columns that are published ahead may reach beyond ``plan_at``; metered ones are not looked at beyond it.

    Args:
        history: At least three months; the longer, the better, up to three years.
        plan_at: Noon of the day before, or later, up to the end of the day: then for what is left of it.
        day: The local day.
        task: What is forecast, and from what.

    Raises:
        ContractError: Too little is known.
    """
    known = known_at(history, plan_at, task)
    forecasts = forecast_loads(known, task, day, day + DAY)
    return (
        IntradayLoad(forecasts).rest_of_day(plan_at) if plan_at > known.local.start(day) else forecasts.quantiles(day)
    )


def known_at(history: History, at: datetime, task: LoadTask) -> History:
    """Return a history without what was metered from ``at`` on; what a task reads ahead of time is left."""
    columns = {name: history.columns[name] for name in task.columns}
    now = history.index(at)
    return replace(history, columns={n: v if n in task.ahead else _until(v, now) for n, v in columns.items()})


def _until(values: Floats, row: int) -> Floats:
    return np.concatenate((values[: max(row, 0)], np.full(max(values.size - max(row, 0), 0), np.nan)))


class IntradayLoad:
    """Corrects the forecasts of a day by how far off they have been so far; learns anew each week how errors go on.

    Args:
        forecasts: Those of the day and of at least two months before it; their rows hold what has been metered.

    Example:
        >>> from steward.cases.grid.data.generator import synthetic_region
        >>> region = synthetic_region("Europe/Madrid", date(2023, 10, 1), 200)
        >>> made = forecast_loads(region, LoadTask(), date(2024, 4, 1), date(2024, 4, 15))
        >>> intraday, noon = IntradayLoad(made), region.local.plan_at(date(2024, 4, 9))
        >>> rest = intraday.rest_of_day(noon)
        >>> len(rest), bool(rest.interval()[1][0] - rest.interval()[0][0] < 1_500)
        (12, True)
    """

    def __init__(self, forecasts: LoadForecasts) -> None:
        self._made = forecasts
        self._errors = forecasts.errors()
        self._width = np.log(np.maximum(forecasts.bands[..., -1] - forecasts.bands[..., 0], 1e-9))
        self._learnt: dict[tuple[int, int], tuple[SlotRidge, Spread]] = {}

    def rest_of_day(self, at: datetime) -> Quantiles:
        """Return the load (MW) of each interval from ``at`` until the local day is over.

        Args:
            at: The start of the first interval whose load is not known.

        Raises:
            ContractError: The day was not forecast, or too few days before it were.
        """
        made, day = self._made, self._made.local.day_of(at)
        left = wall_slots(made.local, day, made.step)[(at - made.local.start(day)) // made.step :]
        row, slot = made.row(day), int(left.min())
        monday = row - made.rows.days[row].toordinal() % 7
        if (monday, slot) not in self._learnt:
            self._learnt[monday, slot] = self._learn(monday, slot)
        model, spread = self._learnt[monday, slot]
        inputs = self._inputs(np.array([row]), slot)
        band = model.predict(inputs)[0][:, None] + spread.around(self._scales(np.array([row]), slot, inputs))[0]
        logs = (made.rows.base + made.expected)[row, slot:, None] + band
        if not np.isfinite(logs).all():
            raise ContractError(f"the load of {day} was not forecast", why="its history is too short", field="day")
        return Quantiles.sorted_from(DEFAULT_LEVELS, np.exp(logs)[left - slot])

    def _learn(self, until: int, slot: int) -> tuple[SlotRidge, Spread]:
        """Learn from the year of days before ``until`` how errors go on from a slot."""
        rows = np.arange(max(until - YEAR_DAYS, 1), until)
        whole = np.isfinite(np.hstack((self._errors, self._width))).all(axis=1)
        rows = rows[whole[rows] & whole[rows - 1]]
        inputs, truth = self._inputs(rows, slot), self._errors[rows, slot:]
        model = SlotRidge.trained(inputs, truth, ridge=_RIDGE)
        return model, Spread.trained(self._scales(rows, slot, inputs), truth - model.predict(inputs))

    def _inputs(self, rows: NDArray[np.intp], slot: int) -> Floats:
        """Return the errors so far for each row and slot to come; where one is not known, none is assumed."""
        slots, errors = self._errors.shape[1], np.nan_to_num(self._errors)
        ends = rows * slots + slot
        past = errors.ravel()[ends[:, None] + np.arange(-slots, 0)]
        lately = past[:, -_LATELY_HOURS * slots // 24 :].mean(axis=1)
        flat = np.column_stack((past[:, -1], lately, past.mean(axis=1)))
        flat = np.repeat(flat[:, None], slots - slot, axis=1)
        return np.concatenate((flat, errors[rows - 1, slot:, None]), axis=-1)

    def _scales(self, rows: NDArray[np.intp], slot: int, inputs: Floats) -> Floats:
        return np.concatenate((self._width[rows, slot:, None], np.abs(inputs)), axis=-1)
