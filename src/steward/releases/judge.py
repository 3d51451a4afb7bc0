"""The judge: what the evidence so far says about a canary. Pure; it is asked at every look, and may be asked at any.

Each guardrail gets an equal part of the chance of a false alarm, so that a canary that is no worse is taken back with
at most that chance over its whole life, however often it is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from steward.decision.guardrail import Guardrail, Metric
from steward.releases.sequences import FEWEST_AMOUNTS, Happened, Moments, difference_interval, ratio_interval

FEWEST_DECISIONS: Final = 100
"""Below this many decisions of the canary nothing is promoted, whatever was planned."""


class State(StrEnum):
    """What is known of one guardrail.

    Example:
        >>> State.BREACHED.value
        'breached'
    """

    BREACHED = "breached"
    """The canary is worse than is tolerated."""
    HELD = "held"
    """It is not worse than is tolerated."""
    OPEN = "open"
    """Too little is known for either."""
    MISSING = "missing"
    """There is no evidence yet."""


class Finding(Struct, frozen=True, kw_only=True):
    """What the evidence says about one guardrail.

    Attributes:
        metric: What is watched.
        state: Whether it is breached or held, or neither is known.
        canary: The canary's figure: a share of its decisions, or a mean amount. ``None`` without evidence.
        champion: The champion's over the same time.
        low: The lower bound, valid at every look at once: of the ratio of the two rates, or of the difference of the
            two means in money. ``None`` if there is no bound.
        high: The upper bound.
        bound: What the ratio may not exceed, or the difference may not fall below.
        n: Decisions of the canary that it rests on.

    Example:
        >>> Finding(metric=Metric.ERRORS, state=State.MISSING, bound=1.1, n=0).low
    """

    metric: Metric
    state: State
    canary: float | None = None
    champion: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float
    n: int


class Advice(StrEnum):
    """What to do with the canary.

    Example:
        >>> Advice.ABORT.value
        'abort'
    """

    WAIT = "wait"
    ABORT = "abort"
    """A guardrail is breached."""
    PROMOTE = "promote"
    """All that was planned was seen, and every guardrail is held."""
    PROPOSE = "propose"
    """All that was planned was seen and nothing is breached, but not everything is held: a person should look."""


class Verdict(Struct, frozen=True, kw_only=True):
    """The judge's word at one look.

    Attributes:
        advice: What to do.
        findings: One for each guardrail, in the order declared.
        reason: Why, in a sentence.

    Example:
        >>> Verdict(advice=Advice.WAIT, findings=(), reason="nothing was decided yet").advice.value
        'wait'
    """

    advice: Advice
    findings: tuple[Finding, ...]
    reason: str


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything that was seen of two arms since the canary began.

    Attributes:
        canary: Decisions of the canary.
        champion: Decisions of the champion over the same time.
        happened: For each rate, how often it happened, apart for each share the canary had.
        values: What the canary's decisions and what the champion's saved, in money.

    Example:
        >>> Evidence(canary=10, champion=190).values[0].n
        0
    """

    canary: int
    champion: int
    happened: Mapping[Metric, Sequence[Happened]] = {}
    values: tuple[Moments, Moments] = (Moments(), Moments())


