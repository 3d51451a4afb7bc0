"""A plant as a physical world: battery, feeders, weather and meter, moved on by whoever keeps the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from math import exp

from msgspec import structs

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.streams import DispatchDue, MeteredInterval, Setpoint
from steward.clock import EPOCH, seeded
from steward.errors import DeclarationError, EngineError
from steward.records import Receipt

_OUT_OF_ORDER = "the plant is out of order: it takes no set-point, and the battery rests"
_KNOT = timedelta(minutes=5)
"""How often a feeder's wandering is drawn; between two draws it goes straight."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a plant meets at one instant.

    Example:
        >>> Conditions(load_mw=54.0, temperature_c=21.5, price_eur_mwh=48.2).load_mw
        54.0
    """

    load_mw: float
    temperature_c: float
    price_eur_mwh: float


@dataclass(frozen=True, kw_only=True)
class Ageing:
    """How a battery warms up, spares itself and wears out.

    Args:
        fade_per_cycle: Share of the rated capacity lost in one full cycle at 25 degrees; twice as much for each ten
            degrees more. 20 % in 8,000 cycles by default.
        warming_c: How much warmer than its surroundings it gets at full power, in the end.
        warms_within: After this time it has made 63 % of the way there.
        spares_above_c: From here on its power is reduced, in a straight line down to nothing at ``stops_at_c``.
        stops_at_c: At this temperature it does nothing.

    Example:
        >>> Ageing().power_share(44.0)
        0.6
    """

    fade_per_cycle: float = 2.5e-5
    warming_c: float = 12.0
    warms_within: timedelta = timedelta(hours=2)
    spares_above_c: float = 40.0
    stops_at_c: float = 50.0

    def power_share(self, temperature_c: float) -> float:
        """Return the share of the rated power that it gives at a temperature, in whole percent."""
        left = (self.stops_at_c - temperature_c) / (self.stops_at_c - self.spares_above_c)
        return round(min(max(left, 0.0), 1.0), 2)

    def warmed(self, temperature_c: float, *, outside_c: float, load_share: float, hours: float) -> float:
        """Return the temperature after some hours at a share of the rated power."""
        target = outside_c + self.warming_c * load_share**2
        return target + (temperature_c - target) * exp(-hours / (self.warms_within / HOUR))

    def fade(self, cycles: float, temperature_c: float) -> float:
        """Return the share of the rated capacity that some full cycles cost."""
        return float(self.fade_per_cycle * cycles * 2.0 ** ((temperature_c - 25.0) / 10.0))


class FieldPlant(SimulatedPlant):
    """A site with a battery that wears, feeders that wander, weather and a meter; the same again for the same seed.

    It takes set-points like every :class:`SimulatedPlant`, and says what it measures. A point can be made to fail, by
    giving it another quality in ``faults``, and the whole site, by giving it from when until when in ``outages``: it
    takes no set-point for those hours, so the battery rests, and what it says is uncertain. It knows no clock: time
    passes when :meth:`advance` is called, in whole steps, and what it does depends neither on how often it is called
    nor on how fast.

    Args:
        layout: What is measured, by name.
        local: The zone whose days bound the daily withdrawal.
        battery: As new.
        conditions: Load, weather and price by time.
        start: A whole hour; before it nothing has happened.
        ageing: How the battery warms and wears.
        step: How finely it is computed; an hour is a whole number of steps.
        seed: Of the feeders' wandering.

    Raises:
        DeclarationError: An hour is no whole number of steps.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2018, 7, 1, 12, tzinfo=UTC)
        >>> plant = FieldPlant(
        ...     Layout("es", feeders=2), LocalDays("Europe/Madrid"), Battery(),
        ...     conditions=lambda at: Conditions(60.0, 30.0, 40.0), start=noon,
        ... )
        >>> [hour.energy_mwh for hour in plant.advance(noon + HOUR)]
        [0.0]
        >>> round(sum(reading.value for reading in plant.readings() if reading.reading_type == "load_mw"), 1)
        60.0
    """

    def __init__(
        self,
        layout: Layout,
        local: LocalDays,
        battery: Battery,
        *,
        conditions: Callable[[datetime], Conditions],
        start: datetime,
        ageing: Ageing = Ageing(),
        step: timedelta = timedelta(seconds=10),
        seed: int = 0,
    ) -> None:
        if step <= timedelta(0) or HOUR % step:
            raise DeclarationError(f"an hour is no whole number of steps of {step}", field="step")
        super().__init__(layout.name, local, battery)
        self.layout, self.now, self.step = layout, start, step
        self.health = 1.0
        self.temperature_c = conditions(start).temperature_c
        self.power_mw = 0.0
        self.faults: dict[Point, Quality] = {}
        self.outages: dict[str, tuple[datetime, datetime]] = {}
        self._as_new, self._conditions, self._ageing, self._seed = battery, conditions, ageing, seed
        self.hour = start
        self._hour_mwh = self._exported_mwh = self._imported_mwh = 0.0

    def advance(self, until: datetime) -> list[MeteredInterval]:
        """Let time pass up to the last whole step, and return what the meter says of each hour that ended."""
        ended = []
        while self.now + self.step <= until:
            self._pass(self.step / HOUR)
            self.now += self.step
            if self.now == self.hour + HOUR:
                ended.append(self._end_hour())
        return ended

    def run_hour(self, at: datetime, *, price_eur_mwh: float) -> MeteredInterval:
        """Let the rest of the hour that starts at ``at`` pass, and return what the meter says, at a price known better.

        Raises:
            EngineError: That hour is over, or not yet there.
        """
        if at != self.hour:
            self._refuse_if_over(at)
            raise EngineError(f"the hour of {self.hour.isoformat()} comes before that of {at.isoformat()}")
        (metered,) = self.advance(at + HOUR)
        return structs.replace(metered, price_eur_mwh=price_eur_mwh)

    def obstacle(self, at: datetime) -> str | None:
        """Tell what keeps the battery from following a set-point in the hour that starts at ``at``, if anything."""
        return _OUT_OF_ORDER if self.is_out(at) else super().obstacle(at)

    def is_out(self, at: datetime) -> bool:
        """Tell whether the site is out of order at a moment."""
        return any(begins <= at < ends for begins, ends in self.outages.values())

    def take(self, setpoint: Setpoint, *, at: datetime, key: str) -> Receipt:
        """Hold ``setpoint`` in the hour that starts at ``at``; as every plant."""
        with self._as_of(at):
            return super().take(setpoint, at=at, key=key)

    def due(self, at: datetime) -> DispatchDue:
        """Return the question of the hour that starts at ``at``; as every plant."""
        with self._as_of(at):
            return super().due(at)

    @contextmanager
    def _as_of(self, at: datetime) -> Iterator[None]:
        """Let who asks for another day see it, and nobody else: only time that passes ends a day."""
        kept = self.state, self._day, self._soc_at_day_start_mwh
        try:
            yield
        finally:
            if self.local.day_of(at) != self.local.day_of(self.now):
                self.state, self._day, self._soc_at_day_start_mwh = kept

    def readings(self) -> list[Reading]:
        """Return what every point says now, in the order of the site's points."""
        values = self._values()
        return [self._reading(point, values[point]) for point in self.layout.points]

    def _pass(self, hours: float) -> None:
        """Follow the hour's set-point for a while: the energy flows, the battery warms, and it ages."""
        self._enter(self.now)
        order, rated, ageing = self._orders.get(self.hour), self._as_new, self._ageing
        power = self.battery.feasible(order.setpoint.power_mw if order else 0.0, self.state, hours)
        self.state = self.battery.follow(power, self.state, hours)
        self.power_mw, energy = power, power * hours
        self._hour_mwh += energy
        outside = self._conditions(self.now)
        net = outside.load_mw * hours - energy
        self._imported_mwh += max(net, 0.0)
        self._exported_mwh += max(-net, 0.0)
        share = abs(power) / rated.power_mw
        self.temperature_c = ageing.warmed(
            self.temperature_c, outside_c=outside.temperature_c, load_share=share, hours=hours
        )
        # A full cycle is the whole capacity in and out again.
        self.health -= ageing.fade(abs(energy) / (2 * rated.energy_mwh), self.temperature_c)
        # Rounded, so that plans made for one limit can be used again for the next.
        self.battery = replace(
            rated,
            energy_mwh=max(round(rated.energy_mwh * self.health, 2), 0.01),
            power_mw=max(rated.power_mw * ageing.power_share(self.temperature_c), 1e-6),
        )

    def _end_hour(self) -> MeteredInterval:
        began, energy = self.hour, self._hour_mwh
        self._orders.pop(began, None)
        self._controls.pop(began, None)
        self._done_until = self.hour = began + HOUR
        self._hour_mwh = 0.0
        price = self._conditions(began).price_eur_mwh
        return MeteredInterval(site=self.site, at=began, energy_mwh=round(energy, 6), price_eur_mwh=price)

    def _values(self) -> dict[Point, float]:
        order, conditions, battery = self._orders.get(self.hour), self._conditions(self.now), self.battery
        said = (
            *self._loads(conditions.load_mw),
            # The battery
            self.power_mw,
            order.setpoint.power_mw if order else 0.0,
            self.state.soc_mwh,
            self._soc_at_day_start_mwh,
            battery.energy_mwh,
            battery.power_mw,
            self.state.withdrawn_mwh,
            self.temperature_c,
            # The meter
            conditions.load_mw - self.power_mw,
            self._exported_mwh,
            self._imported_mwh,
            # The weather
            conditions.temperature_c,
        )
        return dict(zip(self.layout.points, said, strict=True))

    def _loads(self, load_mw: float) -> list[float]:
        """Share the load among the feeders; each wanders, and together they are the whole."""
        knot, into = divmod(self.now - EPOCH, _KNOT)
        weights = []
        for feeder in range(self.layout.feeders):
            before, after = (_wandering(self._seed, feeder, at) for at in (knot, knot + 1))
            weights.append(1.0 + 0.2 * (before + (after - before) * (into / _KNOT)))
        return [load_mw * weight / sum(weights) for weight in weights]

    def _reading(self, point: Point, value: float) -> Reading:
        quality = self.faults.get(point, Quality.UNCERTAIN if self.is_out(self.now) else Quality.GOOD)
        said = None if quality is Quality.BAD else round(value, 6)
        return point.reading(said, quality=quality, source_time=self.now, server_time=self.now, now=self.now)


