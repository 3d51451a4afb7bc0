"""People who are asked: quick, late, forgetful, two at once, and of two minds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from steward.access.permissions import Permission
from steward.errors import StewardError
from steward.ledger.run import Run
from steward.runtime.answers import Words
from steward.runtime.runtime import Runtime
from steward.testing.simulation.clients import insist
from steward.testing.simulation.door import OUTSIDER, Door
from steward.testing.simulation.server import Server
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

Changes = Callable[[Any], object]
"""Makes another choice from the one that is asked, both as plain data."""
_OTHER: Final = "sha256:of-something-else"
_TRIES: Final = 5
_VERBS: Final = {"approve": "approved", "reject": "rejected", "change": "changed"}


class People:
    """Answer what they are asked, each in their own way.

    Args:
        simulation: Draws their habits.
        server: Where they answer.
        watch: Tells what is asked, and hears which answers were taken.
        names: Who they are.
        changes: What they put in the place of a choice; without it they change nothing.

    Example:
        >>> from steward.testing.scenarios.small import SMALL
        >>> SMALL.people
        ('ann', 'bo')
    """

    def __init__(
        self, simulation: Simulation, server: Server, watch: Watch, names: Sequence[str], changes: Changes | None = None
    ) -> None:
        self._simulation, self._server, self._watch = simulation, server, watch
        self._names, self._changes, self._door = (*names, OUTSIDER), changes, Door(simulation)
        watch.told_of_asked = self._begin

    def _begin(self, run_id: UUID, asked: dict[str, Any]) -> None:
        for name in self._names:
            if self._simulation.chance.random() < 0.65:  # the others never look
                self._simulation.outside(self._consider(name, run_id, asked))

    async def _consider(self, name: str, run_id: UUID, asked: dict[str, Any]) -> None:
        chance, deadline = self._simulation.chance, datetime.fromisoformat(asked["gate"]["deadline"])
        left = deadline - self._simulation.machine.now()
        about_late = chance.random() < 0.2
        think = left + timedelta(seconds=chance.uniform(-1, 1)) if about_late else left * chance.random() * 0.8
        await asyncio.sleep(max(think.total_seconds(), 0.0))
        shown = self._watch.stories[str(run_id)].last("asked", "changed") or asked
        evidence = str(shown["evidence"]) if chance.random() < 0.9 else _OTHER
        verbs = [self._verb()]
        if chance.random() < 0.2:  # in two windows, or of two minds
            verbs.append(verbs[0] if chance.random() < 0.5 else self._verb())
        await asyncio.gather(*(self._answer(name, run_id, verb, shown["choice"], evidence) for verb in verbs))

    def _verb(self) -> str:
        drawn = self._simulation.chance.random()
        if self._changes is not None and drawn < 0.15:
            return "change"
        return "approve" if drawn < 0.75 else "reject"

    async def _answer(self, name: str, run_id: UUID, verb: str, choice: object, evidence: str) -> None:
        decision = self._watch.stories[str(run_id)].name
        words = Words(by=name, reason="I have looked at it", evidence=evidence)

        async def work(runtime: Runtime) -> Run:
            self._door.require(name, Permission.APPROVE, decision)
            if verb == "change" and self._changes is not None:
                return await runtime.answers.change(run_id, self._changes(choice), **words)
            return await (runtime.approve if verb == "approve" else runtime.reject)(run_id, **words)

        try:
            await insist(self._simulation, self._server, work, tries=_TRIES)
        except (StewardError, ConnectionError, TimeoutError) as error:
            self._simulation.trace.note("refused", name, verb, getattr(error, "code", type(error).__name__))
            return
        if evidence == _OTHER:
            self._simulation.violate(f"an answer to what {name} was not shown was taken")
        self._watch.answered(run_id, _VERBS[verb], name)
