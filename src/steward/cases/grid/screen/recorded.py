"""What the ledger says of a battery's local day: its decided hours, and the readings beside them.

Everything here works on any project that declares the case's decision: nothing is asked of a simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.cases.grid import streams
from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import DAY, HOUR, LocalDays
from steward.cases.grid.dispatch.decision import NAME
from steward.cases.grid.dispatch.skills import DispatchPlan
from steward.cases.grid.streams import LoadReading, PriceReading, Setpoint
from steward.clock import EPOCH, uuid_of
from steward.insight.rows import RunRow
from steward.ledger.port import Ledger
from steward.records import Money, Status
from steward.runtime.runtime import Runtime

K = TypeVar("K")
V = TypeVar("V")
_LATE: Final = timedelta(hours=3)
"""How long after its hour a decision may have been made, and still be looked for."""
_MOST_IN_A_DAY: Final = 100
_HOURS_KEPT: Final = 1_000
_READINGS_KEPT: Final = 64
_READ_AT_ONCE: Final = 100
_MILLISECOND: Final = timedelta(milliseconds=1)
_MISSED: Final = {
    Status.REJECTED: "nobody agreed",
    Status.EXPIRED: "nobody agreed",
    Status.FAILED: "the plant did not take it",
}


class _Asked(Struct):
    site: str
    zone: str
    at: datetime
    day: date
    day_start: datetime
    soc_mwh: float
    power_limit_mw: float
    energy_limit_mwh: float
    round_trip: float
    daily_withdrawal_limit_mwh: float
    wear_eur_mwh: float = 0.0


class _Decided(Struct):
    event: _Asked
    choice: Setpoint
    prediction: DispatchPlan


class _Outcome(Struct):
    energy_mwh: float
    price_eur_mwh: float


class _Observed(Struct):
    outcome: _Outcome


_decided = msgspec.json.Decoder(_Decided).decode
_observed = msgspec.json.Decoder(_Observed).decode


class Hour(Struct, frozen=True, kw_only=True):
    """One hour as it was decided, and as the meter saw it.

    Attributes:
        run: The decision's id.
        at: When the hour began.
        day_start: When its local day began.
        status: How far the decision has come.
        proposed_mw: What the policy chose; positive feeds the grid.
        in_force_mw: What is in force by now; ``None`` while a person is asked.
        soc_mwh: What the store held when the hour began.
        battery: What the battery can do.
        plan: The plan and the forecasts of its local day.
        reasons: Why the policy chose as it did.
        metered_mwh: The energy that was measured, and ...
        price_eur_mwh: ... the price it was settled at; both ``None`` until the meter has told.
        saving: What that was worth against no battery.

    Example:
        >>> "metered_mwh" in Hour.__struct_fields__
        True
    """

    run: UUID
    at: datetime
    day_start: datetime
    status: Status
    proposed_mw: float
    in_force_mw: float | None
    soc_mwh: float
    battery: Battery
    plan: DispatchPlan
    reasons: tuple[str, ...]
    metered_mwh: float | None = None
    price_eur_mwh: float | None = None
    saving: Money | None = None

    @property
    def power_mw(self) -> float | None:
        """The power of the hour: measured, or in force until then."""
        return self.in_force_mw if self.metered_mwh is None else self.metered_mwh

    @property
    def missed(self) -> str:
        """Why it was not done; empty if it was, or may still be."""
        return _MISSED.get(self.status, "")

    @property
    def forecast_eur_mwh(self) -> float | None:
        """The price that its plan expected."""
        return within(self.plan.price_eur_mwh, self.at, self.day_start)


class Place(Struct, frozen=True):
    """Where the battery is: the site of its readings, the zone whose days count, and its newest decided hour.

    Example:
        >>> Place("region", LocalDays("Europe/Madrid"), EPOCH).newest_day
        datetime.date(1970, 1, 1)
    """

    site: str
    local: LocalDays
    newest: datetime

    @property
    def newest_day(self) -> date:
        """The local day of the newest decided hour."""
        return self.local.day_of(self.newest)


class Recorded:
    """Reads local days of the battery's decisions from a runtime; what is final is read once.

    Args:
        runtime: Whose ledger and views.

    Example:
        >>> async def powers(runtime: Runtime, day: date) -> list[float | None]:
        ...     recorded = Recorded(runtime)
        ...     place = await recorded.place()
        ...     return [] if place is None else [hour.power_mw for hour in await recorded.hours(place.local, day)]
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._hours: dict[tuple[UUID, Status, int | None], Hour] = {}
        self._readings: dict[tuple[str, datetime, datetime, int], dict[datetime, float]] = {}
        self._first: datetime | None = None

    async def place(self) -> Place | None:
        """Return where the battery is, by its newest decision; ``None`` if there is none."""
        newest = self._runtime.views.runs(decision=NAME, limit=1)
        if not newest:
            return None
        asked = _decided((await self._runtime.ledger.of_run(newest[0].decision_id))[0].body).event
        return Place(asked.site, LocalDays(asked.zone), asked.at)

    def first(self) -> datetime | None:
        """Return the beginning of the first hour in which something was decided; ``None`` if nothing was."""
        if self._first is None and (days := self._runtime.views.value_by_day(NAME)):
            start = EPOCH + (days[0].day - EPOCH.date())
            steps = self._runtime.views.pulse(start, start + DAY, HOUR, decision=NAME)
            self._first = next((step.at for step in steps if step.runs), None)
        return self._first

    async def hours(self, local: LocalDays, day: date) -> list[Hour]:
        """Return the hours of a local day that were decided, in order; of an hour that was decided twice, the last."""
        start, end = local.start(day), local.start(day + DAY)
        found: dict[datetime, Hour] = {}
        for row in self._runtime.views.runs(decision=NAME, before=id_at(end + _LATE), limit=_MOST_IN_A_DAY):
            if row.decided_at < start:
                break
            hour = await self._hour(row)
            if start <= hour.at < end:
                found.setdefault(hour.at, hour)
        return [found[at] for at in sorted(found)]

    async def before(self, at: datetime) -> Hour | None:
        """Return the last decided hour before a moment."""
        rows = self._runtime.views.runs(decision=NAME, before=id_at(at), limit=1)
        return await self._hour(rows[0]) if rows else None

    def saved(self, since: datetime, until: datetime) -> Money | None:
        """Return what the decisions of a stretch of time saved against no battery; ``None`` if nothing is known."""
        worth = [
            each
            for step in self._runtime.views.pulse(since, until, until - since, decision=NAME)
            for each in step.worth
        ]
        return worth[0].saving if worth else None

    def refused(self, since: datetime, until: datetime) -> int:
        """Return how many decisions of a stretch of time were not done as nobody agreed."""
        steps = self._runtime.views.pulse(since, until, until - since, decision=NAME)
        return sum(step.rejected + step.expired for step in steps)

    async def loads(self, site: str, since: datetime, until: datetime) -> dict[datetime, float]:
        """Return the measured load (MW) of the hours of a stretch of time, as far as it is known."""
        return await self._values(streams.load.name, site, since, until)

    async def prices(self, site: str, since: datetime, until: datetime) -> dict[datetime, float]:
        """Return the true price (EUR/MWh) of the hours of a stretch of time, as far as it is known."""
        return await self._values(streams.price.name, site, since, until)

    async def _hour(self, row: RunRow) -> Hour:
        key = (row.decision_id, row.status, None if row.saving is None else row.saving.minor)
        if (known := self._hours.get(key)) is not None:
            return known
        entries = await self._runtime.ledger.of_run(row.decision_id)
        asked = _decided(entries[0].body)
        outcomes = [_observed(entry.body).outcome for entry in entries if entry.kind == "observed"]
        in_force = None if row.status is Status.WAITING else msgspec.convert(row.choice, Setpoint).power_mw
        hour = Hour(
            run=row.decision_id,
            at=asked.event.at,
            day_start=asked.event.day_start,
            status=row.status,
            proposed_mw=asked.choice.power_mw,
            in_force_mw=in_force,
            soc_mwh=asked.event.soc_mwh,
            battery=_battery(asked.event),
            plan=asked.prediction,
            reasons=row.reasons,
            metered_mwh=outcomes[-1].energy_mwh if outcomes else None,
            price_eur_mwh=outcomes[-1].price_eur_mwh if outcomes else None,
            saving=row.saving,
        )
        _keep(self._hours, key, hour, _HOURS_KEPT)
        return hour

    async def _values(self, topic: str, site: str, since: datetime, until: datetime) -> dict[datetime, float]:
        ledger = self._runtime.ledger
        size = (await ledger.topics()).get(topic, 0)
        key = (topic, since, until, size)
        if key not in self._readings:
            low = await _place(ledger, topic, size, since - 2 * DAY)
            _keep(self._readings, key, await _read(ledger, topic, low, site, (since, until)), _READINGS_KEPT)
        return self._readings[key]


