"""How low a battery can hold a load: the rule that plans, and the limit that perfect foresight sets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from steward.cases.grid.battery import Battery, State

_CLOSE_MW = 0.005
_DUST_MW = 1e-5


def holds(
    loads_mw: Sequence[float],
    threshold_mw: float,
    battery: Battery,
    state: State,
    *,
    hours: float = 0.5,
    midnights: Collection[int] = (),
) -> bool:
    """Tell whether a battery can keep a known load at or below a threshold.

    It charges whenever there is room below the threshold and gives no more than is needed, so that no other way of
    running it could hold what this one cannot.

    Args:
        loads_mw: The load of each interval.
        threshold_mw: What the meter may show at most.
        battery: Its limits.
        state: What it is in at the start.
        hours: The length of an interval.
        midnights: The intervals that begin a local day, whose withdrawal counts from zero again.

    Example:
        >>> holds([490.0, 500.0, 495.0], 490.0, Battery(), State(soc_mwh=8.0))
        True
        >>> holds([490.0, 500.0, 495.0], 490.0, Battery(), State(soc_mwh=7.0))
        False
    """
    for step, load in enumerate(loads_mw):
        if step in midnights:
            state = replace(state, withdrawn_mwh=0.0)
        wanted = load - threshold_mw
        power = battery.feasible(wanted, state, hours)
        if power < wanted - _DUST_MW:
            return False
        state = battery.follow(power, state, hours)
    return True


def lowest_threshold(
    loads_mw: Sequence[float],
    battery: Battery,
    state: State,
    *,
    floor_mw: float = 0.0,
    hours: float = 0.5,
    midnights: Collection[int] = (),
) -> float:
    """Return the lowest threshold, not below a floor, that the battery can hold; it is exact to 5 kW.

    With the true loads this is what perfect foresight reaches; with a forecast it is a plan.

    Args:
        loads_mw: The load of each interval.
        battery: Its limits.
        state: What it is in at the start.
        floor_mw: A threshold that need not be undercut, for example what the month's peak is already.
        hours: The length of an interval.
        midnights: The intervals that begin a local day.

    Example:
        >>> round(lowest_threshold([480.0, 500.0, 498.0], Battery(), State(soc_mwh=40.0)), 2)
        490.0
        >>> round(lowest_threshold([500.0, 498.0], Battery(), State(soc_mwh=4.0)), 1)
        495.2
    """
    high = max(loads_mw)
    low = max(floor_mw, high - battery.power_mw)
    if high <= floor_mw:
        return floor_mw
    if holds(loads_mw, low, battery, state, hours=hours, midnights=midnights):
        return low
    while high - low > _CLOSE_MW:
        middle = (low + high) / 2
        if holds(loads_mw, middle, battery, state, hours=hours, midnights=midnights):
            high = middle
        else:
            low = middle
    return high
