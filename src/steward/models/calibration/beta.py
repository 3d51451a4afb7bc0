"""Beta calibration (Kull, Silva Filho, Flach, "Beta calibration", AISTATS 2017): three numbers, for few rows.

``logit(true) = a ln(p) - b ln(1 - p) + c`` with ``a, b >= 0``, fitted as the logistic regression on ``ln(p)`` and
``-ln(1 - p)`` that it is; where a coefficient would be negative, it is 0 and the others are fitted again (section 4.2).
It holds the logistic curve of Platt (a = b) and the identity (1, 1, 0), and cannot fall.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from steward.models.calibration.calibrators import Calibrator, checked, outcomes, refused
from steward.models.manifest import Manifest

_LEAST = 2.0**-52
"""What stands for a probability of 0, and below 1, so that its logarithm is finite."""
_RIDGE = 1e-6
"""What keeps the coefficients finite where the rows are told apart without a mistake."""
_MOST_STEPS = 100


class BetaFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``calibrator.json``: the three coefficients.

    Example:
        >>> BetaFile(a=1.0, b=1.0, c=0.0).function()(0.25)
        0.25
    """

    format: Literal["steward.beta/1"] = "steward.beta/1"
    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.a, self.b, self.c))) or min(self.a, self.b) < 0:
            raise ValueError("a, b and c must be finite, a and b not below 0")

    def to_bytes(self) -> bytes:
        """Return the file's bytes, to be registered as ``calibrator.json``."""
        return msgspec.json.encode(self)

    def function(self) -> Callable[[float], float]:
        """Return the function; not a number stays that."""
        a, b, c, log, exp = self.a, self.b, self.c, math.log, math.exp
        most = 1 - _LEAST

        def apply(probability: float) -> float:
            p = _LEAST if probability < _LEAST else most if probability > most else probability
            raw = a * log(p) - b * log(1 - p) + c
            if raw >= 0:
                return 1 / (1 + exp(-raw))
            power = exp(raw)
            return power / (1 + power)

        return apply


def fit(probabilities: Any, happened: Any) -> BetaFile:
    """Return the coefficients of greatest likelihood.

    Args:
        probabilities: What the model told, 0..1; of rows that it was not trained on.
        happened: What happened, 0 or 1.

    Raises:
        DeclarationError: They are not two such columns of one length.

    Example:
        >>> drawn = np.random.default_rng(3)
        >>> told = drawn.random(20_000)
        >>> found = fit(told, drawn.random(20_000) < told**2)  # what is told is too high
        >>> 0.24 < found.function()(0.5) < 0.26
        True
    """
    told, truth = outcomes(probabilities, happened)
    told = np.clip(told, _LEAST, 1 - _LEAST)
    columns = np.column_stack([np.log(told), -np.log1p(-told), np.ones_like(told)])
    kept = [0, 1, 2]
    while True:
        found = np.zeros(3)
        found[kept] = _regress(columns[:, kept], truth)
        if (found[:2] >= 0).all():
            return BetaFile(a=float(found[0]), b=float(found[1]), c=float(found[2]))
        kept.remove(int(found[:2].argmin()))


def _regress(columns: Any, truth: Any) -> Any:
    """Return the coefficients of a logistic regression, by Newton's method with halved steps."""
    found = np.zeros(columns.shape[1])
    loss = _loss(columns, truth, found)
    for _ in range(_MOST_STEPS):
        told = 1 / (1 + np.exp(-np.clip(columns @ found, -700, 700)))
        slope = columns.T @ (told - truth) + _RIDGE * found
        bend = (columns * (told * (1 - told))[:, None]).T @ columns + _RIDGE * np.eye(len(found))
        step, size = np.linalg.solve(bend, slope), 1.0
        while (next_loss := _loss(columns, truth, found - size * step)) > loss and size > 1e-10:
            size /= 2
        if loss - next_loss <= 1e-12 * abs(loss):
            break
        found, loss = found - size * step, next_loss
    return found


def _loss(columns: Any, truth: Any, found: Any) -> float:
    raw = columns @ found
    return float(np.logaddexp(0, np.where(truth > 0, -raw, raw)).sum() + _RIDGE / 2 * found @ found)


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> Calibrator:
    """Load a beta calibrator from ``calibrator.json``.

    Raises:
        IntegrityError: The file is no such calibrator.
    """
    try:
        content = msgspec.json.decode(checked(manifest, files), type=BetaFile)
    except msgspec.MsgspecError as error:
        raise refused(manifest, str(error)) from error
    return Calibrator(content.function(), name=manifest.name, version=str(manifest.version), digest=digest)
