"""What must always hold, looked at while a simulation runs and when it is over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from steward.decision.action import Action, Call
from steward.decision.decision import Decision
from steward.ledger.merkle import holds_consistency, holds_inclusion, leaf_hash
from steward.ledger.port import Entry
from steward.records import Record
from steward.testing.simulation.device import Device
from steward.testing.simulation.disk import SimulatedDisk
from steward.testing.simulation.door import OUTSIDER
from steward.testing.simulation.story import ANSWERS, Story
from steward.testing.simulation.world import Simulation


class Watch:
    """Compares what the world was told, what was done in it, and what the ledger says.

    * One effect for each decision and step, under one key.
    * No effect without the approval it needed, and no other than the one that was decided or agreed to.
    * Nothing is done again before the world was read back.
    * What was acknowledged is in the ledger, whatever crashed afterwards.
    * Nobody does what they may not.
    * One answer settles a question, given in time by somebody who was asked.
    * After a stop was acknowledged nothing is dispatched.
    * In the end the ledger tells what was done, and every run has ended.

    Args:
        simulation: Ended with a :class:`~steward.testing.Violation` when something does not hold.
        disk: What is durable.
        device: What was done.
        decisions: What is run.

    Example:
        >>> simulation = Simulation(seed=1)
        >>> watch = Watch(simulation, SimulatedDisk(simulation), Device(simulation))
        >>> watch.unfinished()
        []
    """

    def __init__(
        self,
        simulation: Simulation,
        disk: SimulatedDisk,
        device: Device,
        decisions: Sequence[Decision[Any, Any, Any]] = (),
    ) -> None:
        self.stories: dict[str, Story] = defaultdict(Story)
        self.stopped: set[str] = set()
        self.told_of_asked: Callable[[UUID, dict[str, Any]], object] = lambda run_id, asked: None
        self._simulation, self._disk, self._device = simulation, disk, device
        self._acknowledged: list[tuple[str, int, bytes]] = []
        self._answered: list[tuple[str, str, str]] = []
        self._decided: dict[str, str] = {}
        self._published: set[str] = set()
        self._undone: list[str] = []
        self._read_back: dict[str, bool] = {}
        self._heads: list[tuple[int, bytes]] = []
        self._bodies: list[bytes] = []
        self._singles: dict[str, str] = {}
        self._actions: set[str] = set()
        self._revocable: set[str] = set()
        for decision in decisions:
            self._know(decision)
        disk.written = self._written
        device.told = self._called

    def _know(self, decision: Decision[Any, Any, Any]) -> None:
        action = decision.action
        if isinstance(action, Action):
            self._singles[decision.name] = action.name
        steps = (action,) if isinstance(action, Action) else action.steps if action is not None else ()
        for step in steps:
            if isinstance(step, Action):
                self._actions.add(step.name)
                if step.undo is not None:
                    self._revocable.add(step.name)

    def _written(self, entry: Entry) -> None:
        self._bodies.append(entry.body)
        story = self.stories[str(entry.run_id)]
        story.add(entry)
        if story.bodies[-1][1].get("by") == OUTSIDER:
            self._violate(f"{OUTSIDER} may do nothing, but {entry.kind} stands in the ledger in that name")
        if entry.kind in ANSWERS:
            self._settled(str(entry.run_id), entry.kind, story)
        elif entry.kind == "asked":
            self.told_of_asked(entry.run_id, story.bodies[-1][1])

    # While it runs

    def _settled(self, run: str, kind: str, story: Story) -> None:
        asked, body = story.last("asked"), story.bodies[-1][1]
        if len(story.all(*ANSWERS)) > 1:
            self._violate(f"the question of {run} was settled twice", f"now by {kind}")
        elif asked is None:
            self._violate(f"{run} was {kind}, but nobody was asked")
        elif (_time(body["at"]) >= _time(asked["gate"]["deadline"])) != (kind == "expired"):
            self._violate(f"{run} was {kind} at {body['at']}", f"the deadline was {asked['gate']['deadline']}")
        elif kind == "approved" and (why := story.misses_people()):
            self._violate(f"{run} was approved, but {why}")

    def _called(self, verb: str, step: str, choice: object, call: Call) -> None:
        self._simulation.trace.note(verb, call.key, step, call.attempt)
        if verb == "do":
            self._may_do(step, msgspec.to_builtins(choice), call)
            if self._read_back.get(call.key) is False:
                self._violate(f"{call.key} was tried again before the world was read back")
            self._read_back[call.key] = False
        elif verb in {"verified", "refused"}:
            self._read_back[call.key] = True
        elif verb == "undoing":
            self._may_undo(call.undoes or call.key)

    def _may_do(self, step: str, choice: object, call: Call) -> None:
        run, story = str(call.decision_id), self.stories[str(call.decision_id)]
        if story.key is None:
            self._violate(f"{run} acts, but its decision is not in the ledger")
        elif not call.key.startswith(story.key):
            self._violate(f"{run} acts under the key {call.key}", f"the ledger says {story.key}")
        elif story.must_wait:
            self._violate(f"{run} acts, but the person it needs has not agreed")
        elif choice != story.choice:
            self._violate(f"{run} does {choice!r}", f"what was decided or agreed to is {story.choice!r}")
        elif story.ended:
            self._violate(f"{run} acts after it has ended")
        elif story.is_turned_back:
            self._violate(f"{run} goes on with {step}, but it is being taken back")
        elif {call.decision, "*"} & self.stopped:
            self._violate(f"{run} acts after a stop")

    def _may_undo(self, key: str) -> None:
        effects = list(self._device.effects.items())
        place = next((place for place, (known, _) in enumerate(effects) if known == key), None)
        if place is None:
            return
        run = effects[place][1].run
        for later, effect in effects[place + 1 :]:
            if effect.run == run and not effect.undone and effect.step in self._revocable:
                self._violate(f"{key} is taken back before {later}, which was done after it")

    # What the world was told

    def decided(self, key: str, record: Record, index: int, body: bytes) -> None:
        """Remember an answer that a caller got for an idempotency key."""
        run = str(record.decision_id)
        self._simulation.trace.note("told decided", run)
        if self._decided.setdefault(key, run) != run:
            self._violate(f"the key {key} got two decisions", f"{run} and {self._decided[key]}")
        self._acknowledged.append((run, index, body))

    def published(self, event_id: str) -> None:
        """Remember that a sender was told that an event is taken in."""
        self._simulation.trace.note("told published", event_id)
        self._published.add(event_id)

    def undone(self, run: str) -> None:
        """Remember that an operator was told that a run is taken back, or will be."""
        self._undone.append(run)

    def answered(self, run_id: UUID, verb: str, by: str) -> None:
        """Remember that somebody was told that their answer counts."""
        self._simulation.trace.note("told answered", str(run_id), verb, by)
        self._answered.append((str(run_id), verb, by))

    async def head(self) -> None:
        """Remember the ledger's root, which everything later must be consistent with."""
        self._heads.append((len(self._bodies), await self._disk.ledger.root()))

    # In the end

    def unfinished(self) -> list[str]:
        """Return the runs that something is still to happen to."""
        return [run for run, story in self.stories.items() if story.decided is not None and not story.ended]

    def over(self) -> None:
        """Compare what was done with what is written, when nothing happens any more."""
        for run in self.unfinished():
            self._violate(f"{run} never ends", f"its entries: {[kind for kind, _ in self.stories[run].bodies]}")
        for run, index, body in self._acknowledged:
            if self._bodies[index : index + 1] != [body]:
                self._violate(f"{run} was answered to its caller, but the ledger has lost it")
        for run, verb, by in self._answered:
            if not any(body["by"] == by for body in self.stories[run].all(verb, "endorsed")):
                self._violate(f"{by} was told that {run} is {verb}, but the ledger says otherwise")
        for run in self._undone:
            if self.stories[run].last("undone", "aborted", "halted") is None:
                self._violate(f"the ledger does not know that {run} is taken back")
        self._events_are_decided()
        self._effects_are_written()
        self._writings_have_effects()

    def _events_are_decided(self) -> None:
        made = [story.decided["provenance"] for story in self.stories.values() if story.decided is not None]
        events = Counter(each["event_id"] for each in made if each["source"] == "simulation")
        for event in sorted(self._published | set(events)):
            if events[event] != 1:
                self._violate(f"{event} was decided {events[event]} times")

    def _effects_are_written(self) -> None:
        alive: dict[tuple[str, str], str] = {}
        for key, effect in self._device.effects.items():
            if effect.undone:
                continue
            story, place = self.stories[effect.run], (effect.run, effect.step)
            if alive.setdefault(place, key) != key:
                self._violate(f"{effect.run} took effect twice", f"under {alive[place]} and {key}")
            if effect.step in story.done(self._singles.get(story.name)):
                continue
            if story.last("failed", "halted") is None:
                self._violate(f"{key} took effect, but the ledger does not say so")
            elif any(body.get("step") == effect.step for body in story.all("undone")):
                self._violate(f"{key} is in effect, but the ledger says that it was taken back")

    def _writings_have_effects(self) -> None:
        for run, story in self.stories.items():
            if story.is_halted:
                continue  # an operator is asked, as nobody knows
            effects = [effect for effect in self._device.effects.values() if effect.run == run and not effect.undone]
            for step, body in story.done(self._singles.get(story.name)).items():
                if step in self._actions and step not in {effect.step for effect in effects}:
                    self._violate(f"the ledger says that {step} of {run} was done, but nothing is")
                if any(effect.choice != body.get("choice", effect.choice) for effect in effects if effect.step == step):
                    self._violate(f"the ledger and the world differ about what {step} of {run} did")

    async def prove(self) -> None:
        """Check that every entry is in the tree, and that the tree only ever grew."""
        ledger = self._disk.ledger
        size, root = await ledger.size(), await ledger.root()
        for index, body in enumerate(self._bodies):
            if not holds_inclusion(leaf_hash(body), index, size, await ledger.inclusion(index), root):
                self._violate(f"entry {index} cannot be proven")
        for first, head in self._heads:
            if first and not holds_consistency(first, size, await ledger.consistency(first), head, root):
                self._violate(f"the ledger of {first} entries is no beginning of today's")

    def _violate(self, what: str, why: str = "") -> None:
        self._simulation.violate(what, why=why)


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written)
