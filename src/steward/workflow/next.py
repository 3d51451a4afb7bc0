"""What a run waits for, as people see it: its next move without what only an engine needs to know."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from msgspec import UNSET, Struct, UnsetType

from steward.ledger.run import Run
from steward.workflow.moves import AwaitSignal, Halt, Perform, Undo, WaitUntil, awaited, next_move
from steward.workflow.plan import Plan


class Next(Struct, frozen=True, kw_only=True):
    """What lets a run go on.

    Attributes:
        waits_for: ``signal``: somebody or something must send it. ``time``: it goes on by itself. ``try``: an action,
            a check or an undo is tried, now or again. ``operator``: it stands still until somebody decides.
        name: Of the signal, or of the step; of what an operator must decide, the stable code.
        until: Of a signal, when it comes too late; of a time, when it is over; of a try, when it may not begin any
            more. Not set where there is no such moment.

    Example:
        >>> Next(waits_for="signal", name="crew-clear", until=datetime(2026, 1, 1)).name
        'crew-clear'
    """

    waits_for: Literal["signal", "time", "try", "operator"]
    name: str
    until: datetime | UnsetType = UNSET

    @classmethod
    def of(cls, plan: Plan | None, run: Run, now: datetime, *, is_stopped: bool = False) -> Self | None:
        """Return what a run waits for; ``None`` if it is at its end, waits for an answer, or goes on in this moment.

        Args:
            plan: The plan that the run goes on with; ``None`` if its code is gone.
            run: What its entries say.
            now: The time.
            is_stopped: Whether nothing of its decision is dispatched.
        """
        if run.halted is not None:
            return cls(waits_for="operator", name=run.halted.code)
        match next_move(plan, run, now):
            case Halt() as move:
                following = cls(waits_for="operator", name=move.code)
            case AwaitSignal() as move:
                following = cls(waits_for="signal", name=move.signal, until=move.until)
            case Perform() | Undo() if is_stopped:
                following = cls(waits_for="operator", name="stopped")
            case Perform() as move:
                following = cls(waits_for="try", name=move.step.name, until=move.deadline or UNSET)
            case Undo() as move:
                following = cls(waits_for="try", name=f"{move.step.name}/undo")
            case WaitUntil() as move if plan is not None and (place := awaited(plan, run)) is not None:
                following = cls(waits_for="time", name=place[1].name, until=move.when)
            case _:
                return None
        return following
