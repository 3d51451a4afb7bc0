"""What a backtest's ledger says: forecasts against the truth, money against the meter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec
import numpy as np
from msgspec import Struct

from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.decision import NAME
from steward.cases.grid.dispatch.skills import DispatchPlan
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.streams import Setpoint
from steward.runtime.runtime import Runtime

_WEEK = timedelta(days=7)


class _Asked(Struct):
    at: datetime
    day: date
    day_start: datetime
    round_trip: float
    energy_limit_mwh: float


class _Policy(Struct):
    rule: str = ""


class Decided(Struct):
    """What scoring reads of a ``decided`` entry; all other fields are skipped.

    Example:
        >>> sorted(Decided.__struct_fields__)
        ['choice', 'event', 'policy', 'prediction']
    """

    event: _Asked
    choice: Setpoint
    policy: _Policy
    prediction: DispatchPlan


_decode = msgspec.json.Decoder(Decided).decode


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The figures of a backtest.

    Attributes:
        decisions: How many hours were decided.
        value_eur: What the meter's energy earned at true prices, as valued in the ledger.
        price_mae_eur_mwh: Mean error of the price forecasts.
        load_mape_pct: Mean relative error of the load forecasts; ``None`` without load.
        naive_load_mape_pct: That of "as a week ago".
        details: More, as plain data.

    Example:
        >>> Scores(decisions=1, value_eur=5.0, price_mae_eur_mwh=3.1, load_mape_pct=None, naive_load_mape_pct=None,
        ...        details={}).value_eur
        5.0
    """

    decisions: int
    value_eur: float
    price_mae_eur_mwh: float | None
    load_mape_pct: float | None
    naive_load_mape_pct: float | None
    details: dict[str, object]


async def score(runtime: Runtime, history: History, columns: Columns) -> Scores:
    """Read the ledger of a finished backtest and compare it with the truth."""
    decided = await _decided(runtime)
    plans = {one.event.day: one for one in decided}
    load: Floats = np.empty((0, 3))
    if columns.load is not None:
        load = _compared(history, columns.load, {d: (one, one.prediction.load_mw or ()) for d, one in plans.items()})
    price = _compared(history, columns.price, {d: (one, one.prediction.price_eur_mwh) for d, one in plans.items()})
    worth = [w for total in runtime.views.totals() if total.decision == NAME for w in total.worth]
    value_eur = float(worth[0].saving.amount) if worth else 0.0
    errors = np.abs(price[:, 1] - price[:, 2])
    return Scores(
        decisions=len(decided),
        value_eur=value_eur,
        price_mae_eur_mwh=_rounded(errors),
        load_mape_pct=_rounded(100 * np.abs(load[:, 1] / load[:, 2] - 1)),
        naive_load_mape_pct=_naive_load_mape_pct(history, columns.load, load),
        details={
            "cycles": _cycles(decided),
            "rules": dict(sorted(Counter(one.policy.rule for one in decided).items())),
            "price_mae_by_month": _by(history, price, errors, "month"),
            "price_mae_by_hour": _by(history, price, errors, "hour"),
            "valued": worth[0].valued if worth else 0,
        },
    )


async def _decided(runtime: Runtime) -> list[Decided]:
    decided: list[Decided] = []
    start = 0
    while entries := await runtime.ledger.read(start, 1000, kind="decided"):
        decided += [_decode(entry.body) for entry in entries]
        start = entries[-1].index + 1
    return decided


def _compared(history: History, column: str, forecasts: dict[date, tuple[Decided, tuple[float, ...]]]) -> Floats:
    """Return the rows (Unix second, forecast, truth) of all hours whose truth is known."""
    rows = []
    for one, values in forecasts.values():
        start = one.event.day_start
        truth = history.between(column, start, start + len(values) * HOUR)
        rows += [
            (start.timestamp() + 3600 * n, value, true)
            for n, (value, true) in enumerate(zip(values, truth, strict=True))
        ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return table[np.isfinite(table[:, 2])]


def _naive_load_mape_pct(history: History, column: str | None, load: Floats) -> float | None:
    if column is None or not len(load):
        return None
    origin = history.start.timestamp()
    places = ((load[:, 0] - origin) // 3600).astype(np.int64) - _WEEK // HOUR
    naive = np.where(places >= 0, history.columns[column][np.maximum(places, 0)], np.nan)
    wrong = 100 * np.abs(naive / load[:, 2] - 1)
    return _rounded(wrong[np.isfinite(wrong)])


def _by(history: History, price: Floats, errors: Floats, part: str) -> dict[str, float | None]:
    """Return the mean error by a part of the local time: ``month`` or ``hour``."""
    tz = history.local.tz
    keys = np.array([getattr(datetime.fromtimestamp(second, tz), part) for second in price[:, 0]])
    return {str(key): _rounded(errors[keys == key]) for key in np.unique(keys).tolist()}


def _cycles(decided: list[Decided]) -> float:
    """Return how often the store was emptied: planned discharge through the efficiency, in units of its size."""
    total = sum(
        max(one.choice.power_mw, 0.0) / one.event.round_trip**0.5 / one.event.energy_limit_mwh for one in decided
    )
    return round(float(total), 1)


def _rounded(values: Floats) -> float | None:
    return round(float(values.mean()), 3) if values.size else None
