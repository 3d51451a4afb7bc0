"""Judging: follows the ledger while a rollout stands, compares its arms, and takes back a canary that is worse.

What was seen is a fold of the ledger from the rollout's beginning on; a process that starts later reads that again
before it says anything. What the judge does, it does only to what it looked at: if a person has changed anything
meanwhile, it looks again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import UNSET, UnsetType

from steward.decision.canary import Canary
from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.decision.guardrail import Guardrail, Metric
from steward.decision.model import Model
from steward.entries import Changed, Failed, Launched, Observed, Rejected, Shadowed, Valued
from steward.errors import Conflict, StewardError
from steward.ledger.port import Entry, Ledger
from steward.ledger.run import Run, body_of
from steward.loop.act import typed_choice
from steward.loop.calibrate import truth_of
from steward.loop.encode import own_code
from steward.records import Interval, Record, RolloutFacts
from steward.releases.compare import Comparison, Disagreement
from steward.releases.judge import Advice, Verdict, judge
from steward.releases.live import Live, run_of
from steward.runtime.lineups import Lineups
from steward.runtime.release_log import ReleaseLog
from steward.runtime.rollouts import Rollouts

JUDGE: Final = "judge"
"""Who changes a rollout where no person does."""
_PAGE: Final = 500
_MOST_KNOWN: Final = 100_000
_FALLBACK: Final = "fallback-"


class Trial(NamedTuple):
    """A rollout as it is judged.

    Attributes:
        seen: What was seen of it.
        verdict: What that says; ``None`` while the ledger is still read, and where there is no canary.
        guardrails: What it is held to.
        has_ended: Whether it stands no more.

    Example:
        >>> Trial(Comparison("pay.release/3"), None, ()).has_ended
        False
    """

    seen: Comparison
    verdict: Verdict | None
    guardrails: tuple[Guardrail, ...]
    has_ended: bool = False


class Judging:
    """Watches every rollout that stands.

    Args:
        ledger: What happened.
        lineups: What decides.
        log: What is live.
        rollouts: Takes shares back, and promotes where that is declared.
    """

    def __init__(self, ledger: Ledger, lineups: Lineups, log: ReleaseLog, rollouts: Rollouts) -> None:
        self._ledger, self._lineups, self._log, self._rollouts = ledger, lineups, log, rollouts
        self._trials: dict[str, Trial] = {}
        self._positions: dict[str, int] = {}
        self._facts: OrderedDict[UUID, RolloutFacts | None] = OrderedDict()
        self._busy = asyncio.Lock()
        lineups.pace = self._pace

    def of(self, name: str) -> Trial | None:
        """Return the rollout of a decision that stands, or the last one that this process saw end."""
        return self._trials.get(name)

    async def step(self) -> int:
        """Take in some of what is new, and judge what is up to date; return how many entries were looked at."""
        async with self._busy:
            await self._log.settle()
            taken = await self._look()
            if taken < _PAGE:
                for name in self._standing():
                    if (verdict := self._weigh(name)) is not None:
                        await self._act(name, verdict)
            return taken

    async def catch_up(self) -> None:
        """Take in all that is new and weigh it, for whoever wants to read it now; change nothing."""
        async with self._busy:
            while await self._look() >= _PAGE:
                pass
            for name in self._standing():
                self._weigh(name)

    def _standing(self) -> dict[str, int]:
        return {name: at for name, at in self._positions.items() if not self._trials[name].has_ended}

    async def _look(self) -> int:
        for name in self._lineups:
            await self._begin(name, self._log.live(name))
        standing = self._standing()
        if not standing:
            return 0
        entries = await self._ledger.read(min(standing.values()), _PAGE)
        for entry in entries:
            await self._take(entry, [name for name, at in standing.items() if at <= entry.index])
        for name, at in standing.items():
            self._positions[name] = max(at, entries[-1].index + 1) if entries else at
        return len(entries)

    async def _begin(self, name: str, live: Live) -> None:
        """Notice that a rollout has begun or ended."""
        known, stands = self._trials.get(name), live.rollout
        if stands is None:
            if known is not None and not known.has_ended:
                self._trials[name] = known._replace(has_ended=True)
            return
        if known is not None and known.seen.rollout == stands.name and not known.has_ended:
            return
        decision = self._lineups[name].decision
        seen = Comparison(stands.name)
        rails = _declared(decision).guardrails
        for metric in (Metric.ERRORS, *([Metric.OVERRIDES] if decision.gate else [])):
            seen.watches(metric)
        for rail in rails:
            if rail.metric in {Metric.SLOW, Metric.MISSES}:
                seen.watches(rail.metric)
        launched = [
            entry.index
            for entry in await self._ledger.of_run(run_of(name))
            if isinstance(body := body_of(entry), Launched) and body.rollout == stands.name
        ]
        self._trials[name] = Trial(seen, None, rails)
        self._positions[name] = launched[0] if launched else await self._ledger.size()

    def _weigh(self, name: str) -> Verdict | None:
        """Return what the evidence says about the canary that stands, if one does."""
        trial, stands = self._trials[name], self._log.live(name).rollout
        if stands is None or stands.name != trial.seen.rollout or stands.canary is UNSET:
            return None
        canary = _declared(self._lineups[name].decision)
        verdict = judge(canary.guardrails, trial.seen.evidence(), planned=canary.planned, alpha=canary.alpha)
        self._trials[name] = trial._replace(verdict=verdict, guardrails=canary.guardrails)
        return verdict

    async def _act(self, name: str, verdict: Verdict) -> None:
        """Take a canary back that is worse; promote one that is not, where that is declared."""
        live, canary = self._log.live(name), _declared(self._lineups[name].decision)
        try:
            if verdict.advice is Advice.ABORT:
                await self._rollouts.rollback(name, by=JUDGE, reason=verdict.reason, number=live.number)
            elif verdict.advice is Advice.PROMOTE and canary.promotes:
                await self._rollouts.promote(name, by=JUDGE, reason=verdict.reason, number=live.number)
        except Conflict:
            return  # somebody was quicker; the next look sees what they made of it

    async def _take(self, entry: Entry, names: Sequence[str]) -> None:
        if entry.kind not in _TAKEN:
            return
        body = body_of(entry)
        name = getattr(body, "decision", "")
        if name not in names:
            return
        seen = self._trials[name].seen
        if isinstance(body, Launched):
            if body.rollout == seen.rollout:  # its shares have changed
                seen.holdout = body.holdout
        elif isinstance(body, Record):
            self._decided(seen, body)
        elif isinstance(body, Failed):
            if isinstance(body.rollout, RolloutFacts) and body.rollout.name == seen.rollout:
                seen.decided_by(body.rollout)
                seen.happened(Metric.ERRORS, body.rollout)
        elif isinstance(body, Valued | Rejected | Changed):
            await self._later(seen, body)
        elif isinstance(body, Shadowed | Observed):
            await self._compare(seen, entry, body)

    def _decided(self, seen: Comparison, record: Record) -> None:
        facts = None if isinstance(record.rollout, UnsetType) else record.rollout
        self._remember(record.decision_id, facts)
        if facts is None or facts.name != seen.rollout:
            return
        seen.decided_by(facts)
        if _fell_back(self._lineups, record):
            seen.happened(Metric.ERRORS, facts)

    async def _later(self, seen: Comparison, body: Valued | Rejected | Changed) -> None:
        facts = await self._of(body.decision_id, seen)
        if facts is None:
            return
        if not isinstance(body, Valued):
            seen.happened(Metric.OVERRIDES, facts)
        elif not body.restates:
            seen.saved(facts, float(body.saving.amount))

    async def _compare(self, seen: Comparison, entry: Entry, body: Shadowed | Observed) -> None:
        """Take in a shadow's choice or an outcome; whichever comes later tells what the choice was worth."""
        decision = self._lineups[body.decision].decision
        entries = [each for each in await self._ledger.of_run(entry.run_id) if each.index <= entry.index]
        run = Run.of(entries, entry.run_id)
        later = [each.body for each in run.history]
        outcomes = [each for each in later if isinstance(each, Observed)]
        shadows = [each for each in later if isinstance(each, Shadowed) and each.rollout == seen.rollout]
        if isinstance(body, Shadowed):
            beside = seen.beside(body.release)
            if body.choice is UNSET:
                beside.could_not()
            else:
                beside.chose(run.record.choice, body.choice, took_us=body.took_us)
            shadows = [body]
        elif len(outcomes) > 1:
            return  # what restates an outcome was compared when the outcome came
        else:
            self._missed(seen, decision, run.record, body)
        if outcomes and decision.economics is not None:
            for shadow in shadows:
                if shadow.choice is not UNSET:
                    self._earned(seen, decision, run, shadow, outcomes[0])

    def _earned(
        self, seen: Comparison, decision: Decision[Any, Any, Any], run: Run, shadow: Shadowed, observed: Observed
    ) -> None:
        """Value both choices by the same outcome, as if it would have come about after either."""
        economics = decision.economics
        assert economics is not None
        features = Features(run.record.features)
        try:
            with own_code("economics.value"):
                outcome = Contract.of(economics.outcome).convert(observed.outcome)
                ours = float(economics.value(features, typed_choice(decision, run.choice), outcome))
                theirs = float(economics.value(features, typed_choice(decision, shadow.choice), outcome))
        except StewardError:
            return  # the valuation itself has said so in the ledger
        told = Disagreement(
            decision_id=run.record.decision_id,
            at=run.record.decided_at,
            choice=run.choice,
            shadow=shadow.choice,
            difference=theirs - ours,
        )
        seen.beside(shadow.release).earned(told)

    def _missed(self, seen: Comparison, decision: Decision[Any, Any, Any], record: Record, observed: Observed) -> None:
        """Count an outcome outside of what was given, if anything was."""
        calibration, economics, facts = decision.calibration, decision.economics, record.rollout
        if calibration is None or economics is None or isinstance(facts, UnsetType) or facts.name != seen.rollout:
            return
        try:
            truth = truth_of(calibration, Contract.of(economics.outcome).convert(observed.outcome))
        except StewardError:
            return  # the tracker has counted it as unread
        if isinstance(record.interval, Interval) and isinstance(truth, int | float):
            is_missed = not record.interval.low <= truth <= record.interval.high
        elif not isinstance(record.labels, UnsetType):
            is_missed = truth not in record.labels
        else:
            return
        if is_missed:
            seen.happened(Metric.MISSES, facts)

    def _pace(self, decision: str, facts: RolloutFacts, took: timedelta, number: int) -> None:
        """Hear how long some decisions of an arm took; kept in memory only."""
        trial = self._trials.get(decision)
        if trial is None or trial.has_ended or facts.name != trial.seen.rollout:
            return
        if any(rail.limit is not None and took > rail.limit for rail in trial.guardrails):
            trial.seen.happened(Metric.SLOW, facts, number)

    async def _of(self, run_id: UUID, seen: Comparison) -> RolloutFacts | None:
        """Return where in the rollout a run fell; ``None`` if it is of another, or of none."""
        if run_id not in self._facts:
            first = await self._ledger.of_run(run_id)
            record = body_of(first[0]) if first else None
            found = record.rollout if isinstance(record, Record) else UNSET
            self._remember(run_id, None if isinstance(found, UnsetType) else found)
        facts = self._facts[run_id]
        return facts if facts is not None and facts.name == seen.rollout else None

    def _remember(self, run_id: UUID, facts: RolloutFacts | None) -> None:
        self._facts[run_id] = facts
        if len(self._facts) > _MOST_KNOWN:
            self._facts.popitem(last=False)


_TAKEN: Final = frozenset({"launched", "decided", "failed", "valued", "rejected", "changed", "shadowed", "observed"})


def _declared(decision: Decision[Any, Any, Any]) -> Canary:
    """Return what a decision's canaries are held to: where nothing is declared, errors and what they earn."""
    if decision.canary is not None:
        return decision.canary
    rails = (Guardrail(Metric.ERRORS), *([Guardrail(Metric.VALUE)] if decision.economics is not None else []))
    return Canary(guardrails=rails)


def _fell_back(lineups: Mapping[str, object], record: Record) -> bool:
    """Whether something had to answer in the place of the model that the decision declares first."""
    if not isinstance(record.policy.rule, UnsetType) and record.policy.rule.startswith(_FALLBACK):
        return True
    prepared = lineups.get(record.decision)
    predict = getattr(getattr(prepared, "decision", None), "predict", None)
    return isinstance(predict, Model) and not isinstance(record.model_id, UnsetType) and record.model_id != predict.name
