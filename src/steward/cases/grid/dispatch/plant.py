"""A simulated battery with its meter: a device that takes set-points, proves them, and can be told to forget one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.streams import HOLD, DispatchDue, MeteredInterval, Setpoint
from steward.decision.action import Call
from steward.errors import Conflict, EngineError
from steward.records import Receipt

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class _Order:
    """A set-point that was taken: under which key, and for which hour."""

    key: str
    at: datetime
    setpoint: Setpoint


class SimulatedPlant:
    """A battery that follows one set-point an hour, and holds when it got none.

    It takes each idempotency key once, refuses set-points for hours that are over or that nobody took control of, and
    keeps itself inside its limits whatever it is told.

    Args:
        site: Its name.
        local: The zone whose days bound the daily withdrawal.
        battery: Its limits.

    Example:
        >>> from datetime import UTC
        >>> plant = SimulatedPlant("es", LocalDays("Europe/Madrid"), Battery())
        >>> midnight = datetime(2017, 12, 31, 23, tzinfo=UTC)
        >>> plant.take_control(midnight, key="run-1/control").reference
        'control/2017-12-31T23:00:00+00:00'
        >>> plant.take(Setpoint(power_mw=-25.0), at=midnight, key="run-1").detail
        {'power_mw': '-10.0'}
        >>> plant.run_hour(midnight, price_eur_mwh=30.0).energy_mwh, round(plant.state.soc_mwh, 2)
        (-10.0, 9.49)
    """

    def __init__(self, site: str, local: LocalDays, battery: Battery) -> None:
        self.site, self.local, self.battery = site, local, battery
        self.state = State()
        self._day: date | None = None
        self._soc_at_day_start_mwh = 0.0
        self._done_until: datetime | None = None
        self._orders: dict[datetime, _Order] = {}
        self._controls: dict[datetime, str] = {}

    # What the decision's action calls

    def obstacle(self, at: datetime) -> str | None:
        """Tell what keeps the battery from following a set-point in the hour that starts at ``at``, if anything."""
        if self._done_until is not None and at < self._done_until:
            return f"the hour of {at.isoformat()} is over"
        return None

    def take_control(self, at: datetime, *, key: str) -> Receipt:
        """Let the battery's own controller hand over the hour that starts at ``at``.

        Raises:
            EngineError: That hour is over.
        """
        if self._controls.get(at) != key:
            self._refuse_if_over(at)
            self._controls[at] = key
        return _control(at)

    def has_control(self, at: datetime, *, key: str) -> Receipt | None:
        """Return the receipt of what was handed over under ``key``, if it was."""
        return _control(at) if self._controls.get(at) == key else None

    def release_control(self, at: datetime, *, key: str) -> Receipt:
        """Give an hour back to the battery's own controller; nothing changes if another key has it."""
        if self._controls.get(at) == key:
            del self._controls[at]
        return _control(at)

    def take(self, setpoint: Setpoint, *, at: datetime, key: str) -> Receipt:
        """Hold ``setpoint`` in the hour that starts at ``at``; the same key again changes nothing.

        Raises:
            EngineError: That hour is over, or nobody took control of it.
        """
        known = self._orders.get(at)
        if known is None or known.key != key:
            self._refuse_if_over(at)
            if at not in self._controls:
                raise EngineError(f"nobody has control of the hour of {at.isoformat()}", code="no-control")
            self._enter(at)
            held = Setpoint(power_mw=self.battery.feasible(setpoint.power_mw, self.state))
            known = self._orders[at] = _Order(key, at, held)
        return _receipt(known)

    def read_back(self, at: datetime, *, key: str) -> Receipt | None:
        """Return the receipt of what was taken under ``key``, if it was."""
        known = self._orders.get(at)
        return _receipt(known) if known is not None and known.key == key else None

    def standing(self, at: datetime) -> Receipt | None:
        """Return the receipt of the set-point that stands for the hour that starts at ``at``, whoever wrote it."""
        known = self._orders.get(at)
        return None if known is None else _receipt(known)

    def forget(self, at: datetime, *, key: str) -> Receipt:
        """Take a set-point back: the battery holds in that hour.

        Raises:
            Conflict: The hour is over, or the set-point was never taken.
        """
        known = self._orders.get(at)
        if known is None or known.key != key:
            raise Conflict(f"no set-point of {key!r} waits for {at.isoformat()}", code="not-waiting")
        self._orders[at] = _Order(key, at, HOLD)
        return _receipt(self._orders[at])

    # What the world does

    def run_hour(self, at: datetime, *, price_eur_mwh: float) -> MeteredInterval:
        """Let the hour that starts at ``at`` pass, and return what the meter says."""
        self._enter(at)
        order = self._orders.pop(at, None)
        self._controls.pop(at, None)
        power = self.battery.feasible(order.setpoint.power_mw if order else 0.0, self.state)
        self.state = self.battery.follow(power, self.state)
        self._done_until = at + HOUR
        return MeteredInterval(site=self.site, at=at, energy_mwh=power, price_eur_mwh=price_eur_mwh)

    def due(self, at: datetime) -> DispatchDue:
        """Return the question of the hour that starts at ``at``."""
        self._enter(at)
        local, battery, day = self.local, self.battery, self.local.day_of(at)
        return DispatchDue(
            site=self.site,
            zone=local.zone,
            at=at,
            day=day,
            plan_at=local.plan_at(day),
            day_start=local.start(day),
            day_end=local.start(day + _DAY),
            soc_mwh=self.state.soc_mwh,
            withdrawn_mwh=self.state.withdrawn_mwh,
            soc_at_day_start_mwh=self._soc_at_day_start_mwh,
            power_limit_mw=battery.power_mw,
            energy_limit_mwh=battery.energy_mwh,
            round_trip=battery.round_trip,
            daily_withdrawal_limit_mwh=battery.daily_withdrawal_mwh,
            wear_eur_mwh=battery.wear_eur_mwh,
            hurdle_eur_mwh=battery.hurdle_eur_mwh,
        )

    def _refuse_if_over(self, at: datetime) -> None:
        if (why := self.obstacle(at)) is not None:
            raise EngineError(why, code="too-late")

    def _enter(self, at: datetime) -> None:
        day = self.local.day_of(at)
        if day != self._day:
            self._day, self._soc_at_day_start_mwh = day, self.state.soc_mwh
            self.state = State(soc_mwh=self.state.soc_mwh)


def hour_of(call: Call) -> datetime:
    """Return the hour that a decision was made for."""
    return datetime.fromisoformat(call.features.text("interval_start"))


def _receipt(order: _Order) -> Receipt:
    return Receipt(reference=f"setpoint/{order.at.isoformat()}", detail={"power_mw": str(order.setpoint.power_mw)})


def _control(at: datetime) -> Receipt:
    return Receipt(reference=f"control/{at.isoformat()}")
