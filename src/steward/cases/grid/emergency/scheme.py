"""The declared scheme: what is used in which order, what is never touched, how long anything may take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from steward.cases.grid.emergency.events import Device, Part, Relief
from steward.errors import DeclarationError

_DUST_MW = 1e-6
_HOUR = timedelta(hours=1)


class Late(StrEnum):
    """What is done when the deadline has passed before anything was written.

    ``STAND_DOWN`` leaves it to the protection relays, which cut off blocks by themselves, and tells the operator.
    ``ACT`` acts all the same: for a shortfall that builds up over minutes, late is better than never.

    Example:
        >>> Late.STAND_DOWN.value
        'stand-down'
    """

    STAND_DOWN = "stand-down"
    ACT = "act"


@dataclass(frozen=True)
class Feeder:
    """A feeder that may be shed, whole.

    Example:
        >>> Feeder("f1").name
        'f1'
    """

    name: str


@dataclass(frozen=True)
class Store:
    """A battery that may feed the grid, with as much as it can for the longest hold and ``least_soc_mwh`` still in it.

    Example:
        >>> Store("battery", least_soc_mwh=4.0).name
        'battery'
    """

    name: str
    least_soc_mwh: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a grid is relieved. Nothing in it is learnt, and no model is asked.

    Args:
        order: Feeders and batteries in the order in which they are used; put back in reverse.
        protected: Feeders that are never shed: hospitals, water works, the control room itself.
        freezes: Decisions that may dispatch nothing while the grid is relieved.
        most_shed_mw: Customers lose no more than this, whatever is missing.
        low_hz: Below it the grid is relieved.
        normal_hz: From here on it is safe to put loads back.
        act_within: From the measurement to the first set-point.
        if_late: What is done when that has passed.
        hold_at_most: How long the grid stays relieved if nobody says all clear.
        lost_load_eur_mwh: What a megawatt-hour that is not served is worth to those who miss it.

    Raises:
        DeclarationError: Something protected is in the order, a name stands twice, or a limit is none.

    Example:
        >>> scheme = Scheme(order=(Store("battery"), Feeder("f1"), Feeder("f2")), most_shed_mw=20.0)
        >>> there = [Device(name="battery", can_relieve_mw=10.0, soc_mwh=20.0), Device(name="f1", can_relieve_mw=6.5)]
        >>> [(part.device, part.mw) for part in scheme.relief(14.0, there).parts]
        [('battery', 10.0), ('f1', 6.5)]
    """

    order: tuple[Feeder | Store, ...]
    most_shed_mw: float
    protected: frozenset[str] = frozenset()
    freezes: tuple[str, ...] = ()
    low_hz: float = 49.8
    normal_hz: float = 49.95
    act_within: timedelta = timedelta(seconds=1)
    if_late: Late = Late.STAND_DOWN
    hold_at_most: timedelta = timedelta(minutes=30)
    lost_load_eur_mwh: float = 10_000.0

    def __post_init__(self) -> None:
        """Refuse a scheme that could do harm or nothing."""
        names = [means.name for means in self.order]
        if not names or len(set(names)) != len(names):
            raise DeclarationError("a scheme needs devices, each once", field="order")
        if named := sorted(self.protected & set(names)):
            raise DeclarationError(
                f"{named[0]!r} is protected and cannot be shed", fix="take it out of the order", field="order"
            )
        if self.low_hz >= self.normal_hz:
            raise DeclarationError("the frequency is normal above where it is low", field="normal_hz")
        if min(self.act_within, self.hold_at_most) <= timedelta(0) or self.most_shed_mw < 0:
            raise DeclarationError("times are positive, and no load is shed below 0 MW", field="act_within")

    def relief(self, shortfall_mw: float, devices: Sequence[Device]) -> Relief:
        """Return what covers a shortfall, as far as the scheme allows; feeders go whole, batteries in part.

        Args:
            shortfall_mw: What is missing.
            devices: What answered; others have no part.
        """
        there = {device.name: device for device in devices}
        missing_mw, shed_mw, parts = shortfall_mw, self.shed_already_mw(devices), list[Part]()
        for means in self.order:
            device = there.get(means.name)
            if device is None or missing_mw <= _DUST_MW:
                continue
            mw = device.can_relieve_mw
            if isinstance(means, Store):
                mw = min(mw, missing_mw, self._lasting_mw(means, device))
            if mw <= _DUST_MW or self.obstacle(means, mw, device, shed_mw=shed_mw) is not None:
                continue
            parts.append(Part(means.name, mw))
            missing_mw -= mw
            shed_mw += mw if isinstance(means, Feeder) else 0.0
        return Relief(tuple(parts))

    def obstacle(self, means: Feeder | Store, mw: float, device: Device, *, shed_mw: float) -> str | None:
        """Return what forbids to use a device, by what it says of itself now.

        Args:
            means: Its part of the scheme.
            mw: What it is to relieve.
            device: What it says.
            shed_mw: What customers go without already.
        """
        if isinstance(means, Store):
            return self._too_empty(means, mw, device)
        if device.is_priority or means.name in self.protected:
            return f"{means.name} is a priority feeder and is never shed"
        all_mw = shed_mw + max(mw, device.can_relieve_mw)  # its load may have grown, and it goes whole
        if all_mw > self.most_shed_mw + _DUST_MW:
            return f"{all_mw:.1f} MW would be shed with {means.name}, of {self.most_shed_mw:.1f} MW allowed"
        return None

    def why_too_late(self, measured_at: datetime, now: datetime) -> str | None:
        """Return why nothing may begin any more, if so."""
        if self.if_late is Late.ACT or now <= measured_at + self.act_within:
            return None
        late_s, within_s = (now - measured_at).total_seconds(), self.act_within.total_seconds()
        return f"{late_s:.2f} s have passed since the measurement, of {within_s:g} s: the protection relays act alone"

    def shed_mw(self, relief: Relief, *, before: str | None = None) -> float:
        """Return what customers go without, of all or of what comes ``before`` a device."""
        earlier = takewhile(lambda means: means.name != before, self.order)
        return sum(relief.mw(means.name) for means in earlier if isinstance(means, Feeder))

    def shed_already_mw(self, devices: Iterable[Device]) -> float:
        """Return what customers go without as an earlier emergency is not over."""
        feeders = {means.name for means in self.order if isinstance(means, Feeder)}
        return sum(device.relieves_mw for device in devices if device.name in feeders)

    def at_stake_eur(self, relief: Relief) -> float:
        """Return what the shed load is worth to those who miss it, until the latest end."""
        return round(self.shed_mw(relief) * (self.hold_at_most / _HOUR) * self.lost_load_eur_mwh, 2)

    def _lasting_mw(self, store: Store, device: Device) -> float:
        """Return what a store can feed for the longest hold, and still keep what must stay in it."""
        return max((device.soc_mwh or 0.0) - store.least_soc_mwh, 0.0) / (self.hold_at_most / _HOUR)

    def _too_empty(self, store: Store, mw: float, device: Device) -> str | None:
        if mw <= self._lasting_mw(store, device) + _DUST_MW:
            return None
        holds, stays = device.soc_mwh or 0.0, store.least_soc_mwh
        return f"{store.name} holds {holds:.1f} MWh, of which {stays:.1f} MWh stay: too little for {mw:.1f} MW"
