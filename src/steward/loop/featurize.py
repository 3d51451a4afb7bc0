"""Featurize: an event becomes the named values that model and policy see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import isfinite
from typing import Any, Final

import msgspec

from steward import wire
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.errors import ContractError, StewardError
from steward.features.online import OnlineFeatures
from steward.features.row import compile_row_features
from steward.records import FeatureValue

Featurize = Callable[[Any, datetime], Features]
_PLAIN: Final = frozenset({float, int, str, bool, type(None)})


def featurizer(decision: Decision[Any, Any, Any], online: OnlineFeatures) -> Featurize:
    """Return what computes the decision's features for an event at a time."""
    windows = decision.windows
    names = tuple(window.name for window in windows)
    read = online.reader(windows) if windows else None
    rows = compile_row_features(decision.rows, names)
    row_names, computed = rows.names, tuple(row.name for row in decision.rows if row.compute)

    def featurize(event: Any, at: datetime) -> Features:
        features = Features(zip(names, read(event, at), strict=True)) if read else Features()
        rows.compute(event, features)
        # Windows and the numbers of a decoded event are fine by how they are made.
        if not _PLAIN.issuperset(map(type, map(features.__getitem__, row_names))):
            for name in row_names:
                if type(features[name]) not in _PLAIN:
                    features[name] = _checked(name, features[name])
        for name in computed:
            if type(value := features[name]) is float and not isfinite(value):
                _checked(name, value)
        return features

    return featurize


def _checked(name: str, value: object) -> FeatureValue:
    """Return a value of a rarer kind (a series, a number of numpy) as the ledger will give it back."""
    try:
        wire.check_finite(value)
        plain: FeatureValue = msgspec.convert(value.item() if hasattr(value, "item") else value, FeatureValue)
    except (msgspec.ValidationError, ContractError) as error:
        raise StewardError(
            f"feature {name!r} is {value!r}",
            why="a feature is a finite number, a text, true or false, a series of numbers, or None",
            fix="return None where there is nothing to compute it from",
            code="feature-failed",
            field=name,
        ) from error
    return plain
