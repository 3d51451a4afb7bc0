"""How an engine writes: the entries of its moves, with the ledger keys that only one writer can take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from steward.entries import Acted, Doubted, Failed, Halted, Reverting, Stepped, Undone
from steward.ledger.port import Draft
from steward.ledger.run import Run
from steward.records import ActionFacts, Receipt
from steward.workflow.moves import Fail, Finish, Halt, Perform, Remember, Settle, TurnBack, Undo
from steward.workflow.plan import Plan

Written = Remember | TurnBack | Finish | Fail | Settle | Halt
"""The moves that touch nothing but the ledger."""
_encode = msgspec.json.Encoder().encode


def draft(body: msgspec.Struct, run: Run, key: str | None) -> Draft:
    """Return an entry of a run, ready to be appended."""
    return Draft(str(body.__struct_config__.tag), run.record.decision_id, _encode(body), key)


@dataclass(frozen=True)
class Writer:
    """Writes the entries of one run, as made at one time.

    Args:
        run: The run.
        at: Now.
    """

    run: Run
    at: datetime

    def of_move(self, move: Written) -> Draft:
        """Return the entry of a move that touches nothing but the ledger."""
        if isinstance(move, Remember):
            body = Stepped(**self._told, step=move.step, position=move.position, result=move.result, attempt=0)
            return self._draft(body, self._step_key(move.position))
        if isinstance(move, Finish):
            return self.acted(move.receipt, move.attempt)
        if isinstance(move, Settle):
            told = {**self._told, "by": move.by}
            return self._draft(Undone(**told, reason=move.reason, receipt=move.receipt), self._undone_key())
        if isinstance(move, Halt):
            return self._draft(Halted(**self._told, code=move.code, question=move.question), None)
        return self.turned(move) if isinstance(move, TurnBack) else self.failed(move)

    def acted(self, receipt: Receipt, attempt: int) -> Draft:
        """Return the entry that the whole action took effect."""
        facts = self.run.record.action
        assert isinstance(facts, ActionFacts)
        body = Acted(**self._told, action=facts, choice=self.run.choice, receipt=receipt, attempt=attempt)
        return self._draft(body, self._end_key())

    def stepped(self, move: Perform, result: Receipt | None, attempt: int) -> Draft:
        """Return the entry that a step is done."""
        body = Stepped(**self._told, step=move.step.name, position=move.position, result=result, attempt=attempt)
        return self._draft(body, self._step_key(move.position))

    def doubted(self, plan: Plan, step: str, reason: str, attempt: int) -> Draft:
        """Return the entry that it is not known whether a try took effect."""
        body = Doubted(**self._told, reason=reason, attempt=attempt, step=UNSET if plan.is_single else step)
        return self._draft(body, None)

    def turned(self, move: TurnBack) -> Draft:
        """Return the entry from which on everything is taken back."""
        body = Reverting(**self._told, step=move.step, code=move.code, reason=move.reason, attempt=move.attempt)
        return self._draft(body, f"reverting:{self.run.record.decision_id}:{self.run.redriven}")

    def failed(self, move: Fail | TurnBack) -> Draft:
        """Return the entry that the action failed for good."""
        body = Failed(**self._told, stage="act", code=move.code, reason=move.reason, attempt=move.attempt)
        return self._draft(body, self._end_key())

    def undone(self, move: Undo, receipt: Receipt, reason: str) -> Draft:
        """Return the entry that a step was taken back."""
        body = Undone(**self._told, reason=reason, receipt=receipt, step=move.step.name)
        return self._draft(body, f"{self._undone_key()}:{self.run.redriven}:{move.position}")

    @property
    def _told(self) -> dict[str, Any]:
        return {"decision_id": self.run.record.decision_id, "decision": self.run.record.decision, "at": self.at}

    def _draft(self, body: msgspec.Struct, key: str | None) -> Draft:
        return draft(body, self.run, key)

    def _step_key(self, position: int) -> str:
        return f"stepped:{self.run.record.decision_id}:{self.run.redriven}:{position}"

    def _end_key(self) -> str:
        return f"acted:{self.run.record.decision_id}:{self.run.redriven}"

    def _undone_key(self) -> str:
        return f"undone:{self.run.record.decision_id}"
