"""What seeds have shown, each without the simulator: fixed, or written down as a strict expectation to fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from steward import Action, Call, Receipt, Status
from steward.entries import Expired
from steward.errors import EngineError, StewardError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit
from steward.ledger.run import Run
from steward.runtime.answers import Answers, Words
from steward.testing import FaultyLedger, in_memory
from steward.testing.scenarios.small import RefundAsked, refund
from steward.testing.scenarios.switching import SwitchAsked, switching

LARGE, SMALL = RefundAsked(order="A-1", amount_eur=900.0), RefundAsked(order="A-2", amount_eur=5.0)


def answer_lost(commit: Commit) -> StewardError | None:
    return EngineError("the disk did not answer", retryable=True, code="engine.disk-io")


async def test_what_was_written_although_an_error_came_back_is_followed() -> None:
    """Seed 154 of the small scenario: it stood in the ledger, and nobody looked at it until the next start."""
    ledger = FaultyLedger(MemoryLedger())
    async with in_memory(refund, ledger=ledger) as shop:
        ledger.fault_after = answer_lost
        with pytest.raises(EngineError):
            await shop.runtime.decide("simulation.refund", SMALL)
        ledger.fault_after = lambda commit: None
        await shop.later()
        assert [entry.kind for entry in await ledger.read()] == ["published", "decided", "acted"]


async def test_a_lifted_stop_lets_go_also_when_nobody_was_told_that_it_is_lifted() -> None:
    """Seed 18070 of the small scenario: what the stop had held stayed held until the next start."""
    ledger = FaultyLedger(MemoryLedger())
    async with in_memory(refund, ledger=ledger) as shop:
        await shop.runtime.stop(by="ana", reason="smoke")
        await shop.runtime.decide("simulation.refund", SMALL)
        await shop.later()
        await shop.runtime.resume(by="ana", reason="clear")
        ledger.fault_after = answer_lost
        with pytest.raises(EngineError):
            await shop.runtime.resume(by="bo", reason="clear")
        ledger.fault_after = lambda commit: None
        with pytest.raises(StewardError, match="is not stopped"):
            await shop.runtime.resume(by="bo", reason="clear")
        await shop.later()
        assert [entry.kind for entry in await ledger.read(kind="acted")] == ["acted"]


async def test_a_change_in_the_moment_of_the_deadline_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 1899 of the switching scenario: the expiry met the change, and nobody looked at the question again."""
    real, second = Answers.remind, timedelta(seconds=1)

    async def overtaken(self: Answers, run: Run) -> None:
        """At the deadline, let somebody change what is asked after the run was read."""
        if run.round == 0 and run.asked is not None and shop.clock.now() == run.asked.gate.deadline:
            shop.clock.advance(-second)
            words = Words(by="cy", reason="half", evidence=run.asked.evidence)
            await self.change(run.record.decision_id, 4, **words)
            shop.clock.advance(second)
        await real(self, run)

    monkeypatch.setattr(Answers, "remind", overtaken)
    async with in_memory(switching) as shop:
        asked = await shop.runtime.decide("simulation.switching", SwitchAsked(feeder="F-1", load_mw=8))
        await shop.later(timedelta(minutes=6))
        run = await shop.runtime.run(asked.record.decision_id)
        assert (run.round, run.is_waiting) == (1, False)
        assert isinstance(run.answer, Expired)


async def test_what_may_still_be_on_its_way_is_not_taken_for_never_done() -> None:
    """Seed 14474 of the small scenario: read back too early, and in effect a moment later."""
    arrived, verbs = list[str](), list[str]()

    def do(choice: str, call: Call) -> Receipt:
        raise ConnectionError("the answer was lost")

    def verify(choice: str, call: Call) -> Receipt | None:
        verbs.append("verify")
        return Receipt(reference=call.key) if arrived else None

    def undo(choice: str, call: Call) -> Receipt:
        verbs.append("undo")
        return Receipt(reference=call.key)

    async with in_memory(replace(refund, action=Action(do=do, verify=verify, undo=undo))) as shop:
        run_id = (await shop.runtime.decide("simulation.refund", SMALL)).record.decision_id
        await shop.later()
        await shop.runtime.abort(run_id, by="ana", reason="a mistake")
        await shop.later()
        assert (await shop.runtime.run(run_id)).status is not Status.UNDONE
        arrived.append("late")
        await shop.later(timedelta(seconds=30))
        assert (await shop.runtime.run(run_id)).status is Status.UNDONE
        assert verbs == ["verify", "verify", "undo"]


async def test_a_plain_action_that_was_taken_back_is_so_in_the_ledger_too() -> None:
    """Seed 26620 of the small scenario: the receiver took it back, the answer was lost, and the person gave up."""
    taken_back: list[str] = []

    def undo(choice: str, call: Call) -> Receipt:
        taken_back.append(str(call.undoes))
        if len(taken_back) == 1:
            raise ConnectionError("the answer was lost")
        return Receipt(reference=call.key)

    assert isinstance(refund.action, Action)
    revocable = replace(refund, action=replace(refund.action, undo=undo))
    async with in_memory(revocable) as shop:
        run_id = (await shop.runtime.decide("simulation.refund", SMALL)).record.decision_id
        await shop.later()
        await shop.runtime.undo(run_id, by="ana", reason="a mistake")
        await shop.later(timedelta(hours=1))
        assert (await shop.runtime.run(run_id)).status is Status.UNDONE
