"""What if: one stored decision, decided again with some of its features changed. Nothing is written, nothing acts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from steward import wire
from steward.decision.checks import nearest
from steward.decision.feature import Features
from steward.errors import Conflict, ContractError, StewardError
from steward.loop.choose import expected_value
from steward.loop.encode import encode
from steward.loop.prepare import Prepared
from steward.records import FeatureValue, Interval, Money, Record
from steward.runtime.limits import limits_of

_STEPS: Final = 24
"""Into how many parts a range is cut to look for flips; two flips inside one part are not seen."""
_HALVINGS: Final = 10
_MOST_FLIPS: Final = 6
_WHOLE: Final = (int,)
_Part = Literal["release", "policy", "model"]


class Redecided(Struct, frozen=True, kw_only=True):
    """What a decision would have been, had it known something else.

    Attributes:
        release: What decided now.
        differs: What of it is not what decided then: the ``release`` as a whole, its ``policy``, its ``model``.
        changed: The features that were put in, by name.
        followed: The features that were computed anew, as they are made from those.
        choice: What would be chosen, as plain data.
        recorded: What was chosen then.
        is_same: Whether the two are equal.
        reasons: Why.
        rule: The policy's rule that fired, if it has a name.
        prediction: What the model answers.
        confidence: 0..1, if the model tells.
        interval: Bounds of the true value, if the model tells.
        asks: Whether a person would have to agree.
        impact: The money at stake, if there is a gate.
        expected_value: What the choice is expected to earn, if the decision declares how to tell.
        flips: Where the choice flips, if that was asked too.

    Example:
        >>> Redecided(release="r1", changed={"price_eur": 90.0}, choice="discharge", recorded="hold",
        ...           reasons=("dear",), asks=False).is_same
        False
    """

    release: str
    differs: tuple[_Part, ...] = ()
    changed: Mapping[str, FeatureValue]
    followed: Mapping[str, FeatureValue] = {}
    choice: object
    recorded: object
    is_same: bool = False
    reasons: tuple[str, ...]
    rule: str | UnsetType = UNSET
    prediction: object = UNSET
    confidence: float | UnsetType = UNSET
    interval: Interval | UnsetType = UNSET
    asks: bool
    impact: Money | UnsetType = UNSET
    expected_value: Money | UnsetType = UNSET
    flips: Flips | UnsetType = UNSET


class Range(Struct, frozen=True, kw_only=True):
    """Where a feature is looked at: the bounds that its contract declares, or else around its stored value.

    Example:
        >>> Range(low=0.0, high=120.0, is_declared=False, is_whole=False).high
        120.0
    """

    low: float
    high: float
    is_declared: bool
    is_whole: bool


class Side(Struct, frozen=True, kw_only=True):
    """What is chosen on one side of a flip, and whether a person is asked; ``failed`` if nothing can be decided there.

    Example:
        >>> Side(choice="hold", asks=False).failed
        ''
    """

    choice: object = None
    rule: str | UnsetType = UNSET
    asks: bool = False
    failed: str = ""


class Flip(Struct, frozen=True, kw_only=True):
    """A place at which another choice is made, or people are asked or not: ``at`` is the first value beyond it.

    Example:
        >>> Flip(at=60.5, below=Side(choice="hold"), above=Side(choice="discharge")).at
        60.5
    """

    at: float
    below: Side
    above: Side


class Flips(Struct, frozen=True, kw_only=True):
    """Where along a feature's range the choice flips: its kind, not its size.

    Attributes:
        feature: Which one is moved; all others stay.
        range: Between which values.
        flips: The first of them, lowest first.
        is_complete: Whether there are no more than these.

    Example:
        >>> around = Range(low=0.0, high=120.0, is_declared=False, is_whole=False)
        >>> Flips(feature="price_eur", range=around, flips=()).is_complete
        True
    """

    feature: str
    range: Range
    flips: tuple[Flip, ...]
    is_complete: bool = True


class WhatIf:
    """Decides stored decisions again by today's code and models; pure, so that it may be asked at any time.

    Args:
        prepared: The decisions, ready to run.
    """

    def __init__(self, prepared: Mapping[str, Prepared]) -> None:
        self._prepared = prepared

    async def decide(self, record: Record, changes: Mapping[str, object]) -> Redecided:
        """Return what would be decided with some features changed.

        Args:
            record: The stored decision.
            changes: The new values by feature, each of the kind that is stored.

        Raises:
            ContractError: No such feature, or a value of another kind or beyond the declared bounds.
            Conflict: Today's code cannot decide it: ``code`` is ``not-declared`` or ``what-if-failed``.
        """
        prepared = self.prepared(record)
        changed = {name: self._checked(prepared, record, name, value) for name, value in changes.items()}
        return await _redecide(prepared, record, changed)

    def range(self, record: Record, feature: str) -> Range | None:
        """Return where a feature can be moved; ``None`` if it is no number."""
        value = record.features.get(feature)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        limits = limits_of(self.prepared(record), feature)
        low, high = limits.low, limits.high
        around = (0.0, 2.0 * value) if value > 0 else (2.0 * value, 0.0) if value < 0 else (-1.0, 1.0)
        return Range(
            low=around[0] if low is None else low,
            high=around[1] if high is None else high,
            is_declared=low is not None and high is not None,
            is_whole=isinstance(value, _WHOLE),
        )

    async def flips(self, record: Record, feature: str, changes: Mapping[str, object] | None = None) -> Flips:
        """Return where along a feature's range the choice flips; others have a turn between any two tries.

        Args:
            record: The stored decision.
            feature: Which of its features is moved.
            changes: Other features that are changed besides.

        Raises:
            ContractError: No such feature, or it is no number; else as in :meth:`decide`.
            Conflict: Today's code cannot decide it.
        """
        prepared = self.prepared(record)
        span = self.range(record, feature)
        if span is None or not math.isfinite(span.low + span.high):
            self._checked(prepared, record, feature, record.features.get(feature))
            raise ContractError(f"{feature!r} is no number that can be moved", fix="name a number", field="flips")
        others = {k: self._checked(prepared, record, k, v) for k, v in (changes or {}).items() if k != feature}
        found: list[Flip] = []
        tries = _Tries(prepared, record, others, feature, span)
        left = await tries.at(span.low)
        for step in range(1, _STEPS + 1):
            right = await tries.at(span.low + (span.high - span.low) * step / _STEPS)
            if right.kind != left.kind:
                if len(found) == _MOST_FLIPS:
                    return Flips(feature=feature, range=span, flips=tuple(found), is_complete=False)
                found.append(await tries.between(left, right))
            left = right
        return Flips(feature=feature, range=span, flips=tuple(found))

    def prepared(self, record: Record) -> Prepared:
        """Return what decides such a record today; raises ``Conflict`` if nothing does."""
        prepared = self._prepared.get(record.decision)
        if prepared is None:
            raise Conflict(
                f"{record.decision!r} is not declared any more",
                why="what decided then is not loaded here",
                fix="start a server that declares it",
                code="not-declared",
            )
        return prepared

    def _checked(self, prepared: Prepared, record: Record, name: str, value: object) -> FeatureValue:
        if name not in record.features:
            raise ContractError(f"no feature is named {name!r}", fix=nearest(name, record.features), field=name)
        stored = record.features[name]
        try:
            wire.check_finite(value)
            new: FeatureValue = msgspec.convert(value, FeatureValue)
        except (msgspec.ValidationError, ContractError) as error:
            raise ContractError(f"{value!r} is no value of a feature", why=str(error), field=name) from error
        if stored is not None and new is not None and not _is_alike(stored, new):
            raise ContractError(
                f"the feature {name} is {_kind(stored)}, not {_kind(new)}", fix=f"send {_kind(stored)}", field=name
            )
        if isinstance(stored, float) and isinstance(new, int) and not isinstance(new, bool):
            new = float(new)
        limits = limits_of(prepared, name)
        if isinstance(new, int | float) and not limits.allow(new):
            raise ContractError(
                f"{name} lies from {limits.low} to {limits.high}, got {new}", fix="stay inside", field=name
            )
        return new


class _Tried(NamedTuple):
    value: float
    kind: object
    side: Side


class _Tries:
    """Tries values of one feature."""

    def __init__(
        self, prepared: Prepared, record: Record, others: Mapping[str, FeatureValue], feature: str, span: Range
    ) -> None:
        self._prepared, self._record, self._others = prepared, record, others
        self._feature, self._span = feature, span

    async def at(self, value: float) -> _Tried:
        await asyncio.sleep(0)
        tried: float = round(value) if self._span.is_whole else value
        try:
            found = await _redecide(self._prepared, self._record, {**self._others, self._feature: tried})
        except Conflict as error:
            return _Tried(tried, ("failed",), Side(failed=error.why or str(error)))
        side = Side(choice=found.choice, rule=found.rule, asks=found.asks)
        return _Tried(tried, (shape(found.choice), found.asks), side)

    async def between(self, left: _Tried, right: _Tried) -> Flip:
        """Halve what lies between two values until it is narrow."""
        for _ in range(_HALVINGS):
            middle = await self.at((left.value + right.value) / 2)
            if middle.value in (left.value, right.value):
                break
            if middle.kind == left.kind:
                left = middle
            else:
                right = middle
        return Flip(at=right.value, below=left.side, above=right.side)


async def _redecide(prepared: Prepared, record: Record, changed: Mapping[str, FeatureValue]) -> Redecided:
    """Run the loop's pure stages on stored features."""
    try:
        features, followed = moved(prepared, record, changed)
        [prediction] = await prepared.predict_as(record)([features])
        if isinstance(prediction, Exception):
            raise prediction
        choice = prepared.choose(features, prediction)
        gate = prepared.weigh(features, prediction, choice.value, record.decided_at) if prepared.weigh else UNSET
        plain = msgspec.json.decode(encode(choice.value))
        told = UNSET if prediction.value is None else msgspec.json.decode(encode(prediction.value))
        expected = expected_value(prepared.decision, features, prediction, choice.value)
    except Exception as error:
        raise Conflict(
            f"{record.decision!r} cannot decide this by its present code",
            why=str(error) if isinstance(error, StewardError) else f"{type(error).__name__}: {error}",
            fix="change it less",
            code="what-if-failed",
        ) from error
    return Redecided(
        release=prepared.release,
        differs=_differs(prepared, record, prediction.model_hash),
        changed=dict(changed),
        followed=followed,
        choice=plain,
        recorded=record.choice,
        is_same=plain == record.choice,
        reasons=choice.reasons,
        rule=choice.rule or UNSET,
        prediction=told,
        confidence=UNSET if prediction.confidence is None else prediction.confidence,
        interval=prediction.interval or UNSET,
        asks=gate is not UNSET and gate.needed,
        impact=UNSET if gate is UNSET else gate.impact,
        expected_value=expected or UNSET,
    )


