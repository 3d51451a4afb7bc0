"""A stretch of months at a site, run interval by interval, and the peaks it leaves; beside it what was possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data.history import Floats
from steward.cases.grid.data.local_days import DAY, HOUR
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.peak.demand import Demand
from steward.cases.grid.peak.holding import lowest_threshold
from steward.cases.grid.peak.shaving import Shaving, Standing
from steward.cases.grid.peak.site import MeteredSite
from steward.cases.grid.streams import Setpoint

Outlook = Callable[[datetime], Quantiles]
"""The quantiles of the load from an instant until the local day is over, from what was known at that instant."""
SetPoints = Callable[[datetime, Standing], float]
"""A way to run the battery: its power (MW) in the interval that starts at an instant."""


@dataclass(frozen=True, kw_only=True)
class MonthPeak:
    """The highest interval of a month.

    Attributes:
        month: Its first day.
        load_mw: Without a battery.
        net_mw: With it.

    Example:
        >>> MonthPeak(month=date(2014, 1, 1), load_mw=500.0, net_mw=490.5).cut_mw
        9.5
    """

    month: date
    load_mw: float
    net_mw: float

    @property
    def cut_mw(self) -> float:
        """What the battery took off; below zero if it made the peak higher."""
        return self.load_mw - self.net_mw


@dataclass(frozen=True)
class Season:
    """What a way to run the battery made of some months.

    Attributes:
        months: The peaks, one a month.
        throughput_mwh: What the battery gave in all.

    Example:
        >>> january = MonthPeak(month=date(2014, 1, 1), load_mw=500.0, net_mw=490.0)
        >>> june = MonthPeak(month=date(2014, 6, 1), load_mw=350.0, net_mw=346.0)
        >>> season = Season((january, june), throughput_mwh=44.0)
        >>> season.cut_mw, season.mean_monthly_cut_mw
        (10.0, 7.0)
    """

    months: tuple[MonthPeak, ...]
    throughput_mwh: float

    @property
    def cut_mw(self) -> float:
        """The cut of the highest interval of all."""
        return max(m.load_mw for m in self.months) - max(m.net_mw for m in self.months)

    @property
    def mean_monthly_cut_mw(self) -> float:
        """The mean cut of the months' peaks."""
        return sum(m.cut_mw for m in self.months) / len(self.months)


def run(demand: Demand, first: date, until: date, set_points: SetPoints, *, battery: Battery) -> Season:
    """Run a battery at a site over some local days; it starts full.

    Args:
        demand: The site's load.
        first: The first local day.
        until: The day after the last.
        set_points: How the battery is run.
        battery: Its limits.
    """
    local, at = demand.local, demand.local.start(first)
    site = MeteredSite("site", local, battery, interval=demand.step)
    said = []
    for load in demand.during(first, until).tolist():
        site.take(Setpoint(power_mw=set_points(at, site.standing(at))), at=at, key=at.isoformat())
        said.append(site.meter(at, load_mw=load))
        at += demand.step
    months = groupby(said, key=lambda one: local.day_of(one.at).replace(day=1))
    peaks = []
    for month, ones in months:
        both = [(one.load_mw, one.net_mw) for one in ones]
        peaks.append(MonthPeak(month=month, load_mw=max(b[0] for b in both), net_mw=max(b[1] for b in both)))
    given = sum(max(one.load_mw - one.net_mw, 0.0) for one in said) * site.hours
    return Season(tuple(peaks), given)


def replanned(outlook: Outlook, rules: Shaving) -> SetPoints:
    """Plan each interval anew from what is known when it begins."""
    return lambda at, standing: rules.plan(outlook(at), standing).power_mw


def followed_blindly(demand: Demand, forecast: Callable[[date], Floats]) -> SetPoints:
    """Fix a whole day's set-points from one point forecast, and look at no meter any more: the way not to do it.

    The plan is the lowest threshold that the battery can hold if the forecast comes true.

    Args:
        demand: Whose days.
        forecast: The load of each interval of a local day.
    """
    planned: dict[datetime, float] = {}

    def plan(at: datetime, standing: Standing) -> None:
        loads = forecast(demand.local.day_of(at)).tolist()
        battery, state = standing.battery, standing.state
        threshold = lowest_threshold(loads, battery, state, floor_mw=standing.paid_mw, hours=standing.hours)
        for step, load in enumerate(loads):
            power = battery.feasible(load - threshold, state, standing.hours)
            state = battery.follow(power, state, standing.hours)
            planned[at + step * demand.step] = power

    def set_point(at: datetime, standing: Standing) -> float:
        if at not in planned:
            plan(at, standing)
        return planned.pop(at)

    return set_point


def possible(demand: Demand, first: date, until: date, *, battery: Battery) -> Season:
    """Return the lowest peaks that anybody could have reached: true loads known, and a full store as a month begins.

    Each month is looked at by itself, so that the cuts are limits even where two months could not both be had.
    """
    local = demand.local
    peaks = []
    for month, end in _months(first, until):
        loads = demand.during(month, end).tolist()
        begun = local.start(month)
        midnights = frozenset(
            (local.start(month + n * DAY) - begun) // demand.step for n in range(1, (end - month).days)
        )
        state = State(soc_mwh=battery.energy_mwh)
        lowest = lowest_threshold(loads, battery, state, hours=demand.step / HOUR, midnights=midnights)
        peaks.append(MonthPeak(month=month.replace(day=1), load_mw=max(loads), net_mw=lowest))
    return Season(tuple(peaks), 0.0)


def _months(first: date, until: date) -> Sequence[tuple[date, date]]:
    months = []
    while first < until:
        end = min((first.replace(day=1) + timedelta(days=32)).replace(day=1), until)
        months.append((first, end))
        first = end
    return months
