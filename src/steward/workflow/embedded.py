"""The embedded engine: a run is its entries in the ledger, and a waiting run is nothing but that.

Between two moves all that is kept in memory are the tries of a step that has not yet succeeded. When they are lost in a
crash, the next process takes for possibly tried what was due before it began, reads the world back, and counts anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from steward.clock import Clock
from steward.decision.action import Action
from steward.decision.steps import Check
from steward.entries import Undone, decode_body
from steward.errors import Conflict, EngineError, HeldBack, StewardError
from steward.ledger.port import Commit, Committed, Draft, Entry
from steward.ledger.run import Run
from steward.records import Receipt
from steward.workflow.dispatch import Dispatcher, Effect, Stopped
from steward.workflow.moves import (
    AwaitSignal,
    Halt,
    Move,
    Perform,
    Rest,
    Settle,
    TurnBack,
    Undo,
    WaitUntil,
    awaited,
    is_revocable,
    next_move,
)
from steward.workflow.plan import NEVER_DONE, Plan, Plans
from steward.workflow.reach import TIMED_OUT, checked, may_pass, no_earlier, wait_before
from steward.workflow.written import Writer

_CHECK_ATTEMPTS = 3
_CHECK_BACKOFF = timedelta(seconds=1)
_HELD = timedelta(seconds=1)
"""How long a call that was held back waits, if nobody says."""
_MAY_HAVE = ". It may have taken effect all the same: look there before it is done again."
_ENDINGS = frozenset({"acted", "failed", "halted"})


class RunLog(Protocol):
    """What the engine needs of a ledger."""

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Return all entries of one run, in order."""
        ...

    async def append(self, commit: Commit) -> Committed:
        """Write durably; raises as :meth:`steward.ledger.port.Ledger.append`."""
        ...


@dataclass(slots=True)
class _Tries:
    """The tries of one effect: how many, what the last one met, and whether one of them may have taken effect."""

    key: str
    attempt: int = 0
    is_open: bool = False
    error: StewardError | None = None


@dataclass(slots=True)
class _Outcome:
    """What a move leads to: entries to be written, and, unless it goes on at once, when to look again."""

    drafts: Sequence[Draft] = ()
    again: datetime | None = None
    goes_on: bool = False


