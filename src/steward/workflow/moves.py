"""The next move of a run: a pure function of its plan, its entries and the time.

No engine decides what comes next: it performs the move, appends what came of it, and asks again. So a run can be
killed between any two moves and go on elsewhere, and recorded histories can be replayed against this function for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from steward.decision.action import Action, Call
from steward.decision.feature import Features
from steward.decision.steps import Check, Signal, Wait
from steward.ledger.run import Run
from steward.records import ActionFacts, Receipt
from steward.workflow.plan import Plan, Step


@dataclass(frozen=True)
class Perform:
    """Do an action or a check; ``key`` is its idempotency key, and it may not begin after ``deadline``.

    Example:
        >>> Perform(Action(do=print), 0, "pay.release/1", None).position
        0
    """

    step: Action[Any] | Check[Any]
    position: int
    key: str
    deadline: datetime | None


@dataclass(frozen=True)
class Remember:
    """A wait is over, or a signal is there: write down its ``result``.

    Example:
        >>> Remember("crew-clear", 1, {"clear": True}).result
        {'clear': True}
    """

    step: str
    position: int
    result: object


@dataclass(frozen=True)
class WaitUntil:
    """Nothing to do before ``when``.

    Example:
        >>> WaitUntil(datetime(2026, 1, 1)).when.year
        2026
    """

    when: datetime


@dataclass(frozen=True)
class AwaitSignal:
    """Nothing to do before the signal comes; without it until ``until``, the run fails.

    Example:
        >>> AwaitSignal("crew-clear", datetime(2026, 1, 1)).signal
        'crew-clear'
    """

    signal: str
    until: datetime


@dataclass(frozen=True)
class TurnBack:
    """A step failed for good: what was done is to be taken back, or, with nothing to take back, the run ends.

    Example:
        >>> TurnBack("crew-clear", "signal-timeout", "nobody said so within 0:30:00").code
        'signal-timeout'
    """

    step: str
    code: str
    reason: str
    attempt: int = 1


@dataclass(frozen=True)
class Undo:
    """Take back what was done under ``key``; ``is_doubtful`` if it is not known whether it took effect.

    Example:
        >>> Undo(Action(do=print), 0, "pay.release/1", is_doubtful=False).key
        'pay.release/1'
    """

    step: Action[Any]
    position: int
    key: str
    is_doubtful: bool


@dataclass(frozen=True)
class Finish:
    """Every step is done; ``receipt`` is the last action's.

    Example:
        >>> Finish(Receipt(reference="r1"), 2).attempt
        2
    """

    receipt: Receipt
    attempt: int


@dataclass(frozen=True)
class Fail:
    """Everything that can be is taken back: the run ends as failed.

    Example:
        >>> Fail("action-timeout", "no answer within 30 s", 5).attempt
        5
    """

    code: str
    reason: str
    attempt: int


@dataclass(frozen=True)
class Settle:
    """Everything that can be is taken back, as a person wanted: the run ends as undone.

    Example:
        >>> Settle("ana", "storm warning", Receipt(reference="r2")).by
        'ana'
    """

    by: str
    reason: str
    receipt: Receipt


@dataclass(frozen=True)
class Halt:
    """The run stands still until an operator answers.

    Example:
        >>> Halt("code-gone", "Go on with today's code?").code
        'code-gone'
    """

    code: str
    question: str


@dataclass(frozen=True)
class Rest:
    """There is nothing left to do, or it is a person's turn.

    Example:
        >>> Rest()
        Rest()
    """


Move = Perform | Remember | WaitUntil | AwaitSignal | TurnBack | Undo | Finish | Fail | Settle | Halt | Rest
"""What can come next."""


def next_move(plan: Plan | None, run: Run, now: datetime) -> Move:
    """Return what a run does next.

    Args:
        plan: The plan with the code that the run is pinned to; ``None`` if that code is gone.
        run: What its entries say.
        now: The time.
    """
    if not run.needs_action:
        return Rest()
    is_untouched = not run.stepped and run.doubted is None and run.receipt is None
    if run.aborted is not None and is_untouched and run.reverting is None:
        return _settle(run)
    if plan is None:
        return _code_gone(run)
    if run.aborted is not None or run.reverting is not None:
        return next(_taken_back(plan, run), None) or _turned(run)
    return _forward(plan, run, now)


def awaited(plan: Plan, run: Run) -> tuple[int, Step] | None:
    """Return the first step that is not done, with its position; ``None`` if all are."""
    done = {step.step for step in run.stepped}
    if plan.is_single and run.receipt is not None:
        return None
    return next(((place, step) for place, step in enumerate(plan.steps) if step.name not in done), None)


def is_revocable(plan: Plan, run: Run) -> bool:
    """Tell whether there is anything that can be taken back."""
    return next(_taken_back(plan, run), None) is not None


def call_of(plan: Plan, run: Run, key: str, **details: Any) -> Call:
    """Return what a step's function is told besides the choice."""
    return Call(
        decision_id=run.record.decision_id,
        decision=run.record.decision,
        key=key,
        features=Features(run.record.features),
        decided_at=run.record.decided_at,
        results=plan.results(run) if run.stepped else {},
        trace_id=run.record.provenance.trace_id or None,
        **details,
    )


