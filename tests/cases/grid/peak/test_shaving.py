from __future__ import annotations

import numpy as np
import pytest

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.peak.shaving import Shaving, ShavingPlan, Standing
from steward.errors import DeclarationError

RULES = Shaving(hold_level=0.5, step_level=0.9, sure_level=0.1, margin_mw=1.0)


def plan(medians: list[float], *, paid_mw: float, soc_mwh: float = 40.0, spread: float = 4.0) -> ShavingPlan:
    middle = np.array(medians)
    outlook = Quantiles((0.1, 0.5, 0.9), np.stack((middle - spread, middle, middle + spread), axis=1))
    return RULES.plan(outlook, Standing(Battery(), State(soc_mwh=soc_mwh), paid_mw))


def test_the_interval_is_cut_by_its_high_quantile_and_the_margin() -> None:
    made = plan([495.0, 480.0], paid_mw=490.0)
    assert (made.threshold_mw, made.next_mw, made.power_mw) == (490.0, 500.0, 10.0)


def test_what_is_paid_for_is_not_undercut() -> None:
    assert plan([470.0, 480.0], paid_mw=490.0).power_mw == 0.0


def test_a_store_that_is_nearly_empty_holds_a_higher_threshold() -> None:
    full, poor = plan([500.0] * 6, paid_mw=400.0), plan([500.0] * 6, paid_mw=400.0, soc_mwh=6.0)
    assert full.threshold_mw == 490.0
    assert 497.0 < poor.threshold_mw < 500.0


def test_charging_goes_up_to_what_is_paid_for_and_no_further() -> None:
    made = plan([480.0, 480.0], paid_mw=490.0, soc_mwh=10.0)
    assert made.power_mw == pytest.approx(-(490.0 - 485.0))
    assert plan([485.0, 485.0], paid_mw=490.0, soc_mwh=10.0).power_mw == 0.0


def test_a_new_month_charges_up_to_the_peak_that_is_sure_to_come() -> None:
    """Of a peak of 400 MW at least 386 are left when the battery does its best."""
    made = plan([300.0, 400.0], paid_mw=0.0, soc_mwh=10.0)
    assert (made.ceiling_mw, made.power_mw) == (386.0, -10.0)
    assert plan([384.0, 400.0], paid_mw=0.0, soc_mwh=10.0).power_mw == 0.0


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1])
def test_levels_are_quantiles(level: float) -> None:
    with pytest.raises(DeclarationError, match="between 0 and 1"):
        Shaving(hold_level=level)
