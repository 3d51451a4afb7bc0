"""A run is what its entries, folded in order, say about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.runtime.shop import Refund, Settled, refund
from tests.runtime.world import MINUTE, Till, World

from steward import Receipt, Status
from steward.errors import IntegrityError, NotFound
from steward.ledger.port import Entry
from steward.ledger.run import Run


@pytest.fixture
async def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[World, UUID]:
    world = World("memory", tmp_path, monkeypatch)
    await world.open(refund(Till()))
    answer = await world.runtime.decide("shop.refund", Refund(order_id="A", amount_eur=900.0))
    return world, answer.record.decision_id


async def folded(world: World, run_id: UUID) -> Run:
    return Run.of(await world.runtime.ledger.of_run(run_id), run_id)


async def test_every_entry_moves_it_on(asked: tuple[World, UUID]) -> None:
    world, run_id = asked
    seen = [await folded(world, run_id)]
    await world.runtime.approve(run_id, by="ann", reason="ok")
    seen.append(await folded(world, run_id))
    await world.later()
    seen.append(await folded(world, run_id))
    await world.runtime.observe("shop.refund", Settled(order_id="A", kept_eur=3.0), outcome_id="o")
    await world.runtime.undo(run_id, by="ann", reason="mistake")
    seen.append(await folded(world, run_id))
    assert [run.status for run in seen] == [Status.WAITING, Status.APPROVED, Status.ACTED, Status.UNDONE]
    assert [run.is_waiting for run in seen] == [True, False, False, False]
    assert [run.needs_action for run in seen] == [False, True, False, False]
    last = seen[-1]
    assert (last.index, len(last.history), len(last.observed)) == (seen[0].index, 8, 1)
    assert isinstance(last.receipt, Receipt)
    assert last.valued is not None
    assert [step.index for step in last.history] == sorted(step.index for step in last.history)


async def test_rejected_stays_visible_after_its_default_was_done(asked: tuple[World, UUID]) -> None:
    world, run_id = asked
    await world.runtime.reject(run_id, by="ann", reason="no")
    await world.later()
    run = await folded(world, run_id)
    assert (run.status, run.choice, run.receipt is None) == (Status.REJECTED, "hold", False)


async def test_expired_stays_visible_after_its_default_was_done(asked: tuple[World, UUID]) -> None:
    world, run_id = asked
    await world.later(10 * MINUTE)
    run = await folded(world, run_id)
    assert (run.status, run.choice, run.receipt is None) == (Status.EXPIRED, "hold", False)
    assert "already expired by system" in str(run.answered_by())


@pytest.mark.parametrize("which", ["nothing", "no decision first"])
async def test_no_decision_no_run(asked: tuple[World, UUID], which: str) -> None:
    world, run_id = asked
    entries: list[Entry] = list(await world.runtime.ledger.of_run(run_id))
    with pytest.raises(NotFound, match=str(run_id)):
        Run.of([] if which == "nothing" else entries[1:], run_id)


async def test_a_run_without_an_action_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("memory", tmp_path, monkeypatch)
    await world.open(replace(refund(Till()), action=None))
    answer = await world.runtime.decide("shop.refund", Refund(order_id="A", amount_eur=1.0))
    run = await folded(world, answer.record.decision_id)
    assert (run.needs_action, run.status) == (False, Status.DECIDED)
    assert "does not wait" in str(run.answered_by())


@pytest.mark.parametrize("body", [b'{"kind":"decided"}', b'{"kind":"deci\xe1ed"}', b"\x00"])
def test_an_entry_that_cannot_be_read_is_named(body: bytes) -> None:
    with pytest.raises(IntegrityError, match="entry 7 cannot be read as 'decided'"):
        Run.of([Entry(7, "decided", UUID(int=1), body)], UUID(int=1))
