"""What a policy returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from steward.errors import DeclarationError

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Choice(Generic[C]):
    """What was chosen, why, and how likely it was to be chosen.

    Args:
        value: The choice itself.
        reasons: At least one sentence for the person who asks why.
        propensity: The probability (0 < p <= 1) with which the policy picks this value on this input; 1 unless
            the policy draws lots. Off-policy estimates divide by it.
        rule: The name of the rule that fired, if the policy has named rules.

    Example:
        >>> Choice("hold", reasons=("price spread below wear cost",)).propensity
        1.0
    """

    value: C
    reasons: tuple[str, ...]
    propensity: float = 1.0
    rule: str | None = None

    def __post_init__(self) -> None:
        """Refuse a choice without reasons or with an impossible propensity."""
        if not self.reasons or isinstance(self.reasons, str):
            raise DeclarationError("a choice needs reasons", fix="pass reasons=('...',)", field="reasons")
        for reason in self.reasons:
            if not isinstance(reason, str):
                raise DeclarationError(f"the reason {reason!r} is no text", fix="write a sentence", field="reasons")
        if self.rule is not None and not isinstance(self.rule, str):
            raise DeclarationError(f"the rule {self.rule!r} is no text", fix="pass its name", field="rule")
        if not 0 < self.propensity <= 1:
            raise DeclarationError(f"a propensity lies in (0, 1], got {self.propensity}", field="propensity")
