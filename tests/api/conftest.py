"""A runtime in memory with a few small decisions, and a client that talks to its HTTP face without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import httpx
import pytest
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
    Stream,
    hours,
    impact_above,
    minutes,
)
from steward.api.app import Front, create_app
from steward.clock import VirtualClock
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Refund(Event, version=2):
    """A customer wants money back."""

    order_id: Annotated[str, Meta(min_length=1, max_length=40)]
    amount_eur: Annotated[float, Meta(ge=0, le=100_000)]
    reason: str | None = None


class RefundSettled(Event):
    """What the refund did in the end."""

    order_id: str
    kept_eur: Annotated[float, Meta(ge=0, le=100_000)]


class Visit(Event):
    """A customer came by."""

    customer: str
    at: datetime


class Greeting(Event):
    """A customer may be greeted."""

    customer: str


visits = Stream("shop.visits", Visit, key="customer", time="at")


def release_small(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Release what is small."""
    amount_eur = features.number("amount_eur")
    if amount_eur == 666.0:
        raise RuntimeError("the secret is 42")
    return Choice("release", reasons=(f"{amount_eur} EUR asked",))


def impact_eur(features: Features, prediction: Prediction[None], choice: str) -> float:
    """Everything asked for is at stake."""
    return features.number("amount_eur")


def pay(choice: str, call: Call) -> Receipt:
    """Pay it out."""
    return Receipt(reference=call.key)


def take_back(choice: str, call: Call) -> Receipt:
    """Take it back."""
    return Receipt(reference=f"back-{call.key}")


refund = Decision(
    name="shop.refund",
    owner="payments",
    purpose="Release or hold a refund",
    risk=Risk.LOW,
    event=Refund,
    features=(Feature("amount_eur"),),
    policy=release_small,
    gate=Gate(needed=impact_above(500), impact=impact_eur, approvers="desk", within=minutes(10), otherwise="hold"),
    action=Action(do=pay, undo=take_back),
    economics=Economics(
        outcome=RefundSettled,
        key=("order_id",),
        within=hours(24),
        value=lambda features, choice, outcome: outcome.kept_eur,
        baseline=lambda features, outcome: 1.0,
        unit="EUR",
    ),
)


def greet(features: Features, prediction: Prediction[None]) -> Choice[bool]:
    """Greet those who come often."""
    return Choice(features.number("shop_visits_count_1h") >= 2, reasons=("counted visits",))


greeting = Decision(
    name="shop.greeting",
    owner="shop",
    purpose="Greet or not",
    risk=Risk.LOW,
    event=Greeting,
    features=(visits.count(over=hours(1)),),
    policy=greet,
)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON, seed=7)


@pytest.fixture
async def runtime(clock: VirtualClock) -> AsyncIterator[Runtime]:
    settings = Settings(ledger="memory://", max_body_bytes=64 * 1024, max_batch=20)
    async with await Runtime.open([refund, greeting], settings=settings, clock=clock) as opened:
        yield opened


@pytest.fixture
def app(runtime: Runtime) -> Front:
    return create_app(runtime)


@pytest.fixture
async def client(app: Front) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


REFUND = {"order_id": "A-1", "amount_eur": 20.0}
BIG = {"order_id": "B-1", "amount_eur": 900.0}
DECIDE = "/v1/decisions/shop.refund"


async def later(runtime: Runtime, clock: VirtualClock, by: timedelta = timedelta(0)) -> None:
    """Let time pass and do what is due."""
    clock.advance(by)
    await runtime.advance()
