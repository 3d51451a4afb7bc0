"""How the outcome is found and what it was worth."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

from steward.decision.contract import Contract
from steward.decision.duration import check_duration
from steward.decision.feature import Features
from steward.decision.fingerprint import ABSENT
from steward.errors import DeclarationError

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - the outcome


@dataclass(frozen=True, kw_only=True)
class Economics(Generic[C, O]):
    """What comes later, joined to the decision, and what the decision was worth against the baseline.

    Args:
        outcome: The contract of what really happened.
        key: Fields that the event and the outcome have in common; they join the two. An outcome may also name
            the ``decision_id``.
        within: Until when after the decision an outcome is on time. One that comes later is joined to the latest
            decision with its key, marked late, and restates the value.
        value: What the decision earned, in ``unit``; rounded half-even to minor units at once.
        baseline: What would have been earned without it.
        unit: A currency (ISO 4217).
        expected: What the choice is expected to earn, if that can be told beforehand.
        per_month: How often this decision is taken, for the inventory.
        sticky: Fields of the event by whose value decisions fall into one arm of a rollout together, where they are
            not independent: the hours of one battery's day. By default ``key``.

    Example:
        >>> from steward.decision.contract import Event
        >>> class Metered(Event):
        ...     site: str
        ...     paid_eur: float
        >>> Economics(outcome=Metered, key=("site",), within=timedelta(hours=2), unit="EUR",
        ...           value=lambda features, choice, outcome: outcome.paid_eur,
        ...           baseline=lambda features, outcome: 0.0).unit
        'EUR'
    """

    outcome: type[O] | Contract[O]
    key: tuple[str, ...]
    within: timedelta
    value: Callable[[Features, C, O], Decimal | float]
    baseline: Callable[[Features, O], Decimal | float]
    unit: str
    expected: Callable[[Features, Any, C], Decimal | float] | None = None
    per_month: float | None = None
    sticky: tuple[str, ...] | None = field(default=None, metadata=ABSENT)

    def __post_init__(self) -> None:
        """Check the outcome's key and window."""
        check_duration(self.within, "economics.within")
        if self.within <= timedelta(0):
            raise DeclarationError(
                f"an outcome comes after its decision, got {self.within}",
                fix="say how long it may take: within=hours(2)",
                field="economics.within",
            )
        for name, fields in (("key", self.key), ("sticky", self.sticky)):
            if isinstance(fields, str):
                raise DeclarationError(
                    f"the {name} {fields!r} is a text",
                    fix=f"pass a tuple: {name}=({fields!r},)",
                    field=f"economics.{name}",
                )
        known = Contract.of(self.outcome).fields
        for name in self.key:
            if name not in known:
                raise DeclarationError(
                    f"the outcome has no field {name!r} to be joined by",
                    fix=f"choose from {', '.join(known)}",
                    field="economics.key",
                )
        if not self.key:
            raise DeclarationError("an outcome must be joined by something", field="economics.key")
        if self.sticky == ():
            raise DeclarationError("arms must be told apart by something", field="economics.sticky")
        if not re.fullmatch("[A-Z]{3}", self.unit):
            raise DeclarationError(
                f"{self.unit!r} is not a currency", fix="use its ISO 4217 code: EUR", field="economics.unit"
            )
