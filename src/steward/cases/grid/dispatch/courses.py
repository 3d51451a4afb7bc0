"""Courses: what a battery did on consecutive local days, and what that earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from steward.cases.grid.battery import Battery, earned_eur
from steward.cases.grid.data.history import Floats


@dataclass(frozen=True)
class Course:
    """What a battery did on consecutive local days.

    Attributes:
        days: The local days.
        powers_mw: The power of each hour of each day; positive feeds the grid.
        eur: What each day earned at true prices, before wear.

    Example:
        >>> course = Course.at((date(2018, 1, 1),), ([-10.0, 9.0],), ([20.0, 60.0],))
        >>> course.total_eur, course.throughput_mwh.tolist()
        (340.0, [19.0])
        >>> course.net_eur(Battery(wear_eur_mwh=2.0)).tolist()
        [302.0]
    """

    days: tuple[date, ...]
    powers_mw: tuple[Floats, ...]
    eur: Floats

    @classmethod
    def at(
        cls,
        days: Sequence[date],
        powers_mw: Sequence[Sequence[float] | Floats],
        prices_eur_mwh: Sequence[Sequence[float] | Floats],
    ) -> Course:
        """Return the course of these powers, settled at these prices; one sequence for each day."""
        powers = tuple(np.asarray(day, dtype=np.float64) for day in powers_mw)
        eur = [
            earned_eur(power.tolist(), np.asarray(prices).tolist())
            for power, prices in zip(powers, prices_eur_mwh, strict=True)
        ]
        return cls(tuple(days), powers, np.array(eur))

    @property
    def total_eur(self) -> float:
        """What all days earned, before wear."""
        return float(sum(self.eur.tolist()))

    @property
    def throughput_mwh(self) -> Floats:
        """The energy of each day that passed the meter, both ways: what wears the battery."""
        return np.array([np.abs(power).sum() for power in self.powers_mw])

    def net_eur(self, battery: Battery) -> Floats:
        """Return what each day earned after the battery's wear."""
        return self.eur - battery.wear_eur_mwh * self.throughput_mwh

    def cycles(self, battery: Battery) -> float:
        """Return how often the store was emptied: what was taken from it, in units of its size."""
        fed = sum(float(power.clip(0).sum()) for power in self.powers_mw)
        return fed / battery.one_way / battery.energy_mwh
