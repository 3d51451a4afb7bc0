"""A stored choice is given to the action as the type that the policy returned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
from tests.runtime.shop import Refund, refund
from tests.runtime.world import Till, World

from steward import Action, Call, Choice, Event, Features, Prediction, Receipt, Status
from steward.errors import DeclarationError
from steward.loop.act import typed_choice


class Setpoint(Enum):
    HOLD = "hold"


class Plan(Event):
    at: datetime
    mw: float


@dataclass(frozen=True)
class Order:
    pieces: int


class Offer(pydantic.BaseModel, extra="forbid"):
    until: datetime
    amount_eur: float


@pytest.fixture
async def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    made = World("memory", tmp_path, monkeypatch)
    yield made
    await made.close()


NOON = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
CHOICES: list[Any] = [
    *("pay", 7, True, Setpoint.HOLD, ("a", 1), np.float64(1.5), np.int64(3)),
    *(Plan(at=NOON, mw=1.5), Order(pieces=3), Offer(until=NOON, amount_eur=2.5)),
]


@pytest.mark.parametrize("value", CHOICES, ids=lambda value: type(value).__name__)
async def test_every_kind_of_choice_reaches_the_action_as_it_was_made(memory: World, value: Any) -> None:
    got: list[Any] = []

    def do(choice: Any, call: Call) -> Receipt:
        got.append(choice)
        return Receipt(reference=call.key)

    def policy(features: Features, prediction: Prediction[None]) -> Any:
        return Choice(value, reasons=("given",))

    kind = tuple[str, int] if isinstance(value, tuple) else type(value)
    policy.__annotations__["return"] = Choice[kind]  # type: ignore[valid-type]  # as if the policy declared it
    runtime = await memory.open(refund(Till(), policy=policy, gate=None, action=Action(do=do)))
    run_id = (await runtime.decide("shop.refund", Refund(order_id="o", amount_eur=1.0))).record.decision_id
    await memory.later()
    assert (await runtime.run(run_id)).status is Status.ACTED
    assert got == [value]
    assert type(got[0]) is type(value)


@pytest.mark.parametrize("stored", [{"until": "soon", "amount_eur": 2.5}, {"amount_eur": 2.5}, "pay"])
def test_what_the_type_cannot_hold_is_told(stored: object) -> None:
    def offer(features: Features, prediction: Prediction[None]) -> Choice[Offer]:
        return Choice(Offer(until=NOON, amount_eur=1.0), reasons=("given",))

    with pytest.raises(DeclarationError, match="is not what the policy") as raised:
        typed_choice(refund(Till(), policy=offer, gate=None), stored)
    assert raised.value.code == "choice-outdated"
