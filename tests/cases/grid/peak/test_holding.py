from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.peak.holding import holds, lowest_threshold

LOADS = st.lists(st.floats(min_value=0, max_value=600), min_size=1, max_size=12)


@given(loads=LOADS, soc_mwh=st.floats(min_value=0, max_value=40), floor_mw=st.floats(min_value=0, max_value=600))
def test_the_lowest_threshold_can_be_held_and_a_lower_one_cannot(
    loads: list[float], soc_mwh: float, floor_mw: float
) -> None:
    battery, state = Battery(), State(soc_mwh=soc_mwh)
    lowest = lowest_threshold(loads, battery, state, floor_mw=floor_mw)
    assert lowest >= floor_mw
    assert holds(loads, lowest, battery, state)
    if lowest > max(floor_mw, max(loads) - battery.power_mw) + 0.01:
        assert not holds(loads, lowest - 0.01, battery, state)


def test_a_midnight_gives_the_days_withdrawal_back() -> None:
    battery, spent = Battery(daily_withdrawal_mwh=8.0), State(soc_mwh=40.0, withdrawn_mwh=8.0)
    assert not holds([500.0], 495.0, battery, spent)
    assert holds([500.0], 495.0, battery, spent, midnights={0})


def test_charging_between_two_peaks_counts() -> None:
    loads = [500.0, *[470.0] * 8, 500.0]
    assert lowest_threshold(loads, Battery(), State(soc_mwh=6.0)) == pytest.approx(490.0)
    assert lowest_threshold([500.0, 500.0], Battery(), State(soc_mwh=6.0)) > 494.0
