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
class Checks(Generic[C]):
    """Asks now and then with a known wrong choice, to find out whether those who agree have looked.

    Such an ask is a run of its own without an action: whatever is answered, nothing is done. Who saw how many, and
    refused how many of them, is told by ``steward people``.

    Args:
        rate: The share of asks that get such a twin, above 0, at most 1.
        wrong: Makes the wrong choice, from the features and the choice that was right.

    Example:
        >>> def ten_times(features: Features, choice: float) -> float:
        ...     return 10 * choice
        >>> Checks(rate=0.01, wrong=ten_times).wrong(Features(), 4.0)
        40.0
    """

    rate: float
    wrong: Callable[[Features, C], C]

    def __post_init__(self) -> None:
        """Refuse a rate that is no share."""
        if not 0 < self.rate <= 1:
            raise DeclarationError(
                f"{self.rate} of all asks cannot be checks",
                fix="pass a rate above 0 and at most 1, for example 0.01, or leave checks out",
                field="gate.checks",
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
        escalate_to: Who is asked too when nobody has answered: a group, or the rungs of a ladder, first to last.
        escalate_after: The time from asking to the first rung, and from one to the next; by default the rungs lie
            evenly inside ``within``.
        approvals: How many people must agree.
        four_eyes: Whether proposer, author, editor and approver must be different people.
        limits: Refuses, by raising ``ContractError``, what an approver may not put in the place of the proposed choice;
            it takes the features, what was proposed and what is wanted. Without it nobody may change a choice.
        checks: How often people are asked about a known wrong choice, to see whether they notice.

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
    escalate_to: str | tuple[str, ...] | None = None
    escalate_after: timedelta | None = None
    approvals: int = 1
    four_eyes: bool = False
    limits: Callable[[Features, C, C], None] | None = None
    checks: Checks[C] | None = None

    def __post_init__(self) -> None:
        """Refuse deadlines that cannot be met."""
        check_duration(self.within, "gate.within")
        if self.within <= timedelta(0):
            raise DeclarationError(f"people need time to answer, got {self.within}", field="gate.within")
        if not self.approvers.strip():
            raise DeclarationError(
                "a gate needs somebody who may answer", fix="name a group: approvers='desk'", field="gate.approvers"
            )
        if self.approvals < 1:
            raise DeclarationError(
                f"{self.approvals} people cannot agree",
                fix="pass approvals=1 or more, or leave the gate out",
                field="gate.approvals",
            )
        self._check_ladder()

    def _check_ladder(self) -> None:
        if not all(group.strip() for group in self.groups):
            raise DeclarationError("nobody has an empty name", fix="name groups", field="gate.escalate_to")
        if self.escalate_after is None:
            return
        check_duration(self.escalate_after, "gate.escalate_after")
        if not timedelta(0) < self.escalate_after * max(len(self.groups), 1) < self.within:
            raise DeclarationError(
                f"escalation every {self.escalate_after} to {len(self.groups)} does not lie inside {self.within}",
                fix="choose escalate_after shorter than within",
                field="gate.escalate_after",
            )
        if not self.groups:
            raise DeclarationError(
                "escalate_after says when, but nothing says to whom",
                fix="pass escalate_to=..., or leave escalate_after out",
                field="gate.escalate_to",
            )

    @property
    def groups(self) -> tuple[str, ...]:
        """Who is asked besides the approvers, first to last."""
        if self.escalate_to is None:
            return ()
        return (self.escalate_to,) if isinstance(self.escalate_to, str) else self.escalate_to

    @property
    def rungs(self) -> tuple[tuple[str, timedelta], ...]:
        """The ladder: who is asked besides, and how long after the first question."""
        step = self.escalate_after or self.within / (len(self.groups) + 1)
        return tuple((group, step * place) for place, group in enumerate(self.groups, 1))


AnyGate = Gate[Any, Any]
