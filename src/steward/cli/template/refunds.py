"""Release a refund or look at it first: the whole decision on one screen, in the order in which it runs."""

from typing import Annotated

from msgspec import Meta

from steward import (
    Action,
    Call,
    Choice,
    Decision,
    Economics,
    Event,
    Feature,
    Features,
    Gate,
    Prediction,
    Receipt,
    Risk,
    days,
    hours,
    impact_above,
)

HANDLING_EUR = 12.0  # what it costs when a person looks at a refund


class RefundAsked(Event):
    """A customer wants money back. What does not fit is refused, with the field's name.

    Example:
        >>> refund_rate(RefundAsked(refund_id="r-1", amount_eur=49.9, orders=8, refunds=1))
        0.10526315789473684
    """

    refund_id: Annotated[str, Meta(examples=["r-1001"])]
    amount_eur: Annotated[float, Meta(gt=0, le=100_000, examples=[49.9])]
    orders: Annotated[int, Meta(ge=0, examples=[12], description="Orders this customer has kept")]
    refunds: Annotated[int, Meta(ge=0, examples=[1], description="Refunds this customer had before")]


class RefundChecked(Event):
    """The outcome: what the audit found, weeks later.

    Example:
        >>> RefundChecked(refund_id="r-1", fraud=False).fraud
        False
    """

    refund_id: str
    fraud: bool


def refund_rate(event: RefundAsked) -> float:
    """Share of this customer's orders that came back, drawn towards 10 % while there are few."""
    return (event.refunds + 1) / (event.orders + event.refunds + 10)


def release_if_usual(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Release what is small or comes from a customer who keeps most orders; look at the rest."""
    amount, rate = features.number("amount_eur"), features.number("refund_rate")
    if rate > 0.5:
        return Choice("inspect", reasons=(f"{rate:.0%} of the orders came back",), rule="many-refunds")
    if amount > 500 and rate > 0.2:
        return Choice("inspect", reasons=(f"{amount:.2f} EUR and {rate:.0%} came back",), rule="large-and-unusual")
    return Choice("release", reasons=(f"{rate:.0%} of the orders came back",), rule="usual")


def at_stake_eur(features: Features, prediction: Prediction[None], choice: str) -> float:
    """A released refund is gone; an inspected one only costs the handling."""
    return features.number("amount_eur") if choice == "release" else HANDLING_EUR


def pay_back(choice: str, call: Call) -> Receipt:
    """Do it. Put your payment system here; it gets ``call.key``, so that it pays once however often it is asked."""
    return Receipt(reference=f"{choice}-{call.key}")


def take_back(choice: str, call: Call) -> Receipt:
    """Undo it."""
    return Receipt(reference=f"undo-{choice}-{call.key}")


def earned_eur(features: Features, choice: str, outcome: RefundChecked) -> float:
    """Inspecting costs the handling; releasing a fraud costs the amount."""
    if choice == "inspect":
        return -HANDLING_EUR
    return -features.number("amount_eur") if outcome.fraud else 0.0


def inspect_everything_eur(features: Features, outcome: RefundChecked) -> float:
    """The baseline: what was done before, a person looking at every refund."""
    return -HANDLING_EUR


release_refund = Decision(
    name="refunds.release",
    owner="customer-care",
    purpose="Release a refund at once, or let a person look at it",
    risk=Risk.MEDIUM,
    event=RefundAsked,
    features=(Feature("amount_eur"), Feature("orders"), Feature(refund_rate)),
    policy=release_if_usual,
    gate=Gate(
        needed=impact_above(1_000),
        impact=at_stake_eur,
        approvers="care-leads",
        within=hours(4),
        otherwise="inspect",
    ),
    action=Action(do=pay_back, undo=take_back),
    economics=Economics(
        outcome=RefundChecked,
        key=("refund_id",),
        within=days(60),
        value=earned_eur,
        baseline=inspect_everything_eur,
        unit="EUR",
    ),
)
