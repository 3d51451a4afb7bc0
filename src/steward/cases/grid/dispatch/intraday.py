"""Planning anew in the day: each hour from what the meter said last and the newest prices that are known.

For a market whose price is known only once the hour is over: there the forecast of the day before is all that a plan
has, and what it missed in the last hours is the best news of the next ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data.history import Floats
from steward.cases.grid.dispatch.courses import Course
from steward.cases.grid.dispatch.plan import program_for
from steward.cases.grid.dispatch.references import Guess, Market

MEMORY: Final = 0.95
"""How much of a forecast's error is left an hour later: chosen on the years before the test years."""


def revised(prices_eur_mwh: Floats, missed_eur_mwh: Floats, *, memory: float = MEMORY) -> Floats:
    """Return the forecast of the coming hours, moved by what it missed last, less with each hour.

    Args:
        prices_eur_mwh: The forecast of the hours to come.
        missed_eur_mwh: How far the true prices lay above it in the hours just over; NaN where they are not known.
        memory: How much of an error is left an hour later (0..1).

    Example:
        >>> revised(np.array([50.0, 60.0]), np.array([0.0, 8.0]), memory=0.5).tolist()
        [54.0, 62.0]
    """
    known = np.flatnonzero(np.isfinite(missed_eur_mwh))
    if not known.size:
        return prices_eur_mwh
    hours_later = missed_eur_mwh.size - known[-1] + np.arange(prices_eur_mwh.size)
    return np.asarray(prices_eur_mwh + missed_eur_mwh[known[-1]] * memory**hours_later)


def rest_of_day(battery: Battery, prices_eur_mwh: Floats, state: State) -> list[float]:
    """Return the power of each hour that is left of a day, from what the battery holds and has given since it began."""
    program = program_for(battery, (prices_eur_mwh.size,))
    wanted = program.solve(prices_eur_mwh, soc_mwh=state.soc_mwh, withdrawn_mwh=state.withdrawn_mwh)
    held, _ = battery.follow_day(wanted.tolist(), state.soc_mwh, withdrawn_mwh=state.withdrawn_mwh)
    return held


def replanned(
    market: Market, days: Sequence[date], battery: Battery, guess: Guess, expect: Guess, *, memory: float = MEMORY
) -> Course:
    """Return what a battery does whose plan is made anew each hour, with the true prices of the hours that are over.

    Args:
        market: True prices; that of an hour is known when it is over.
        days: Consecutive local days.
        battery: Starts empty and carries its store over.
        guess: The prices to plan at, made before the day.
        expect: The forecast of the price, made before the day, which the true prices are held against.
        memory: How much of an error is left an hour later (0..1).
    """
    state, powers = State(), []
    for day in days:
        state, true, plan = State(soc_mwh=state.soc_mwh), market.day(day), guess(day)
        missed, held = true - expect(day), []
        for hour in range(true.size):
            power = rest_of_day(battery, revised(plan[hour:], missed[:hour], memory=memory), state)[0]
            state = battery.follow(power, state)
            held.append(power)
        powers.append(held)
    return Course.at(battery, days, powers, [market.day(day) for day in days])
