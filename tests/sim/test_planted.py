"""Faults planted in the real code on purpose: the simulator finds each of them, and finds nothing without them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from steward.access import asking
from steward.access.authorizer import Verdict
from steward.bus.consumer import Consumer
from steward.decision.action import Action, Call
from steward.decision.feature import minutes
from steward.entries import Asked, Expired
from steward.ledger.port import Commit, Committed, StoredMessage
from steward.ledger.run import Run
from steward.loop import gate, verdicts
from steward.runtime import answers
from steward.runtime.follow import Follow
from steward.runtime.journal import Journal
from steward.runtime.parts import Origin
from steward.runtime.stops import Stops
from steward.testing.scenarios.small import SMALL
from steward.testing.scenarios.switching import SWITCHING, SwitchAsked, switching
from steward.testing.simulation.scenario import Outcome, Scenario
from steward.workflow import dispatch, moves
from steward.workflow.dispatch import Dispatcher
from steward.workflow.embedded import EmbeddedWorkflow
from steward.workflow.moves import call_of
from steward.workflow.plan import Plan

CROWDED = replace(
    SWITCHING,
    asks=lambda chance, number: (switching, SwitchAsked(feeder=f"F-{number}", load_mw=1)),
    requests=40,
    lasts=minutes(6),
)
"""So many at once, and none that asks a person, that calls wait for their turn."""
Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Fault:
    """A fault, and what the simulator says about it (a pattern) within so many seeds."""

    plant: Plant
    finds: str
    scenario: Scenario = SMALL
    seeds: int = 150


def no_idempotency_key(patch: pytest.MonkeyPatch) -> None:
    """Each try goes out under a key of its own."""
    real = call_of

    def keyless(plan: Plan, run: Run, key: str, **details: Any) -> Call:
        return real(plan, run, f"{key}#{details.get('attempt')}", **details)

    patch.setattr(dispatch, "call_of", keyless)


async def never_there(self: Dispatcher, effect: object, attempt: int) -> None:
    """Do not look at the world, and say that nothing is there."""


def check_then_act(patch: pytest.MonkeyPatch) -> None:
    """An answer is checked against what was read, and written without a key."""
    patch.setattr(verdicts, "answer_key", lambda run_id, round=0: None)
    patch.setattr(gate, "answer_key", lambda run_id, round=0: None)


def acknowledged_before_durable(patch: pytest.MonkeyPatch) -> None:
    """The answer leaves while the disk still works on it."""
    real = Journal.append

    async def append(self: Journal, commit: Commit) -> Committed:
        if commit.cursors or not any(draft.kind == "decided" for draft in commit.entries):
            return await real(self, commit)
        writing = asyncio.ensure_future(real(self, commit))
        writing.add_done_callback(lambda done: done.exception())
        return Committed(await self.ledger.size(), [0] * len(commit.messages))

    patch.setattr(Journal, "append", append)


def allow_on_error(patch: pytest.MonkeyPatch) -> None:
    """An authorizer that fails lets everybody through."""
    patch.setattr(asking, "_FAILED", Verdict(True, "it could not be asked"))


def timers_lost_in_a_restart(patch: pytest.MonkeyPatch) -> None:
    """What an earlier process had begun is not looked at."""
    patch.setattr(Follow, "inherit", lambda self, run_ids: None)


def undo_in_the_wrong_order(patch: pytest.MonkeyPatch) -> None:
    """What was done first is taken back first."""
    real = moves._taken_back

    def forward(plan: Plan, run: Run) -> Iterator[moves.Undo]:
        yield from reversed(list(real(plan, run)))

    patch.setattr(moves, "_taken_back", forward)


def tried_again_unread(patch: pytest.MonkeyPatch) -> None:
    """After a time-out the action is tried again without a look at the world."""
    patch.setattr(Dispatcher, "read_back", never_there)


def stop_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether a decision is stopped."""
    patch.setattr(Stops, "is_stopped", lambda self, decision: False)


