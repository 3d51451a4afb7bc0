"""Training: LightGBM models of load and price from the history before a day, put into the registry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np

from steward.cases.grid.data.history import Floats, History, Source
from steward.cases.grid.forecasting import forecast
from steward.cases.grid.forecasting.forecast import PAST_DAYS, KnownThen, Rows
from steward.cases.grid.streams import slug
from steward.clock import Clock
from steward.errors import ContractError, EngineError
from steward.models.manifest import Trained
from steward.models.registry import FolderRegistry, Registered

LOAD_MODEL = "grid-load"
PRICE_MODEL = "grid-price"
_FEWEST_DAYS = 60
_COMMON: dict[str, object] = {
    "min_data_in_leaf": 30,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "objective": "l1",
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 7,
    "verbose": -1,
}


@dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Attributes:
        name: Its name in the registry.
        truth: Which of :class:`Columns` it learns.
        rows: Makes a day's inputs.
        target: Makes what the model learns from a day's true values by wall hour.
        rounds: How many trees.
        parameters: LightGBM's.

    Example:
        >>> PRICE.name, PRICE.truth
        ('grid-price', 'price')
    """

    name: str
    truth: Literal["load", "price"]
    rows: Callable[[KnownThen], Rows]
    target: Callable[[KnownThen, Floats], Floats]
    rounds: int
    parameters: dict[str, object] = field(default_factory=dict)


LOAD = Recipe(
    LOAD_MODEL,
    "load",
    forecast.load_rows,
    lambda known, truth: np.log(np.where(truth > 0, truth, np.nan) / forecast.load_level(known)),
    rounds=800,
    parameters={"learning_rate": 0.05, "num_leaves": 31},
)
PRICE = Recipe(
    PRICE_MODEL,
    "price",
    forecast.price_rows,
    lambda known, truth: truth - forecast.price_level(known),
    rounds=800,
    parameters={"learning_rate": 0.04, "num_leaves": 15},
)


@dataclass(frozen=True)
class Columns:
    """Which columns of a history mean what.

    Args:
        price: EUR/MWh.
        load: MW.
        temperature: Degrees Celsius.
        ahead: Columns that are published a day ahead.

    Raises:
        ContractError: Two of the published columns would share a topic of the bus.

    Example:
        >>> Columns("eur_mwh", load="load_mw").truth(LOAD)
        'load_mw'
    """

    price: str
    load: str | None = None
    temperature: str | None = None
    ahead: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse columns that would share a topic."""
        topics = [slug(name) for name in self.ahead]
        for name, topic in zip(self.ahead, topics, strict=True):
            if topics.count(topic) > 1:
                raise ContractError(
                    f"two columns that are known a day ahead would share the topic {topic!r}",
                    fix=f"rename {name!r} in the file, or name it once",
                    field="known-day-ahead",
                )

    def truth(self, recipe: Recipe) -> str | None:
        """Return the column that a recipe learns, if there is one."""
        return self.price if recipe.truth == "price" else self.load

    def known(self, history: History, day: date) -> KnownThen:
        """Return what was known of a history when the plan of ``day`` was fixed."""
        return KnownThen.of(
            history, day, price=self.price, load=self.load, temperature=self.temperature, ahead=self.ahead
        )


def columns_of(source: Source) -> Columns:
    """Return what a source says of its columns."""
    return Columns(source.price_column, source.load_column, source.temperature_column, source.known_day_ahead)


def train(
    recipe: Recipe, history: History, columns: Columns, *, until: date, registry: FolderRegistry, clock: Clock
) -> Registered:
    """Train on the local days before ``until`` and register the model.

    A load model learns one day less: when the plan of ``until`` is fixed, at noon of the day before, that day's load
    is not yet known whole, while its prices are.

    Raises:
        ContractError: There are less than 60 days to learn from.
        EngineError: LightGBM is not installed.
    """
    truth_column = columns.truth(recipe)
    if truth_column is None:
        raise ContractError("a load model needs a load column", fix="pass --load-column", field="load-column")
    known_until = until if recipe.truth == "price" else until - timedelta(days=1)
    names, inputs, targets, days = _examples(recipe, history, columns, truth_column, known_until)
    if len(days) < _FEWEST_DAYS:
        raise ContractError(
            f"{len(days)} days before {until} are too few to learn from",
            fix=f"start the history at least {_FEWEST_DAYS + PAST_DAYS + 1} days before --train-until",
            field="train-until",
        )
    text = boost(recipe, inputs, targets)
    seen = hashlib.sha256(inputs.tobytes() + targets.tobytes()).hexdigest()
    return registry.register(
        recipe.name,
        kind="lightgbm",
        files={"model.txt": text.encode()},
        inputs=names,
        task="regression",
        clock=clock,
        trained=Trained(
            since=history.local.start(days[0]),
            until=history.local.start(days[-1] + timedelta(days=1)),
            rows=len(targets),
            data=f"sha256:{seen}",
        ),
    )


def _examples(
    recipe: Recipe, history: History, columns: Columns, truth_column: str, until: date
) -> tuple[tuple[str, ...], Floats, Floats, Sequence[date]]:
    first = history.local.day_of(history.start) + timedelta(days=PAST_DAYS + 1)
    days = history.days(first, until)
    names: tuple[str, ...] = ()
    inputs, targets = [], []
    for day in days:
        known = columns.known(history, day)
        rows = recipe.rows(known)
        names = tuple(rows)
        start, end = history.local.start(day), history.local.start(day + timedelta(days=1))
        truth = forecast.by_wall(history.local, history.between(truth_column, start, end), end, [day])[0]
        inputs.append(forecast.matrix(rows, names))
        targets.append(recipe.target(known, truth))
    if not days:
        return names, np.empty((0, 0)), np.empty(0), days
    x, y = np.concatenate(inputs), np.concatenate(targets)
    usable = np.isfinite(y)
    return names, x[usable], y[usable], days


def boost(recipe: Recipe, inputs: Floats, targets: Floats) -> str:
    """Train a recipe's trees on finite targets, and return them as LightGBM's text; the same bits each time.

    Raises:
        EngineError: LightGBM is not installed.
    """
    try:
        import lightgbm  # noqa: PLC0415 - an extra, loaded when a model is trained
    except ImportError as error:
        raise EngineError(
            "models cannot be trained", why=str(error), fix="pip install 'steward-aios[grid]'", code="not-installed"
        ) from error
    # The registry keeps the names; the model's text cannot hold every sign that a column's name may have.
    plain = [f"input_{number}" for number in range(inputs.shape[1])]
    data: Any = lightgbm.Dataset(inputs, targets, feature_name=plain)
    booster: Any = lightgbm.train({**_COMMON, **recipe.parameters}, data, num_boost_round=recipe.rounds)
    text: str = booster.model_to_string()
    return text
