"""What a new release may not make worse while it has only a share of the traffic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import isfinite
from typing import Final

from steward.errors import DeclarationError


class Metric(StrEnum):
    """What a guardrail watches; all but ``VALUE`` count how often something unwelcome happens to a decision.

    Example:
        >>> Metric("errors").is_rate, Metric.VALUE.is_rate
        (True, False)
    """

    ERRORS = "errors"
    """It failed, or a fallback had to answer for its model."""
    SLOW = "slow"
    """It took longer than the guardrail's ``limit``."""
    MISSES = "misses"
    """Its outcome lay outside the calibrated interval, or its label outside the prediction set."""
    OVERRIDES = "overrides"
    """A person refused or changed what was chosen."""
    VALUE = "value"
    """What it saved against the baseline, in money."""

    @property
    def is_rate(self) -> bool:
        """Whether it counts something unwelcome; more of it is worse."""
        return self is not Metric.VALUE


_TOLERANCES: Final = {Metric.VALUE: 0.02}


@dataclass(frozen=True, init=False)
class Guardrail:
    """One thing that a canary may not make worse; a breach takes its share back by itself.

    Args:
        metric: What is watched: ``errors``, ``slow``, ``misses``, ``overrides`` or ``value``.
        tolerance: How much worse is accepted, as a share of the champion's figure: 0.1 is ten per cent more errors,
            0.02 two per cent less value. By default 0.1, and 0.02 for the value.
        limit: For ``slow``: from which time to the answer a decision is slow.

    Raises:
        DeclarationError: The metric is unknown, the tolerance is negative, or the limit is missing or needless.

    Example:
        >>> Guardrail("value", tolerance=0.01).metric.value, Guardrail("errors").tolerance
        ('value', 0.1)
        >>> Guardrail("slow", limit=timedelta(milliseconds=50)).limit
        datetime.timedelta(microseconds=50000)
    """

    metric: Metric
    tolerance: float
    limit: timedelta | None

    def __init__(self, metric: Metric | str, *, tolerance: float | None = None, limit: timedelta | None = None) -> None:
        try:
            watched = Metric(metric)
        except ValueError as error:
            known = ", ".join(each.value for each in Metric)
            raise DeclarationError(
                f"{metric!r} cannot be watched", fix=f"name one of {known}", field="guardrails"
            ) from error
        accepted = _TOLERANCES.get(watched, 0.1) if tolerance is None else tolerance
        if not isfinite(accepted) or accepted < 0:
            raise DeclarationError(
                f"a tolerance of {tolerance} is no share", fix="give 0 or more: 0.1 is ten per cent", field="guardrails"
            )
        if (watched is Metric.SLOW) != (limit is not None):
            fix = "give limit=timedelta(...)" if limit is None else "only slow has a limit"
            raise DeclarationError(
                f"the guardrail {watched.value!r} and its limit do not fit", fix=fix, field="guardrails"
            )
        if limit is not None and limit <= timedelta(0):
            raise DeclarationError(f"nothing takes less than {limit}", fix="give a time above 0", field="guardrails")
        object.__setattr__(self, "metric", watched)
        object.__setattr__(self, "tolerance", float(accepted))
        object.__setattr__(self, "limit", limit)
