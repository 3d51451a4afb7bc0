"""Choose: the policy turns features and prediction into a choice with reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from steward import wire
from steward.decision.choice import Choice
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.errors import DeclarationError, StewardError
from steward.records import Money, Prediction

Choose = Callable[[Features, Prediction[Any]], Choice[Any]]


def chooser(decision: Decision[Any, Any, Any]) -> Choose:
    """Return the decision's policy, made to refuse what is not a choice."""
    policy = decision.policy

    def choose(features: Features, prediction: Prediction[Any]) -> Choice[Any]:
        choice = policy(features, prediction)
        if type(choice) is not Choice:
            raise DeclarationError(
                f"the policy returned a {type(choice).__name__}",
                fix="return Choice(value, reasons=(...,))",
                field="policy",
            )
        if not isinstance(choice.value, str):  # what most choices are; text is always fine
            wire.check_finite(choice.value, "choice")
        return choice

    return choose


def expected_value(
    decision: Decision[Any, Any, Any], features: Features, prediction: Prediction[Any], choice: Any
) -> Money | None:
    """Return what the choice is expected to earn, if the decision declares how to tell."""
    economics = decision.economics
    if economics is None or economics.expected is None:
        return None
    try:
        return Money.rounded(economics.expected(features, prediction, choice), economics.unit)
    except ValueError as error:
        raise StewardError(str(error), code="value-not-finite", field="economics.expected") from error
