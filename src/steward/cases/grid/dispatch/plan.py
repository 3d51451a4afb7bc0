"""The plan: a linear program over hourly prices, solved by HiGHS."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steward.cases.grid.battery import Battery
from steward.errors import EngineError

Floats = NDArray[np.float64]


class DispatchProgram:
    """Earns the most over some local days; built once, solved for many prices and starts.

    Minimise ``sum((price + toll) * charge - (price - toll) * discharge)`` with
    ``store[t] = store[t-1] + e * charge - discharge / e``, where ``e`` is the one-way efficiency and the toll is wear
    and hurdle, the store within its size, and for each day ``sum(discharge / e)`` within the daily withdrawal. The
    final state is free.

    Args:
        battery: Its limits.
        day_hours: How many hours of each day it covers; the withdrawal limit holds for each.

    Example:
        >>> program = DispatchProgram(Battery(), day_hours=(4,))
        >>> program.solve([10.0, 20.0, 90.0, 50.0], soc_mwh=0.0).round(2).tolist()
        [-10.0, -10.0, 10.0, 8.0]
    """

    def __init__(self, battery: Battery, day_hours: tuple[int, ...]) -> None:
        self.battery, self.day_hours = battery, day_hours
        self.hours = sum(day_hours)
        self._columns = np.arange(2 * self.hours, dtype=np.int32)
        self._toll_eur_mwh = battery.wear_eur_mwh + battery.hurdle_eur_mwh
        self._highs = _build(battery, day_hours)

    def solve(
        self,
        prices_eur_mwh: Sequence[float] | Floats,
        *,
        soc_mwh: float,
        withdrawn_mwh: float = 0.0,
    ) -> Floats:
        """Return the power of each hour (MW, positive feeds the grid).

        Where a price is negative the program may burn energy by charging and discharging at once; the power is the
        difference, and :meth:`Battery.follow_day` says what of it can be held.

        Args:
            prices_eur_mwh: One finite price for each hour.
            soc_mwh: What the store holds at the start.
            withdrawn_mwh: What was taken from it on the first day before the program's first hour.

        Raises:
            EngineError: There is no optimum, for example as a price is not finite.
        """
        prices = np.asarray(prices_eur_mwh, dtype=np.float64)
        if prices.shape != (self.hours,) or not np.isfinite(prices).all():
            raise EngineError(f"a plan over {self.hours} hours needs as many finite prices", code="plan")
        toll = self._toll_eur_mwh
        costs = np.concatenate((prices + toll, toll - prices))
        may_take = max(self.battery.daily_withdrawal_mwh - withdrawn_mwh, 0.0)
        # Several plans may be equally good. From a fresh start the same one is found again, whatever was solved before.
        self._highs.clearSolver()
        self._highs.changeColsCost(costs.size, self._columns, costs)
        self._highs.changeRowBounds(0, soc_mwh, soc_mwh)
        self._highs.changeRowBounds(self.hours, -self._highs.getInfinity(), may_take)
        self._highs.run()
        status = self._highs.modelStatusToString(self._highs.getModelStatus())
        if status != "Optimal":
            raise EngineError(f"the battery's plan has no optimum: {status}", code="plan")
        values = np.asarray(self._highs.getSolution().col_value)
        charge, discharge = values[: self.hours], values[self.hours : 2 * self.hours]
        return np.asarray(discharge - charge, dtype=np.float64)


@lru_cache(maxsize=64)
def program_for(battery: Battery, day_hours: tuple[int, ...]) -> DispatchProgram:
    """Return the program for these days, built at the first call (one thread at a time)."""
    return DispatchProgram(battery, day_hours)


@contextmanager
def _no_banner() -> Iterator[None]:
    """Keep standard output clean: HiGHS prints its banner when it is made, before any option can forbid it."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _build(battery: Battery, day_hours: tuple[int, ...]) -> Any:
    import highspy  # noqa: PLC0415 - an extra, loaded when a plan is made

    n, e = sum(day_hours), battery.one_way
    day_of = np.repeat(np.arange(len(day_hours)), day_hours)
    hour = np.arange(n)
    later = hour[1:]
    # Columns: charge, discharge, store at the end of each hour. Rows: the balance of each hour, then the days' limits.
    row = np.concatenate((hour, hour, hour, later, n + day_of))
    column = np.concatenate((hour, n + hour, 2 * n + hour, 2 * n + later - 1, n + hour))
    value = np.concatenate((np.full(n, -e), np.full(n, 1 / e), np.ones(n), -np.ones(n - 1), np.full(n, 1 / e)))
    order = np.lexsort((row, column))
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = 3 * n, n + len(day_hours)
    program.col_cost_ = np.zeros(3 * n)
    program.col_lower_ = np.zeros(3 * n)
    program.col_upper_ = np.concatenate((np.full(2 * n, battery.power_mw), np.full(n, battery.energy_mwh)))
    program.row_lower_ = np.concatenate((np.zeros(n), np.full(len(day_hours), -highspy.kHighsInf)))
    program.row_upper_ = np.concatenate((np.zeros(n), np.full(len(day_hours), battery.daily_withdrawal_mwh)))
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = np.searchsorted(column[order], np.arange(3 * n + 1)).astype(np.int32)
    program.a_matrix_.index_ = row[order].astype(np.int32)
    program.a_matrix_.value_ = value[order]
    with _no_banner():
        highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]  # the package has no types for it
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.passModel(program)
    return highs