def judge(guardrails: Sequence[Guardrail], seen: Evidence, *, planned: int, alpha: float = 0.05) -> Verdict:
    """Return what the evidence says.

    Args:
        guardrails: What may not become worse; with none, nothing is ever aborted or promoted by itself.
        seen: The evidence so far.
        planned: How many decisions the canary is to make before it is judged good.
        alpha: The chance (0..1) of taking back a canary that is no worse than tolerated, over all looks together.

    Example:
        >>> errors = {Metric.ERRORS: [Happened(0.1, canary=60, champion=90)]}
        >>> seen = Evidence(canary=1000, champion=9000, happened=errors)
        >>> verdict = judge([Guardrail("errors", tolerance=0.1)], seen, planned=20_000)
        >>> verdict.advice.value
        'abort'
        >>> verdict.reason.split("; ")[1]
        'at least 3.26 times as often, 1.1 times is tolerated'
    """
    share = seen.canary / max(seen.canary + seen.champion, 1)
    part = alpha / max(len(guardrails), 1)
    findings = tuple(_find(rail, seen, part, planned, math.ceil(planned / max(share, 1e-9))) for rail in guardrails)
    breached = [each for each in findings if each.state is State.BREACHED]
    if breached:
        return Verdict(advice=Advice.ABORT, findings=findings, reason="; ".join(map(told, breached)))
    if seen.canary < max(planned, FEWEST_DECISIONS):
        reason = f"{seen.canary:,} of {max(planned, FEWEST_DECISIONS):,} planned decisions, nothing breached"
        return Verdict(advice=Advice.WAIT, findings=findings, reason=reason)
    missing = [each.metric.value for each in findings if each.state is State.MISSING]
    if missing:
        reason = f"all planned decisions are made, but nothing is known of {', '.join(missing)}"
        return Verdict(advice=Advice.WAIT, findings=findings, reason=reason)
    unproven = [each.metric.value for each in findings if each.state is not State.HELD]
    if unproven or not findings:
        what = f"it is not shown that {', '.join(unproven)} did not become worse" if unproven else "nothing was watched"
        return Verdict(advice=Advice.PROPOSE, findings=findings, reason=f"all planned decisions are made; {what}")
    return Verdict(advice=Advice.PROMOTE, findings=findings, reason="all planned decisions are made, and all is held")


def told(finding: Finding) -> str:
    """Say a finding in a sentence.

    Example:
        >>> told(Finding(metric=Metric.VALUE, state=State.BREACHED, canary=9.1, champion=10.0, low=-1.2, high=-0.6,
        ...              bound=-0.2, n=4000))
        'value: 9.10 of the canary, 10.00 of the champion; at least 0.60 less a decision, 0.20 less is tolerated'
    """
    if finding.canary is None or finding.champion is None:
        return f"{finding.metric.value}: nothing is known yet"
    if finding.metric.is_rate:
        figures = f"{finding.canary:.2%} of the canary, {finding.champion:.2%} of the champion".replace("%", " %")
        bounds = f"at least {finding.low or 0:.3g} times as often, {finding.bound:g} times is tolerated"
    else:
        figures = f"{finding.canary:,.2f} of the canary, {finding.champion:,.2f} of the champion"
        most = math.inf if finding.high is None else finding.high
        bounds = f"at least {-most:,.2f} less a decision, {-finding.bound:,.2f} less is tolerated"
        if most >= 0:
            bounds = f"between {finding.low or -math.inf:,.2f} and {most:,.2f} a decision"
    return f"{finding.metric.value}: {figures}; {bounds}"


def _find(rail: Guardrail, seen: Evidence, alpha: float, planned: int, planned_both: int) -> Finding:
    if rail.metric.is_rate:
        return _find_rate(rail, seen, alpha, planned)
    canary, champion = seen.values
    bound = -rail.tolerance * abs(champion.mean)
    if min(canary.n, champion.n) < FEWEST_AMOUNTS:
        return Finding(metric=rail.metric, state=State.MISSING, bound=bound, n=canary.n)
    low, high = difference_interval(canary, champion, alpha, planned=planned_both)
    state = State.BREACHED if high < bound else State.HELD if low >= bound else State.OPEN
    return Finding(
        metric=rail.metric,
        state=state,
        canary=canary.mean,
        champion=champion.mean,
        low=low,
        high=high,
        bound=bound,
        n=canary.n,
    )


def _find_rate(rail: Guardrail, seen: Evidence, alpha: float, planned: int) -> Finding:
    stages, bound = seen.happened.get(rail.metric), 1 + rail.tolerance
    if stages is None or not seen.canary or not seen.champion:
        return Finding(metric=rail.metric, state=State.MISSING, bound=bound, n=seen.canary)
    low, high = ratio_interval(stages, alpha)
    # What never happened has no ratio; that it did not in all that was planned is as good as it gets.
    never = seen.canary >= planned and not any(stage.canary for stage in stages)
    state = State.BREACHED if low > bound else State.HELD if high <= bound or never else State.OPEN
    return Finding(
        metric=rail.metric,
        state=state,
        canary=sum(stage.canary for stage in stages) / seen.canary,
        champion=sum(stage.champion for stage in stages) / seen.champion,
        low=low,
        high=None if math.isinf(high) else high,
        bound=bound,
        n=seen.canary,
    )
