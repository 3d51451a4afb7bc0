"""What it costs a model to explain one answer, measured where it is loaded."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

import numpy as np

from steward.models.port import LoadedModel

_TRIES: Final = 21
_ENOUGH: Final = timedelta(milliseconds=50)


def cost_of(model: LoadedModel) -> timedelta | None:
    """Return how long the contributions to one answer take, the median of a few tries; ``None`` if it cannot tell any.

    The first try is not counted: it may compile, allocate and page in, so that no request has to wait for that.

    Raises:
        EngineError: The model was stored without what its contributions are made from.

    Example:
        >>> from steward.models.engines.linear import LinearFile, LinearModel, Term
        >>> term = Term("hour", coefficient=2.0, mean=11.5, missing=12.0)
        >>> cost_of(LinearModel(LinearFile(intercept=1.0, terms=(term,)), name="load")) < timedelta(milliseconds=10)
        True
    """
    attribute = getattr(model, "attribute", None)
    if attribute is None:
        return None
    rows = np.random.default_rng(0).normal(size=(_TRIES, 1, len(model.inputs)))
    attribute(rows[0])
    took = list[float]()
    for row in rows.tolist():
        began = time.perf_counter()
        attribute(row)
        took.append(time.perf_counter() - began)
        if sum(took) > _ENOUGH.total_seconds():
            break
    return timedelta(seconds=sorted(took)[len(took) // 2])
