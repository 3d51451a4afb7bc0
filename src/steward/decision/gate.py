"""When a person must agree first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from steward.decision.duration import check_duration
from steward.decision.feature import Features
from steward.errors import DeclarationError
from steward.records import Prediction

C = TypeVar("C")
P = TypeVar("P")


@dataclass(frozen=True)
class impact_above:
    """The gate is needed when the money at stake, in the decision's unit, is above ``amount``.

    Example:
        >>> impact_above(5_000)(5_000.01)
        True
    """

    amount: float

    def __post_init__(self) -> None:
        """Refuse an amount that nothing is above: such a gate would stand open for ever."""
        if not 0 <= self.amount < math.inf:
            raise DeclarationError(
                f"no impact can be weighed against {self.amount!r}",
                fix="pass an amount of 0 or more, for example impact_above(5_000)",
                field="gate.needed",
            )

    def __call__(self, impact: float) -> bool:
        """Tell whether ``impact`` is above the amount."""
        return abs(impact) > self.amount


def _forgotten() -> NoReturn:
    raise DeclarationError(
        "the gate does not say what is done if nobody agrees",
        fix="pass otherwise=..., the choice that is safe without a person",
        field="gate.otherwise",
    )


@dataclass(frozen=True, kw_only=True)
class Gate(Generic[P, C]):
    """Asks a person before the action, when ``needed`` says so.

    Args:
        needed: Whether a given impact needs a person.
        impact: The money at stake, in the unit of the decision's economics.
        approvers: The group that may answer.
        within: How long they have.
        otherwise: What is done if they refuse or do not answer. There is always one.
        escalate_to: Who is asked too when nobody has answered after ``escalate_after``.
        escalate_after: By default half of ``within``.

    Example:
        >>> def impact_eur(features: Features, prediction: Prediction[float], choice: str) -> float:
        ...     return 7_500.0
        >>> Gate(needed=impact_above(5_000), impact=impact_eur, approvers="desk",
        ...      within=timedelta(minutes=10), otherwise="hold").otherwise
        'hold'
    """

    needed: Callable[[float], bool]
    impact: Callable[[Features, Prediction[P], C], float]
    approvers: str
    within: timedelta
    if TYPE_CHECKING:
        otherwise: C
    else:
        # Without a type checker, too, the message says what to do, where a dataclass only counts arguments.
        otherwise: C = field(default_factory=_forgotten)
    escalate_to: str | None = None
    escalate_after: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse deadlines that cannot be met."""
        check_duration(self.within, "gate.within")
        if self.within <= timedelta(0):
            raise DeclarationError(f"people need time to answer, got {self.within}", field="gate.within")
        if not self.approvers.strip():
            raise DeclarationError(
                "a gate needs somebody who may answer", fix="name a group: approvers='desk'", field="gate.approvers"
            )
        if self.escalate_after is None:
            return
        check_duration(self.escalate_after, "gate.escalate_after")
        if not timedelta(0) < self.escalate_after < self.within:
            raise DeclarationError(
                f"escalation after {self.escalate_after} does not lie inside {self.within}",
                fix="choose escalate_after shorter than within",
                field="gate.escalate_after",
            )
        if self.escalate_to is None:
            raise DeclarationError(
                "escalate_after says when, but nothing says to whom",
                fix="pass escalate_to=..., or leave escalate_after out",
                field="gate.escalate_to",
            )

    @property
    def escalation_delay(self) -> timedelta | None:
        """When, after asking, the escalation happens; ``None`` without one."""
        if self.escalate_to is None:
            return None
        return self.escalate_after or self.within / 2


AnyGate = Gate[Any, Any]
