"""A fair comparison: what several ways to run one battery earned on the same days, with intervals by week blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import Floats
from steward.cases.grid.dispatch.courses import Course
from steward.cases.grid.dispatch.references import Guess, Market, planner_of
from steward.errors import ContractError

NO_BATTERY, CLOCK, NAIVE, LIMIT = "no battery", "fixed clock", "naive forecast", "perfect foresight"
KNOWN_DAY = "every price of the day"
"""The best that a plan of one day can do; a plan made at noon of the day before that does better has seen the day."""
DRAWS, SEED = 2000, 7
_DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its interval of 90 %.

    Example:
        >>> print(Estimate(2.5, 1.0, 4.0))
        2.50 [1.00, 4.00]
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it for a table."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How one way did beside the others.

    Attributes:
        name: Which way.
        eur: What it earned, net of wear.
        wear_eur: What the wear cost.
        eur_per_mw_year: What it earned, for each MW of the battery and year.
        cycles: How often the store was emptied.
        capture_pct: Its share of what perfect foresight earned, both net of wear; ``None`` if that earned nothing.

    Example:
        >>> Standing(name="ours", eur=900.0, wear_eur=0.0, eur_per_mw_year=Estimate(9e3, 8e3, 1e4), cycles=1.0,
        ...          capture_pct=Estimate(90.0, 88.0, 92.0)).capture_pct.value
        90.0
    """

    name: str
    eur: float
    wear_eur: float
    eur_per_mw_year: Estimate
    cycles: float
    capture_pct: Estimate | None


class Comparison:
    """Several ways beside no battery and perfect foresight, on the same consecutive days.

    The intervals resample whole calendar weeks, the same weeks for every way, so that a difference between two ways is
    known far better than either of them. They say how much another sample of such weeks would scatter, not what
    another market would do.

    Args:
        limit: What perfect foresight did, solved over all days at once and then split by day.
        ways: What the others did, by name.
        draws: How many times the weeks are resampled.
        seed: The same seed gives the same intervals.

    Raises:
        ContractError: They did not run the same battery on the same days.

    Example:
        >>> days = [date(2018, 1, n) for n in range(1, 15)]
        >>> best = Course.at(Battery(), days, [[-10.0, 9.0]] * 14, [[20.0, 60.0]] * 14)
        >>> half = Course.at(Battery(), days, [[-5.0, 4.5]] * 14, [[20.0, 60.0]] * 14)
        >>> comparison = Comparison(best, {"half": half})
        >>> print(comparison.standing("half").capture_pct)
        50.00 [50.00, 50.00]
        >>> comparison.gain_eur_per_mw_year("half", over="no battery").value
        6209.25
    """

    def __init__(self, limit: Course, ways: Mapping[str, Course], *, draws: int = DRAWS, seed: int = SEED) -> None:
        nothing = [np.zeros(power.size) for power in limit.powers_mw]
        idle = Course.at(limit.battery, limit.days, nothing, nothing)
        self.courses: Mapping[str, Course] = {NO_BATTERY: idle, **ways, LIMIT: limit}
        for name, course in self.courses.items():
            if (course.days, course.battery) != (limit.days, limit.battery):
                raise ContractError(f"{name!r} did not run the battery and the days of the limit", field=name)
        self._draws, self._seed = draws, seed

    @property
    def standings(self) -> list[Standing]:
        """All ways, from no battery to perfect foresight."""
        return [self.standing(name) for name in self.courses]

    def standing(self, name: str) -> Standing:
        """Return how one way did."""
        course, limit = self.courses[name], self.courses[LIMIT]
        return Standing(
            name=name,
            eur=course.total_eur,
            wear_eur=float(course.gross_eur.sum()) - course.total_eur,
            eur_per_mw_year=self._per_mw_year(course.eur),
            cycles=course.cycles,
            capture_pct=self._ratio(100 * course.eur, limit.eur) if limit.total_eur > 0 else None,
        )

    def gain_eur_per_mw_year(self, name: str, *, over: str) -> Estimate:
        """Return what one way earned more than another on the same days."""
        return self._per_mw_year(self.courses[name].eur - self.courses[over].eur)

    @property
    def leaks(self) -> list[str]:
        """The ways that earned more than plans of one day can that know its prices; empty if that was not compared."""
        most = self.courses[KNOWN_DAY].total_eur if KNOWN_DAY in self.courses else float("inf")
        return [name for name, course in self.courses.items() if course.total_eur > most and name != LIMIT]

    def gain_points(self, name: str, *, over: str) -> Estimate:
        """Return how many percentage points of perfect foresight one way captured more than another."""
        return self._ratio(100 * (self.courses[name].eur - self.courses[over].eur), self.courses[LIMIT].eur)

    def _per_mw_year(self, eur: Floats) -> Estimate:
        mw_years = self.courses[LIMIT].battery.power_mw / _DAYS_A_YEAR
        return self._ratio(eur, np.full(eur.size, mw_years))

    def _ratio(self, above: Floats, below: Floats) -> Estimate:
        return ratio(above, below, self._weights)

    @cached_property
    def _weights(self) -> Floats:
        return weights_by_week(self.courses[LIMIT].days, draws=self._draws, seed=self._seed)


def compare(
    market: Market, days: Sequence[date], battery: Battery, guesses: Mapping[str, Guess], *, known_until: date
) -> Comparison:
    """Compare the plans made from guessed prices with no battery, the clock, the naive forecast and perfect foresight.

    Args:
        market: True prices.
        days: Consecutive local days.
        battery: What all of them run; it starts empty and carries its store over. The clock and the naive forecast
            have no hurdle.
        guesses: Prices to plan at by name, made at noon of the day before.
        known_until: The first day whose prices the clock's means do not know.
    """
    plain = replace(battery, hurdle_eur_mwh=0.0)
    yardsticks: Mapping[str, Guess] = {
        CLOCK: market.by_the_clock(known_until),
        NAIVE: market.naive,
        KNOWN_DAY: market.day,
    }
    ways = {
        name: market.followed(days, battery, planner_of(guess, plain if name in yardsticks else battery))
        for name, guess in {**guesses, **yardsticks}.items()
    }
    return Comparison(market.limit(days, battery), ways)


def ratio(above: Floats, below: Floats, weights: Floats) -> Estimate:
    """Return the ratio of two sums over days, with the interval that resampled days' weights give it."""
    return estimate(lambda drawn: np.asarray((drawn @ above) / (drawn @ below)), weights)


def estimate(figure: Callable[[Floats], Floats], weights: Floats) -> Estimate:
    """Return a figure of all days, with the interval of the same figure of resampled ones.

    Args:
        figure: Makes it of the days' weights, one for each row of them.
        weights: As :func:`weights_by_week` makes them.
    """
    low, high = np.quantile(figure(weights), (0.05, 0.95)).tolist()
    return Estimate(float(figure(np.ones((1, weights.shape[1])))[0]), low, high)


def weights_by_week(days: Sequence[date], *, draws: int = DRAWS, seed: int = SEED) -> Floats:
    """Return how often each day is drawn when whole calendar weeks are drawn with replacement, a row for each draw.

    Example:
        >>> weights_by_week([date(2018, 1, n) for n in range(1, 15)], draws=2, seed=1)[:, ::7].tolist()
        [[1.0, 1.0], [2.0, 0.0]]
    """
    week = np.unique([day.isocalendar()[:2] for day in days], axis=0, return_inverse=True)[1].ravel()
    count = int(week.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return drawn[:, week].astype(np.float64)
