"""The load of one site, interval by interval, as far as history reaches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np

from steward.cases.grid.data.day_kinds import is_free
from steward.cases.grid.data.history import Floats, History, mean
from steward.cases.grid.data.local_days import DAY, HOUR, LocalDays
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.peak.nearest_days import PAST, nearest_days
from steward.errors import ContractError

_ALIKE = 5


@dataclass(frozen=True)
class Demand:
    """A site's mean load in each interval, in whole kilowatts as a meter gives it.

    Attributes:
        local: The zone of its days and months.
        start: The start of the first interval.
        step: The length of an interval.
        load_mw: Gaps are bridged in a straight line.

    Example:
        >>> from steward.cases.grid.data.generator import synthetic_region
        >>> region = halved(synthetic_region("Australia/Melbourne", date(2014, 1, 1), 40))
        >>> demand = Demand.of(region, "load_mw", peak_mw=500.0, first=date(2014, 2, 5), until=date(2014, 2, 10))
        >>> float(demand.during(date(2014, 2, 5), date(2014, 2, 10)).max())
        500.0
        >>> demand.nearest_days(demand.local.start(date(2014, 2, 9))).values.shape
        (48, 19)
    """

    local: LocalDays
    start: datetime
    step: timedelta
    load_mw: Floats

    @classmethod
    def of(cls, history: History, column: str, *, peak_mw: float, first: date, until: date) -> Demand:
        """Return the load of a site that has a region's shape, with a given peak between two local days.

        Raises:
            ContractError: The history does not cover those days.
        """
        local = history.local
        if not history.start <= local.start(first) < local.start(until) <= history.end:
            raise ContractError(f"the history does not cover {first} to {until}", field="data")
        whole = replace(history, columns={column: history.filled(column)})
        top = float(whole.between(column, local.start(first), local.start(until)).max())
        scaled = (whole.columns[column] * (peak_mw / top)).round(3)
        return cls(local, history.start, history.step, np.asarray(scaled))

    def between(self, start: datetime, end: datetime) -> Floats:
        """Return the load from ``start`` to before ``end``; NaN where it does not reach."""
        return History(self.local, self.start, self.step, {"load_mw": self.load_mw}).between("load_mw", start, end)

    def during(self, first: date, until: date) -> Floats:
        """Return the load of the local days from ``first`` to before ``until``."""
        return self.between(self.local.start(first), self.local.start(until))

    def lately(self, day: date) -> Floats:
        """Return a day-ahead point forecast: the mean of the last five days as free as ``day``."""
        free = is_free(self.local.country, day)
        before = (day - n * DAY for n in range(2, 30))
        alike = [other for other in before if is_free(self.local.country, other) == free][:_ALIKE]
        intervals = (self.local.start(day + DAY) - self.local.start(day)) // self.step
        starts = [self.local.start(other) for other in alike]
        return mean(np.array([self.between(start, start + intervals * self.step) for start in starts]), axis=0)

    def nearest_days(self, at: datetime) -> Quantiles:
        """Return the quantiles of the rest of the local day, from what was metered before ``at``."""
        return nearest_days(self.between(at - PAST, at), at, self.local, step=self.step)


def halved(history: History) -> History:
    """Return an hourly history in half-hours that keep each hour's mean and go on towards its neighbours.

    Example:
        >>> start = datetime.fromisoformat("2014-01-01T00:00:00Z")
        >>> hourly = History(LocalDays("UTC"), start, HOUR, {"load_mw": np.array([10.0, 20.0, 30.0])})
        >>> halved(hourly).columns["load_mw"].tolist()
        [10.0, 10.0, 17.5, 22.5, 30.0, 30.0]
    """
    return replace(history, step=HOUR / 2, columns={name: _halved(column) for name, column in history.columns.items()})


def _halved(hourly: Floats) -> Floats:
    slope = np.zeros_like(hourly)
    slope[1:-1] = (hourly[2:] - hourly[:-2]) / 8
    return np.stack((hourly - slope, hourly + slope), axis=1).ravel().round(3)