class EmbeddedWorkflow:
    """Performs the moves of runs and appends what came of them; see :mod:`steward.workflow.port`.

    Args:
        log: Where runs are read and written.
        plans: What the decisions do.
        clock: Time and chance.
        dispatch: Calls their functions.
        begins_at: How many entries the ledger had when this process began.

    Attributes:
        begins_at: As given; what was due before may have been tried by another process.

    Example:
        >>> from steward.clock import SystemClock
        >>> from steward.ledger.memory import MemoryLedger
        >>> workflow = EmbeddedWorkflow(MemoryLedger(), Plans({}), SystemClock(), Dispatcher(SystemClock()))
        >>> workflow.under_way
        0
    """

    def __init__(self, log: RunLog, plans: Plans, clock: Clock, dispatch: Dispatcher, begins_at: int = 0) -> None:
        self._log, self._plans, self._clock, self._dispatch = log, plans, clock, dispatch
        self.begins_at = begins_at
        self._tries: dict[UUID, _Tries] = {}

    @property
    def under_way(self) -> int:
        """Of how many runs anything is kept in memory: those between two tries."""
        return len(self._tries)

    async def go_on(self, run: Run) -> datetime | None:
        """Do every move of a run that is due, and return when to look at it again; see the port."""
        run_id = run.record.decision_id
        while True:
            outcome = await self._move(run)
            if outcome.drafts and not await self._append(run, outcome):
                outcome = _Outcome(goes_on=True)
            if not outcome.goes_on:
                return outcome.again
            run = Run.of(await self._log.of_run(run_id), run_id)

    async def _append(self, run: Run, outcome: _Outcome) -> bool:
        """Write what came of a move; return whether it was ours to write."""
        run_id = run.record.decision_id
        try:
            await self._log.append(Commit(entries=outcome.drafts))
        except Conflict:
            if len(await self._log.of_run(run_id)) == len(run.history):
                raise  # the key was taken by something else than this run
            return False  # somebody else took this step at the same moment; theirs stands
        if outcome.again is None:
            self._tries.pop(run_id, None)
        return True

    async def _move(self, run: Run) -> _Outcome:
        plan, now = self._plans.of(run), self._clock.now()
        if plan is None:
            return self._without_calls(plan, run, next_move(plan, run, now))
        if (doubt := self._unwritten_doubt(plan, run, now)) is not None:
            return _ended([doubt])
        move = next_move(plan, run, now)
        if isinstance(move, Perform):
            perform = self._check if isinstance(move.step, Check) else self._perform
            return await self._unless_held(run, perform(plan, run, move))
        if isinstance(move, Undo):
            return await self._unless_held(run, self._take_back(plan, run, move))
        return self._without_calls(plan, run, move)

    def _without_calls(self, plan: Plan | None, run: Run, move: Move) -> _Outcome:
        self._tries.pop(run.record.decision_id, None)
        if isinstance(move, WaitUntil | AwaitSignal | Rest):
            return _Outcome(again=_look_again(move))
        if isinstance(move, TurnBack) and plan is not None:
            return self._fail(plan, run, move)
        assert not isinstance(move, Perform | Undo)
        return self._with_what_follows(plan, run, [Writer(run, self._clock.now()).of_move(move)])

    def _unwritten_doubt(self, plan: Plan, run: Run, now: datetime) -> Draft | None:
        """Before a person's abort takes anything back: say so if the step that comes next may have been tried."""
        if run.aborted is None or run.reverting is not None or run.doubted is not None or _is_turned(run):
            return None
        run_id, following = run.record.decision_id, awaited(plan, run)
        if following is None or not isinstance(following[1], Action):
            return None
        tries, step = self._tries.get(run_id), following[1]
        was_tried = tries is not None and tries.key == plan.key(run, step) and tries.is_open
        if not was_tried and run.due.index >= self.begins_at:
            return None
        return Writer(run, now).doubted(plan, step.name, "it was ended while it may have been tried", 1)

    async def _unless_held(self, run: Run, moving: Awaitable[_Outcome]) -> _Outcome:
        run_id = run.record.decision_id
        try:
            return await moving
        except HeldBack as held:
            self._tries[run_id].attempt -= 1
            now = self._clock.now()
            return _Outcome(again=max(held.held_until or now + _HELD, now))
        except Stopped:
            self._tries[run_id].attempt -= 1
            return _Outcome()

    def _with_what_follows(self, plan: Plan | None, run: Run, drafts: list[Draft]) -> _Outcome:
        """Add the moves that follow from these and touch nothing but the ledger, so that one commit holds them all."""
        if plan is None or plan.is_single:
            return _ended(drafts)
        after, now = _after(run, drafts), self._clock.now()
        while drafts[-1].kind not in _ENDINGS:
            move = next_move(plan, after, now)
            if isinstance(move, Perform | Undo | WaitUntil | AwaitSignal | TurnBack | Rest):
                break
            drafts.append(Writer(after, now).of_move(move))
            after = _after(after, drafts[-1:])
        return _ended(drafts)

    # Forward

    async def _perform(self, plan: Plan, run: Run, move: Perform) -> _Outcome:
        assert isinstance(move.step, Action)
        effect, tries = Effect(plan, run, move.step, move.key), self._begin(run, move.key)
        if tries.attempt > move.step.attempts and tries.error is not None:
            return await self._give_up(effect, move, tries, tries.error)
        try:
            receipt = await self._try(effect, tries, move.deadline)
        except HeldBack:
            raise
        except StewardError as error:
            tries.error = error
            return await self._again(effect, move, tries, error)
        return self._done(plan, run, move, receipt, tries.attempt)

    def _begin(self, run: Run, key: str) -> _Tries:
        run_id = run.record.decision_id
        tries = self._tries.get(run_id)
        if tries is None or tries.key != key:
            earlier = 0 if run.doubted is None else run.doubted.attempt
            is_open = run.doubted is not None or run.due.index < self.begins_at
            tries = self._tries[run_id] = _Tries(key, earlier, is_open)
        tries.attempt += 1
        return tries

    async def _try(self, effect: Effect, tries: _Tries, deadline: datetime | None) -> Receipt:
        """Do an action once; first read the world back, if an earlier try may have taken effect."""
        if tries.is_open and effect.action.verify is not None:
            seen = await self._dispatch.read_back(effect, tries.attempt)
            if seen is not None:
                return seen
            tries.is_open = False
        if deadline is not None and self._clock.now() > deadline:
            late = f"{effect.action.name!r} did not begin before {deadline.isoformat()}"
            raise EngineError(late, why="" if tries.error is None else str(tries.error), code="too-late")
        was_open, tries.is_open = tries.is_open, True
        try:
            done = await self._dispatch.do(effect, tries.attempt, deadline)
        except (Stopped, HeldBack):
            tries.is_open = was_open
            raise
        except StewardError as error:
            # Whoever refuses says that nothing was done; any other failure leaves that open.
            tries.is_open = was_open or may_pass(error)
            raise
        return checked(effect.action, done)

    async def _again(self, effect: Effect, move: Perform, tries: _Tries, error: StewardError) -> _Outcome:
        """After a try in vain: try again later, or give up."""
        action, now = effect.action, self._clock.now()
        when = no_earlier(now + wait_before(action.backoff, tries.attempt, self._clock.chance()), error)
        is_too_late = move.deadline is not None and when > move.deadline
        if not may_pass(error) or tries.attempt >= action.attempts or is_too_late:
            return await self._give_up(effect, move, tries, error)
        if error.code != TIMED_OUT:
            return _Outcome(again=when)
        doubt = Writer(effect.run, now).doubted(effect.plan, action.name, str(error), tries.attempt)
        return _Outcome([doubt], again=when)

    async def _give_up(self, effect: Effect, move: Perform, tries: _Tries, error: StewardError) -> _Outcome:
        """Read the world back a last time; if the effect is not there, fail, and take back what is in doubt too."""
        plan, run, action, reason = effect.plan, effect.run, effect.action, str(error)
        if tries.is_open and action.verify is not None:
            try:
                seen = await self._dispatch.read_back(effect, tries.attempt)
            except HeldBack:
                raise
            except StewardError as unread:
                reason += f" And it could not be read back: {unread}"
            else:
                if seen is not None:
                    return self._done(plan, run, move, seen, tries.attempt)
                tries.is_open = False
        doubts, is_in_doubt = [], error.code == TIMED_OUT or run.doubted is not None
        if tries.is_open and is_in_doubt and action.undo is None:
            reason = reason.rstrip(".") + _MAY_HAVE  # what can be taken back is, and then nothing is in doubt any more
        if tries.is_open and (action.undo is not None or error.code == TIMED_OUT):
            doubts = [Writer(run, self._clock.now()).doubted(plan, action.name, reason, tries.attempt)]
        return self._fail(plan, run, TurnBack(action.name, error.code, reason, tries.attempt), doubts)

    def _fail(self, plan: Plan, run: Run, turn: TurnBack, before: Sequence[Draft] = ()) -> _Outcome:
        after, writer = _after(run, before), Writer(run, self._clock.now())
        last = writer.turned(turn) if is_revocable(plan, after) else writer.failed(turn)
        return _ended([*before, last])

    async def _check(self, plan: Plan, run: Run, move: Perform) -> _Outcome:
        check = move.step
        assert isinstance(check, Check)
        tries, now = self._begin(run, f"check {move.position}"), self._clock.now()
        if move.deadline is not None and now > move.deadline:
            late = f"{check.name!r} did not begin before {move.deadline.isoformat()}"
            return self._fail(plan, run, TurnBack(check.name, "too-late", late))
        try:
            why_not = await self._dispatch.why_not(plan, run, check, tries.attempt)
        except StewardError as error:
            if may_pass(error) and tries.attempt < _CHECK_ATTEMPTS:
                return _Outcome(again=now + wait_before(_CHECK_BACKOFF, tries.attempt, self._clock.chance()))
            return self._fail(plan, run, TurnBack(check.name, "check-failed", str(error), tries.attempt))
        if why_not is None:
            return self._done(plan, run, move, None, 0)
        reason = why_not if isinstance(why_not, str) else f"it returned {why_not!r}, neither None nor why not"
        return self._fail(plan, run, TurnBack(check.name, "unsafe", reason, tries.attempt))

    def _done(self, plan: Plan, run: Run, move: Perform, result: Receipt | None, attempt: int) -> _Outcome:
        writer = Writer(run, self._clock.now())
        if plan.is_single and result is not None:
            return _ended([writer.acted(result, attempt)])
        return self._with_what_follows(plan, run, [writer.stepped(move, result, attempt)])

    # Back

    async def _take_back(self, plan: Plan, run: Run, move: Undo) -> _Outcome:
        action, reason = move.step, "a step failed" if run.aborted is None else run.aborted.reason
        effect, tries = Effect(plan, run, action, move.key), self._begin(run, f"{move.key}/undo")
        try:
            receipt: Receipt | None = Receipt(reference=tries.key)
            if move.is_doubtful and action.verify is not None:
                receipt = await self._dispatch.read_back(effect, tries.attempt)
            if receipt is None:
                self._wait_for_stragglers(run, action)
                receipt, reason = Receipt(reference=tries.key), NEVER_DONE
            else:
                receipt = await self._dispatch.undo(effect, tries.attempt)
        except HeldBack:
            raise
        except StewardError as error:
            now = self._clock.now()
            if may_pass(error) and tries.attempt < action.attempts:
                when = now + wait_before(action.backoff, tries.attempt, self._clock.chance())
                return _Outcome(again=no_earlier(when, error))
            question = f"Taking back {action.name!r} failed: {error} Shall it be tried again (redrive)?"
            return _ended([Writer(run, now).of_move(Halt("undo-failed", question))])
        writer = Writer(run, self._clock.now())
        if plan.is_single and run.aborted is not None:
            return _Outcome([writer.of_move(Settle(run.aborted.by, run.aborted.reason, receipt))])
        return self._with_what_follows(plan, run, [writer.undone(move, receipt, reason)])

    def _wait_for_stragglers(self, run: Run, action: Action[Any]) -> None:
        """Believe that nothing was done only when no call can arrive any more, as its deadline has passed.

        Raises:
            HeldBack: One may still be on its way.
        """
        assert run.doubted is not None
        until = run.doubted.at + action.timeout
        if self._clock.now() < until:
            raise HeldBack(f"a call of {action.name!r} may still be on its way", held_until=until, code="on-its-way")


def _ended(drafts: Sequence[Draft]) -> _Outcome:
    """Go on with what follows from the last entry, unless it ends the run."""
    return _Outcome(drafts, goes_on=drafts[-1].kind not in _ENDINGS)


def _after(run: Run, drafts: Sequence[Draft]) -> Run:
    for draft in drafts:
        run = run.after(decode_body(draft.body))
    return run


def _is_turned(run: Run) -> bool:
    """Tell whether anything was taken back since a person ended the run."""
    bodies = [placed.body for placed in run.history]
    return run.aborted in bodies and any(isinstance(body, Undone) for body in bodies[bodies.index(run.aborted) :])


def _look_again(move: WaitUntil | AwaitSignal | Rest) -> datetime | None:
    if isinstance(move, Rest):
        return None
    return move.when if isinstance(move, WaitUntil) else move.until
