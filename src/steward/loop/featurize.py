"""Featurize: an event becomes the named values that model and policy see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.features.online import OnlineFeatures
from steward.features.row import compile_row_features

Featurize = Callable[[Any, datetime], Features]


def featurizer(decision: Decision[Any, Any, Any], online: OnlineFeatures) -> Featurize:
    """Return what computes the decision's features for an event at a time."""
    windows = decision.windows
    names = tuple(window.name for window in windows)
    read = online.reader(windows) if windows else None
    rows = compile_row_features(decision.rows, names)

    def featurize(event: Any, at: datetime) -> Features:
        features = Features(zip(names, read(event, at), strict=True)) if read else Features()
        rows.compute(event, features)
        return features

    return featurize
