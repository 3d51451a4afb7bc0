"""What every workflow engine must keep: one test for each promise in :mod:`steward.workflow.port`.

An engine inherits the suite and says how it is made::

    class TestEmbedded(WorkflowConformance):
        @pytest.fixture
        async def ledger(self) -> Ledger:
            return MemoryLedger()

        async def make(self, ledger: Ledger, plans: Plans, clock: Clock) -> Workflow:
            return EmbeddedWorkflow(ledger, plans, clock, Dispatcher(clock), await ledger.size())
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from steward.clock import Clock
from steward.decision.action import Call
from steward.decision.steps import Check, Signal, Steps, Wait
from steward.ledger.port import Ledger
from steward.records import Receipt, Status
from steward.testing.conformance.site import MINUTE, NAME, START, Plant, Site
from steward.workflow.plan import Plans
from steward.workflow.port import Workflow

_DAY = timedelta(days=1)


class WorkflowConformance:
    """The promises of every engine; a subclass named ``Test…`` gives the fixture ``ledger`` and the method ``make``.

    Example:
        >>> sum(name.startswith("test_") for name in vars(WorkflowConformance))
        15
    """

    async def make(self, ledger: Ledger, plans: Plans, clock: Clock) -> Workflow:
        """Return an engine on a ledger, as a process that begins now has it."""
        raise NotImplementedError

    @pytest.fixture
    def site(self, ledger: Ledger) -> Site:
        """Return where the engine runs."""
        return Site(ledger, self.make)

    async def test_each_result_is_remembered(self, site: Site) -> None:
        """A later step is told what the earlier ones gave, and none is done twice, crash or not."""
        plant = Plant()
        steps = Steps(plant.action("a"), Wait(MINUTE), plant.action("b"), name="switch")
        await site.open(steps)
        run_id = await site.begin()
        await site.open(steps)
        await site.later(2 * MINUTE)
        assert plant.calls == ["do a", "do b"]
        assert plant.told[1].results == {"a": Receipt(reference="a done"), "wait": None}
        run = await site.run(run_id)
        assert (run.status, run.receipt) == (Status.ACTED, Receipt(reference="b done"))

    async def test_each_step_has_its_own_key(self, site: Site) -> None:
        """All tries of a step have one key, which names the step."""
        plant = Plant(fails={"do b": [ConnectionError("down")]})
        await site.open(Steps(plant.action("a"), plant.action("b"), name="switch"))
        run_id = await site.begin()
        await site.later(MINUTE)
        assert [call.key for call in plant.told] == [f"{NAME}/{run_id}/{step}" for step in ("a", "b", "b")]

    async def test_timers_survive_a_crash(self, site: Site) -> None:
        """A wait counts from the step before it; one that passed while nothing ran is over."""
        plant = Plant()
        until = START + timedelta(hours=1)
        a, b, c = (plant.action(name) for name in "abc")
        steps = Steps(a, Wait(3 * MINUTE), b, Wait(lambda choice, call: until, "noon"), c, name="switch")
        await site.open(steps)
        await site.begin()
        await site.later(2 * MINUTE)
        await site.open(steps)
        await site.later(MINUTE - timedelta(seconds=1))
        assert plant.calls == ["do a"]
        await site.later(timedelta(seconds=1))
        assert plant.calls == ["do a", "do b"]
        site.clock.advance(_DAY)
        await site.open(steps)
        await site.later()
        assert plant.calls == ["do a", "do b", "do c"]

    async def test_signals_survive_a_crash(self, site: Site) -> None:
        """What was said stays said, and what is waited for is waited for on."""
        plant = Plant()
        steps = Steps(plant.action("a"), Signal(name="clear", within=30 * MINUTE), plant.action("b"), name="switch")
        await site.open(steps)
        first, second = await site.begin(), await site.begin()
        await site.signal(first, "clear", {"by": "crew"})
        await site.open(steps)
        await site.later(29 * MINUTE)
        await site.signal(second, "clear")
        assert (await site.run(first)).status is (await site.run(second)).status is Status.ACTED
        assert plant.told[2].results["clear"] == {"by": "crew"}

    async def test_early_signals_are_kept(self, site: Site) -> None:
        """A signal that comes before it is waited for counts; the last one does."""
        plant = Plant()
        await site.open(Steps(Wait(MINUTE), Signal(name="clear", within=MINUTE), plant.action("a"), name="switch"))
        run_id = await site.begin()
        await site.signal(run_id, "clear", 1)
        await site.signal(run_id, "clear", 2)
        assert plant.calls == []
        await site.later(MINUTE)
        assert plant.told[0].results["clear"] == 2

    async def test_a_missing_signal_fails_the_run(self, site: Site) -> None:
        """Nothing came in time: the effects are taken back, and the run says why it failed."""
        plant = Plant()
        steps = Steps(plant.action("a"), Signal(name="clear", within=MINUTE), plant.action("b"), name="switch")
        await site.open(steps)
        run_id = await site.begin()
        await site.later(MINUTE)
        run = await site.run(run_id)
        assert (run.status, plant.calls, plant.effects) == (Status.FAILED, ["do a", "undo a"], {})
        assert run.failure is not None
        assert (run.failure.stage, run.failure.code) == ("act", "signal-timeout")
        late = await site.begin()
        site.clock.advance(2 * MINUTE)  # nothing runs; what is said after the time does not count
        await site.signal(late, "clear")
        assert (await site.run(late)).status is Status.FAILED

    async def test_a_check_stops_what_is_not_safe(self, site: Site) -> None:
        """``None`` is safe; words say why not."""
        plant, reasons = Plant(), [None, "the feeder is live"]

        async def feeder_is_dead(choice: str, call: Call) -> str | None:
            return reasons.pop(0)

        await site.open(Steps(plant.action("a"), Check(feeder_is_dead), plant.action("b"), name="switch"))
        safe, unsafe = await site.begin(), await site.begin()
        assert (await site.run(safe)).status is Status.ACTED
        failure = (await site.run(unsafe)).failure
        assert failure is not None
        assert (failure.code, failure.reason) == ("unsafe", "the feeder is live")
        assert plant.calls == ["do a", "do b", "do a", "undo a"]

    async def test_doubt_is_read_back(self, site: Site) -> None:
        """After a time-out, an error and a crash alike; what is not there is not taken back either."""
        plant = Plant(fails={"do a": [TimeoutError()], "do b": [ConnectionError("lost")]}, acts_anyway=True)
        steps = Steps(*(plant.action(name, verify=True) for name in "abc"), Wait(MINUTE), name="switch")
        await site.open(steps)
        run_id = await site.begin()
        assert (await site.run(run_id)).status is Status.IN_DOUBT
        plant.fails["do c"] = [ConnectionError("lost")]
        while "do c" not in plant.calls:
            await site.later(timedelta(milliseconds=100))
        assert plant.calls == ["do a", "verify a", "do b", "verify b", "do c"]
        await site.open(steps)
        await site.later()
        assert plant.calls[5:] == ["verify c"]
        await site.later(MINUTE)
        assert (await site.run(run_id)).status is Status.ACTED
        plant.fails["do a"], plant.acts_anyway = [TimeoutError()], False
        absent = await site.begin()
        await site.abort(absent)
        await site.later(MINUTE)
        assert set(plant.calls[6:]) == {"do a", "verify a"}
        assert plant.calls[6:].count("do a") == 1
        assert (await site.run(absent)).status is Status.UNDONE

    async def test_failed_tries_are_repeated(self, site: Site) -> None:
        """Within the ceiling that doubles, under one key, until the attempts are used up."""
        plant = Plant(fails={"do a": [ConnectionError(str(n)) for n in range(3)]})
        await site.open(plant.action("a", undo=False))
        run_id = await site.begin()
        assert plant.calls == ["do a"]
        await site.later(timedelta(seconds=30))
        first, second, third = (call.deadline for call in plant.told)
        assert first is not None
        assert second is not None
        assert third is not None
        assert timedelta(0) < second - first <= timedelta(seconds=10)
        assert timedelta(0) < third - second <= timedelta(seconds=20)
        failure = (await site.run(run_id)).failure
        assert failure is not None
        assert (failure.code, failure.attempt, plant.calls) == ("action-failed", 3, ["do a"] * 3)
        await site.redrive(run_id)
        assert (await site.run(run_id)).status is Status.ACTED
        assert {call.key for call in plant.told} == {f"{NAME}/{run_id}"}

    async def test_undo_is_in_reverse(self, site: Site) -> None:
        """What was done is taken back, the last first; what cannot be taken back is left."""
        plant = Plant(fails={"do d": [PermissionError("no")] * 9})
        steps = [plant.action(name, undo=name != "b") for name in ("a", "b", "c")]
        await site.open(Steps(*steps, plant.action("d", undo=False), name="switch"))
        run_id = await site.begin()
        await site.later(MINUTE)
        assert [call for call in plant.calls if call != "do d"] == ["do a", "do b", "do c", "undo c", "undo a"]
        assert list(plant.effects.values()) == ["b"]
        assert (await site.run(run_id)).status is Status.FAILED
        undoing = plant.told[-1]
        assert (undoing.undoes, undoing.key) == (f"{NAME}/{run_id}/a", f"{NAME}/{run_id}/a/undo")

    async def test_an_abort_takes_back(self, site: Site) -> None:
        """Also when the step that comes next may have been tried by a process that died."""
        plant = Plant()
        steps = Steps(plant.action("a"), Wait(MINUTE), plant.action("b", verify=True), name="switch")
        await site.open(steps)
        waiting, tried = await site.begin(), await site.begin()
        await site.abort(waiting)
        run = await site.run(waiting)
        assert (run.status, plant.calls[2:]) == (Status.UNDONE, ["undo a"])
        assert list(plant.effects) == [f"{NAME}/{tried}/a"]
        assert run.undone is not None
        assert (run.undone.by, run.undone.reason) == ("ana", "storm")
        plant.fails["do b"] = [ConnectionError("lost")]
        plant.acts_anyway = True
        await site.later(MINUTE)
        plant.effects[f"{NAME}/{tried}/b"] = "b"
        await site.open(steps)
        await site.abort(tried)
        assert plant.effects == {}
        assert (await site.run(tried)).status is Status.UNDONE

    async def test_a_failing_undo_halts(self, site: Site) -> None:
        """It is tried as often as declared, then an operator is asked."""
        plant = Plant(fails={"undo a": [ConnectionError("down")] * 3})
        await site.open(Steps(plant.action("a"), Signal(name="go", within=MINUTE), name="switch"))
        run_id = await site.begin()
        await site.later(2 * MINUTE)
        run = await site.run(run_id)
        assert (run.status, plant.calls.count("undo a")) == (Status.HALTED, 3)
        assert run.halted is not None
        assert (run.halted.code, "redrive" in run.halted.question) == ("undo-failed", True)
        await site.later(_DAY)
        await site.redrive(run_id)
        assert ((await site.run(run_id)).status, plant.effects) == (Status.FAILED, {})

    async def test_old_runs_finish_on_old_code(self, site: Site) -> None:
        """A run that is under way keeps its steps; one that begins now takes today's."""
        plant = Plant()
        old = Steps(plant.action("a"), Wait(MINUTE), plant.action("b"), name="switch")
        await site.open(old, code="old")
        before = await site.begin()
        await site.open(Steps(plant.action("x"), name="switch"), code="new", former=[("old", old)])
        after = await site.begin()
        await site.later(MINUTE)
        assert plant.calls == ["do a", "do x", "do b"]
        assert (await site.run(before)).status is (await site.run(after)).status is Status.ACTED

    async def test_gone_code_halts_with_a_question(self, site: Site) -> None:
        """An operator says whether it goes on with today's code, or ends."""
        plant = Plant()
        await site.open(Steps(plant.action("a"), Wait(MINUTE), plant.action("b"), name="switch"), code="old")
        adopting, ending = await site.begin(), await site.begin()
        await site.open(Steps(plant.action("a"), plant.action("y"), name="switch"), code="new")
        await site.later(_DAY)
        for run_id in (adopting, ending):
            run = await site.run(run_id)
            assert run.halted is not None
            assert (run.status, run.halted.code) == (Status.HALTED, "code-gone")
            assert "old" in run.halted.question
        assert plant.calls == ["do a", "do a"]
        await site.redrive(adopting, adopt=True)
        assert ((await site.run(adopting)).status, plant.calls) == (Status.ACTED, ["do a", "do a", "do y"])
        await site.abort(ending)
        assert (await site.run(ending)).status is Status.HALTED  # what it did is not taken back by other code either
        await site.redrive(ending, adopt=True)
        assert (await site.run(ending)).status is Status.UNDONE

    async def test_a_waiting_run_is_a_row(self, site: Site) -> None:
        """Asking again tells the same time and writes nothing; no task waits."""
        plant = Plant()
        steps = Steps(plant.action("a"), Signal(name="clear", within=MINUTE), plant.action("b"), name="switch")
        workflow = await site.open(steps)
        run_ids = [await site.begin() for _ in range(20)]
        before = (await site.ledger.size(), len(asyncio.all_tasks()))
        looks = [await workflow.go_on(await site.run(run_id)) for run_id in run_ids for _ in range(3)]
        assert looks == [START + MINUTE] * 60
        assert (await site.ledger.size(), len(asyncio.all_tasks())) == before
