"""Any plan, any failures, any deaths: each effect once, taken back in reverse, and every run ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.workflow.stories import make, switching

from steward import Action, Call, Check, Signal, Status, Steps, Wait
from steward.errors import Conflict, ContractError, EngineError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Committed, Entry
from steward.ledger.run import Run
from steward.testing.conformance.site import MINUTE, Plant, Site

ENDED = {Status.ACTED, Status.FAILED, Status.UNDONE}


class Died(BaseException):
    """The process is gone, wherever it was."""


class MortalLedger(MemoryLedger):
    """A ledger whose process dies around some of its appends."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths: dict[int, str] = {}
        self.appends = 0

    async def append(self, commit: Commit) -> Committed:
        self.appends += 1
        death = self.deaths.pop(self.appends, None)
        if death == "before":
            raise Died
        committed = await super().append(commit)
        if death == "after":
            raise Died
        return committed


class Device(Plant):
    """A plant that counts how often an effect came to be, in which order they came and went, and that can die."""

    def __init__(self, *, acts_anyway: bool = False) -> None:
        super().__init__(acts_anyway=acts_anyway)
        self.applied: Counter[str] = Counter()
        self.order: list[str] = []
        self.deaths: set[int] = set()
        self.met = 0

    def _acted(self, key: str, name: str) -> None:
        if key not in self.effects:
            self.applied[key] += 1
            self.order.append(f"+{name}")
        super()._acted(key, name)

    def _undone(self, key: str, name: str) -> None:
        if key in self.effects:
            self.order.append(f"-{name}")
        super()._undone(key, name)

    def _meet(self, verb: str, name: str) -> None:
        self.met += 1
        if self.met in self.deaths:
            raise Died
        super()._meet(verb, name)


async def survive(site: Site, action: Action[str] | Steps[str], doing: Any) -> Any:
    """Do something; begin again as often as the process dies of it."""
    try:
        return await doing()
    except Died:
        pass
    while True:
        try:
            await site.open(action)
            await site.later()
        except Died:
            continue
        return None


async def play(site: Site, action: Any, verbs: Sequence[str]) -> UUID:
    await site.open(action)
    run_id = await begin(site, action)
    for verb in verbs:
        await survive(site, action, partial(step, site, action, run_id, verb))
    return run_id


async def begin(site: Site, action: Any) -> UUID:
    """Decide once; what died before it was durable was not acknowledged, and is asked for again."""
    while not (entries := await site.ledger.read(0, 1)):
        await survive(site, action, site.begin)
    return entries[0].run_id


async def step(site: Site, action: Any, run_id: UUID, verb: str) -> None:
    try:
        if verb == "crash":
            await site.open(action)
            await site.later()
        elif verb == "abort":
            await site.abort(run_id)
        elif verb == "signal":
            await site.signal(run_id, "clear")
        elif verb == "redrive":
            await site.redrive(run_id)
        else:
            await site.later(MINUTE * int(verb))
    except (Conflict, ContractError) as refused:
        assert refused.code in {"not-under-way", "undo-in-flight", "not-failed", "contract", "conflict"}  # noqa: PT017


async def come_to_an_end(site: Site, plant: Plant, action: Any, run_id: UUID) -> Run:
    plant.fails.clear()
    for _ in range(30):
        await survive(site, action, partial(site.later, timedelta(hours=1)))
        run = await site.run(run_id)
        if run.halted is not None:
            await survive(site, action, partial(site.redrive, run_id))
        elif run.status in ENDED and not run.needs_action:
            return run
    raise AssertionError(f"it never ends: {await site.kinds(run_id)}")


ERRORS = st.sampled_from([ConnectionError("lost"), TimeoutError(), EngineError("down", retryable=True)])
REFUSALS = st.just(ContractError("no such breaker"))


@st.composite
def plans(draw: st.DrawFn) -> list[tuple[str, bool, bool]]:
    """Kinds of steps, and of actions whether they can be taken back and read back."""
    kinds = draw(st.lists(st.sampled_from(["action", "action", "wait", "signal", "check"]), min_size=1, max_size=6))
    if "signal" in kinds:
        first = kinds.index("signal")
        kinds = [kind for place, kind in enumerate(kinds) if kind != "signal" or place == first]
    if "action" not in kinds:
        kinds.append("action")
    return [(kind, draw(st.booleans()), draw(st.booleans())) for kind in kinds]


