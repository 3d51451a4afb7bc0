"""Rank-aware planning: which hours of a day are worth their energy, learned beside what their prices will be.

A plan earns by the order of a day's hours, not by their level. A model of the price spends most of its trees on the
level, which moves all hours of a day together and no megawatt. So two more models are trained on the same inputs:

* the **shape**: how far each hour lies from its day's mean;
* the **merit**: what a battery with perfect foresight would have done in that hour, as a share of full power. Its mean
  over what cannot be known is near zero for hours that are a toss-up, and that is what a good plan leaves alone.

The plan is made at :func:`planning_prices`; what is promised and shown stays the forecast of the price.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import Floats, mean
from steward.cases.grid.dispatch.plan import program_for
from steward.cases.grid.forecasting import forecast
from steward.cases.grid.forecasting.forecast import KnownThen
from steward.cases.grid.forecasting.training import PRICE, Recipe
from steward.decision.model import Predictor

SHAPE_MODEL: Final = "grid-price-shape"
MERIT_MODEL: Final = "grid-battery-merit"
MERIT_EUR_MWH: Final = 2.5
"""What an hour gains in which perfect foresight is sure to discharge: chosen on the years before the test years."""


def shape_target(known: KnownThen, truth: Floats) -> Floats:
    """Return how far each hour's price lies from the day's mean."""
    return np.asarray(truth - mean(truth))


def merit_for(battery: Battery) -> Recipe:
    """Return the recipe of a battery's merit: what it would best have done, starting empty (-1..1 of full power)."""

    def target(known: KnownThen, truth: Floats) -> Floats:
        there = np.isfinite(truth)
        if not there.any():
            return truth
        whole = np.interp(np.arange(truth.size), np.flatnonzero(there), truth[there])
        return program_for(battery, (truth.size,)).solve(whole, soc_mwh=0.0) / battery.power_mw

    parameters = {**PRICE.parameters, "objective": "regression"}
    return Recipe(MERIT_MODEL, "price", forecast.price_rows, target, rounds=300, parameters=parameters)


SHAPE: Final = Recipe(
    SHAPE_MODEL, "price", forecast.price_rows, shape_target, rounds=800, parameters=dict(PRICE.parameters)
)
MERIT: Final = merit_for(Battery())


def ranked(known: KnownThen, prices_eur_mwh: Floats, shape: Predictor, merit: Predictor) -> Floats:
    """Return the prices to plan a day with, from the forecast prices and both models."""
    rows = forecast.price_rows(known)
    shapes, merits = (
        known.on_the_clock(model.predict(forecast.matrix(rows, model.inputs))) for model in (shape, merit)
    )
    return planning_prices(prices_eur_mwh, shapes, merits)


def planning_prices(prices_eur_mwh: Floats, shape_eur_mwh: Floats, merit: Floats) -> Floats:
    """Return the prices that a plan is made at: forecast and shape in equal parts, moved by what each hour merits.

    Args:
        prices_eur_mwh: The forecast of each hour; the day's level is theirs.
        shape_eur_mwh: How far each hour is expected from that level.
        merit: What perfect foresight is expected to do (-1..1 of full power). It says which hours, but not whether a
            cycle pays at all: the spread of the day stays what it is without.

    Example:
        >>> planning_prices(np.array([40.0, 60.0]), np.array([-20.0, 20.0]), np.array([-1.0, 1.0])).tolist()
        [35.0, 65.0]
    """
    level = prices_eur_mwh.mean()
    shape = (prices_eur_mwh - level + shape_eur_mwh - shape_eur_mwh.mean()) / 2
    moved = shape + MERIT_EUR_MWH * (merit - merit.mean())
    spread = moved.std()
    return np.asarray(level + moved * (shape.std() / spread if spread > 0 else 1.0))
