"""Quantiles of the rest of a day from the days most like it: no model, nothing to train."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from steward.cases.grid.data.day_kinds import is_free
from steward.cases.grid.data.history import Floats
from steward.cases.grid.data.local_days import DAY, LocalDays
from steward.cases.grid.forecasting.quantiles import DEFAULT_LEVELS, Quantiles
from steward.errors import ContractError

PAST = timedelta(days=35)
"""How far back days are looked for."""
_COMPARED = timedelta(hours=4)
_NEAREST = 15


def nearest_days(past_mw: Floats, at: datetime, local: LocalDays, *, step: timedelta) -> Quantiles:
    """Return the quantiles of the load from ``at`` until the local day is over.

    Of the last five weeks' days, free or not as today is, those are taken whose last four hours were nearest. How they
    went on from their last interval is how today may go on from the one metered last.

    Args:
        past_mw: The load of the intervals that end at ``at``, oldest first; as long as :data:`PAST`, NaN where unknown.
        at: The start of the first interval that is not known.
        local: Whose days.
        step: The length of an interval.

    Raises:
        ContractError: Too little is known.
    """
    today, wall = local.day_of(at), at.astimezone(local.tz).time()
    ahead = (local.start(today + DAY) - at) // step
    compared = _COMPARED // step
    free = is_free(local.country, today)
    alike = [today - n * DAY for n in range(1, PAST // DAY) if is_free(local.country, today - n * DAY) == free]
    ends = np.array([len(past_mw) - (at - local.at(day, wall)) // step for day in alike])
    # A day ends in an hour that another may not have: the night after it stands in.
    rows = ends[(ends >= compared) & (ends + ahead <= len(past_mw))][:, None] + np.arange(-compared, ahead)
    paths = past_mw[rows]
    paths = paths[np.isfinite(paths).all(axis=1)]
    now = past_mw[-compared:]
    if len(paths) < 3 or not np.isfinite(now).all():
        raise ContractError(
            f"the load before {at.isoformat()} is not known well enough to say how the day goes on",
            why=f"{len(paths)} days like it are known, and three are needed",
            field="load_mw",
        )
    apart = np.abs(paths[:, :compared] - now).sum(axis=1)
    nearest = paths[np.argsort(apart, kind="stable")[:_NEAREST]]
    going_on = nearest[:, compared:] * (now[-1] / nearest[:, compared - 1])[:, None]
    return Quantiles(DEFAULT_LEVELS, np.quantile(going_on, DEFAULT_LEVELS, axis=0).T)