def _forward(plan: Plan, run: Run, now: datetime) -> Move:
    following = awaited(plan, run)
    if following is None:
        return _finish(plan, run)
    position, step = following
    if isinstance(step, Wait):
        return _wait(plan, run, step, position, now)
    if isinstance(step, Signal):
        return _listen(run, step, position, now)
    within = [step.within if isinstance(step, Action) else None, None if run.stepped else plan.within]
    deadline = min((run.since + each for each in within if each is not None), default=None)
    key = plan.key(run, step) if isinstance(step, Action) else ""
    return Perform(step, position, key, deadline)


def _wait(plan: Plan, run: Run, step: Wait[Any], position: int, now: datetime) -> Move:
    if callable(step.until):
        try:
            until = step.until(plan.read_choice(run.choice), call_of(plan, run, ""))
            is_over = now >= until
        except Exception as error:
            return TurnBack(step.name, "wait-failed", f"it could not tell until when: {type(error).__name__}: {error}")
    else:
        until = run.since + step.until
        is_over = now >= until
    return Remember(step.name, position, None) if is_over else WaitUntil(until)


def _listen(run: Run, step: Signal, position: int, now: datetime) -> Move:
    until, heard = run.since + step.within, run.signals.get(step.name)
    if heard is not None and heard.at <= until:
        return Remember(step.name, position, heard.payload)
    if now >= until and step.otherwise is not None:
        return Remember(step.name, position, step.otherwise)
    if now >= until:
        return TurnBack(step.name, "signal-timeout", f"{step.name!r} did not come within {step.within}")
    return AwaitSignal(step.name, until)


def _finish(plan: Plan, run: Run) -> Finish:
    actions = {step.name for step in plan.steps if isinstance(step, Action)}
    last = next(done for done in reversed(run.stepped) if done.step in actions)
    return Finish(msgspec.convert(last.result, Receipt), last.attempt)


def _taken_back(plan: Plan, run: Run) -> Iterator[Undo]:
    """Yield what is to be taken back, the last first."""
    places = {step.name: (place, step) for place, step in enumerate(plan.steps)}
    done = [step.step for step in run.stepped]
    if plan.is_single and run.receipt is not None:
        done = list(plan.names)
    doubtful = None
    if run.doubted is not None:
        doubtful = plan.names[0] if run.doubted.step is UNSET else run.doubted.step
        done.append(doubtful)
    for name in reversed(done):
        place, step = places.get(name, (0, None))
        if isinstance(step, Action) and step.undo is not None:
            yield Undo(step, place, plan.key(run, step), is_doubtful=name == doubtful)


def _turned(run: Run) -> Fail | Settle:
    if run.aborted is not None:
        return _settle(run)
    assert run.reverting is not None
    return Fail(run.reverting.code, run.reverting.reason, run.reverting.attempt)


def _settle(run: Run) -> Settle:
    assert run.aborted is not None
    assert isinstance(run.record.action, ActionFacts)
    undone = run.taken_back
    receipt = undone[-1].receipt if undone else Receipt(reference=f"{run.record.action.key}/undo")
    return Settle(run.aborted.by, run.aborted.reason, receipt)


def _code_gone(run: Run) -> Halt:
    done = ", ".join(step.step for step in run.stepped) or "nothing"
    # What is being taken back cannot be ended a second time, so that is no answer then.
    is_turned_back = run.aborted is not None or run.reverting is not None
    wish = "take back what was done" if is_turned_back else "go on"
    other = "or does that release come back (redrive)?" if is_turned_back else "or end (abort)?"
    return Halt(
        "code-gone",
        f"The code {run.code} that this run began with is not part of this release; done so far: {done}. "
        f"Shall it {wish} with today's code (redrive and adopt it), {other}",
    )
