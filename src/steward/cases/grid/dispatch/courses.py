"""Courses: what a battery did on consecutive local days, and what that earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from steward.cases.grid.battery import Battery, earned_eur
from steward.cases.grid.data.history import Floats


@dataclass(frozen=True)
class Course:
    """What a battery did on consecutive local days.

    Attributes:
        battery: Its limits and wear.
        days: The local days.
        powers_mw: The power of each hour of each day; positive feeds the grid.
        gross_eur: What each day earned at true prices, before wear.

    Example:
        >>> course = Course.at(Battery(wear_eur_mwh=2.0), [date(2018, 1, 1)], [[-10.0, 9.0]], [[20.0, 60.0]])
        >>> course.gross_eur.tolist(), course.throughput_mwh.tolist(), course.total_eur
        ([340.0], [19.0], 302.0)
    """

    battery: Battery
    days: tuple[date, ...]
    powers_mw: tuple[Floats, ...]
    gross_eur: Floats

    @classmethod
    def at(
        cls,
        battery: Battery,
        days: Sequence[date],
        powers_mw: Sequence[Sequence[float] | Floats],
        prices_eur_mwh: Sequence[Sequence[float] | Floats],
    ) -> Course:
        """Return the course of these powers, settled at these prices; one sequence for each day."""
        powers = tuple(np.asarray(day, dtype=np.float64) for day in powers_mw)
        earned = [
            earned_eur(power.tolist(), np.asarray(prices).tolist())
            for power, prices in zip(powers, prices_eur_mwh, strict=True)
        ]
        return cls(battery, tuple(days), powers, np.array(earned))

    @cached_property
    def eur(self) -> Floats:
        """What each day earned after wear."""
        return self.gross_eur - self.battery.wear_eur_mwh * self.throughput_mwh

    @property
    def total_eur(self) -> float:
        """What all days earned after wear."""
        return float(sum(self.eur.tolist()))

    @cached_property
    def throughput_mwh(self) -> Floats:
        """The energy of each day that passed the meter, both ways: what wears the battery."""
        return np.array([np.abs(power).sum() for power in self.powers_mw])

    @property
    def cycles(self) -> float:
        """How often the store was emptied: what was taken from it, in units of its size."""
        fed = sum(float(power.clip(0).sum()) for power in self.powers_mw)
        return fed / self.battery.one_way / self.battery.energy_mwh
