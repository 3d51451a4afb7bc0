"""How a new release is tried on a share of the decisions, and what ends the trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from steward.decision.guardrail import Guardrail, Metric
from steward.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Canary:
    """What a challenger is held to while it decides for a share.

    Args:
        guardrails: What may not become worse. A breach takes the share back at once, by itself.
        planned: How many decisions the canary makes before it is judged good.
        alpha: The chance (0..1) of taking back a canary that is no worse, over its whole life.
        promotes: Whether it becomes the champion by itself once all is held; otherwise a person is told and decides.

    Raises:
        DeclarationError: There is no guardrail, two watch the same, or a number is out of its range.

    Example:
        >>> Canary(guardrails=(Guardrail("errors"), Guardrail("value")), planned=20_000).promotes
        False
    """

    guardrails: tuple[Guardrail, ...]
    planned: int = 10_000
    alpha: float = 0.05
    promotes: bool = False

    def __post_init__(self) -> None:
        """Check it."""
        watched = [guardrail.metric for guardrail in self.guardrails]
        if not watched:
            raise DeclarationError(
                "a canary needs a guardrail", fix='guardrails=(Guardrail("errors"),)', field="canary.guardrails"
            )
        if twice := [metric for metric in watched if watched.count(metric) > 1]:
            raise DeclarationError(
                f"two guardrails watch {twice[0].value}", fix="keep the stricter one", field="canary.guardrails"
            )
        if self.planned < 1:
            raise DeclarationError(
                f"{self.planned} decisions prove nothing", fix="plan some thousand", field="canary.planned"
            )
        if not 0 < self.alpha < 1:
            raise DeclarationError(f"alpha lies in 0..1, got {self.alpha}", fix="0.05 is usual", field="canary.alpha")

    def check_known(self, known: Mapping[Metric, bool]) -> None:
        """Refuse a guardrail that a decision can never tell anything about.

        Args:
            known: Whether the decision declares what a metric needs; what is not named needs nothing.

        Raises:
            DeclarationError: It does not.
        """
        for guardrail in self.guardrails:
            if not known.get(guardrail.metric, True):
                needed = NEEDS[guardrail.metric]
                raise DeclarationError(
                    f"a guardrail watches {guardrail.metric.value}, but the decision has no {needed}",
                    fix=f"declare {needed}=..., or leave the guardrail out",
                    field="canary.guardrails",
                )


NEEDS: Final = {Metric.VALUE: "economics", Metric.OVERRIDES: "gate", Metric.MISSES: "calibration"}
"""What a decision must declare for a metric to be known."""
