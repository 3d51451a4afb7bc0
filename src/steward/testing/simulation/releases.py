"""What must hold while releases change: who decided, who was only asked, and who may be gone back to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from steward.decision.decision import Decision
from steward.ledger.port import Entry
from steward.runtime.runtime import Runtime
from steward.testing.simulation.device import Device
from steward.testing.simulation.server import Server
from steward.testing.simulation.standing import Part, Standing
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

AnyDecision = Decision[Any, Any, Any]
CHANGES: Final = ("published", "launched", "promoted", "rolled_back")
_GRACE_S: Final = 0.001
"""Between an entry that is durable and the line-up that follows it no time passes, but steps of others may come."""


class _Begun(NamedTuple):
    states: Sequence[Standing]
    runnable: frozenset[str]


class ReleaseServer(Server):
    """A server that is started with other code now and then: another declaration is its own, or one is missing.

    The point is ``code.other``.

    Args:
        simulation: Draws which.
        variants: All declarations of one decision.

    Attributes:
        variants: Which there are.
        here: The fingerprints of those that the process has.

    Example:
        >>> from steward.testing.scenarios.small import refund
        >>> ReleaseServer(Simulation(seed=1), [refund]).here
        frozenset()
    """

    def __init__(self, simulation: Simulation, variants: Sequence[AnyDecision]) -> None:
        super().__init__(simulation, variants[:1], challengers=variants[1:])
        self.variants, self.here = variants, frozenset[str]()
        self.watch: ReleaseWatch | None = None

    async def _open(self) -> Runtime:
        chance, present = self._simulation.chance, list(self.variants)
        if self._simulation.faults.at("code.other", 0.3):
            chance.shuffle(present)
            present = present[: chance.randint(1, len(present))]
        self._decisions, self._challengers = present[:1], present[1:]
        self._former = [each for each in self.variants if each not in present]
        self.here = frozenset(each.fingerprint for each in present)
        runtime = await super()._open()
        if self.watch is not None:
            self.watch.follows(runtime, "after a start")
        return runtime

    def runtime(self) -> Runtime | None:
        """Return what runs, if it is up."""
        return self._runtime


class ReleaseWatch(Watch):
    """Knows of releases, besides all that :class:`~steward.testing.simulation.watch.Watch` looks at.

    * Whoever decided was live, or had the share that the event's key falls into, when that was begun.
    * A holdout never gets a challenger.
    * A shadow only says what it would have chosen, once for each run and release, and has no effect.
    * Each change of releases goes on from the one before it.
    * What an operator was told is in the ledger, once, and in force; after a start the line-up is what the ledger says.

    Args:
        simulation: Ended with a :class:`~steward.testing.Violation` when something does not hold.
        server: Runs the decisions.
        device: What was done.
        chooses: What each declaration always chooses, by its fingerprint.
        key: The event's field that keys are made of.

    Example:
        >>> from steward.testing.scenarios.rolling import ROLLING
        >>> ROLLING.run(seed=1).violation is None
        True
    """

    def __init__(
        self, simulation: Simulation, server: ReleaseServer, device: Device, chooses: Mapping[str, str], key: str
    ) -> None:
        super().__init__(simulation, server.disk, device, server.variants)
        self._server, self._chooses, self._key = server, chooses, key
        self._name = server.variants[0].name
        self._states: list[tuple[float, Standing]] = [(0.0, Standing())]
        self._fingerprints: dict[str, str] = {}
        self._begun: dict[tuple[int, str], list[_Begun]] = defaultdict(list)
        self._reasons: Counter[str] = Counter()
        self._shadowed: set[tuple[str, str]] = set()
        self._shadows: set[tuple[str, str]] = set()
        server.watch = self

    @property
    def standing(self) -> Standing:
        """What is live, by what is durable."""
        return self._states[-1][1]

    def begun(self, number: int, choice: str) -> None:
        """Hear that a policy chooses for an event now."""
        self._begun[number, choice].append(_Begun(self._just_now(), self._runnable()))

    def told(self, reason: str, *, once: bool) -> None:
        """Hear that an operator was told that what they wanted is done."""
        written = self._reasons[reason]
        if not written or (once and written > 1):
            self._violate(f"an operator was told that {reason!r} is done; it stands in the ledger {written} times")

    def follows(self, runtime: Runtime, when: str) -> None:
        """Compare a process's line-up with what is durable."""
        found = self._line_up(runtime)
        wanted = [self._wanted(state) for state in self._just_now()]
        if found not in wanted:
            self._violate(f"{when} the line-up is not what the ledger says", f"it is {found}, not {wanted[-1]}")

    def over(self) -> None:
        """Compare all when nothing happens any more."""
        super().over()
        if (runtime := self._server.runtime()) is not None:
            self.follows(runtime, "in the end")

    def _written(self, entry: Entry) -> None:
        super()._written(entry)
        body = self.stories[str(entry.run_id)].bodies[-1][1]
        if body.get("decision") != self._name:
            return
        if entry.kind in CHANGES:
            self._changed(entry.kind, body)
        elif entry.kind == "decided":
            self._decided_by(body)
        elif entry.kind == "shadowed":
            self._asked_aside(body)
        elif entry.kind == "acted":
            self._acted(body)

    def _changed(self, kind: str, body: dict[str, Any]) -> None:
        if kind == "published":
            self._fingerprints[body["release"]] = body["document"]["fingerprint"]
        if why := self.standing.wrong(kind, body):
            self._violate(f"{kind} does not go on from what was live", why)
        self._reasons[body["reason"]] += 1
        self._simulation.trace.note(kind, body["reason"])
        self._states.append((self._simulation.loop.time(), self.standing.after(kind, body)))
        if (rollout := self.standing.rollout) is not None:
            self._shadows |= {(rollout.name, shadow) for shadow in rollout.shadows}

    def _decided_by(self, body: dict[str, Any]) -> None:
        release, event, facts = body["release"], body["event"], body.get("rollout")
        choice = self._chooses[self._fingerprints[release]] if release in self._fingerprints else ""
        if body["choice"] != choice:
            self._violate(f"{release} is said to have chosen {body['choice']!r}, but chooses {choice!r}")
        part = Part(release)
        if facts is not None:
            part = Part(release, facts["name"], facts["arm"], round(facts["share"], 6))
            self._simulation.trace.note("decided by", facts["arm"])
        key = msgspec.json.encode(event[self._key]).decode()
        begun = self._begun[event["number"], choice]
        wanted = {state.part(key, each.runnable) for each in begun for state in each.states}
        if part not in wanted:
            self._violate(f"{body['decision_id']} was decided by {part}", f"when it was begun, {wanted} had it")
        if part.arm == "holdout" and release not in self._champions_of(part.rollout):
            self._violate(f"{release} decided for a holdout of {part.rollout}, but is a challenger")

    def _champions_of(self, rollout: str) -> set[str]:
        stood = [state.rollout for _, state in self._states if state.rollout is not None]
        return {each.champion for each in stood if each.name == rollout}

    def _asked_aside(self, body: dict[str, Any]) -> None:
        run, release = body["decision_id"], body["release"]
        self._simulation.trace.note("asked aside", run)
        if self.stories[run].decided is None:
            self._violate(f"{release} was asked about {run}, which is not decided")
        if (run, release) in self._shadowed:
            self._violate(f"{release} was asked twice about {run}")
        self._shadowed.add((run, release))
        if (body["rollout"], release) not in self._shadows:
            self._violate(f"{release} was asked, but is no shadow of {body['rollout']}")
        if body.get("choice") != self._chooses[self._fingerprints[release]]:
            self._violate(f"{release} is said to have answered {body.get('choice')!r}")

    def _acted(self, body: dict[str, Any]) -> None:
        run = body["decision_id"]
        effects = [effect for effect in self._device.effects.values() if effect.run == run]
        if not effects:
            self._violate(f"{run} is said to have acted, but nothing was done")

    def _just_now(self) -> list[Standing]:
        """Return what is live, and what was a moment ago."""
        since, found = self._simulation.loop.time() - _GRACE_S, list[Standing]()
        for at, state in reversed(self._states):
            found.append(state)
            if at < since:
                break
        return found[::-1]

    def _runnable(self) -> frozenset[str]:
        return frozenset(name for name, made_of in self._fingerprints.items() if made_of in self._server.here)

    def _wanted(self, state: Standing) -> object:
        rollout, runnable = state.rollout, self._runnable()
        shadows = () if rollout is None else tuple(each for each in rollout.shadows if each in runnable)
        parts = [state.part(f'"{key}"', runnable) for key in KEYS]
        return state.champion, "" if rollout is None else rollout.name, shadows, parts

    def _line_up(self, runtime: Runtime) -> object:
        lineup = runtime.lineups.of(self._name)
        parts = []
        for key in KEYS:
            by = lineup.champion if lineup.pick is None else lineup.pick(_Keyed({self._key: key}), key)
            facts = by.rollout
            parts.append(
                Part(by.release)
                if not isinstance(facts, msgspec.Struct)
                else Part(by.release, facts.name, facts.arm, round(facts.share, 6))
            )
        return lineup.champion.release, lineup.rollout, tuple(each.release for each in lineup.shadows), parts


KEYS: Final = tuple(f"customer-{number}" for number in range(6))
"""Whose events are decided."""


class _Keyed:
    """Has the fields that a key is made of."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.__dict__.update(fields)
