"""Outcomes: finds the runs that an outcome belongs to and writes down what they were worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.bus.deadletters import dead_letter
from steward.clock import Clock
from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.errors import Conflict, ContractError, DeclarationError, EngineError, StewardError
from steward.insight.views import Views
from steward.ledger.port import Commit, Committed, Draft, Entry, Message, StoredMessage
from steward.ledger.run import Run
from steward.loop.observe import belongs_to, joiner, observe
from steward.runtime.journal import Journal

UNMATCHED = "steward.unmatched/"
"""Topics of outcomes that came before their decision, one for each decision."""


class _Place(Struct):
    """What of a decided entry tells which outcomes it waits for."""

    decision: str
    outcome_key: str = ""


_read_place = msgspec.json.Decoder(_Place).decode


class Outcomes:
    """Joins outcomes to runs. One that belongs to no run yet is kept on the bus until its decision comes."""

    def __init__(
        self, decisions: Mapping[str, Decision[Any, Any, Any]], journal: Journal, views: Views, clock: Clock
    ) -> None:
        self._decisions, self._journal, self._views, self._clock = decisions, journal, views, clock
        self._parked: dict[tuple[str, str], list[Message]] = {}
        self._due: dict[tuple[str, str], None] = {}
        journal.listen(self._take_note)

    async def observe(
        self, decision: Decision[Any, Any, Any], data: bytes | object, *, outcome_id: str, run_id: UUID | None = None
    ) -> list[UUID]:
        """Join one outcome; return its runs.

        Raises:
            DeclarationError: The decision expects no outcome.
            ContractError: The outcome does not fit.
        """
        for _ in range(3):
            commit, joined = await self.entries(decision, data, outcome_id=outcome_id, run_id=run_id)
            try:
                if commit.entries or commit.messages:
                    await self._journal.append(commit)
            except Conflict:
                continue  # the same outcome came through another door at this moment
            return joined
        raise Conflict(f"outcome {outcome_id!r} is being joined by somebody else", fix="try again")

    async def entries(
        self,
        decision: Decision[Any, Any, Any],
        data: bytes | object,
        *,
        outcome_id: str,
        run_id: UUID | None = None,
        version: int | None = None,
        before: Sequence[Draft] = (),
    ) -> tuple[Commit, list[UUID]]:
        """Return what joining an outcome writes after ``before``, and the runs it is joined to."""
        outcome, key = self._read(decision, data, version)
        await self._views.catch_up(self._journal.ledger)
        at = self._clock.now()
        found: Sequence[UUID] = [run_id] if run_id is not None else self._find(decision, key, at)
        drafts: list[Draft] = []
        for run in [await self._run(decision, id, before) for id in found]:
            drafts += observe(decision, run, outcome, outcome_id=outcome_id, at=at)
        messages = () if found else (self._park(decision, outcome, key, outcome_id),)
        return Commit(entries=drafts, messages=messages), list(found)

    def _find(self, decision: Decision[Any, Any, Any], key: str, at: datetime) -> Sequence[UUID]:
        assert decision.economics is not None
        return belongs_to(self._views.find(decision.name, key), decision.economics.within, at)

    async def open(self) -> None:
        """Remember the outcomes that still wait for their decision."""
        for topic in await self._journal.ledger.topics():
            if topic.startswith(UNMATCHED) and topic.removeprefix(UNMATCHED) in self._decisions:
                await self._remember(topic)

    async def step(self) -> int:
        """Join the outcomes whose decision has come since; return how many."""
        if not self._due:
            return 0
        await self._views.catch_up(self._journal.ledger)
        joined = 0
        for place in list(self._due):
            if self._views.find(*place):
                for message in list(self._parked.get(place, ())):
                    await self._join(self._decisions[place[0]], message)
                    joined += 1
                self._parked.pop(place, None)
            del self._due[place]
        return joined

    async def _join(self, decision: Decision[Any, Any, Any], message: Message) -> None:
        try:
            await self.observe(decision, message.data, outcome_id=message.id)
        except EngineError:
            raise
        except StewardError as error:
            letter = dead_letter(StoredMessage(0, message), error, consumer=message.topic, at=self._clock.now())
            # Named by the outcome, as it is tried again after each start, and kept once.
            letter = msgspec.structs.replace(letter, id=message.id)
            await self._journal.append(Commit(messages=(letter,)))

    def _take_note(self, committed: Committed, drafts: Sequence[Draft]) -> None:
        """See whether decisions came that outcomes wait for."""
        if not self._parked:
            return
        for draft in drafts:
            if draft.kind == "decided":
                made = _read_place(draft.body)
                if (made.decision, made.outcome_key) in self._parked:
                    self._due[(made.decision, made.outcome_key)] = None

    async def _remember(self, topic: str) -> None:
        name, start = topic.removeprefix(UNMATCHED), 0
        while messages := await self._journal.ledger.messages(topic, start):
            for stored in messages:
                self._wait(name, stored.message)
            start = messages[-1].offset + 1

    def _wait(self, name: str, message: Message) -> None:
        place = (name, message.key)
        waiting = self._parked.setdefault(place, [])
        if all(other.id != message.id for other in waiting):
            waiting.append(message)
        # Its decision may have come at this very moment, or just before a crash.
        self._due[place] = None

    def _read(self, decision: Decision[Any, Any, Any], data: object, version: int | None) -> tuple[Any, str]:
        economics, join = decision.economics, joiner(decision)
        if economics is None or join is None:
            raise DeclarationError(
                f"{decision.name!r} expects no outcome", fix="declare economics=...", code="no-outcome"
            )
        contract: Contract[Any] = Contract.of(economics.outcome)
        if isinstance(data, bytes):
            outcome = contract.decode(data, version=version)
        else:
            outcome = data if isinstance(data, contract.schema) else contract.convert(data)
        return outcome, join(outcome)

    async def _run(self, decision: Decision[Any, Any, Any], run_id: UUID, before: Sequence[Draft]) -> Run:
        written = await self._journal.ledger.of_run(run_id)
        coming = [Entry(-1, draft.kind, run_id, draft.body) for draft in before if draft.run_id == run_id]
        run = Run.of([*written, *coming], run_id)
        if run.record.decision != decision.name:
            raise ContractError(f"{run_id} is a run of {run.record.decision!r}, not of {decision.name!r}")
        return run

    def _park(self, decision: Decision[Any, Any, Any], outcome: Any, key: str, outcome_id: str) -> Message:
        assert decision.economics is not None
        contract: Contract[Any] = Contract.of(decision.economics.outcome)
        now = self._clock.now()
        message = Message(
            topic=UNMATCHED + decision.name,
            key=key,
            source="outcomes",
            id=outcome_id,
            data=contract.encode(outcome),
            version=contract.version,
            event_time=now,
            known_at=now,
        )
        self._wait(decision.name, message)
        return message
