from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.reading import Quality
from steward.cases.grid.field.world import Ageing, Conditions, FieldPlant, conditions_of
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.streams import Setpoint
from steward.errors import DeclarationError, EngineError

MADRID = LocalDays("Europe/Madrid")
MIDNIGHT = MADRID.start(date(2018, 1, 2))
LAYOUT = Layout("es", feeders=3)
POINTS = len(LAYOUT.points)
CALM = Conditions(load_mw=60.0, temperature_c=10.0, price_eur_mwh=40.0)
POWER = Point("es.battery", "power_mw")


def plant(*, conditions: Conditions = CALM, step_s: int = 60, seed: int = 1) -> FieldPlant:
    return FieldPlant(
        LAYOUT,
        MADRID,
        Battery(),
        conditions=lambda at: conditions,
        start=MIDNIGHT,
        step=timedelta(seconds=step_s),
        seed=seed,
    )


def charge(plant: FieldPlant, at: datetime, power_mw: float = -10.0) -> None:
    plant.take_control(at, key="control")
    plant.take(Setpoint(power_mw=power_mw), at=at, key="a")


def said(plant: FieldPlant, point: Point) -> float:
    (value,) = (reading.value for reading in plant.readings() if Point.of(reading) == point)
    assert value is not None
    return value


def test_a_set_point_is_followed_while_its_hour_lasts() -> None:
    world = plant()
    charge(world, MIDNIGHT)
    assert world.advance(MIDNIGHT + HOUR / 2) == []
    assert (said(world, POWER), said(world, Point("es.battery", "setpoint_mw"))) == (-10.0, -10.0)
    (first, second) = world.advance(MIDNIGHT + 2 * HOUR)
    assert (first.energy_mwh, second.energy_mwh) == (-10.0, 0.0)
    assert (first.at, first.price_eur_mwh) == (MIDNIGHT, 40.0)
    assert world.state.soc_mwh == pytest.approx(10 * 0.9**0.5)
    with pytest.raises(EngineError, match="is over"):
        world.take(Setpoint(power_mw=1.0), at=MIDNIGHT, key="late")


def test_it_is_the_same_however_time_is_cut() -> None:
    at_once, in_bits = plant(step_s=10), plant(step_s=10)
    for world in (at_once, in_bits):
        charge(world, MIDNIGHT)
    at_once.advance(MIDNIGHT + HOUR)
    for second in range(7, 3601, 11):
        in_bits.advance(MIDNIGHT + timedelta(seconds=second))
    in_bits.advance(MIDNIGHT + HOUR)
    assert at_once.readings() == in_bits.readings()


def test_another_seed_is_another_world_of_the_same_load() -> None:
    one, same, other = plant(seed=1), plant(seed=1), plant(seed=2)
    assert one.readings() == same.readings() != other.readings()
    for world in (one, other):
        loads = [reading.value or 0.0 for reading in world.readings() if reading.reading_type == "load_mw"]
        assert sum(loads) == pytest.approx(60.0)
        assert min(loads) > 10


def test_a_full_battery_takes_no_more_and_an_empty_one_gives_nothing() -> None:
    world = plant()
    for hour in range(6):
        charge(world, MIDNIGHT + hour * HOUR)
        world.advance(MIDNIGHT + (hour + 1) * HOUR)
    assert world.state.soc_mwh == pytest.approx(world.battery.energy_mwh, abs=0.02)
    assert 1 - 2e-5 < world.health < 1
    empty = plant()
    charge(empty, MIDNIGHT, 10.0)
    assert empty.advance(MIDNIGHT + HOUR)[0].energy_mwh == 0.0


def test_work_warms_the_battery_and_heat_costs_power_and_life() -> None:
    cold, hot = plant(), plant(conditions=Conditions(60.0, 42.0, 40.0))
    for world in (cold, hot):
        for hour in range(3):
            charge(world, MIDNIGHT + hour * HOUR)
            world.advance(MIDNIGHT + (hour + 1) * HOUR)
    assert 15 < cold.temperature_c < 22
    assert cold.battery.power_mw == 10.0
    assert hot.battery.power_mw < 8
    assert hot.temperature_c < 50
    worn = {id(world): (1 - world.health) / world.state.soc_mwh for world in (cold, hot)}
    assert worn[id(hot)] > 3 * worn[id(cold)] > 0


