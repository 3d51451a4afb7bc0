"""Relearning: what another release would have learnt from past outcomes, as it is replayed; the live state stays."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.entries import Observed
from steward.errors import StewardError
from steward.ledger.port import Ledger
from steward.ledger.run import body_of
from steward.loop.calibrate import Basis, as_recorded, basis, learn, truth_of, untaught
from steward.records import CalibrationFacts, Record

_PAGE: Final = 500


class Relearning:
    """Calibrates a replay by the outcomes that had come by then.

    Where the model is the recorded one, it calibrates as was recorded, so that a release that is replayed decides as it
    did. Another model is held against the outcomes of its own, replayed answers.

    Args:
        ledger: Holds the outcomes.
        decision: What is replayed.

    Example:
        >>> from steward.ledger.memory import MemoryLedger
        >>> from steward.testing.scenarios.small import refund
        >>> Relearning(MemoryLedger(), refund).find("sha256:ab", None).method
        'none'
    """

    def __init__(self, ledger: Ledger, decision: Decision[Any, Any, Any]) -> None:
        self._ledger, self._decision = ledger, decision
        self._trackers = untaught(decision)
        self._record: Record | None = None
        self._answers: dict[UUID, Basis] = {}
        self._next = 0

    def find(self, model: str, group: str | None) -> CalibrationFacts:
        """Return by what an answer to the record at hand is calibrated."""
        if self._record is None:
            return self._trackers.facts(model, group)
        return as_recorded(self._record, self._trackers.facts)(model, group)

    async def until(self, index: int, record: Record) -> None:
        """Learn from the outcomes before entry ``index``, which is ``record``, the next to be decided again."""
        self._record = record
        if self._decision.calibration is None:
            return
        while self._next < index and (entries := await self._ledger.read(self._next, _PAGE, kind="observed")):
            for entry in entries:
                if entry.index >= index:
                    self._next = index
                    return
                body = body_of(entry)
                if isinstance(body, Observed):
                    self._learn(body)
                self._next = entry.index + 1

    def note(self, run_id: UUID, record: Record | None) -> None:
        """Remember an answer until its outcome comes; ``None`` is none."""
        calibration = self._decision.calibration
        if calibration is None or record is None:
            return
        judged = basis(calibration, record)
        if judged is not None:
            self._answers[run_id] = judged

    def _learn(self, observed: Observed) -> None:
        judged, economics, calibration = (
            self._answers.get(observed.decision_id),
            self._decision.economics,
            self._decision.calibration,
        )
        if judged is None or economics is None or calibration is None:
            return
        contract: Contract[Any] = Contract.of(economics.outcome)
        try:
            truth = truth_of(calibration, contract.convert(observed.outcome))
            if truth is not None:
                del self._answers[observed.decision_id]
                learn(self._trackers, judged, truth)
        except StewardError as error:  # the live state learns nothing from it either
            self._trackers.unread, self._trackers.problem = self._trackers.unread + 1, str(error)