def stop_forgotten_in_a_restart(patch: pytest.MonkeyPatch) -> None:
    """A stop is kept in memory only."""

    async def open_(self: Stops) -> None:
        """Restore nothing but the number of entries."""
        self._count = len(await self._journal.ledger.of_run(UUID("00000000-0000-8000-8000-73746f707065")))

    patch.setattr("steward.runtime.parts.Stops.open", open_)


def stop_asked_before_the_queue(patch: pytest.MonkeyPatch) -> None:
    """A call that waits for its turn begins although there was a stop since."""
    real = Dispatcher._call

    async def _call(self: Dispatcher, effect: Any, verb: str, key: str, attempt: int, **options: Any) -> Any:
        unasked = Dispatcher(self._clock, self.reach)
        return await real(unasked, effect, verb, key, attempt, **options)

    patch.setattr(Dispatcher, "_call", _call)


def expiry_does_what_was_proposed(patch: pytest.MonkeyPatch) -> None:
    """Silence counts as a yes."""
    real = gate.expire

    def expire(run: Run, at: Any) -> Any:
        expired, key = real(run, at)
        assert isinstance(expired, Expired)
        assert isinstance(run.asked, Asked)
        return msgspec.structs.replace(expired, choice=run.asked.choice), key

    patch.setattr(answers, "expire", expire)


def four_eyes_unguarded(patch: pytest.MonkeyPatch) -> None:
    """Neither the check nor the keys keep the parts of people apart."""
    patch.setattr(verdicts, "refuse_part", lambda run, person: None)
    patch.setattr(verdicts, "part_key", lambda run_id, round, person: None)
    patch.setattr(gate, "part_key", lambda run_id, round, person: None)


def one_is_enough(patch: pytest.MonkeyPatch) -> None:
    """The first who agrees settles it, however many are needed."""
    real = verdicts._agree

    def agree(run: Run, said: Any, asked: Asked, **options: Any) -> Any:
        alone = msgspec.structs.replace(asked.gate, approvals=1, four_eyes=False)
        return real(run, said, msgspec.structs.replace(asked, gate=alone), **options)

    patch.setattr(verdicts, "_agree", agree)


def evidence_not_compared(patch: pytest.MonkeyPatch) -> None:
    """An answer counts whatever was shown."""
    real = verdicts._bound

    def bound(run: Run, said: Any) -> Asked:
        assert run.asked is not None
        return real(run, replace(said, evidence=run.asked.evidence))

    patch.setattr(verdicts, "_bound", bound)


def request_key_dropped(patch: pytest.MonkeyPatch) -> None:
    """A request that comes twice is decided twice."""
    real = Origin.incoming
    patch.setattr(Origin, "incoming", lambda self, event, key: real(self, event, None))


def position_after_the_effects(patch: pytest.MonkeyPatch) -> None:
    """A consumer commits what messages cause first, and how far it came afterwards."""

    async def commit_in_two(self: Consumer, commit: Commit, batch: Sequence[StoredMessage]) -> Committed:
        position = batch[-1].offset + 1
        committed = await self._ledger.append(commit)
        await self._ledger.append(Commit(cursors={self.name: position}))
        self.position = position
        return committed

    patch.setattr(Consumer, "_commit", commit_in_two)


def unanswered_commit_not_followed(patch: pytest.MonkeyPatch) -> None:
    """What was written, though an error came back, is forgotten until the next start."""

    async def append(self: Journal, commit: Commit) -> Committed:
        committed = await self.ledger.append(commit)
        self.size = max(self.size, committed.first_index + len(commit.entries))
        self.agenda.take_note(commit.entries)
        for listener in self._listeners:
            listener(committed, commit.entries)
        self.wake({message.topic for message in commit.messages})
        self.bell.ring()
        return committed

    patch.setattr(Journal, "append", append)