def test_eight_thousand_cycles_at_25_degrees_cost_a_fifth() -> None:
    assert Ageing().fade(8_000, 25.0) == pytest.approx(0.2)


def test_the_meter_counts_both_ways_and_never_back() -> None:
    world = plant(conditions=Conditions(load_mw=4.0, temperature_c=10.0, price_eur_mwh=40.0))
    charge(world, MIDNIGHT)
    world.advance(MIDNIGHT + HOUR)
    assert said(world, Point("es.meter", "imported_mwh")) == pytest.approx(14.0)
    charge(world, MIDNIGHT + HOUR, 9.0)
    world.advance(MIDNIGHT + 2 * HOUR)
    assert said(world, Point("es.meter", "imported_mwh")) == pytest.approx(14.0)
    assert said(world, Point("es.meter", "exported_mwh")) == pytest.approx(5.0)


def test_what_is_ordered_for_tomorrow_leaves_today_alone() -> None:
    world, late = plant(), MIDNIGHT + 23 * HOUR
    charge(world, MIDNIGHT)
    world.advance(MIDNIGHT + HOUR)
    charge(world, MIDNIGHT + HOUR, 8.0)
    world.advance(late + HOUR / 2)
    withdrawn, tomorrow = world.state.withdrawn_mwh, late + HOUR
    assert withdrawn > 8
    charge(world, tomorrow, -5.0)
    asked = world.due(tomorrow)
    assert (asked.withdrawn_mwh, asked.soc_at_day_start_mwh) == (0.0, world.state.soc_mwh)
    assert world.state.withdrawn_mwh == world.due(late).withdrawn_mwh == withdrawn
    assert said(world, Point("es.battery", "soc_at_day_start_mwh")) == 0.0
    world.advance(tomorrow + HOUR)
    assert world.state.withdrawn_mwh == 0.0
    assert said(world, Point("es.battery", "soc_at_day_start_mwh")) == pytest.approx(asked.soc_mwh, abs=1e-6)


def test_an_hour_can_be_run_at_once_at_a_price_that_is_known_better() -> None:
    world = plant()
    charge(world, MIDNIGHT)
    metered = world.run_hour(MIDNIGHT, price_eur_mwh=55.5)
    assert (metered.at, metered.energy_mwh, metered.price_eur_mwh) == (MIDNIGHT, -10.0, 55.5)
    assert world.now == MIDNIGHT + HOUR
    with pytest.raises(EngineError, match="is over"):
        world.run_hour(MIDNIGHT, price_eur_mwh=55.5)


def test_a_faulty_point_says_so() -> None:
    world = plant()
    world.faults[POWER] = Quality.BAD
    world.faults[Point("es.weather", "temperature_c")] = Quality.UNCERTAIN
    by_point = {Point.of(reading): reading for reading in world.readings()}
    assert (by_point[POWER].value, by_point[POWER].quality) == (None, Quality.BAD)
    weather = by_point[Point("es.weather", "temperature_c")]
    assert (weather.value, weather.quality) == (10.0, Quality.UNCERTAIN)


def test_a_step_that_misses_the_end_of_the_hour_is_refused() -> None:
    with pytest.raises(DeclarationError, match="whole number"):
        plant(step_s=7)


def test_conditions_go_straight_from_row_to_row_but_prices_stand() -> None:
    start = datetime(2018, 1, 1, tzinfo=UTC)
    columns = {"load": np.array([10.0, np.nan, 30.0]), "t": np.array([0.0, 4.0, 8.0]), "p": np.array([1.0, 2.0, 3.0])}
    at = conditions_of(History(MADRID, start, HOUR, columns), Columns("p", load="load", temperature="t"), share=0.5)
    assert at(start + 1.5 * HOUR) == Conditions(12.5, 6.0, 2.0)
    assert at(start - HOUR) == Conditions(5.0, 0.0, 1.0)
    assert at(start + 50 * HOUR) == Conditions(15.0, 8.0, 3.0)
    alone = conditions_of(History(MADRID, start, HOUR, columns), Columns("p"))
    assert alone(start) == Conditions(0.0, 15.0, 1.0)
