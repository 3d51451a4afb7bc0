"""Where a workflow engine is tried: a plant that steps act on, and a site whose ledger outlives its processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from steward.clock import Clock, VirtualClock
from steward.decision.action import Action, Call
from steward.decision.steps import Steps
from steward.ledger.port import Commit, Draft, Ledger
from steward.ledger.run import Run
from steward.records import ActionFacts, PolicyFacts, Provenance, Receipt, Record, Status
from steward.workflow.plan import Plan, Plans
from steward.workflow.port import Workflow
from steward.workflow.told import aborted, redriven, signalled

NAME = "plant.switch"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Plant:
    """The world that steps act on: it acts once for each key, and remembers every call.

    Attributes:
        calls: What was called, as ``verb step``, in order.
        told: The calls themselves.
        effects: What stands now, by key.
        fails: Errors that the next calls raise, by ``verb step``; they act first if ``acts_anyway``.

    Example:
        >>> Plant().effects
        {}
    """

    calls: list[str] = field(default_factory=list)
    told: list[Call] = field(default_factory=list)
    effects: dict[str, str] = field(default_factory=dict)
    fails: dict[str, list[Exception]] = field(default_factory=dict)
    acts_anyway: bool = False

    def action(self, name: str, *, undo: bool = True, verify: bool = False, **details: Any) -> Action[str]:
        """Return a step that acts here."""

        async def do(choice: str, call: Call) -> Receipt:
            self._heard("do", name, call)
            if not self.acts_anyway:
                self._meet("do", name)
            self._acted(call.key, name)
            self._meet("do", name)
            return Receipt(reference=f"{name} done")

        async def take_back(choice: str, call: Call) -> Receipt:
            self._heard("undo", name, call)
            self._meet("undo", name)
            self._undone(str(call.undoes), name)
            return Receipt(reference=f"{name} undone")

        async def look(choice: str, call: Call) -> Receipt | None:
            self._heard("verify", name, call)
            self._meet("verify", name)
            return Receipt(reference=f"{name} seen") if call.key in self.effects else None

        do.__name__ = name
        given: dict[str, Any] = {"attempts": 3, "backoff": timedelta(seconds=10), **details}
        return Action(do=do, undo=take_back if undo else None, verify=look if verify else None, **given)

    def _heard(self, verb: str, name: str, call: Call) -> None:
        self.calls.append(f"{verb} {name}")
        self.told.append(call)

    def _acted(self, key: str, name: str) -> None:
        self.effects[key] = name

    def _undone(self, key: str, name: str) -> None:
        self.effects.pop(key, None)

    def _meet(self, verb: str, name: str) -> None:
        if errors := self.fails.get(f"{verb} {name}"):
            raise errors.pop(0)


class Site:
    """A place where an engine runs: its ledger outlives it, and time moves when told to.

    Example:
        >>> Site.__name__
        'Site'
    """

    def __init__(self, ledger: Ledger, make: Callable[[Ledger, Plans, Clock], Any]) -> None:
        self.ledger, self._make = ledger, make
        self.clock = VirtualClock(START, seed=7)
        self.plans = Plans({})
        self.workflow: Workflow | None = None
        self._looks: dict[UUID, datetime] = {}

    async def open(self, action: Action[Any] | Steps[Any], *, code: str = "new", former: Any = ()) -> Workflow:
        """Begin (again, as after a crash) with an action; ``former`` are older ones with their codes."""
        olds = [(NAME, Plan.of(old, code=old_code)) for old_code, old in former]
        self.plans = Plans({NAME: Plan.of(action, code=code)}, olds)
        self.workflow = await self._make(self.ledger, self.plans, self.clock)
        begun = await self.ledger.read(0, 1_000_000, kind="decided")
        self._looks = {entry.run_id: self.clock.now() for entry in begun}
        return self.workflow

    async def begin(self) -> UUID:
        """Decide something, and let its run begin."""
        run_id = self.clock.new_id()
        plan = self.plans.today(NAME)
        assert plan is not None
        body = Record(
            decision_id=run_id,
            decision=NAME,
            release="r1",
            decided_at=self.clock.now(),
            status=Status.DECIDED,
            event={},
            features={},
            choice="open",
            reasons=("asked for",),
            propensity=1.0,
            policy=PolicyFacts("sha256:ab"),
            action=ActionFacts(name="switch", key=f"{NAME}/{run_id}", code=plan.code),
            provenance=Provenance(event_id="1", source="tests", contract="switch", contract_version=1),
        )
        await self.say(Draft("decided", run_id, msgspec.json.encode(body)))
        return run_id

    async def say(self, draft: Draft) -> None:
        """Append an entry of a run and let it go on."""
        await self.ledger.append(Commit(entries=[draft]))
        self._looks[draft.run_id] = self.clock.now()
        await self.later()

    async def later(self, by: timedelta = timedelta(0)) -> None:
        """Let time pass, and runs go on when they are due."""
        assert self.workflow is not None
        until = self.clock.now() + by
        while True:
            due = min(self._looks.items(), key=lambda item: item[1], default=None)
            if due is None or due[1] > until:
                break
            self.clock.set(max(due[1], self.clock.now()))
            again = await self.workflow.go_on(await self.run(due[0]))
            if again is None:
                del self._looks[due[0]]
            else:
                self._looks[due[0]] = again
        self.clock.set(until)

    async def run(self, run_id: UUID) -> Run:
        """Return a run as its entries say."""
        return Run.of(await self.ledger.of_run(run_id), run_id)

    async def kinds(self, run_id: UUID) -> list[str]:
        """Return the kinds of a run's entries."""
        return [entry.kind for entry in await self.ledger.of_run(run_id)]

    async def signal(self, run_id: UUID, name: str, payload: object = None) -> None:
        """Send a signal."""
        run = await self.run(run_id)
        await self.say(signalled(run, self.plans.of(run), name, payload, at=self.clock.now(), by="crew-3"))

    async def abort(self, run_id: UUID) -> None:
        """End a run as a person does."""
        await self.say(aborted(await self.run(run_id), at=self.clock.now(), by="ana", reason="storm"))

    async def redrive(self, run_id: UUID, *, adopt: bool = False) -> None:
        """Let a run go on as an operator does."""
        run, now = await self.run(run_id), self.clock.now()
        plan = self.plans.today(NAME) if adopt else None
        await self.say(redriven(run, self.plans.of(run), at=now, by="bo", reason="mended", adopt=plan))
