"""The battery's physics: what a set-point does to the store, seen from the grid side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from steward.errors import DeclarationError

_DUST_MWH = 1e-9


@dataclass(frozen=True, kw_only=True)
class Battery:
    """A battery that takes the market's price and pays no fees but its wear.

    Power is measured at the grid: positive feeds the grid (discharge), negative draws from it (charge).

    Args:
        power_mw: Largest power, both ways.
        energy_mwh: What the store holds.
        round_trip: Energy that comes back of what was drawn (0..1]; each way loses its square root.
        daily_withdrawal_mwh: Most energy taken from the store in one local day.
        wear_eur_mwh: What each MWh that passes the meter, either way, costs in lifetime.
        hurdle_eur_mwh: What a plan must expect to earn on each MWh that passes the meter beyond its wear; it is no
            cost, but keeps the battery from cycles that pay only if the forecast is right to the cent.

    Example:
        >>> battery = Battery()
        >>> after = battery.follow(-10.0, State())
        >>> round(after.soc_mwh, 3)
        9.487
        >>> battery.feasible(10.0, after)
        9.0
    """

    power_mw: float = 10.0
    energy_mwh: float = 40.0
    round_trip: float = 0.9
    daily_withdrawal_mwh: float = 40.0
    wear_eur_mwh: float = 0.0
    hurdle_eur_mwh: float = 0.0

    def __post_init__(self) -> None:
        """Refuse batteries that cannot exist."""
        if min(self.power_mw, self.energy_mwh, self.daily_withdrawal_mwh) <= 0 or not 0 < self.round_trip <= 1:
            raise DeclarationError(
                "a battery has positive power and energy and an efficiency in (0, 1]", field="battery"
            )
        if min(self.wear_eur_mwh, self.hurdle_eur_mwh) < 0:
            raise DeclarationError("a battery's wear and hurdle are 0 EUR/MWh or more", field="battery")

    @property
    def one_way(self) -> float:
        """The efficiency of charging, and of discharging."""
        return sqrt(self.round_trip)

    def feasible(self, power_mw: float, state: State, hours: float = 1.0) -> float:
        """Return the power nearest to ``power_mw`` that can be held for ``hours``, rounded to a watt."""
        out = min(state.soc_mwh, self.daily_withdrawal_mwh - state.withdrawn_mwh) * self.one_way / hours
        into = (self.energy_mwh - state.soc_mwh) / self.one_way / hours
        held = (
            min(power_mw, self.power_mw, max(out, 0.0))
            if power_mw > 0
            else max(power_mw, -self.power_mw, -max(into, 0.0))
        )
        return round(held, 6)

    def follow(self, power_mw: float, state: State, hours: float = 1.0) -> State:
        """Return the state after holding a feasible power for ``hours``."""
        if power_mw <= 0:
            soc = state.soc_mwh - power_mw * hours * self.one_way
            return State(soc_mwh=min(soc, self.energy_mwh), withdrawn_mwh=state.withdrawn_mwh)
        taken = power_mw * hours / self.one_way
        left = state.soc_mwh - taken
        return State(soc_mwh=left if left > _DUST_MWH else 0.0, withdrawn_mwh=state.withdrawn_mwh + taken)

    def follow_day(
        self, powers_mw: Iterable[float], soc_mwh: float, *, withdrawn_mwh: float = 0.0
    ) -> tuple[list[float], float]:
        """Follow a local day, or the rest of one, as far as feasible; return the powers held and what is left."""
        state, held = State(soc_mwh=soc_mwh, withdrawn_mwh=withdrawn_mwh), []
        for wanted in powers_mw:
            power = self.feasible(wanted, state)
            state = self.follow(power, state)
            held.append(power)
        return held, state.soc_mwh


@dataclass(frozen=True, kw_only=True)
class State:
    """What a battery is in.

    Attributes:
        soc_mwh: Energy in the store.
        withdrawn_mwh: Energy taken from the store since the local day began.

    Example:
        >>> State(soc_mwh=20.0).withdrawn_mwh
        0.0
    """

    soc_mwh: float = 0.0
    withdrawn_mwh: float = 0.0


def earned_eur(powers_mw: Sequence[float], prices_eur_mwh: Sequence[float], hours: float = 1.0) -> float:
    """Return what feeding the grid at these prices earned, less what drawing from it cost.

    Example:
        >>> earned_eur([-10.0, 9.0], [20.0, 60.0])
        340.0
    """
    return sum(power * price for power, price in zip(powers_mw, prices_eur_mwh, strict=True)) * hours
