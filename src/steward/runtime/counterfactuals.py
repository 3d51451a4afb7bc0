"""What would have changed the choice: the smallest changes of one or two features, each decided again as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from steward.decision.checks import nearest
from steward.errors import ContractError
from steward.loop.prepare import Prepared
from steward.models.attribution.counterfactual import Movable
from steward.records import FeatureValue, Interval, Record
from steward.runtime.limits import limits_of
from steward.runtime.trials import Trial, Trials
from steward.runtime.whatif import Redecided, WhatIf, shape

_MOST: Final = 20
_PAIRED: Final = 6
"""Only features that move the answer most are changed two at a time."""
_PER_FEATURE: Final = 10
_WORTH_IT: Final = 0.9
"""Two changes are told beside one only if together they are smaller than this share of it."""
_SHRINKS: Final = 2.0
"""How much larger than what is worth telling two changes may be before they are made as small as they can be."""
_SHRUNK: Final = 3
_HALVINGS: Final = 24
_INSIDE: Final = 1e-6
"""How far from an end that is itself not allowed, as a share of the range."""


class Change(Struct, frozen=True, kw_only=True):
    """One feature that would have had to be different.

    Example:
        >>> Change(feature="price_eur", stored=58.0, value=60.1).value
        60.1
    """

    feature: str
    stored: FeatureValue
    value: FeatureValue


class Counterfactual(Struct, frozen=True, kw_only=True):
    """One way in which the choice would have been another; decided again by features, model and policy.

    Attributes:
        changes: What would have had to be different; all else as it was, but for features made from these.
        cost: How large the changes are: shares of the features' ranges, added up. Less is nearer.
        followed: Features that are made from the changed ones, as they would have been.
        choice: What would have been chosen.
        reasons: Why.
        rule: The policy's rule that fires, if it has a name.
        prediction: What the model answers then.
        interval: Bounds of the true value, if they are told.
        asks: Whether a person would have to agree.

    Example:
        >>> dearer = Change(feature="price_eur", stored=58.0, value=60.1)
        >>> Counterfactual(changes=(dearer,), cost=0.02, choice="discharge", reasons=("dear",), asks=False).cost
        0.02
    """

    changes: tuple[Change, ...]
    cost: float
    followed: Mapping[str, FeatureValue] = {}
    choice: object
    reasons: tuple[str, ...]
    rule: str | UnsetType = UNSET
    prediction: object = UNSET
    interval: Interval | UnsetType = UNSET
    asks: bool


class WouldHaveChanged(Struct, frozen=True, kw_only=True):
    """What would have changed a choice.

    Attributes:
        release: What decides now.
        differs: What of it is not what decided then: the ``release`` as a whole, its ``policy``, its ``model``.
        recorded: What was chosen then.
        choice: What is chosen now with nothing changed: the counterfactuals choose something else.
        found: The nearest ones first, one for each set of features; none if nothing that was tried changes it.
        moved: The features that were moved.
        immutable: Those that nobody can change, and that were left as they were.
        tried: How often it was decided again.

    Example:
        >>> WouldHaveChanged(release="r1", recorded="hold", choice="hold", found=(), moved=("price_eur",),
        ...                  immutable=(), tried=48).found
        ()
    """

    release: str
    differs: tuple[str, ...] = ()
    recorded: object
    choice: object
    found: tuple[Counterfactual, ...]
    moved: tuple[str, ...]
    immutable: tuple[str, ...]
    tried: int


class Counterfactuals:
    """Looks for what would have changed a stored decision; pure, so that it may be asked at any time.

    Args:
        whatif: Decides stored decisions again.
    """

    def __init__(self, whatif: WhatIf) -> None:
        self._whatif = whatif

    async def find(
        self, record: Record, *, toward: object = UNSET, features: Sequence[str] = (), most: int = 5
    ) -> WouldHaveChanged:
        """Return the smallest changes of one or two features that change the choice.

        A feature keeps its kind (a whole number stays one), stays within the bounds that its contract declares, and
        else within what the model has seen. A change is counted as a share of that range. Where trees split is tried
        first, then even steps along the range, for what the policy looks at. A smaller change may exist where the
        choice flips there and back between two tries.

        Args:
            record: The stored decision.
            toward: The only choice that counts, as plain data; by default any other one.
            features: Only these are changed; by default all that can be.
            most: How many are returned, 1..20.

        Raises:
            ContractError: A feature is not known, or nobody can change it; or ``most`` is out of bounds.
            Conflict: Today's code cannot decide it: ``code`` is ``not-declared`` or ``what-if-failed``.
        """
        if not 1 <= most <= _MOST:
            raise ContractError(f"most lies in 1..{_MOST}, got {most}", field="most")
        base = await self._whatif.decide(record, {})
        prepared = self._whatif.prepared(record)
        movable = _movables(self._whatif, prepared, record, features)
        search = _Search(Trials(prepared, record), base, movable, toward)
        found = await search.find()
        told = [await self._told(record, base, changes, search) for changes in found]
        return WouldHaveChanged(
            release=base.release,
            differs=base.differs,
            recorded=record.choice,
            choice=base.choice,
            found=tuple(each for each in told if each is not None)[:most],
            moved=tuple(each.name for each in movable),
            immutable=tuple(name for name in prepared.decision.immutable if name in record.features),
            tried=search.trials.count,
        )

    async def _told(
        self, record: Record, base: Redecided, changes: Mapping[str, FeatureValue], search: _Search
    ) -> Counterfactual | None:
        """Decide it once more, by the way that everybody else asks; nothing is told that does not hold there."""
        again = await self._whatif.decide(record, changes)
        if not search.counts(again.choice):
            return None
        return Counterfactual(
            changes=tuple(
                Change(feature=name, stored=record.features[name], value=value) for name, value in changes.items()
            ),
            cost=search.cost(changes),
            followed=again.followed,
            choice=again.choice,
            reasons=again.reasons,
            rule=again.rule,
            prediction=again.prediction,
            interval=again.interval,
            asks=again.asks,
        )


class _Search:
    """The search for one record."""

    def __init__(self, trials: Trials, base: Redecided, movable: Sequence[Movable], toward: object) -> None:
        self.trials, self._movable, self._toward = trials, {each.name: each for each in movable}, toward
        self._base = base
        self._tries = {each.name: list(each.tries()) for each in movable}
        self._effect = dict.fromkeys(self._movable, 0.0)

    def counts(self, choice: object) -> bool:
        """Return whether this is another choice: of another kind, not of another size."""
        if self._toward is not UNSET:
            return choice == self._toward and choice != self._base.choice
        return shape(choice) != shape(self._base.choice)

    def cost(self, changes: Mapping[str, FeatureValue]) -> float:
        return sum(self._movable[name].cost(value) for name, value in changes.items())

    async def find(self) -> list[dict[str, FeatureValue]]:
        """Return what changes the choice, the nearest first."""
        singles = [one for name in self._movable if (one := await self._single(name)) is not None]
        best = min(map(self.cost, singles), default=math.inf)
        pairs = await self._pairs(best)
        return sorted((*singles, *pairs), key=lambda changes: (self.cost(changes), tuple(changes)))

    def _is_flip(self, trial: Trial) -> bool:
        return not trial.failed and self.counts(trial.choice)

    async def _single(self, name: str) -> dict[str, FeatureValue] | None:
        """Return the smallest change of one feature."""
        movable, values = self._movable[name], self._tries[name]
        trials = await self.trials.decide([{name: value} for value in values])
        base = self._base.prediction
        if isinstance(base, int | float):
            told = [each.prediction for each in trials if isinstance(each.prediction, int | float)]
            self._effect[name] = max((abs(each - base) for each in told), default=0.0)
        else:
            self._effect[name] = float(any(map(self._is_flip, trials)))
        flips = [value for value, trial in zip(values, trials, strict=True) if self._is_flip(trial)]
        if not flips:
            return None
        stored = movable.number
        if stored is None:
            return {name: flips[0]}
        nearest_ = [
            await self._nearer({}, name, side[0], values)
            for side in ([v for v in flips if v > stored], [v for v in flips if v < stored])  # type: ignore[operator]  # tries of a number are numbers
            if side
        ]
        return min(({name: value} for value in nearest_), key=self.cost)

    async def _nearer(
        self, others: dict[str, FeatureValue], name: str, far: FeatureValue, values: Sequence[FeatureValue]
    ) -> FeatureValue:
        """Halve the way to the last value that changed nothing, and then write it shorter if that still flips."""
        movable = self._movable[name]
        stored = movable.number
        if stored is None or not isinstance(far, int | float):
            return far
        same_side = [v for v in values if isinstance(v, int | float) and (v - stored) * (far - stored) > 0]
        near: float = max(
            (v for v in same_side if abs(v - stored) < abs(far - stored)), key=_from(stored), default=stored
        )
        for _ in range(_HALVINGS):
            middle = movable.between(near, far)
            if middle is None:
                break
            [trial] = await self.trials.decide([{**others, name: middle}])
            near, far = (near, middle) if self._is_flip(trial) else (middle, far)
        shorter = list(movable.rounder(far))
        trials = await self.trials.decide([{**others, name: value} for value in shorter])
        return next((value for value, trial in zip(shorter, trials, strict=True) if self._is_flip(trial)), far)

    async def _pairs(self, best: float) -> list[dict[str, FeatureValue]]:
        """Return the smallest changes of two features at once, where neither alone would do and it is worth it."""
        names = sorted(self._movable, key=lambda name: -self._effect[name])[:_PAIRED]
        found = []
        for at, first in enumerate(names):
            for second in names[at + 1 :]:
                pair = await self._pair(first, second, best * _WORTH_IT)
                if pair is not None:
                    found.append(pair)
        return found

    async def _pair(self, first: str, second: str, below: float) -> dict[str, FeatureValue] | None:
        tried = [self._spread(name) for name in (first, second)]
        tries = [{first: a, second: b} for a in tried[0] for b in tried[1]]
        tries = sorted((each for each in tries if self.cost(each) < _SHRINKS * below), key=self.cost)
        trials = await self.trials.decide(tries)
        flips = [each for each, trial in zip(tries, trials, strict=True) if self._is_flip(trial)]
        shrunk = [pair for each in flips[:_SHRUNK] if (pair := await self._shrunk(each)) is not None]
        pair = min(shrunk, key=self.cost, default=None)
        return pair if pair is not None and self.cost(pair) < below else None

    def _spread(self, name: str) -> list[FeatureValue]:
        """Return some of the values to try, over both ways from the stored one, each to its end."""
        values, stored = self._tries[name], self._movable[name].number
        if stored is None:
            return _some(values, _PER_FEATURE)
        less = [each for each in values if isinstance(each, int | float) and each < stored]
        more = [each for each in values if isinstance(each, int | float) and each > stored]
        few = min(len(less), len(more), _PER_FEATURE // 2)
        return [*_some(less, max(few, _PER_FEATURE - len(more))), *_some(more, max(few, _PER_FEATURE - len(less)))]

    async def _shrunk(self, pair: dict[str, FeatureValue]) -> dict[str, FeatureValue] | None:
        """Make each of two changes as small as it can be beside the other; ``None`` if one of them alone would do."""
        for name, far in pair.items():
            rest = {other: value for other, value in pair.items() if other != name}
            pair = pair | {name: await self._nearer(rest, name, far, [])}
        alone = await self.trials.decide([{name: value} for name, value in pair.items()])
        return None if any(map(self._is_flip, alone)) else pair


def _from(stored: float) -> Any:
    """Return the distance from ``stored``, as a key to sort by."""
    return lambda value: abs(value - stored)


def _some(values: Sequence[FeatureValue], most: int) -> list[FeatureValue]:
    """Return the first value, the last, and evenly some between."""
    if len(values) <= most:
        return list(values)
    return [values[round(at * (len(values) - 1) / (most - 1))] for at in range(most)]


def _movables(whatif: WhatIf, prepared: Prepared, record: Record, only: Sequence[str]) -> list[Movable]:
    decision = prepared.decision
    for name in only:
        if name not in record.features:
            raise ContractError(f"no feature is named {name!r}", fix=nearest(name, record.features), field="features")
        if name in decision.immutable:
            raise ContractError(
                f"{name!r} is declared as a feature that nobody can change", fix="name another", field="features"
            )
    derived = {row.name for row in decision.rows if row.compute is not None and row.needs}
    names = only or [name for name in record.features if name not in derived and name not in decision.immutable]
    found = (_movable(whatif, prepared, record, name) for name in names)
    return [each for each in found if each is not None]


def _movable(whatif: WhatIf, prepared: Prepared, record: Record, name: str) -> Movable | None:
    stored, limits = record.features[name], limits_of(prepared, name)
    if isinstance(stored, bool):
        return Movable(name=name, stored=stored, others=(not stored,))
    if isinstance(stored, str):
        others = tuple(each for each in limits.listed if each != stored)
        return Movable(name=name, stored=stored, others=others) if others else None
    span = whatif.range(record, name)
    if span is None or not isinstance(stored, int | float):
        return None
    models = prepared.models.values()
    turns = sorted({turn for model in models for turn in getattr(model, "turns", {}).get(name, ())})
    seen = [ends for model in models if (ends := getattr(model, "seen", {}).get(name)) is not None]
    low = span.low if limits.low is not None or not seen else min(stored, *(ends[0] for ends in seen))
    high = span.high if limits.high is not None or not seen else max(stored, *(ends[1] for ends in seen))
    scale = min((width for width in (high - low, *(b - a for a, b in seen)) if width > 0.0), default=0.0)
    if not (math.isfinite(high - low) and scale > 0.0):
        return None
    return Movable(
        name=name,
        stored=stored,
        low=low + _INSIDE * scale * limits.is_low_out,
        high=high - _INSIDE * scale * limits.is_high_out,
        scale=scale,
        is_whole=isinstance(stored, int),
        turns=turns,
    )
