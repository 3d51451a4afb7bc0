"""What answers when the declared model does not: another model, a rule, a person, a safe default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from steward.decision.choice import Choice
from steward.decision.feature import Features
from steward.decision.model import Model
from steward.errors import DeclarationError

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Fallback(Generic[C]):
    """What is done where no prediction comes: the model fails, answers no finite number, or is too late.

    It is gone through in the order of the arguments; each step that is taken is a reason in the record. A request that
    does not fit its contract is refused all the same.

    Args:
        models: Simpler ones, the first of which that answers takes the place of the declared one before the policy.
        rule: Makes a choice from the features alone, past the policy; the gate weighs it with a prediction of ``None``.
        people: Whether the gate's approvers are asked, with ``otherwise`` as the proposal.
        otherwise: The safe default; with ``people`` the gate's own ``otherwise`` if none is given. It needs nobody's
            approval.

    Raises:
        DeclarationError: There is no step.

    Example:
        >>> def small_only(features: Features) -> Choice[str]:
        ...     return Choice("pay" if features.number("amount_eur") < 50 else "hold", reasons=("50 EUR are fine",))
        >>> Fallback(models=(Model("fraud-linear"),), rule=small_only, otherwise="hold").otherwise
        'hold'
    """

    models: tuple[Model[Any], ...] = ()
    rule: Callable[[Features], Choice[C]] | None = None
    people: bool = False
    otherwise: C | None = None

    def __post_init__(self) -> None:
        """Refuse a fallback on nothing."""
        if not self.models and self.rule is None and not self.people and self.otherwise is None:
            raise DeclarationError(
                "a fallback has at least one step", fix="pass otherwise=..., or leave it out", field="fallback"
            )
