"""Isotonic calibration: the non-decreasing steps that fit best what happened (Zadrozny and Elkan 2002).

The fit is the pool-adjacent-violators algorithm; between the ends of its steps the function is a straight line.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from steward.models.calibration.calibrators import Calibrator, checked, outcomes, refused
from steward.models.manifest import Manifest


class IsotonicFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``calibrator.json``: corners of the function, both columns in order; flat beyond the last ones.

    Example:
        >>> IsotonicFile(told=(0.0, 1.0), true=(0.0, 0.5)).function()(0.5)
        0.25
    """

    format: Literal["steward.isotonic/1"] = "steward.isotonic/1"
    told: tuple[float, ...]
    true: tuple[float, ...]

    def __post_init__(self) -> None:
        told, true = self.told, self.true
        if not told or len(told) != len(true) or not all(map(math.isfinite, (*told, *true))):
            raise ValueError("there must be as many true values as told ones, at least one, all finite")
        if list(told) != sorted(set(told)) or list(true) != sorted(true) or true[0] < 0 or true[-1] > 1:
            raise ValueError("told must rise from corner to corner, and true must not fall nor leave 0..1")

    def to_bytes(self) -> bytes:
        """Return the file's bytes, to be registered as ``calibrator.json``."""
        return msgspec.json.encode(self)

    def function(self) -> Callable[[float], float]:
        """Return the function; not a number stays that."""
        told, true = self.told, self.true
        first, last, low, high = told[0], told[-1], true[0], true[-1]

        def apply(probability: float) -> float:
            if probability <= first:
                return low
            if probability >= last:
                return high
            if probability != probability:  # noqa: PLR0124 - only NaN is unlike itself
                return probability
            at = bisect_right(told, probability) - 1
            start, left, right = told[at], true[at], true[at + 1]
            # Rounding must not lift a value above the corner to its right.
            return min(left + (right - left) * ((probability - start) / (told[at + 1] - start)), right)

        return apply


def fit(probabilities: Any, happened: Any) -> IsotonicFile:
    """Return the best non-decreasing function, by least squares.

    Args:
        probabilities: What the model told, 0..1; of rows that it was not trained on.
        happened: What happened, 0 or 1.

    Raises:
        DeclarationError: They are not two such columns of one length.

    Example:
        >>> fit([0.1, 0.4, 0.6, 0.9], [0, 1, 0, 1]).true
        (0.0, 0.5, 0.5, 1.0)
    """
    told, truth = outcomes(probabilities, happened)
    values, place, counts = np.unique(told, return_inverse=True, return_counts=True)
    sums = np.bincount(place, weights=truth)
    blocks: list[tuple[float, int, int]] = []  # the sum of what happened, over how many rows, at how many values
    for total, count in zip(sums.tolist(), counts.tolist(), strict=True):
        block = (total, count, 1)
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    corners: dict[float, float] = {}
    start = 0
    for total, count, width in blocks:
        for at in (start, start + width - 1):
            corners[float(values[at])] = total / count
        start += width
    return IsotonicFile(told=tuple(corners), true=tuple(corners.values()))


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> Calibrator:
    """Load an isotonic calibrator from ``calibrator.json``.

    Raises:
        IntegrityError: The file is no such calibrator.
    """
    try:
        content = msgspec.json.decode(checked(manifest, files), type=IsotonicFile)
    except msgspec.MsgspecError as error:
        raise refused(manifest, str(error)) from error
    return Calibrator(content.function(), name=manifest.name, version=str(manifest.version), digest=digest)
