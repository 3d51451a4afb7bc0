from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.battery import Battery, State, earned_eur
from steward.errors import DeclarationError

BATTERIES = st.builds(
    Battery,
    power_mw=st.floats(0.5, 100),
    energy_mwh=st.floats(0.5, 400),
    round_trip=st.floats(0.5, 1.0),
    daily_withdrawal_mwh=st.floats(0.5, 400),
)
POWERS = st.lists(st.floats(-200, 200), min_size=1, max_size=25)


@given(BATTERIES, POWERS, st.floats(0, 1))
def test_whatever_is_asked_the_battery_stays_inside_its_limits(
    battery: Battery, powers: list[float], full: float
) -> None:
    state = State(soc_mwh=full * battery.energy_mwh)
    for wanted in powers:
        power = battery.feasible(wanted, state)
        state = battery.follow(power, state)
        assert abs(power) <= battery.power_mw + 1e-6
        assert -1e-5 <= state.soc_mwh <= battery.energy_mwh + 1e-5
        assert state.withdrawn_mwh <= battery.daily_withdrawal_mwh + 1e-5


@given(BATTERIES, POWERS)
def test_energy_is_lost_both_ways_and_never_made(battery: Battery, powers: list[float]) -> None:
    held, soc_mwh = battery.follow_day(powers, 0.0)
    drawn, fed = -sum(p for p in held if p < 0), sum(p for p in held if p > 0)
    assert drawn * battery.one_way - fed / battery.one_way == pytest.approx(soc_mwh, abs=1e-3)


def test_a_full_cycle_loses_the_round_trip() -> None:
    battery = Battery()
    held, soc_mwh = battery.follow_day([-10.0] * 5 + [10.0] * 5, 0.0)
    assert soc_mwh == pytest.approx(0.0, abs=1e-5)
    assert -sum(held[:5]) * 0.9 == pytest.approx(sum(held[5:]), abs=1e-4)


def test_the_daily_withdrawal_stops_a_second_cycle() -> None:
    battery = Battery(daily_withdrawal_mwh=20.0)
    held, soc_mwh = battery.follow_day([-10.0] * 5 + [10.0] * 5, 0.0)
    assert soc_mwh == pytest.approx(20.0, abs=1e-4)
    assert sum(held[5:]) == pytest.approx(20.0 * battery.one_way, abs=1e-4)


def test_what_is_fed_earns_and_what_is_drawn_costs() -> None:
    assert earned_eur([-10.0, 0.0, 9.0], [20.0, 500.0, 60.0]) == 340.0


@pytest.mark.parametrize("wrong", [{"power_mw": 0.0}, {"energy_mwh": -1.0}, {"round_trip": 1.1}, {"round_trip": 0.0}])
def test_impossible_batteries_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DeclarationError):
        Battery(**wrong)
