"""Decides one record again many times, in batches, so that a search costs what the model costs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from steward.decision.feature import Features
from steward.loop.encode import encode
from steward.loop.prepare import Prepared
from steward.records import FeatureValue, Prediction, Record
from steward.runtime.whatif import moved

_AT_ONCE: Final = 64
"""After so many, others have a turn: a millisecond or two."""


class Trial(Struct, frozen=True):
    """What would be chosen, as plain data, and predicted; ``failed`` where nothing can be decided.

    Example:
        >>> Trial("hold", 57.5).failed
        False
    """

    choice: object = None
    prediction: object = None
    failed: bool = False


class Trials:
    """Decides one record again with changed features; writes nothing.

    Attributes:
        count: How often it was decided so far.

    Args:
        prepared: What decides.
        record: The stored decision.
    """

    def __init__(self, prepared: Prepared, record: Record) -> None:
        self._prepared, self._record = prepared, record
        self._predict = prepared.predict_as(record)
        self.count = 0

    async def decide(self, tries: Sequence[Mapping[str, FeatureValue]]) -> list[Trial]:
        """Return what each of the changes leads to, in their order."""
        trials: list[Trial] = []
        for first in range(0, len(tries), _AT_ONCE):
            trials += await self._some(tries[first : first + _AT_ONCE])
            await asyncio.sleep(0)
        self.count += len(tries)
        return trials

    async def _some(self, tries: Sequence[Mapping[str, FeatureValue]]) -> list[Trial]:
        rows = [self._features(changes) for changes in tries]
        batch = [row for row in rows if row is not None]
        try:
            predictions = iter(await self._predict(batch) if batch else ())
        except Exception:  # the model answers none of them: then none of them changes the choice
            return [Trial(failed=True)] * len(tries)
        return [Trial(failed=True) if row is None else self._choose(row, next(predictions)) for row in rows]

    def _features(self, changes: Mapping[str, FeatureValue]) -> Features | None:
        try:
            return moved(self._prepared, self._record, changes)[0]
        except Exception:  # what a feature is made from may not go together
            return None

    def _choose(self, features: Features, prediction: Prediction[object] | Exception) -> Trial:
        if isinstance(prediction, Exception):
            return Trial(failed=True)
        try:
            choice = self._prepared.choose(features, prediction).value
            return Trial(msgspec.json.decode(encode(choice)), prediction.value)
        except Exception:  # a policy may refuse what never occurs
            return Trial(failed=True)
