"""A plant on the far side of a protocol: what it said last, and the same dispatch as for one in the same process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.dispatch.plant import hour_of
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.reading import Reading
from steward.cases.grid.streams import DispatchDue, Setpoint
from steward.decision.action import Action, Call, Destination
from steward.decision.decision import Decision
from steward.decision.feature import hours, seconds
from steward.decision.schedule import Every
from steward.decision.steps import Check, Steps
from steward.errors import EngineError
from steward.records import Receipt

_DAY = timedelta(days=1)
_ANSWER_WITHIN = seconds(10)
Order = Callable[..., Awaitable[tuple[str, str]]]
"""Calls a method by name; see :meth:`~steward.cases.grid.field.opcua.client.OpcUaClient.call`."""


class RemotePlant:
    """A plant as its operator sees it: the last reading of each point, and orders that travel.

    Args:
        layout: What is measured there.
        local: The zone whose days bound the daily withdrawal.
        battery: What its maker says of it: efficiency, daily withdrawal, wear. What it can do now it says itself.
        order: Carries an order there, and its receipt back.

    Example:
        >>> async def nowhere(method: str, *arguments: object) -> tuple[str, str]:
        ...     return "", ""
        >>> plant = RemotePlant(Layout("es"), LocalDays("Europe/Madrid"), Battery(), nowhere)
        >>> plant.last(Point("es.battery", "soc_mwh")) is None
        True
    """

    def __init__(self, layout: Layout, local: LocalDays, battery: Battery, order: Order) -> None:
        self.layout, self.local, self.battery, self._order = layout, local, battery, order
        self._last: dict[Point, Reading] = {}

    def hear(self, reading: Reading) -> None:
        """Remember a reading, unless a newer one of its point came before it."""
        point = Point.of(reading)
        known = self._last.get(point)
        if known is None or known.source_time <= reading.source_time:
            self._last[point] = reading

    def last(self, point: Point) -> Reading | None:
        """Return what a point said last, if it ever said something."""
        return self._last.get(point)

    def due(self, at: datetime) -> DispatchDue:
        """Return the question of the hour that starts at ``at``, from what the battery said last.

        Raises:
            EngineError: It has not said enough yet.
        """
        local, day, soc = self.local, self.local.day_of(at), self._said("soc_mwh")
        # What the battery says of its day is of the day in which it says so.
        is_its_day = day == local.day_of(soc.source_time)
        return DispatchDue(
            site=self.layout.name,
            zone=local.zone,
            at=at,
            day=day,
            plan_at=local.plan_at(day),
            day_start=local.start(day),
            day_end=local.start(day + _DAY),
            soc_mwh=_value(soc),
            withdrawn_mwh=_value(self._said("withdrawn_mwh")) if is_its_day else 0.0,
            soc_at_day_start_mwh=_value(self._said("soc_at_day_start_mwh") if is_its_day else soc),
            power_limit_mw=_value(self._said("power_limit_mw")),
            energy_limit_mwh=_value(self._said("energy_limit_mwh")),
            round_trip=self.battery.round_trip,
            daily_withdrawal_limit_mwh=self.battery.daily_withdrawal_mwh,
            wear_eur_mwh=self.battery.wear_eur_mwh,
            hurdle_eur_mwh=self.battery.hurdle_eur_mwh,
        )

    def _said(self, reading_type: str) -> Reading:
        reading = self._last.get(Point(self.layout.battery, reading_type))
        if reading is None or reading.value is None:
            raise EngineError(
                f"{self.layout.battery} has not said its {reading_type}",
                fix="look at the connection to the plant, and at the point's quality",
                retryable=True,
                code="not-heard",
            )
        return reading

    # Orders, by the names of a plant in the same process

    async def obstacle(self, at: datetime) -> str | None:
        """Tell what keeps the hour from being decided, if anything."""
        why, _ = await self._order("Obstacle", at)
        return why or None

    async def take_control(self, at: datetime, *, key: str) -> Receipt:
        """Have the hour handed over."""
        return _receipt(await self._order("TakeControl", at, key))

    async def has_control(self, at: datetime, *, key: str) -> Receipt | None:
        """Return the receipt of what was handed over under ``key``, if it was."""
        return _receipt_if_any(await self._order("HasControl", at, key))

    async def release_control(self, at: datetime, *, key: str) -> Receipt:
        """Give the hour back."""
        return _receipt(await self._order("ReleaseControl", at, key))

    async def take(self, setpoint: Setpoint, *, at: datetime, key: str) -> Receipt:
        """Have a set-point held; the same key again changes nothing."""
        return _receipt(await self._order("Take", setpoint.power_mw, at, key))

    async def read_back(self, at: datetime, *, key: str) -> Receipt | None:
        """Return the receipt of what was taken under ``key``, if it was."""
        return _receipt_if_any(await self._order("ReadBack", at, key))

    async def standing(self, at: datetime) -> Receipt | None:
        """Return the receipt of the set-point that stands, whoever wrote it."""
        return _receipt_if_any(await self._order("Standing", at))

    async def forget(self, at: datetime, *, key: str) -> Receipt:
        """Take a set-point back."""
        return _receipt(await self._order("Forget", at, key))


def dispatch_over(plant: RemotePlant, *, answer_within: timedelta = _ANSWER_WITHIN) -> Steps[Setpoint]:
    """Look, take control, write the set-point, and look whether it stands: all of it over the wire.

    Args:
        plant: Takes the orders.
        answer_within: How long each of them may take.

    Example:
        >>> async def nowhere(method: str, *arguments: object) -> tuple[str, str]:
        ...     return "", ""
        >>> plant = RemotePlant(Layout("es"), LocalDays("Europe/Madrid"), Battery(), nowhere)
        >>> [step.name for step in dispatch_over(plant).steps]
        ['hour_is_ahead', 'take_control', 'write_setpoint', 'setpoint_stands']
    """

    async def hour_is_ahead(choice: Setpoint, call: Call) -> str | None:
        return await plant.obstacle(hour_of(call))

    async def take_control(choice: Setpoint, call: Call) -> Receipt:
        return await plant.take_control(hour_of(call), key=call.key)

    async def release_control(choice: Setpoint, call: Call) -> Receipt:
        return await plant.release_control(hour_of(call), key=call.undoes or call.key)

    async def has_control(choice: Setpoint, call: Call) -> Receipt | None:
        return await plant.has_control(hour_of(call), key=call.key)

    async def write_setpoint(choice: Setpoint, call: Call) -> Receipt:
        return await plant.take(choice, at=hour_of(call), key=call.key)

    async def restore_hold(choice: Setpoint, call: Call) -> Receipt:
        return await plant.forget(hour_of(call), key=call.undoes or call.key)

    async def read_back(choice: Setpoint, call: Call) -> Receipt | None:
        return await plant.read_back(hour_of(call), key=call.key)

    async def setpoint_stands(choice: Setpoint, call: Call) -> str | None:
        written, stands = call.results["write_setpoint"], await plant.standing(hour_of(call))
        if stands == written or await plant.obstacle(hour_of(call)) is not None:
            return None
        return f"the battery does not hold what was written: {written}"

    gateway = Destination(name=f"plant-{plant.layout.name}")
    return Steps(
        Check(hour_is_ahead, timeout=answer_within),
        Action(do=take_control, undo=release_control, verify=has_control, timeout=answer_within, to=gateway),
        Action(do=write_setpoint, undo=restore_hold, verify=read_back, timeout=answer_within, to=gateway),
        Check(setpoint_stands, timeout=answer_within),
        name="dispatch",
    )


def over_the_field(declared: Decision[Any, Any, Any], plant: RemotePlant) -> Decision[Any, Any, Any]:
    """Return a declared dispatch that asks and orders a plant on the far side of a protocol."""
    schedule = Every(hours(1), make=plant.due, offset=plant.local.past_the_hour)
    return replace(declared, action=dispatch_over(plant), schedule=schedule)


def _value(reading: Reading) -> float:
    return reading.value or 0.0


def _receipt(said: tuple[str, str]) -> Receipt:
    reference, power_mw = said
    return Receipt(reference=reference, detail={"power_mw": power_mw} if power_mw else {})


def _receipt_if_any(said: tuple[str, str]) -> Receipt | None:
    return _receipt(said) if said[0] else None
