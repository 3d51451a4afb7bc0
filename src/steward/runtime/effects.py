"""What people do about effects: let a failed run go on, end one under way, signal to it, take back what it did."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from msgspec import Struct

from steward.clock import Clock
from steward.decision.action import Action
from steward.decision.steps import Signal
from steward.errors import Conflict
from steward.ledger.port import Commit, Draft
from steward.ledger.run import Run
from steward.runtime.answers import stopped
from steward.runtime.journal import Journal
from steward.workflow.next import Next
from steward.workflow.plan import Plans
from steward.workflow.told import aborted, being_undone, intent_to_undo, redriven, signalled


class Offers(Struct, frozen=True, kw_only=True):
    """What people can do about a run now, if they may.

    Attributes:
        undo: Take back what it did.
        abort: End it under way.
        redrive: Let it go on.
        adopt: It goes on with today's code only, as that which it began with is gone.
        signals: What it can be told, by name.

    Example:
        >>> Offers(abort=True).undo
        False
    """

    undo: bool = False
    abort: bool = False
    redrive: bool = False
    adopt: bool = False
    signals: tuple[str, ...] = ()


class Effects:
    """Takes what people, devices and webhooks say about effects; each method returns the run as it stands then.

    All raise ``NotFound`` for an unknown run, ``ContractError`` without a name or a reason, and ``Conflict`` if the
    run is past that.

    Args:
        journal: Where entries are written.
        plans: What the decisions do.
        clock: Says when.
        is_stopped: Whether a decision is stopped.
    """

    def __init__(self, journal: Journal, plans: Plans, clock: Clock, is_stopped: Callable[[str], bool]) -> None:
        self._journal, self._plans, self._clock, self._is_stopped = journal, plans, clock, is_stopped

    def next(self, run: Run) -> Next | None:
        """Return what a run waits for; ``None`` if that is an answer, or nothing."""
        is_stopped = self._is_stopped(run.record.decision)
        return Next.of(self._plans.of(run), run, self._clock.now(), is_stopped=is_stopped)

    def offers(self, run: Run) -> Offers:
        """Return what people can do about a run now; who may is another question."""
        at, plan, today = self._clock.now(), self._plans.of(run), self._plans.today(run.record.decision)
        adopt = None if plan is not None else today
        is_under_way = run.is_waiting or run.needs_action or run.halted is not None
        steps = plan.steps if plan is not None and is_under_way else ()
        return Offers(
            undo=_holds(lambda: self._check_revocable(run)),
            abort=_holds(lambda: aborted(run, at=at, by="-", reason="-")),
            redrive=_holds(lambda: redriven(run, plan, at=at, by="-", reason="-", adopt=adopt)),
            adopt=adopt is not None,
            signals=tuple(step.name for step in steps if isinstance(step, Signal)),
        )

    async def redrive(self, decision_id: UUID, *, by: str, reason: str, adopt_current_code: bool = False) -> Run:
        """Let a failed or halted run go on, its tries counted anew; see :func:`steward.workflow.told.redriven`.

        Args:
            decision_id: The run.
            by: Who lets it go on.
            reason: Why.
            adopt_current_code: Whether it goes on with today's code instead of that it began with.
        """
        run = await self._run(decision_id)
        adopt = self._plans.today(run.record.decision) if adopt_current_code else None
        if adopt_current_code and adopt is None:
            raise Conflict(f"{run.record.decision!r} has no action today", fix="abort it", code="code-gone")
        at = self._clock.now()
        return await self._tell(run, redriven(run, self._plans.of(run), at=at, by=by, reason=reason, adopt=adopt))

    async def abort(self, decision_id: UUID, *, by: str, reason: str) -> Run:
        """End a run under way; what was done is taken back. See :func:`steward.workflow.told.aborted`."""
        run = await self._run(decision_id)
        return await self._tell(run, aborted(run, at=self._clock.now(), by=by, reason=reason))

    async def signal(self, decision_id: UUID, name: str, payload: object = None, *, by: str) -> Run:
        """Tell a run what it waits for, or will wait for; see :func:`steward.workflow.told.signalled`."""
        run = await self._run(decision_id)
        plan, at = self._plans.of(run), self._clock.now()
        return await self._tell(run, signalled(run, plan, name, payload, at=at, by=by))

    async def undo(self, decision_id: UUID, *, by: str, reason: str) -> Run:
        """Write down that everything a run did is to be taken back; it is then tried until it is, or a person is asked.

        Raises:
            Conflict: There is nothing to take back, no way to, or somebody is doing it; or the decision is stopped.
        """
        run = await self._run(decision_id)
        self._check_revocable(run)
        try:
            return await self._tell(run, intent_to_undo(run, at=self._clock.now(), by=by, reason=reason))
        except Conflict as error:
            raise being_undone(run) from error

    def _check_revocable(self, run: Run) -> None:
        plan = self._plans.of(run)
        if plan is None or not any(isinstance(step, Action) and step.undo for step in plan.steps):
            raise Conflict(
                f"{run.record.decision!r} declares no undo", fix="act on the world by other means", code="no-undo"
            )
        if run.aborted is not None:
            raise being_undone(run)
        if run.receipt is None or run.undone is not None:
            raise Conflict(f"decision {run.record.decision_id} has no effect to take back", code="nothing-to-undo")
        if self._is_stopped(run.record.decision):
            raise stopped(run.record.decision)

    async def _tell(self, run: Run, said: Draft) -> Run:
        try:
            await self._journal.append(Commit(entries=(said,)))
        except Conflict as error:
            raise Conflict(
                f"decision {run.record.decision_id} has changed in this moment",
                fix="read its current state first",
                code="overtaken",
            ) from error
        return await self._run(run.record.decision_id)

    async def _run(self, decision_id: UUID) -> Run:
        return Run.of(await self._journal.ledger.of_run(decision_id), decision_id)


def _holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except Conflict:
        return False
    return True
