"""The entries about how a choice came about and what it was worth."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from steward.entries.later import Later
from steward.records import Money

_EXAMPLE: Final = MappingProxyType(
    {"decision_id": UUID(int=1), "decision": "pay.release", "at": datetime(2026, 1, 1, tzinfo=UTC)}
)
"""What the examples below have in common."""


class Attributed(Later, frozen=True, kw_only=True, tag="attributed", forbid_unknown_fields=True):
    """The attribution that was deferred, computed from the recorded input and model.

    Example:
        >>> Attributed(**_EXAMPLE,
        ...     attribution={"amount_eur": 0.4, "(bias)": -1.2}, model_hash="sha256:ab").attribution["amount_eur"]
        0.4
    """

    attribution: dict[str, float]
    model_hash: str


class Observed(Later, frozen=True, kw_only=True, tag="observed", forbid_unknown_fields=True):
    """What really happened; ``late`` if it came after the declared window.

    Example:
        >>> Observed(**_EXAMPLE,
        ...     outcome={"was_fraud": False}, outcome_id="o1", late=False).late
        False
    """

    outcome: object
    outcome_id: str
    late: bool


class Valued(Later, frozen=True, kw_only=True, tag="valued", forbid_unknown_fields=True):
    """What it was worth: ``saving`` = ``value`` - ``baseline``; ``restates`` an earlier valuation of the run.

    Example:
        >>> earned, baseline = Money.rounded(7, "EUR"), Money.rounded(3, "EUR")
        >>> Valued(**_EXAMPLE, value=earned, baseline=baseline,
        ...     saving=Money.rounded(4, "EUR"), outcome_id="o1", restates=False).saving.minor
        400
    """

    value: Money
    baseline: Money
    saving: Money
    outcome_id: str
    restates: bool
