"""A simulated site: a load and a battery behind one meter, whose highest reading of each month is paid for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.peak.shaving import Standing
from steward.cases.grid.peak.streams import MeteredDemand, ShavingDue
from steward.cases.grid.streams import HOLD, Setpoint
from steward.errors import Conflict, EngineError
from steward.records import Receipt

HALF_HOUR = HOUR / 2


@dataclass(frozen=True)
class _Order:
    """A set-point that was taken: under which key, and for which interval."""

    key: str
    at: datetime
    setpoint: Setpoint

    @property
    def receipt(self) -> Receipt:
        return Receipt(
            reference=f"setpoint/{self.at.isoformat()}", detail={"power_mw": f"{self.setpoint.power_mw:.6g}"}
        )


class MeteredSite:
    """A site that follows one set-point an interval, holds when it got none, and keeps the month's peaks.

    It takes each idempotency key once, refuses set-points for intervals that are over, and keeps the battery inside its
    limits whatever it is told.

    Args:
        name: Its name.
        local: The zone whose days bound the daily withdrawal, and whose months are billed.
        battery: Its limits; full at the start.
        interval: How long a set-point holds, and over which time the meter takes its means.

    Example:
        >>> from datetime import UTC
        >>> site = MeteredSite("vic", LocalDays("UTC"), Battery())
        >>> noon = datetime(2014, 1, 16, 12, tzinfo=UTC)
        >>> site.take(Setpoint(power_mw=9.0), at=noon, key="run-1").detail
        {'power_mw': '9'}
        >>> site.meter(noon, load_mw=500.0).net_mw, site.standing(noon + HALF_HOUR).paid_mw
        (491.0, 491.0)
    """

    def __init__(self, name: str, local: LocalDays, battery: Battery, *, interval: timedelta = HALF_HOUR) -> None:
        self.name, self.local, self.battery, self.interval = name, local, battery, interval
        self.hours = interval / HOUR
        self.state = State(soc_mwh=battery.energy_mwh)
        self.paid_mw = self.unshaved_mw = 0.0
        self._entered: datetime | None = None
        self._done_until: datetime | None = None
        self._order: _Order | None = None

    # What the decision asks and calls

    def standing(self, at: datetime) -> Standing:
        """Return where the site stands when the interval that starts at ``at`` begins."""
        self._enter(at)
        return Standing(self.battery, self.state, self.paid_mw, self.hours)

    def due(self, at: datetime) -> ShavingDue:
        """Return the question of the interval that starts at ``at``."""
        self._enter(at)
        battery = self.battery
        return ShavingDue(
            site=self.name,
            zone=self.local.zone,
            at=at,
            hours=self.hours,
            paid_mw=self.paid_mw,
            soc_mwh=self.state.soc_mwh,
            withdrawn_mwh=self.state.withdrawn_mwh,
            power_limit_mw=battery.power_mw,
            energy_limit_mwh=battery.energy_mwh,
            round_trip=battery.round_trip,
            daily_withdrawal_limit_mwh=battery.daily_withdrawal_mwh,
        )

    def take(self, setpoint: Setpoint, *, at: datetime, key: str) -> Receipt:
        """Hold a set-point, as far as the battery can, in the interval that starts at ``at``; a key counts once.

        Raises:
            EngineError: That interval is over.
        """
        known = self._order
        if known is None or (known.key, known.at) != (key, at):
            if self._done_until is not None and at < self._done_until:
                raise EngineError(f"the interval of {at.isoformat()} is over", code="too-late")
            self._enter(at)
            power = self.battery.feasible(setpoint.power_mw, self.state, self.hours)
            known = self._order = _Order(key, at, Setpoint(power_mw=power))
        return known.receipt

    def read_back(self, at: datetime, *, key: str) -> Receipt | None:
        """Return the receipt of what was taken under ``key`` for that interval, if it was."""
        known = self._order
        return known.receipt if known is not None and (known.key, known.at) == (key, at) else None

    def forget(self, at: datetime, *, key: str) -> Receipt:
        """Take a set-point back: the battery holds in that interval.

        Raises:
            Conflict: The interval is over, or the set-point was never taken.
        """
        if self.read_back(at, key=key) is None:
            raise Conflict(f"no set-point of {key!r} waits for {at.isoformat()}", code="not-waiting")
        self._order = _Order(key, at, HOLD)
        return self._order.receipt

    # What the world does

    def meter(self, at: datetime, *, load_mw: float) -> MeteredDemand:
        """Let the interval that starts at ``at`` pass, and return what the meter says."""
        self._enter(at)
        order = self._order if self._order is not None and self._order.at == at else None
        power = self.battery.feasible(order.setpoint.power_mw if order else 0.0, self.state, self.hours)
        self.state = self.battery.follow(power, self.state, self.hours)
        said = MeteredDemand(
            site=self.name,
            at=at,
            load_mw=load_mw,
            net_mw=round(load_mw - power, 6),
            paid_mw=self.paid_mw,
            unshaved_mw=self.unshaved_mw,
        )
        self.paid_mw, self.unshaved_mw = max(self.paid_mw, said.net_mw), max(self.unshaved_mw, load_mw)
        self._done_until, self._order = at + self.interval, None
        return said

    def _enter(self, at: datetime) -> None:
        """Begin a new day, and a new month, if ``at`` is in one."""
        if self._entered is not None and at <= self._entered:
            return
        before, now = self._entered and self._entered.astimezone(self.local.tz), at.astimezone(self.local.tz)
        self._entered = at
        if before is not None and now.date() == before.date():
            return
        self.state = State(soc_mwh=self.state.soc_mwh)
        if before is None or (now.year, now.month) != (before.year, before.month):
            self.paid_mw = self.unshaved_mw = 0.0
