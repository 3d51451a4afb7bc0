"""Explain: when the contributions to an answer are computed, by what is declared and by what they cost here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec import Struct

from steward.decision.decision import Decision
from steward.decision.model import Attribution, Model
from steward.models.attribution.explaining import cost_of
from steward.models.port import LoadedModel


class Explaining(Struct, frozen=True, kw_only=True):
    """When a decision's answers are explained in this process.

    Attributes:
        when: As declared, or deferred where it costs more than the decision allows.
        cost: What it costs to explain one answer, measured when the model was loaded; ``None`` where nothing is.
        within: What the decision allows, if it does not allow anything.

    Example:
        >>> costly = Explaining(when=Attribution.DEFERRED, cost=timedelta(microseconds=640),
        ...                     within=timedelta(microseconds=100))
        >>> costly.is_over_budget, str(costly)
        (True, 'after the answer: 640 µs were measured, 100 µs are allowed')
    """

    when: Attribution = Attribution.OFF
    cost: timedelta | None = None
    within: timedelta | None = None

    @property
    def is_over_budget(self) -> bool:
        """Whether it was put off because it costs too much."""
        return self.cost is not None and self.within is not None and self.cost > self.within

    def __str__(self) -> str:
        when = {Attribution.INLINE: "before the answer", Attribution.DEFERRED: "after the answer"}.get(self.when)
        if when is None or self.cost is None:
            return when or "not computed"
        allowed = "" if self.within is None else f", {_micros(self.within)} are allowed"
        return f"{when}: {_micros(self.cost)} were measured{allowed}"


def explaining(decision: Decision[Any, Any, Any], models: Mapping[str, LoadedModel]) -> Explaining:
    """Measure what explaining costs, and say when it is done.

    Raises:
        EngineError: The model was stored without what its contributions are made from.
    """
    if decision.attribution is Attribution.OFF or not isinstance(decision.predict, Model):
        return Explaining()
    made = Explaining(
        when=decision.attribution, cost=cost_of(models[decision.predict.name]), within=decision.explain_within
    )
    return Explaining(when=Attribution.DEFERRED, cost=made.cost, within=made.within) if made.is_over_budget else made


def _micros(time: timedelta) -> str:
    return f"{time / timedelta(microseconds=1):.0f} µs"
