"""Calibrations: what outcomes have taught of each decision's answers, as a fold of the ledger that a start can repeat.

Of each run the first outcome that says the truth counts, in the order of the ledger; when it came does not matter, so
neither does whether it was late. A later one restates what the decision was worth, and teaches nothing: the answer was
judged already. So nothing has to be remembered to count each run once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.decision.fingerprint import digest, plain
from steward.entries import Observed
from steward.errors import EngineError, StewardError
from steward.ledger.port import Entry, Ledger
from steward.ledger.run import body_of
from steward.loop.calibrate import Find, basis, learn, truth_of, untaught
from steward.models.calibration.conformal import ModelTrackers, Tracker, Trackers
from steward.records import Record
from steward.runtime.snapshot import write_whole
from steward.wire import UNREADABLE

_VERSION: Final = 1
_PAGE: Final = 500


class Kept(Struct):
    """One decision's state after the first ``position`` entries; ``head`` is the hash of the last of these.

    What comes after an outcome and is none is not counted: the state is one and the same however far was looked.

    Example:
        >>> Kept(Trackers(level=0.9, most_groups=1000)).position
        0
    """

    trackers: Trackers
    position: int = 0
    head: bytes = b""


class CalibrationRow(Struct, frozen=True, kw_only=True):
    """How one tracker stands: of a decision, a model and, where there is one, a group.

    Example:
        >>> CalibrationRow(decision="pay.release", model="sha256:ab", group=None, tracker=Tracker(0.9)).tracker.method
        'none'
    """

    decision: str
    model: str
    group: str | None
    tracker: Tracker


class Calibrations:
    """Learns from the outcomes in the ledger, and says by what the next answers are calibrated.

    Its state depends on nothing but the ledger's entries and the declaration: a declaration that is changed (another
    level, another truth) reads the ledger again from its beginning, so that also the first answers of a calibration
    that is declared late are made from all that is known.

    Args:
        path: Where the state is kept between two starts; ``None`` keeps none.

    Example:
        >>> Calibrations(None).rows("pay.release"), Calibrations(None).problems()
        ([], [])
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._ledger: Ledger | None = None
        self._decisions: dict[str, Decision[Any, Any, Any]] = {}
        self._kept: dict[str, Kept] = {}
        self._looked = 0

    def find(self, decision: Decision[Any, Any, Any]) -> Find:
        """Return what tells by what the answers of a decision are calibrated, from now on."""
        if decision.calibration is None:
            return untaught(decision).facts
        name = _key(decision)
        if name not in self._kept:
            self._decisions[name] = decision
            self._kept[name] = Kept(untaught(decision))
            self._looked = 0
        return lambda model, group: self._kept[name].trackers.facts(model, group)  # noqa: PLW0108 - it is restored later

    def rows(self, decision: str) -> list[CalibrationRow]:
        """Return every tracker of a decision, the model that learnt last first."""
        return [
            CalibrationRow(decision=decision, model=model, group=group, tracker=tracker)
            for key, kept in self._kept.items()
            if self._decisions[key].name == decision
            for model, trackers in reversed(kept.trackers.models.items())
            for group, tracker in _trackers(trackers)
        ]

    def problems(self) -> list[str]:
        """Return what kept outcomes from being read, by decision."""
        held = [(self._decisions[key].name, kept.trackers) for key, kept in self._kept.items()]
        return [f"{name}: {each.unread} outcomes taught nothing: {each.problem}" for name, each in held if each.unread]

    async def open(self, ledger: Ledger) -> int:
        """Bring the state to the end of a ledger; return how many outcomes that took."""
        self._ledger = ledger
        for key, kept in self._load().items():
            if key in self._kept and await _is_of(ledger, kept):
                self._kept[key] = kept
        taken = 0
        while done := await self.step():
            taken += done
        return taken

    async def step(self) -> int:
        """Take in some of what is new; return how many outcomes were looked at."""
        ledger = self._ledger
        if ledger is None or not self._kept:
            return 0
        # Before what was looked at there is nothing new, though the state only knows of its last outcome.
        start = max(self._looked, min(kept.position for kept in self._kept.values()))
        size = await ledger.size()
        if start >= size:
            return 0
        entries = await ledger.read(start, _PAGE, kind="observed")
        for entry in entries:
            self._take(entry, await ledger.of_run(entry.run_id))
        # Entries may have been added since the size was taken, but none below it.
        self._looked = entries[-1].index + 1 if entries else size
        return len(entries)

    async def save(self) -> None:
        """Keep the state, so that a start need not read the ledger again.

        Raises:
            EngineError: It cannot be written; without it a start only takes longer.
        """
        if self._path is None or not self._kept:
            return
        data = msgspec.msgpack.encode((_VERSION, self._kept))
        try:
            await asyncio.to_thread(write_whole, self._path, data)
        except OSError as error:
            raise EngineError(
                f"what was learnt from outcomes could not be kept in {self._path}",
                why=str(error),
                fix="make room; until then a start reads the outcomes again",
                retryable=True,
                code="engine.snapshot",
            ) from error

    def _take(self, entry: Entry, written: Sequence[Entry]) -> None:
        """Take in an outcome; in one go, so that no snapshot holds it without its position."""
        run = [each for each in written if each.index <= entry.index]
        name, head = body_of(entry).decision, hashlib.sha256(entry.body).digest()
        for key, kept in self._kept.items():
            if kept.position > entry.index:
                continue
            kept.position, kept.head = entry.index + 1, head
            if self._decisions[key].name != name:
                continue
            try:
                _learn(kept.trackers, self._decisions[key], run)
            except (StewardError, *UNREADABLE) as error:
                kept.trackers.unread, kept.trackers.problem = kept.trackers.unread + 1, str(error)

    def _load(self) -> dict[str, Kept]:
        """Return what was kept; a shortcut, so what cannot be used is left aside."""
        if self._path is None or not self._path.exists():
            return {}
        try:
            version, kept = msgspec.msgpack.decode(self._path.read_bytes(), type=tuple[int, dict[str, Kept]])
        except (OSError, *UNREADABLE):
            return {}
        return kept if version == _VERSION else {}


async def _is_of(ledger: Ledger, kept: Kept) -> bool:
    """Whether a state was made from entries that still are in the ledger, which may have been set back."""
    last = await ledger.read(kept.position - 1, 1) if kept.position else ()
    return bool(last) and hashlib.sha256(last[0].body).digest() == kept.head


def _learn(trackers: Trackers, decision: Decision[Any, Any, Any], run: Sequence[Entry]) -> None:
    """Learn from the last entry of a run, an outcome, if it is the first of them that says the truth."""
    calibration, economics = decision.calibration, decision.economics
    assert calibration is not None
    assert economics is not None
    record, *later = map(body_of, run)
    contract: Contract[Any] = Contract.of(economics.outcome)
    told = [body for body in later if isinstance(body, Observed)]
    truths = (truth_of(calibration, contract.convert(body.outcome)) for body in told[:-1])
    if not isinstance(record, Record) or any(truth is not None for truth in truths):
        return
    truth, judged = truth_of(calibration, contract.convert(told[-1].outcome)), basis(calibration, record)
    if truth is not None and judged is not None:
        learn(trackers, judged, truth)


def _trackers(kept: ModelTrackers) -> list[tuple[str | None, Tracker]]:
    return [(None, kept.all), *sorted(kept.groups.items())]


def _key(decision: Decision[Any, Any, Any]) -> str:
    """Return what names a state: the decision, and how it is to be calibrated."""
    return f"{decision.name} {digest(plain(decision.calibration))}"