def built(plant: Plant, kinds: list[tuple[str, bool, bool]], unsafe: list[bool]) -> Steps[str]:
    def look(choice: str, call: Call) -> str | None:
        return "not safe" if unsafe and unsafe.pop(0) else None

    def of(place: int, kind: str, undo: bool, verify: bool) -> Any:
        if kind == "action":
            return plant.action(f"a{place}", undo=undo, verify=verify)
        if kind == "wait":
            return Wait(MINUTE, name=f"w{place}")
        if kind == "signal":
            return Signal(name="clear", within=5 * MINUTE)
        return Check(type(f"c{place}", (), {"__call__": staticmethod(look), "__name__": f"c{place}"})())

    return Steps(*(of(place, *each) for place, each in enumerate(kinds)), name="any")


VERBS = st.lists(st.sampled_from(["crash", "abort", "signal", "redrive", "1", "2", "10"]), max_size=8)


@settings(max_examples=250, deadline=None)
@given(
    kinds=plans(),
    verbs=VERBS,
    unsafe=st.lists(st.booleans(), max_size=2),
    acts_anyway=st.booleans(),
    fails=st.dictionaries(
        st.tuples(st.sampled_from(["do", "undo", "verify"]), st.integers(0, 5)),
        st.lists(ERRORS, max_size=4),
        max_size=4,
    ),
    refusals=st.lists(st.integers(0, 5), max_size=1),
    dies_in_ledger=st.dictionaries(st.integers(2, 14), st.sampled_from(["before", "after"]), max_size=3),
    dies_in_call=st.sets(st.integers(1, 12), max_size=3),
)
def test_each_effect_once_and_every_run_ends(
    kinds: list[tuple[str, bool, bool]],
    verbs: list[str],
    unsafe: list[bool],
    acts_anyway: bool,
    fails: dict[tuple[str, int], list[Exception]],
    refusals: list[int],
    dies_in_ledger: dict[int, str],
    dies_in_call: set[int],
) -> None:
    async def main() -> None:
        ledger, plant = MortalLedger(), Device(acts_anyway=acts_anyway)
        plant.fails = {f"{verb} a{place}": list(errors) for (verb, place), errors in fails.items()}
        if not acts_anyway:
            plant.fails |= {f"do a{place}": [ContractError("no such breaker")] for place in refusals}
        ledger.deaths, plant.deaths = dict(dies_in_ledger), set(dies_in_call)
        site = Site(ledger, make)
        action = built(plant, kinds, list(unsafe))
        run_id = await play(site, action, verbs)
        run = await come_to_an_end(site, plant, action, run_id)
        holds(run, plant, kinds, list(await ledger.of_run(run_id)))

    asyncio.run(main())


def holds(run: Run, plant: Device, kinds: list[tuple[str, bool, bool]], entries: list[Entry]) -> None:
    """Say what must be true of a run that has ended."""
    names = [f"a{place}" for place, (kind, _, _) in enumerate(kinds) if kind == "action"]
    revocable = {f"a{place}" for place, (kind, undo, _) in enumerate(kinds) if kind == "action" and undo}
    stand = sorted(plant.effects.values())
    told = ([entry.kind for entry in entries], plant.calls)
    assert all(count <= 1 for count in plant.applied.values()), told
    if run.status is Status.ACTED:
        assert stand == sorted(names), told
    else:
        assert not revocable & set(stand), told
        done = {step.step for step in run.stepped}
        in_doubt = {name for name in stand if name not in done}
        assert len(in_doubt) <= 1, told  # what could be neither read back nor taken back
    came: list[str] = []
    for change in plant.order:
        if change.startswith("+"):
            came.append(change[1:])
        else:
            assert [name for name in came if name in revocable][-1] == change[1:], (plant.order, told)
            came.remove(change[1:])


@pytest.mark.parametrize("where", ["before", "after", "call"])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_kill_anywhere_changes_nothing(where: str, fails: bool) -> None:
    """One switching, killed at every point in turn: the same effects as without."""

    async def run(death: int) -> tuple[Status, list[str], int]:
        ledger, plant = MortalLedger(), Device()
        if death and where == "call":
            plant.deaths = {death}
        elif death:
            ledger.deaths = {death: where}
        site, steps = Site(ledger, make), switching(plant)
        await site.open(steps)
        run_id = await begin(site, steps)
        await survive(site, steps, partial(site.later, 2 * MINUTE))
        while not fails and "crew-clear" not in (await site.run(run_id)).signals:
            await survive(site, steps, partial(site.signal, run_id, "crew-clear"))
        ended = await come_to_an_end(site, plant, steps, run_id)
        assert all(count <= 1 for count in plant.applied.values())
        return ended.status, sorted(plant.effects.values()), max(ledger.appends, plant.met)

    status, effects, points = await run(0)
    assert status is (Status.FAILED if fails else Status.ACTED)
    assert effects == (["tell_crew"] if fails else ["close_breaker", "open_breaker", "tell_crew"])
    for death in range(1, points + 1):
        assert (await run(death))[:2] == (status, effects), (where, death)