def moved(
    prepared: Prepared, record: Record, changed: Mapping[str, FeatureValue]
) -> tuple[Features, dict[str, FeatureValue]]:
    """Return a record's features with those that are made from changed ones computed anew, and these by themselves."""
    features, followed = Features({**record.features, **changed}), dict[str, FeatureValue]()
    event: Any = None
    for row in prepared.decision.rows:
        if row.compute is None or row.name in changed or not any(n in changed or n in followed for n in row.needs):
            continue
        if event is None:
            event = prepared.contract.convert(record.event, version=record.provenance.contract_version)
        features[row.name] = followed[row.name] = row.compute(event, *(features[name] for name in row.needs))
    return features, followed


def _differs(prepared: Prepared, record: Record, model_hash: str | None) -> tuple[_Part, ...]:
    parts: dict[_Part, bool] = {
        "release": prepared.release != record.release,
        "policy": prepared.policy_hash != record.policy.hash,
        "model": (model_hash or UNSET) != record.model_hash,
    }
    return tuple(part for part, is_other in parts.items() if is_other)


def shape(choice: object) -> object:
    """Return what a choice is without its size: 8 MW and 9 MW are the same choice, charging and discharging are not.

    Example:
        >>> shape({"power_mw": -9.5, "mode": "fast"}), shape(0.0)
        ((('power_mw', -1), ('mode', 'fast')), 0)
    """
    if isinstance(choice, bool) or not isinstance(choice, int | float | list | dict):
        return choice
    if isinstance(choice, list):
        return tuple(map(shape, choice))
    if isinstance(choice, dict):
        return tuple((name, shape(value)) for name, value in choice.items())
    return (choice > 0) - (choice < 0)


def _is_alike(stored: FeatureValue, new: FeatureValue) -> bool:
    return _kind(stored) == _kind(new)


def _kind(value: FeatureValue) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else "nothing" if value is None else "a series"