def consumer_ends_when_it_cannot_look(patch: pytest.MonkeyPatch) -> None:
    """A log that cannot be read for a moment, while a consumer waits, ends the process."""

    async def run(self: Consumer) -> None:
        while True:
            if not await self.step():
                if self.retry_at is not None:
                    await self._clock.sleep_until(self.retry_at)
                else:
                    await self._bus.wait({self.topic: self.position})

    patch.setattr(Consumer, "run", run)


def steps_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The last step that is done is done again when the process starts anew."""
    real = EmbeddedWorkflow.go_on
    seen: set[tuple[int, UUID]] = set()

    async def go_on(self: EmbeddedWorkflow, run: Run) -> Any:
        first = (id(self), run.record.decision_id) not in seen
        seen.add((id(self), run.record.decision_id))
        plan = self._plans.of(run)
        if first and plan is not None and run.stepped and run.receipt is None and run.reverting is None:
            step = next(each for each in plan.steps if each.name == run.stepped[-1].step)
            if isinstance(step, Action):
                call = call_of(plan, run, f"{plan.key(run, step)}/again")
                await self._dispatch.reach(run.record.decision, step, lambda: step.do(run.choice, call), **_FREELY)
        return await real(self, run)

    patch.setattr(EmbeddedWorkflow, "go_on", go_on)


_FREELY: Any = {"deadline": None, "is_reading": False}
FAULTS: Mapping[str, Fault] = {
    "no idempotency key": Fault(no_idempotency_key, "took effect twice"),
    "check, then act": Fault(check_then_act, "settled twice"),
    "acknowledged before durable": Fault(acknowledged_before_durable, "lost it|got two decisions"),
    "allow on error": Fault(allow_on_error, "eve may do nothing"),
    "timers lost in a restart": Fault(timers_lost_in_a_restart, "never ends"),
    "undo in the wrong order": Fault(undo_in_the_wrong_order, "is taken back before", SWITCHING),
    "tried again unread": Fault(tried_again_unread, "before the world was read back"),
    "stop not asked": Fault(stop_not_asked, "acts after a stop"),
    "stop forgotten in a restart": Fault(stop_forgotten_in_a_restart, "acts after a stop"),
    "stop asked before the queue": Fault(stop_asked_before_the_queue, "acts after a stop", CROWDED),
    "expiry does what was proposed": Fault(expiry_does_what_was_proposed, "what was decided or agreed to is"),
    "four eyes unguarded": Fault(four_eyes_unguarded, "had another part in it|are needed", SWITCHING),
    "one is enough": Fault(one_is_enough, "are needed", SWITCHING),
    "evidence not compared": Fault(evidence_not_compared, "was not shown"),
    "request key dropped": Fault(request_key_dropped, "got two decisions"),
    "position after the effects": Fault(position_after_the_effects, "was decided 2 times", seeds=600),
    "unanswered commit not followed": Fault(unanswered_commit_not_followed, "never ends", seeds=400),
    "consumer ends when it cannot look": Fault(consumer_ends_when_it_cannot_look, "ended the background work"),
    "steps forgotten": Fault(steps_forgotten, "took effect twice", SWITCHING),
}


def first_found(fault: Fault) -> Outcome | None:
    outcomes = (fault.scenario.run(seed) for seed in range(fault.seeds))
    return next((outcome for outcome in outcomes if outcome.violation is not None), None)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    fault.plant(monkeypatch)
    found = first_found(fault)
    assert found is not None, f"{name} was not found in {fault.seeds} seeds"
    assert re.search(fault.finds, str(found.violation)), found.violation


def test_the_keys_alone_keep_four_eyes_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check in the code the database still refuses: this is no fault that shows."""
    monkeypatch.setattr(verdicts, "refuse_part", lambda run, person: None)
    assert first_found(Fault(four_eyes_unguarded, "", SWITCHING, 30)) is None
