"""The small scenario: refunds, of which large ones need a person, paid by a device that is read back."""

from __future__ import annotations

from typing import Any

from steward.clock import Chance
from steward.decision.action import Action, Call
from steward.decision.choice import Choice
from steward.decision.contract import Event
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.feature import Feature, Features, hours, minutes, seconds
from steward.decision.gate import Gate, impact_above
from steward.decision.risk import Risk
from steward.records import Prediction, Receipt
from steward.testing.simulation.scenario import Scenario


class RefundAsked(Event, contract="simulation.refund-asked"):
    """Somebody wants their money back.

    Example:
        >>> RefundAsked(order="A-1", amount_eur=20.0).amount_eur
        20.0
    """

    order: str
    amount_eur: float


class Settled(Event, contract="simulation.settled"):
    """What a refund cost in the end.

    Example:
        >>> Settled(order="A-1", paid_eur=20.0).order
        'A-1'
    """

    order: str
    paid_eur: float


def pay_what_is_asked(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Pay."""
    return Choice("pay", reasons=("the customer asks",))


def amount_eur(features: Features, prediction: Prediction[None], choice: str) -> float:
    """The amount is what is at stake."""
    return features.number("amount_eur")


def paid_eur(features: Features, choice: str, outcome: Settled) -> float:
    """A refund costs what was paid."""
    return -outcome.paid_eur


def nothing(features: Features, outcome: Settled) -> float:
    """Without a refund nothing is paid."""
    return 0.0


def pay(choice: str, call: Call) -> Receipt:
    """Stand for the bank; simulations put a device here."""
    return Receipt(reference=call.key)


def look(choice: str, call: Call) -> Receipt | None:
    """Stand for the bank's statement."""
    return None


refund: Decision[RefundAsked, None, str] = Decision(
    name="simulation.refund",
    owner="simulation",
    purpose="Refund, or hold",
    risk=Risk.LOW,
    event=RefundAsked,
    features=(Feature("amount_eur"),),
    policy=pay_what_is_asked,
    gate=Gate(
        needed=impact_above(100.0),
        impact=amount_eur,
        approvers="desk",
        within=minutes(10),
        otherwise="hold",
        escalate_to="manager",
    ),
    action=Action(do=pay, undo=pay, verify=look, attempts=4, timeout=seconds(30)),
    economics=Economics(
        outcome=Settled, key=("order",), within=hours(2), value=paid_eur, baseline=nothing, unit="EUR", per_month=100
    ),
)


def somebody_asks(chance: Chance, number: int) -> tuple[Decision[Any, Any, Any], Event]:
    """Return the next request; about two of three need a person."""
    return refund, RefundAsked(order=f"A-{number}", amount_eur=round(chance.uniform(10.0, 280.0), 2))


SMALL = Scenario(name="small", decisions=(refund,), asks=somebody_asks, requests=2, people=("ann", "bo"))