def within(values: Sequence[float], at: datetime, day_start: datetime) -> float | None:
    """Return the value of an hour from those of its local day.

    Example:
        >>> within((1.0, 2.0), EPOCH + HOUR, EPOCH), within((1.0, 2.0), EPOCH + 2 * HOUR, EPOCH)
        (2.0, None)
    """
    place = (at - day_start) // HOUR
    return values[place] if 0 <= place < len(values) else None


async def _place(ledger: Ledger, topic: str, size: int, since: datetime) -> int:
    """Return the offset of the first message that became known at ``since`` or later: they stand in that order."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        stored = await ledger.messages(topic, middle, 1)
        if stored and stored[0].message.known_at < since:
            low = middle + 1
        else:
            high = middle
    return low


async def _read(
    ledger: Ledger, topic: str, start: int, site: str, span: tuple[datetime, datetime]
) -> dict[datetime, float]:
    """Return a site's readings of the hours of a span, by hour; of two of one hour the last."""
    decode, (since, until) = _CONTRACTS[topic], span
    found: dict[datetime, float] = {}
    while stored := await ledger.messages(topic, start, _READ_AT_ONCE):
        for each in stored:
            if each.message.known_at > until + DAY:
                return found
            if each.message.key == site:
                at, value = decode(each.message.data)
                if since <= at < until:
                    found[at] = value
        start = stored[-1].offset + 1
    return found


def _load(data: bytes) -> tuple[datetime, float]:
    reading = msgspec.json.decode(data, type=LoadReading)
    return reading.at, reading.load_mw


def _price(data: bytes) -> tuple[datetime, float]:
    reading = msgspec.json.decode(data, type=PriceReading)
    return reading.at, reading.price_eur_mwh


_CONTRACTS: Final = {streams.load.name: _load, streams.price.name: _price}


def _battery(asked: _Asked) -> Battery:
    return Battery(
        power_mw=asked.power_limit_mw,
        energy_mwh=asked.energy_limit_mwh,
        round_trip=asked.round_trip,
        daily_withdrawal_mwh=asked.daily_withdrawal_limit_mwh,
        wear_eur_mwh=asked.wear_eur_mwh,
    )


def id_at(at: datetime) -> UUID:
    """Return the smallest id that a decision of this moment can have (UUIDv7)."""
    return uuid_of(((at - EPOCH) // _MILLISECOND) << 80)


def _keep(kept: dict[K, V], key: K, value: V, most: int) -> None:
    """Keep a value, and drop the oldest where there are too many."""
    while len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value
