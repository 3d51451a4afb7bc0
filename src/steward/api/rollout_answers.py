"""What the API answers about a rollout: its arms beside each other, and its shadows beside what was in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from msgspec import UNSET, Struct, UnsetType

from steward.releases.compare import Beside, Disagreement
from steward.releases.judge import Advice, Finding
from steward.releases.sequences import FEWEST_AMOUNTS, mean_interval
from steward.runtime.judging import Trial


class Pair(Struct, frozen=True, kw_only=True):
    """How often a kind of choice was in force where a shadow would have made another, or the same."""

    choice: str
    shadow: str
    times: int


class ShadowSeen(Struct, frozen=True, kw_only=True):
    """A shadow beside what was in force.

    Attributes:
        release: The shadow.
        asked: How often it was asked.
        failed: How often it could not choose.
        agreed: The share (0..1) of the choices that were the very same.
        agreement: How often each pair of kinds came.
        outcomes: How many decisions an outcome has told of.
        difference: What its choices would have earned beyond those in force, a decision, on average.
        low: The lower bound of the true mean, valid at every look at once; absent while too few outcomes came.
        high: The upper bound.
        unit: The currency.
        disagreements: Those that mattered most in money, the largest first.
    """

    release: str
    asked: int
    failed: int
    agreed: float
    agreement: Sequence[Pair]
    outcomes: int
    difference: float | UnsetType = UNSET
    low: float | UnsetType = UNSET
    high: float | UnsetType = UNSET
    unit: str
    disagreements: Sequence[Disagreement]

    @classmethod
    def of(cls, release: str, beside: Beside, unit: str) -> Self:
        """Return what is seen of a shadow."""
        seen = beside.difference
        bounds = mean_interval(seen, 0.05, planned=10_000) if seen.n >= FEWEST_AMOUNTS else (UNSET, UNSET)
        return cls(
            release=release,
            asked=beside.asked,
            failed=beside.failed,
            agreed=beside.agreed,
            agreement=[Pair(choice=a, shadow=b, times=times) for (a, b), times in beside.agreement.items()],
            outcomes=seen.n,
            difference=seen.mean if seen.n else UNSET,
            low=bounds[0],
            high=bounds[1],
            unit=unit,
            disagreements=beside.disagreements,
        )


class RolloutSeen(Struct, frozen=True, kw_only=True):
    """What is seen of a rollout, the one that stands or the last one.

    Attributes:
        decision: The decision.
        rollout: Its name; absent if none was seen by this process.
        has_ended: Whether it stands no more.
        decided: How many decisions each arm has made.
        advice: What the evidence advises; absent without a canary, and while the ledger is still read.
        reason: Why, in a sentence.
        findings: What it says about each guardrail.
        shadows: Each shadow.
    """

    decision: str
    rollout: str | UnsetType = UNSET
    has_ended: bool = False
    decided: dict[str, int] = {}
    advice: Advice | UnsetType = UNSET
    reason: str = ""
    findings: Sequence[Finding] = ()
    shadows: Sequence[ShadowSeen] = ()

    @classmethod
    def of(cls, decision: str, trial: Trial | None, unit: str) -> Self:
        """Return what a process has seen."""
        if trial is None:
            return cls(decision=decision, reason="no rollout was seen by this process")
        verdict = trial.verdict
        return cls(
            decision=decision,
            rollout=trial.seen.rollout,
            has_ended=trial.has_ended,
            decided={arm.value: times for arm, times in trial.seen.decided.items()},
            advice=UNSET if verdict is None else verdict.advice,
            reason="" if verdict is None else verdict.reason,
            findings=() if verdict is None else verdict.findings,
            shadows=[ShadowSeen.of(release, beside, unit) for release, beside in trial.seen.shadows.items()],
        )
