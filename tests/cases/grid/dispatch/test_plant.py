from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.streams import Setpoint
from steward.errors import Conflict, EngineError

MADRID = LocalDays("Europe/Madrid")
MIDNIGHT = MADRID.start(date(2018, 1, 1))
CHARGE = Setpoint(power_mw=-10.0)


@pytest.fixture
def plant() -> SimulatedPlant:
    plant = SimulatedPlant("es", MADRID, Battery())
    for hour in (MIDNIGHT, MIDNIGHT + HOUR):
        plant.take_control(hour, key="control")
    return plant


def test_a_set_point_is_held_for_its_hour_only(plant: SimulatedPlant) -> None:
    plant.take(CHARGE, at=MIDNIGHT, key="a")
    assert plant.run_hour(MIDNIGHT, price_eur_mwh=30.0).energy_mwh == -10.0
    assert plant.run_hour(MIDNIGHT + HOUR, price_eur_mwh=30.0).energy_mwh == 0.0


def test_the_same_key_acts_once_and_gives_the_same_receipt(plant: SimulatedPlant) -> None:
    first = plant.take(CHARGE, at=MIDNIGHT, key="a")
    assert plant.take(Setpoint(power_mw=5.0), at=MIDNIGHT, key="a") == first
    plant.run_hour(MIDNIGHT, price_eur_mwh=30.0)
    assert plant.state.soc_mwh == pytest.approx(10 * 0.9**0.5)


def test_a_new_key_replaces_what_has_not_begun(plant: SimulatedPlant) -> None:
    plant.take(CHARGE, at=MIDNIGHT, key="a")
    plant.take(Setpoint(power_mw=-3.0), at=MIDNIGHT, key="b")
    assert plant.run_hour(MIDNIGHT, price_eur_mwh=30.0).energy_mwh == -3.0


def test_an_hour_that_is_over_takes_nothing(plant: SimulatedPlant) -> None:
    plant.run_hour(MIDNIGHT, price_eur_mwh=30.0)
    with pytest.raises(EngineError, match="is over") as caught:
        plant.take(CHARGE, at=MIDNIGHT, key="late")
    assert not caught.value.retryable


def test_what_was_taken_can_be_read_back_and_taken_back(plant: SimulatedPlant) -> None:
    assert plant.read_back(MIDNIGHT, key="a") is None
    receipt = plant.take(CHARGE, at=MIDNIGHT, key="a")
    assert plant.read_back(MIDNIGHT, key="a") == receipt
    assert plant.read_back(MIDNIGHT, key="other") is None
    assert plant.forget(MIDNIGHT, key="a").detail == {"power_mw": "0.0"}
    assert plant.run_hour(MIDNIGHT, price_eur_mwh=30.0).energy_mwh == 0.0
    with pytest.raises(Conflict):
        plant.forget(MIDNIGHT, key="a")


def test_it_keeps_itself_inside_its_limits(plant: SimulatedPlant) -> None:
    assert plant.take(Setpoint(power_mw=50.0), at=MIDNIGHT, key="a").detail == {"power_mw": "0.0"}
    assert plant.take(Setpoint(power_mw=-50.0), at=MIDNIGHT, key="b").detail == {"power_mw": "-10.0"}


def test_the_question_of_an_hour_says_what_the_store_holds(plant: SimulatedPlant) -> None:
    plant.take(CHARGE, at=MIDNIGHT, key="a")
    plant.run_hour(MIDNIGHT, price_eur_mwh=30.0)
    due = plant.due(MIDNIGHT + HOUR)
    assert due.soc_mwh == pytest.approx(9.4868, abs=1e-4)
    assert (due.soc_at_day_start_mwh, due.withdrawn_mwh) == (0.0, 0.0)
    assert due.plan_at == datetime.fromisoformat("2017-12-31T12:00:00+01:00")
    assert (due.day, due.day_start, due.day_end - due.day_start) == (date(2018, 1, 1), MIDNIGHT, timedelta(hours=24))


def test_a_new_local_day_may_withdraw_again(plant: SimulatedPlant) -> None:
    plant.take(CHARGE, at=MIDNIGHT, key="a")
    plant.run_hour(MIDNIGHT, price_eur_mwh=30.0)
    plant.take(Setpoint(power_mw=4.0), at=MIDNIGHT + HOUR, key="b")
    plant.run_hour(MIDNIGHT + HOUR, price_eur_mwh=30.0)
    assert plant.state.withdrawn_mwh > 4
    tomorrow = plant.due(MIDNIGHT + 24 * HOUR)
    assert tomorrow.withdrawn_mwh == 0.0
    assert tomorrow.soc_at_day_start_mwh == tomorrow.soc_mwh > 5


def test_an_hour_is_handed_over_once_and_given_back_by_who_has_it(plant: SimulatedPlant) -> None:
    hour = MIDNIGHT + 2 * HOUR
    with pytest.raises(EngineError, match="nobody has control"):
        plant.take(CHARGE, at=hour, key="a")
    assert plant.has_control(hour, key="c") is None
    receipt = plant.take_control(hour, key="c")
    assert plant.take_control(hour, key="c") == plant.has_control(hour, key="c") == receipt
    plant.release_control(hour, key="somebody else")
    assert plant.has_control(hour, key="c") == receipt
    plant.release_control(hour, key="c")
    assert plant.has_control(hour, key="c") is None


def test_no_control_of_an_hour_that_is_over(plant: SimulatedPlant) -> None:
    plant.run_hour(MIDNIGHT, price_eur_mwh=30.0)
    with pytest.raises(EngineError, match="is over"):
        plant.take_control(MIDNIGHT, key="late")
    assert plant.obstacle(MIDNIGHT) is not None
    assert plant.obstacle(MIDNIGHT + HOUR) is None


def test_what_stands_is_told_whoever_wrote_it(plant: SimulatedPlant) -> None:
    assert plant.standing(MIDNIGHT) is None
    receipt = plant.take(CHARGE, at=MIDNIGHT, key="a")
    assert plant.standing(MIDNIGHT) == receipt
