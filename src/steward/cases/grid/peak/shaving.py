"""The rule of peak shaving: from quantiles of the load that is still to come to a set-point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.peak.holding import lowest_threshold
from steward.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a site stands when an interval begins.

    Attributes:
        battery: Its limits.
        state: What it is in.
        paid_mw: The highest mean load that the meter has shown this month: what is paid for already.
        hours: The length of an interval.

    Example:
        >>> Standing(Battery(), State(soc_mwh=40.0), paid_mw=480.0).hours
        0.5
    """

    battery: Battery
    state: State
    paid_mw: float
    hours: float = 0.5


class ShavingPlan(Struct, frozen=True, kw_only=True):
    """The set-point of an interval, and why.

    Attributes:
        power_mw: Positive feeds the grid.
        next_mw: The interval's load on the safe side: a high quantile, and a margin.
        threshold_mw: What the meter is to show at most until the day is over.
        ceiling_mw: What it may show while the battery charges: paid for already, or sure to come.

    Example:
        >>> ShavingPlan(power_mw=8.0, next_mw=498.0, threshold_mw=490.0, ceiling_mw=480.0).power_mw
        8.0
    """

    power_mw: float
    next_mw: float
    threshold_mw: float
    ceiling_mw: float


@dataclass(frozen=True, kw_only=True)
class Shaving:
    """How carefully a set-point is chosen; tuned on years before the one that is tested.

    The threshold is the lowest that the store can hold for the rest of the day if the load follows its ``hold_level``
    quantile. Too high a level expects too long a peak and gives up early; too low a one spends the store too soon. The
    interval itself is cut by its ``step_level`` quantile and a margin, as a single interval above the threshold sets
    the whole month's peak. To charge, the meter may go up to what is paid for, or to what even the ``sure_level``
    quantile of the day's peak leaves after the battery's full power: charging makes no peak of its own.

    Args:
        hold_level: In (0, 1).
        step_level: In (0, 1).
        sure_level: In (0, 1).
        margin_mw: Added to the interval's quantile.

    Example:
        >>> import numpy as np
        >>> evening = Quantiles((0.1, 0.5, 0.9), np.array([[488.0, 490.0, 492.0], [494.0, 497.0, 500.0]]))
        >>> Shaving().plan(evening, Standing(Battery(), State(soc_mwh=40.0), paid_mw=480.0)).power_mw
        7.75
    """

    hold_level: float = 0.4
    step_level: float = 0.95
    sure_level: float = 0.05
    margin_mw: float = 2.0

    def __post_init__(self) -> None:
        """Refuse levels that are no quantiles."""
        if not all(0 < level < 1 for level in (self.hold_level, self.step_level, self.sure_level)):
            raise DeclarationError("levels of quantiles lie between 0 and 1", field="shaving")

    def plan(self, outlook: Quantiles, standing: Standing) -> ShavingPlan:
        """Return the set-point of the interval that ``outlook`` begins with.

        Args:
            outlook: Quantiles of the load of each interval until the local day is over.
            standing: Where the site stands.
        """
        battery, paid_mw = standing.battery, standing.paid_mw
        threshold_mw = lowest_threshold(
            outlook.at(self.hold_level).tolist(), battery, standing.state, floor_mw=paid_mw, hours=standing.hours
        )
        sure_mw = float(outlook.at(self.sure_level).max()) - battery.power_mw
        ceiling_mw = min(max(sure_mw, paid_mw), threshold_mw)
        next_mw = float(outlook.at(self.step_level)[0]) + self.margin_mw
        wanted_mw = next_mw - threshold_mw if next_mw > threshold_mw else min(next_mw - ceiling_mw, 0.0)
        return ShavingPlan(
            power_mw=battery.feasible(wanted_mw, standing.state, standing.hours) + 0.0,  # no minus nothing
            next_mw=next_mw,
            threshold_mw=threshold_mw,
            ceiling_mw=ceiling_mw,
        )


TUNED: Final = Shaving()
"""Tuned on Victoria's years 2012 and 2013, for 10 MW and 40 MWh at a site of 500 MW."""
