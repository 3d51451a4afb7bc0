"""A few small decisions of a shop, as values that tests change with ``dataclasses.replace``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from tests.runtime.world import Till, World

from steward import (
    Action,
    Choice,
    Decision,
    Economics,
    Event,
    Every,
    Feature,
    Features,
    Gate,
    Prediction,
    Risk,
    Stream,
    hours,
    impact_above,
    minutes,
    seconds,
)


class Refund(Event):
    order_id: str
    amount_eur: Annotated[float, Meta(ge=0, le=100_000)]
    status: str = "open"


class Settled(Event):
    order_id: str
    kept_eur: float


class Payment(Event):
    card: str
    at: datetime
    amount_eur: float


class Visit(Event):
    customer: str
    at: datetime


class Greet(Event):
    customer: str


class Due(Event):
    at: datetime


def release(features: Features, prediction: Prediction[None]) -> Choice[str]:
    amount_eur = features.number("amount_eur")
    if amount_eur == 13.0:
        raise RuntimeError("thirteen")
    return Choice("pay", reasons=(f"{amount_eur} EUR asked",), rule="all")


def impact_eur(features: Features, prediction: Prediction[None], choice: str) -> float:
    return features.number("amount_eur")


def kept_eur(features: Features, choice: str, outcome: Settled) -> float:
    return outcome.kept_eur


def one_euro(features: Features, outcome: Settled) -> float:
    return 1.0


ECONOMICS: Economics[str, Settled] = Economics(
    outcome=Settled, key=("order_id",), within=hours(2), value=kept_eur, baseline=one_euro, unit="EUR"
)


def refund(till: Till, **changes: Any) -> Decision[Refund, None, str]:
    """Below 500 EUR it pays at once, above it asks."""
    given: dict[str, Any] = {
        "name": "shop.refund",
        "owner": "payments",
        "purpose": "Pay or hold a refund",
        "risk": Risk.MEDIUM,
        "event": Refund,
        "features": (Feature("amount_eur"),),
        "policy": release,
        "gate": Gate(
            needed=impact_above(500),
            impact=impact_eur,
            approvers="desk",
            within=minutes(10),
            otherwise="hold",
            escalate_to="manager",
        ),
        "action": Action(do=till.pay, undo=till.take_back, verify=till.look, attempts=3, backoff=seconds(10)),
        "economics": ECONOMICS,
    }
    return Decision(**{**given, **changes})


def big(n: int = 1) -> Refund:
    return Refund(order_id=f"B-{n}", amount_eur=900.0)


def small(n: int = 1) -> Refund:
    return Refund(order_id=f"A-{n}", amount_eur=20.0)


async def asked(world: World, till: Till) -> UUID:
    await world.open(refund(till))
    return (await world.runtime.decide("shop.refund", big())).record.decision_id


payments = Stream("cards.payments", Payment, key="card", time="at")
visits = Stream("shop.visits", Visit, key="customer", time="at")


def allow_three(features: Features, prediction: Prediction[None]) -> Choice[str]:
    seen = features.number("cards_payments_count_1h")
    return Choice("allow" if seen <= 3 else "block", reasons=(f"{seen} payments",))


CARDS: Decision[Payment, None, str] = Decision(
    name="cards.check",
    owner="cards",
    purpose="Allow or block a payment",
    risk=Risk.LOW,
    event=Payment,
    features=(payments.count(over=hours(1)), payments.sum("amount_eur", over=hours(1))),
    policy=allow_three,
)


def greet_often(features: Features, prediction: Prediction[None]) -> Choice[bool]:
    return Choice(features.number("shop_visits_count_1h") >= 2, reasons=("counted visits",))


GREET: Decision[Greet, None, bool] = Decision(
    name="shop.greet",
    owner="shop",
    purpose="Greet or not",
    risk=Risk.LOW,
    event=Greet,
    features=(visits.count(over=hours(1)),),
    policy=greet_often,
)


def make_due(at: datetime) -> Due:
    return Due(at=at)


def always(features: Features, prediction: Prediction[None]) -> Choice[int]:
    return Choice(1, reasons=("it is time",))


HOURLY: Decision[Due, None, int] = Decision(
    name="shop.hourly",
    owner="shop",
    purpose="Look around each hour",
    risk=Risk.LOW,
    event=Due,
    policy=always,
    schedule=Every(hours(1), make=make_due),
)
