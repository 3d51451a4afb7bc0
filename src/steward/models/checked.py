"""What was found when a model was checked at its registration: which engine answers, how exactly and how fast."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

_AtLeast0 = Annotated[float, Meta(ge=0)]
Arithmetic = Literal["float64", "float32"]


class Checked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model's check at its registration; part of the manifest.

    Attributes:
        engine: What answers from the files, as ``lightgbm 4.6.0``.
        arithmetic: In which numbers it computes, or takes its inputs.
        against: The original that it was compared with, as ``xgboost 3.2.0``; empty if it had none but itself.
        rows: How many rows of the sample were answered by both.
        largest_difference: The largest difference of an answer, relative to the original's: to the answer itself, or
            where that is near 0 to the mean size of all answers.
        tolerance: The largest difference that was allowed.
        flipped: The share of rows that get another label, or cross a probability of one half.
        warm_up_ms: How long loading and the first answer took, in milliseconds.
        p50_us: The median time of one row, in microseconds.
        p99_us: The 99th percentile of it.
        batch_p50_us: The median time of a batch of 100 rows, in microseconds.

    Example:
        >>> Checked(engine="linear", arithmetic="float64", rows=100, p50_us=1.2).largest_difference
        0.0
    """

    engine: str
    arithmetic: Arithmetic = "float64"
    against: str = ""
    rows: Annotated[int, Meta(ge=0)] = 0
    largest_difference: _AtLeast0 = 0.0
    tolerance: _AtLeast0 = 0.0
    flipped: Annotated[float, Meta(ge=0, le=1)] = 0.0
    warm_up_ms: _AtLeast0 = 0.0
    p50_us: _AtLeast0 = 0.0
    p99_us: _AtLeast0 = 0.0
    batch_p50_us: _AtLeast0 = 0.0