def conditions_of(history: History, columns: Columns, *, share: float = 1.0) -> Callable[[datetime], Conditions]:
    """Return the conditions of a history by time: load and weather go straight from row to row, prices stand.

    Args:
        history: Gaps in it are filled; before its first row and after its last one these stand.
        columns: What its columns mean; without load or temperature 0 MW or 15 degrees are taken.
        share: The part of the region's load that the site feeds.

    Example:
        >>> from datetime import date
        >>> from steward.cases.grid.data.generator import COLUMNS, synthetic_region
        >>> region = synthetic_region("Europe/Madrid", date(2018, 1, 1), 2)
        >>> at = conditions_of(region, COLUMNS, share=0.002)
        >>> 30 < at(region.start + timedelta(minutes=90)).load_mw < 60
        True
    """
    rows = history.rows - 1
    named = (columns.price, columns.load, columns.temperature)
    filled = {column: history.filled(column) for column in named if column is not None}

    def between(column: str | None, row: int, part: float, missing: float) -> float:
        if column is None:
            return missing
        values = filled[column]
        here, there = float(values[row]), float(values[min(row + 1, rows)])
        return here + (there - here) * part

    def at(when: datetime) -> Conditions:
        row, into = divmod(when - history.start, history.step)
        row, part = (row, into / history.step) if 0 <= row <= rows else (min(max(row, 0), rows), 0.0)
        return Conditions(
            load_mw=between(columns.load, row, part, 0.0) * share,
            temperature_c=between(columns.temperature, row, part, 15.0),
            price_eur_mwh=float(filled[columns.price][row]),
        )

    return at


@lru_cache(maxsize=1024)
def _wandering(seed: int, feeder: int, knot: int) -> float:
    """Return a number in [-1, 1) that is the same again for the same place and time."""
    return 2.0 * seeded((seed << 48) ^ (feeder << 40) ^ knot).random() - 1.0
