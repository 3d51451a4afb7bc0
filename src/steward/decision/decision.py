"""The decision: one frozen value that reads in loop order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar

from steward.decision import checks
from steward.decision.action import Action
from steward.decision.calibration import Calibration
from steward.decision.canary import Canary
from steward.decision.choice import Choice
from steward.decision.contract import Contract
from steward.decision.economics import Economics
from steward.decision.fallback import Fallback
from steward.decision.feature import Feature, Features
from steward.decision.fingerprint import describe, digest, fingerprint, plain
from steward.decision.gate import Gate
from steward.decision.lane import Lane
from steward.decision.model import Attribution, Model, Pipeline
from steward.decision.placement import Placement, check_placement
from steward.decision.risk import Risk
from steward.decision.schedule import Every
from steward.decision.steps import Steps
from steward.decision.stream import WindowFeature
from steward.records import Prediction

E = TypeVar("E")
P = TypeVar("P")
C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Decision(Generic[E, P, C]):
    """A repeatable business choice, declared once.

    It checks itself when made; ``dataclasses.replace(decision, policy=other)`` makes a valid challenger.

    Args:
        name: Dotted lower-case name, for example ``grid.battery-dispatch``.
        owner: The team that answers for it.
        purpose: One sentence that says what is chosen.
        risk: How much harm a wrong choice can do.
        event: The contract of the event that asks for the decision.
        features: What policy and model see, in the order of their computation.
        predict: A registered model or a pipeline of skills; without it the policy gets a prediction of ``None``.
        policy: Turns features and prediction into a choice with reasons; a pure function.
        fallback: What is done where no prediction comes.
        gate: When a person must agree first.
        action: The effect on the world, in one step or several.
        economics: The outcome and what it was worth.
        schedule: Makes it due by the clock.
        calibration: How predictions are held against outcomes, for intervals and label sets that keep their promise.
        canary: What a challenger is held to while it decides for a share.
        placement: Where its data may be processed; without one, by engines only that the operator runs.
        attribution: When each feature's contribution is computed.
        explain_within: The most that ``Attribution.INLINE`` may add to an answer. A model that takes longer, as it is
            measured when it is loaded, is explained after the answer; ``None`` sets no limit.
        immutable: Features that nobody can change (an age, a country): what would have changed a choice is looked for
            elsewhere. They change no choice, so they are no part of the fingerprint.
        lane: How urgent it is where not everything can be decided at once: an emergency goes first, a batch waits. It
            changes no choice, so it is no part of the fingerprint.

    Raises:
        DeclarationError: Something does not fit; the message names the argument and the fix.

    Example:
        >>> from steward.decision.contract import Event
        >>> class Payment(Event):
        ...     amount_eur: float
        >>> def release_small(features: Features, prediction: Prediction[None]) -> Choice[str]:
        ...     small = features.number("amount_eur") < 100
        ...     return Choice("release" if small else "hold", reasons=("amount against 100 EUR",))
        >>> release = Decision(name="pay.release", owner="payments", purpose="Release or hold a payment",
        ...                    risk=Risk.LOW, event=Payment, features=(Feature("amount_eur"),), policy=release_small)
        >>> from dataclasses import replace
        >>> replace(release, owner="treasury") == release
        False
    """

    name: str
    owner: str
    purpose: str
    risk: Risk
    event: type[E] | Contract[E]
    features: tuple[Feature[E] | WindowFeature, ...] = ()
    predict: Model[P] | Pipeline[P] | None = None
    policy: Callable[[Features, Prediction[P]], Choice[C]]
    fallback: Fallback[C] | None = None
    gate: Gate[P, C] | None = None
    action: Action[C] | Steps[C] | None = None
    economics: Economics[C, Any] | None = None
    schedule: Every[E] | None = None
    calibration: Calibration[Any] | None = None
    canary: Canary | None = None
    placement: Placement | None = None
    attribution: Attribution = Attribution.OFF
    explain_within: timedelta | None = None
    immutable: tuple[str, ...] = ()
    lane: Lane = Lane.NORMAL

    def __post_init__(self) -> None:
        """Check the declaration as a whole."""
        checks.check(self)
        check_placement(self.placement, [feature.name for feature in self.features])

    @cached_property
    def contract(self) -> Contract[E]:
        """The event's contract."""
        return Contract.of(self.event)

    @cached_property
    def windows(self) -> tuple[WindowFeature, ...]:
        """The window features, in declared order."""
        return tuple(f for f in self.features if isinstance(f, WindowFeature))

    @cached_property
    def rows(self) -> tuple[Feature[E], ...]:
        """The row features, in declared order."""
        return tuple(f for f in self.features if isinstance(f, Feature))

    @cached_property
    def models(self) -> tuple[Model[Any], ...]:
        """Every registered model it uses, by itself, in a skill or to fall back on, each followed by its calibrator."""
        own = [self.predict] if isinstance(self.predict, Model) else []
        if isinstance(self.predict, Pipeline):
            own += [m for step in self.predict.steps for m in step.skill.models]
        if self.fallback is not None:
            own += self.fallback.models
        return tuple(each for model in own for each in model.used)

    @cached_property
    def fingerprint(self) -> str:
        """``sha256:`` of the declaration and of the source of its functions."""
        return fingerprint(self)

    @cached_property
    def action_code(self) -> str:
        """16 hex digits of the hash of the action's code, ``""`` without one: a run under way goes on with no other."""
        return "" if self.action is None else digest(plain(self.action))[7:23]

    @cached_property
    def description(self) -> dict[str, object]:
        """The declaration as plain data, for API, console and docs."""
        return describe(self)
