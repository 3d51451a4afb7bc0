"""How a day goes on from what was metered of it: a regression for each time of day and each half-hour ahead of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final, Self

import numpy as np

from steward.cases.grid.data.day_kinds import is_free
from steward.cases.grid.data.half_hours import by_slot, wall_slots
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import DAY, LocalDays
from steward.cases.grid.forecasting.quantiles import DEFAULT_LEVELS, Quantiles
from steward.cases.grid.peak.nearest_days import PAST
from steward.errors import ContractError

LOAD, TEMPERATURE = "load_mw", "temperature_c"
_DAYS: Final = 28
_ALIKE: Final = 5
_WARM_C: Final = 22.0
_COLD_C: Final = 14.0
_FEWEST_DAYS: Final = 100
_RIDGE: Final = 0.001
_LEAST_LEFT: Final = 0.3


@dataclass(frozen=True, eq=False)
class RestOfDay:
    """Quantiles of the load until midnight, anew from every meter reading.

    For each time of day, and each interval ahead of it, a straight line (ridge regression) through what was metered
    last, what is usual at both times on days as free as this one, yesterday, a week ago, and how warm it is. How wrong
    that was for days that were left out says how sure it is.

    Attributes:
        local: Whose days.
        digest: Names the weights.
        has_temperature: Whether it asks how warm it was.
        weights: For each slot of the day, shape (slots still to come, inputs).
        errors: For each slot, shape (slots still to come, levels): quantiles of the error (MW).

    Example:
        >>> from steward.cases.grid.data.generator import synthetic_region
        >>> region = synthetic_region("Australia/Melbourne", date(2013, 1, 1), 200)
        >>> model = RestOfDay.trained(region, until=date(2013, 7, 10))
        >>> noon = region.local.plan_at(date(2013, 7, 16))
        >>> outlook = model.outlook(region, noon)
        >>> len(outlook), bool(outlook.pinball(region.between("load_mw", noon, noon + DAY / 2)) < 500)
        (12, True)
    """

    local: LocalDays
    digest: str
    has_temperature: bool
    weights: tuple[Floats, ...] = field(compare=False, repr=False)
    errors: tuple[Floats, ...] = field(compare=False, repr=False)

    @classmethod
    def trained(cls, history: History, *, until: date, since: date | None = None) -> Self:
        """Return the model of local days from ``since`` to before ``until``, of load and, if there, temperature.

        Raises:
            ContractError: There are less than 100 days.
        """
        first = history.local.day_of(history.start)
        days = [first + n * DAY for n in range((until - first).days)]
        rows = np.arange(max(_DAYS, (since - first).days if since else 0), len(days))
        if len(rows) < _FEWEST_DAYS:
            raise ContractError(f"{len(rows)} days are too few to learn from", field="data")
        known = _Known.of(history, days)
        weights, errors = list[Floats](), list[Floats]()
        for slot in range(known.load.shape[1]):
            inputs, truth = known.inputs(rows, slot), known.load[rows, slot:]
            whole = np.isfinite(inputs).all(axis=(1, 2)) & np.isfinite(truth).all(axis=1)
            fits = [_ridge(inputs[whole, ahead], truth[whole, ahead]) for ahead in range(truth.shape[1])]
            weights.append(np.stack([found for found, _ in fits]))
            errors.append(np.quantile([wrong for _, wrong in fits], DEFAULT_LEVELS, axis=1).T)
        digest = hashlib.sha256(b"".join(part.tobytes() for part in (*weights, *errors))).hexdigest()
        return cls(history.local, f"sha256:{digest}", known.warm is not None, tuple(weights), tuple(errors))

    def outlook(self, history: History, at: datetime) -> Quantiles:
        """Return the quantiles of the load from ``at`` until the local day is over; nothing later is looked at.

        Raises:
            ContractError: Too little of what was before is known.
        """
        today = self.local.day_of(at)
        # Nothing later is handed on, so that nothing later can be read.
        past = {name: history.between(name, at - PAST, at) for name in (LOAD, TEMPERATURE) if name in history.columns}
        days = [today - n * DAY for n in range(_DAYS, -1, -1)]
        known = _Known.of(replace(history, start=at - PAST, columns=past), days)
        shown = wall_slots(self.local, today, history.step)[(at - self.local.start(today)) // history.step :]
        slot = int(shown[0])
        centre = (known.inputs(np.array([_DAYS]), slot)[0] * self.weights[slot]).sum(axis=1)
        values = (centre[:, None] + self.errors[slot])[shown - slot]
        if not np.isfinite(values).all():
            raise ContractError(f"the load before {at.isoformat()} is not known well enough", field=LOAD)
        return Quantiles.sorted_from(DEFAULT_LEVELS, values)


@dataclass(frozen=True, eq=False)
class _Known:
    """Days by slot: the load, what it usually is, how warm it was, and whether the day is free."""

    load: Floats
    usual: Floats
    warm: Floats | None
    free: Floats

    @classmethod
    def of(cls, history: History, days: list[date]) -> Self:
        load = _bridged(by_slot(history, LOAD, days))
        free = [is_free(history.local.country, day) for day in days]
        warm = _bridged(by_slot(history, TEMPERATURE, days)) if TEMPERATURE in history.columns else None
        return cls(load, _usual(load, free), warm, np.array(free, dtype=np.float64))

    def inputs(self, rows: np.ndarray[tuple[int], np.dtype[np.intp]], slot: int) -> Floats:
        """Return what is known of some days when their ``slot`` begins: shape (days, slots still to come, inputs)."""
        slots = self.load.shape[1]
        flat, usual = self.load.ravel(), self.usual.ravel()
        now = rows * slots + slot
        ends = [flat[now - 1], flat[now - 2], flat[now - 4], usual[now - 1], usual[now - 2], self.free[rows]]
        if self.warm is not None:
            warm = self.warm.ravel()
            last = warm[now - 1]
            ends += [last, np.maximum(last - _WARM_C, 0.0), np.maximum(_COLD_C - last, 0.0), warm[now - 4]]
            ends.append(np.maximum(warm[now - slots] - _WARM_C, 0.0))
        ahead = (self.usual[rows, slot:], self.load[rows - 1, slot:], self.load[rows - 7, slot:])
        whole = [np.ones_like(ahead[0]), *(np.repeat(end[:, None], slots - slot, axis=1) for end in ends), *ahead]
        return np.stack(whole, axis=-1)


def _usual(load: Floats, free: list[bool]) -> Floats:
    """Return the mean of the last days that were as free."""
    usual = np.full_like(load, np.nan)
    for day in range(len(load)):
        alike = [d for d in range(day - 1, max(day - 28, -1), -1) if free[d] == free[day]][:_ALIKE]
        if len(alike) == _ALIKE:
            usual[day] = load[alike].mean(axis=0)
    return usual


def _bridged(values: Floats) -> Floats:
    """Return values whose gaps of up to two slots hold on to what was last: an hour that spring leaves out, say."""
    flat = values.ravel().copy()
    for _ in range(2):
        gap = np.flatnonzero(np.isnan(flat[1:])) + 1
        flat[gap] = flat[gap - 1]
    return flat.reshape(values.shape)


def _ridge(inputs: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Return the weights, and how wrong they would have been for each day without it."""
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0)
    centre[0], spread[spread < 1e-9] = 0.0, 1.0
    scaled = (inputs - centre) / spread
    held = np.full(inputs.shape[1], _RIDGE * len(inputs))
    held[0] = 0.0
    inverse = np.linalg.inv(scaled.T @ scaled + np.diag(held))
    weights = inverse @ scaled.T @ truth
    leverage = np.einsum("ij,jk,ik->i", scaled, inverse, scaled)
    left_out = (truth - scaled @ weights) / np.maximum(1.0 - leverage, _LEAST_LEFT)
    unscaled = weights / spread
    unscaled[0] -= unscaled @ centre
    return unscaled, left_out
