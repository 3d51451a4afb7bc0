"""How a day goes on from what was metered of it: a regression for each time of day, and the days most like it."""

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
from steward.cases.grid.peak.nearest_days import PAST, nearest_days
from steward.errors import ContractError

_DAYS: Final = 28
_ALIKE: Final = 5
LOAD, TEMPERATURE = "load_mw", "temperature_c"
_BENDS_C: Final = (18.0, 26.0)
_FEWEST_DAYS: Final = 100
_RIDGE: Final = 0.002
_LEAST_LEFT: Final = 0.3
_BEYOND: Final = 0.25
"""How far beyond the inputs seen in training a straight line may go, as a share of their range."""


@dataclass(frozen=True, eq=False)
class RestOfDay:
    """Quantiles of the load until midnight, anew from every meter reading.

    Half of it is a regression. The load is told apart from what it was lately at this time, on days as free as this
    one. How far apart it was in the last hours and the last week, and how warm it is, says how it goes on; how wrong
    that was for days that were left out says how sure it is. The other half are the days most like this one. The first
    goes astray where a heat wave is beyond all that was seen, the second where no day was like it; their mean (level by
    level) does neither.

    Attributes:
        local: Whose days.
        digest: Names the weights.
        ends: For each slot of the day, how far each input is believed: straight lines go astray far from what was seen.
        weights: For each slot, shape (inputs, slots still to come).
        errors: For each slot, shape (levels, slots still to come): quantiles of the error, as a logarithm.

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
    ends: tuple[Floats, ...] = field(compare=False, repr=False)
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
        known = _Known.of(history, days)
        begin = max(_DAYS, (since - first).days if since else 0)
        if len(days) - begin < _FEWEST_DAYS:
            raise ContractError(f"{len(days) - begin} days are too few to learn from", field="data")
        rows = np.arange(begin, len(days))
        ends, weights, errors = list[Floats](), list[Floats](), list[Floats]()
        for slot in range(known.apart.shape[1]):
            inputs, truth = known.inputs(rows, slot), known.apart[rows, slot:]
            whole = np.isfinite(inputs).all(axis=1) & np.isfinite(truth).all(axis=1)
            ends.append(_ends(inputs[whole]))
            found, wrong = _ridge(inputs[whole], truth[whole])
            weights.append(found)
            errors.append(np.quantile(wrong, DEFAULT_LEVELS, axis=0))
        digest = hashlib.sha256(b"".join(part.tobytes() for part in (*ends, *weights, *errors))).hexdigest()
        return cls(history.local, f"sha256:{digest}", tuple(ends), tuple(weights), tuple(errors))

    def outlook(self, history: History, at: datetime) -> Quantiles:
        """Return the quantiles of the load from ``at`` until the local day is over; nothing later is looked at.

        Raises:
            ContractError: Too little of what was before is known.
        """
        # Nothing later is handed on, so that nothing later can be read.
        past = {name: history.between(name, at - PAST, at) for name in (LOAD, TEMPERATURE) if name in history.columns}
        known = replace(history, start=at - PAST, columns=past)
        like_it = nearest_days(past[LOAD], at, self.local, step=history.step)
        return Quantiles.sorted_from(DEFAULT_LEVELS, (self._regressed(known, at) + like_it.values) / 2)

    def _regressed(self, past: History, at: datetime) -> Floats:
        today = self.local.day_of(at)
        known = _Known.of(past, [today - n * DAY for n in range(_DAYS, -1, -1)])
        shown = wall_slots(self.local, today, past.step)[(at - self.local.start(today)) // past.step :]
        slot = int(shown[0])
        seen = np.clip(known.inputs(np.array([_DAYS]), slot)[0], *self.ends[slot])
        centre = known.usual[_DAYS, slot:] + seen @ self.weights[slot]
        values: Floats = np.exp(centre + self.errors[slot]).T[shown - slot]
        if not np.isfinite(values).all():
            raise ContractError(f"the load before {at.isoformat()} is not known well enough", field=LOAD)
        return values


@dataclass(frozen=True, eq=False)
class _Known:
    """Days by slot: the load as a logarithm, what it usually is, how far apart the two are, and how warm it was."""

    usual: Floats
    apart: Floats
    warm: Floats | None

    @classmethod
    def of(cls, history: History, days: list[date]) -> Self:
        load = by_slot(history, LOAD, days)
        log = _bridged(np.log(np.where(load > 0, load, np.nan)))
        usual = _usual(log, [is_free(history.local.country, day) for day in days])
        warm = _bridged(by_slot(history, TEMPERATURE, days)) if TEMPERATURE in history.columns else None
        return cls(usual, log - usual, warm)

    def inputs(self, rows: np.ndarray[tuple[int], np.dtype[np.intp]], slot: int) -> Floats:
        """Return what is known of some days when their ``slot`` begins; each reads what is before it only."""
        slots = self.apart.shape[1]
        ends = rows * slots + slot
        flat = self.apart.ravel()
        parts = [flat[ends - back] for back in (1, 2, 4, 8)]
        parts += [
            _mean(flat, ends, slots // 2),
            _mean(flat, ends - slots // 2, slots // 2),
            _mean(flat, ends, 7 * slots),
        ]
        if self.warm is not None:
            warm = self.warm.ravel()
            now, day = warm[ends - 1], _mean(warm, ends, slots)
            parts += [now - warm[ends - 4], *_bent(now), *_bent(day), *_bent(_mean(warm, ends, 7 * slots))]
        return np.stack([np.ones(len(rows)), *parts], axis=1)


def _usual(log: Floats, free: list[bool]) -> Floats:
    """Return the mean of the last days that were as free."""
    usual = np.full_like(log, np.nan)
    for day in range(len(log)):
        alike = [d for d in range(day - 1, max(day - 22, -1), -1) if free[d] == free[day]][:_ALIKE]
        if len(alike) == _ALIKE:
            usual[day] = log[alike].mean(axis=0)
    return usual


def _bridged(values: Floats) -> Floats:
    """Return values whose gaps of up to two slots hold on to what was last: an hour that spring leaves out, say."""
    flat = values.ravel().copy()
    for _ in range(2):
        gap = np.flatnonzero(np.isnan(flat[1:])) + 1
        flat[gap] = flat[gap - 1]
    return flat.reshape(values.shape)


def _mean(flat: Floats, ends: np.ndarray[tuple[int], np.dtype[np.intp]], span: int) -> Floats:
    """Return the means of the ``span`` values before each end."""
    return np.asarray(flat[ends[:, None] - np.arange(1, span + 1)].mean(axis=1))


def _bent(degrees: Floats) -> list[Floats]:
    return [degrees, *(np.maximum(degrees - bend, 0.0) for bend in _BENDS_C)]


def _ends(inputs: Floats) -> Floats:
    low, high = inputs.min(axis=0), inputs.max(axis=0)
    beyond = _BEYOND * (high - low)
    return np.stack((low - beyond, high + beyond))


def _ridge(inputs: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Return the weights, and how wrong they would have been for each day without it."""
    spread = np.maximum(inputs.std(axis=0), 1e-6)
    spread[0] = 1.0
    scaled = inputs / spread
    held = np.full(inputs.shape[1], _RIDGE * len(inputs))
    held[0] = 0.0
    inverse = np.linalg.inv(scaled.T @ scaled + np.diag(held))
    weights = inverse @ scaled.T @ truth
    leverage = np.einsum("ij,jk,ik->i", scaled, inverse, scaled)
    left_out = (truth - scaled @ weights) / np.maximum(1.0 - leverage, _LEAST_LEFT)[:, None]
    return weights / spread[:, None], left_out
