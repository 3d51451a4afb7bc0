"""Shadows: what other releases would have chosen, found out after the answers are out, and only where there is room.

A shadow has no effect: it is no gate, no action and no answer, only an entry in the run that it was asked about. It
sees what was recorded, so it is asked the same question in the same bits. What it costs is bounded three times: its
questions wait in a queue that drops what does not fit, none is asked while the house is nearly full, and all together
have a share of the time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET

from steward.clock import Clock
from steward.decision.feature import Features
from steward.entries import Shadowed
from steward.errors import StewardError
from steward.ledger.port import Commit, Committed, Draft
from steward.loop.choose import expected_value
from steward.loop.encode import draft
from steward.loop.prepare import Prepared
from steward.records import Record
from steward.runtime.admission import Admission
from steward.runtime.journal import Journal
from steward.runtime.lineups import Lineups

MOST_WAITING: Final = 2_000
"""Decisions that wait for their shadows; a second of a busy process."""
AT_ONCE: Final = 16
"""Decisions that are looked at before others have their turn again: some hundred microseconds."""
SHARE: Final = 0.05
"""The share of one core that shadows may take, on average."""
_REST: Final = timedelta(milliseconds=20)
_MOST_OWED_S: Final = 0.002
"""How much time they may take ahead of their share."""
_PREFIX: Final = 200
_decode = msgspec.json.Decoder(Record).decode


class ShadowFacts(NamedTuple):
    """What metrics tell.

    Attributes:
        asked: How many times a shadow was asked.
        failed: How many times it could not choose.
        dropped: How many decisions no shadow was asked about, for want of room.

    Example:
        >>> ShadowFacts(10, 1, 0).failed
        1
    """

    asked: int
    failed: int
    dropped: int


class _Waiting(NamedTuple):
    name: str
    run_id: UUID
    body: bytes


class Shadows:
    """Asks the shadows of each line-up about what was decided.

    Args:
        journal: Tells what was decided, and takes what shadows say.
        lineups: Who the shadows are.
        clock: Time.
        admission: How full the house is.

    Attributes:
        share: The share of one core that they may take; 0 is none, infinity is all they like.
    """

    def __init__(self, journal: Journal, lineups: Lineups, clock: Clock, admission: Admission) -> None:
        self._journal, self._lineups, self._clock, self._admission = journal, lineups, clock, admission
        self._waiting: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        self._asked = self._failed = self._dropped = 0
        self.share = SHARE
        self._owed_s = self._paid_at_s = 0.0
        journal.listen(self._hear)

    def facts(self) -> ShadowFacts:
        """Return what metrics tell."""
        return ShadowFacts(self._asked, self._failed, self._dropped)

    async def step(self) -> int:
        """Ask about what waits, at most :data:`AT_ONCE` decisions; return how many that was."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE))]
        drafts: list[Draft] = []
        for each in batch:
            record = _decode(each.body)
            for shadow in self._lineups.of(each.name).shadows:
                drafts.append(await self._ask(shadow, record, self._lineups.of(each.name).rollout))
        if drafts:
            await self._journal.append(Commit(entries=drafts))
        return len(batch)

    async def run(self) -> None:
        """Ask as decisions come, until cancelled."""
        while True:
            await self._news.wait()
            await self._clock.sleep_until(self._clock.now() + _REST)  # one commit for many
            try:
                while await self._work():
                    pass
            except StewardError:
                self._dropped += len(self._waiting)  # it cannot be written, or was by somebody else
                self._waiting.clear()
            if not self._waiting:
                self._news.clear()

    async def _work(self) -> bool:
        """Ask about a few, if the share of time allows it; tell whether there may be more to do at once."""
        now = asyncio.get_running_loop().time()
        self._owed_s = max(0.0, self._owed_s - (now - self._paid_at_s) * self.share)
        self._paid_at_s = now
        if not self._waiting or self._owed_s > _MOST_OWED_S or self._admission.is_nearly_full:
            return False
        await self.step()
        self._owed_s += asyncio.get_running_loop().time() - now
        await asyncio.sleep(0)  # others first
        return True

    def _hear(self, committed: Committed, drafts: Sequence[Draft]) -> None:
        shadowed = self._lineups.shadowed
        if not shadowed:
            return
        for each in drafts:
            if each.kind != "decided":
                continue
            name = next((name for name, mark in shadowed.items() if mark in each.body[:_PREFIX]), None)
            if name is None:
                continue
            if len(self._waiting) >= MOST_WAITING or self._admission.is_nearly_full:
                self._dropped += 1
                continue
            self._waiting.append(_Waiting(name, each.run_id, each.body))
            self._news.set()

    async def _ask(self, shadow: Prepared, record: Record, rollout: str) -> Draft:
        started = asyncio.get_running_loop().time()
        self._asked += 1
        try:
            features = self._features(shadow, record)
            [prediction] = await shadow.predict([features])
            if isinstance(prediction, Exception):
                raise prediction
            choice = shadow.choose(features, prediction)
            worth = expected_value(shadow.decision, features, prediction, choice.value)
            return self._entry(shadow, record, rollout, started, choice=choice.value, expected_value=worth or UNSET)
        except Exception as error:  # what a shadow cannot do is what one wants to know of it
            self._failed += 1
            return self._entry(shadow, record, rollout, started, error=f"{type(error).__name__}: {error}"[:500])

    def _entry(self, shadow: Prepared, record: Record, rollout: str, started: float, **said: Any) -> Draft:
        took_us = round((asyncio.get_running_loop().time() - started) * 1e6)
        body = Shadowed(
            decision_id=record.decision_id,
            decision=record.decision,
            at=self._clock.now(),
            release=shadow.release,
            rollout=rollout,
            took_us=max(took_us, 0),
            **said,
        )
        return draft(body, f"shadowed:{record.decision_id}:{shadow.release}")

    def _features(self, shadow: Prepared, record: Record) -> Features:
        """Return what was recorded; only what the shadow knows besides is computed now."""
        stored = Features(record.features)
        if stored.keys() >= {feature.name for feature in shadow.decision.features}:
            return stored
        event = shadow.contract.convert(record.event, version=record.provenance.contract_version)
        return Features({**shadow.featurize(event, record.provenance.event_time or record.decided_at), **stored})
