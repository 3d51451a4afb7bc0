"""What the calendar says of a day's load: weekday, season, holidays of the whole country or of some of its regions."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Final

import numpy as np

from steward.cases.grid.data.day_kinds import holidays_of
from steward.cases.grid.data.history import Floats
from steward.cases.grid.data.local_days import DAY, LocalDays

_HARMONICS: Final = 4
_BEFORE: Final = (1, 2, 3, 7, 8, 14)
"""Days back whose load the forecast starts from; whether they were holidays tells how much they say."""


@dataclass(frozen=True)
class Calendar:
    """Which share of the people has a day off.

    Args:
        country: An ISO 3166 code, or ``None`` where nobody's holidays are known.
        people: Inhabitants by region (ISO 3166-2), in any unit; none for a country whose regions do not matter.

    Example:
        >>> spain = Calendar.of(LocalDays("Europe/Madrid"))
        >>> round(spain.off(date(2017, 4, 13)), 2), spain.off(date(2017, 4, 14)), spain.off(date(2017, 4, 12))
        (0.84, 1.0, 0.0)
    """

    country: str | None
    people: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, local: LocalDays) -> Calendar:
        """Return the calendar of those who live by a zone's clock."""
        return cls(local.country, _PEOPLE.get(local.zone, {}))

    def off(self, day: date) -> float:
        """Return the share (0..1) of the people for whom the day is a public holiday."""
        if not self.people:
            return float(day in holidays_of(self.country))
        some = sum(people for region, people in self.people.items() if day in _holidays(self.country, region))
        return some / sum(self.people.values())

    def inputs(self, days: Sequence[date]) -> Floats:
        """Return one row of inputs for each of the days, which follow each other."""
        first, last = days[0] - max(_BEFORE) * DAY, days[-1] + DAY
        span = [first + n * DAY for n in range((last - first).days + 1)]
        weekday = np.array([day.weekday() for day in span])
        work = weekday < 5
        off = np.array([self.off(day) for day in span])
        lost = off * work
        day = slice(max(_BEFORE), len(span) - 1)

        def beside(values: Floats, ahead: int) -> Floats:
            return values[day.start + ahead : day.stop + ahead]

        bridge = (1 - off[day]) * ((weekday[day] == 0) * beside(lost, 1) + (weekday[day] == 4) * beside(lost, -1))
        free = np.where(work, off, 1.0)[day]
        turn = _turn_of_year(days)
        return np.column_stack(
            (
                np.eye(7)[weekday[day]] * (1 - off[day])[:, None],
                lost[day],
                (off * ~work)[day],
                (lost * (off < 1))[day],
                bridge,
                beside(lost, 1),
                *(beside(lost, -n) for n in _BEFORE),
                turn,
                turn * free[:, None],
                _seasons(days),
                _seasons(days) * (~work[day])[:, None],
            )
        )


def _seasons(days: Sequence[date]) -> Floats:
    angle = 2 * np.pi * np.array([day.timetuple().tm_yday for day in days]) / 365.25
    waves = angle[:, None] * np.arange(1, _HARMONICS + 1)
    return np.hstack((np.sin(waves), np.cos(waves)))


def _turn_of_year(days: Sequence[date]) -> Floats:
    """Return how deep in the quiet weeks around the turn of the year a day lies, narrowly and widely."""
    past = np.array([(day - date(day.year - (day.month < 7), 12, 30)).days for day in days], dtype=np.float64)
    return np.asarray(np.exp(-0.5 * (past[:, None] / np.array([4.0, 9.0])) ** 2))


@cache
def _holidays(country: str | None, region: str) -> Container[date]:
    """Return a region's public holidays, the country's among them."""
    if isinstance(holidays_of(country), frozenset):
        return frozenset()
    import holidays  # noqa: PLC0415 - an extra, there since the country's were found

    known: Container[date] = holidays.country_holidays(str(country), subdiv=region)
    return known


_PEOPLE: Final[Mapping[str, Mapping[str, float]]] = {
    "Australia/Melbourne": {"VIC": 1.0},
    "Europe/Madrid": {
        "AN": 8.4, "AR": 1.3, "AS": 1.0, "CB": 0.6, "CE": 0.1, "CL": 2.4, "CM": 2.0, "CN": 2.2, "CT": 7.5, "EX": 1.1,
        "GA": 2.7, "IB": 1.1, "MC": 1.5, "MD": 6.5, "ML": 0.1, "NC": 0.6, "PV": 2.2, "RI": 0.3, "VC": 5.0,
    },
}  # fmt: skip
"""Millions of inhabitants in 2016, by region; Spain's from the national institute of statistics."""
