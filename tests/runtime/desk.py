"""A refund of an amount that a desk answers for, and what its people say."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.shop import Refund, refund
from tests.runtime.world import Till, World

from steward import Choice, Feature, Features, Gate, Prediction, impact_above, minutes
from steward.errors import ContractError, StewardError
from steward.ledger.run import Run
from steward.runtime.parts import Origin


def pay_part(features: Features, prediction: Prediction[None]) -> Choice[float]:
    """Propose to pay all that is asked for."""
    return Choice(features.number("amount_eur"), reasons=("asked for",))


def at_stake(features: Features, prediction: Prediction[None], choice: float) -> float:
    return choice


def within_asked(features: Features, proposed: float, wanted: float) -> None:
    if not 0 <= wanted <= features.number("amount_eur"):
        raise ContractError("nobody pays more than was asked", field="choice")
    if wanted == 77.0:
        raise RuntimeError("seventy-seven")


def part_refund(till: Till, **gate: Any) -> Any:
    """A refund of an amount, which approvers may lower."""
    given: dict[str, Any] = {
        "needed": impact_above(0),
        "impact": at_stake,
        "approvers": "desk",
        "within": minutes(10),
        "otherwise": 0.0,
        "escalate_to": ("lead", "boss"),
        "limits": within_asked,
    }
    return refund(till, policy=pay_part, gate=Gate(**{**given, **gate}), features=(Feature("amount_eur"),))


async def asked(world: World, till: Till, *, by: str | None = None, **gate: Any) -> UUID:
    await world.open(part_refund(till, **gate))
    return await again(world, by)


async def again(world: World, by: str | None = None) -> UUID:
    event = Refund(order_id="B", amount_eur=900.0)
    return (await world.runtime.decide("shop.refund", event, origin=Origin(by=by))).record.decision_id


async def shown(world: World, run_id: UUID) -> str:
    """Return the digest of what is asked now."""
    run = await world.runtime.run(run_id)
    assert run.asked is not None
    return run.asked.evidence


async def agree(world: World, run_id: UUID, by: str, **words: Any) -> Run:
    given = {"reason": "fine", "evidence": await shown(world, run_id), **words}
    return await world.runtime.approve(run_id, by=by, **given)


async def refused(answer: Awaitable[object]) -> StewardError:
    with pytest.raises(StewardError) as raised:
        await answer
    return raised.value
