"""What guardrails will notice, tried before a rollout: canaries of a known quality, judged as a live one would be.

How much worse a canary must be to be found in time depends on the guardrails, the share and the plan. So it is tried:
many rollouts are drawn by seed, and the judge looks at each again and again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from steward.decision.guardrail import Guardrail, Metric
from steward.releases.judge import Advice, Evidence, judge
from steward.releases.sequences import Happened, Moments


class Quality(Struct, frozen=True, kw_only=True):
    """What one arm is like.

    Attributes:
        error_rate: The share (0..1) of its decisions that fail.
        value: What a decision saves on average.
        spread: The standard deviation of that.

    Example:
        >>> Quality(error_rate=0.01, value=10.0, spread=10.0).value
        10.0
    """

    error_rate: float
    value: float
    spread: float


class Course(Struct, frozen=True, kw_only=True):
    """How a rollout went.

    Attributes:
        advice: What the judge said last.
        exposure: The share (0..1) of the planned decisions that the canary had made by then.

    Example:
        >>> Course(advice=Advice.ABORT, exposure=0.04).advice.value
        'abort'
    """

    advice: Advice
    exposure: float


def rollout(
    guardrails: Sequence[Guardrail],
    *,
    canary: Quality,
    champion: Quality,
    share: float,
    planned: int,
    seed: int,
    looks: int = 200,
) -> Course:
    """Draw one rollout and let the judge look at it until it says something, or all planned is decided.

    Args:
        guardrails: What is watched; ``errors`` and ``value`` are drawn.
        canary: What the new release is like.
        champion: What the present one is like.
        share: The canary's share (0..1) of the decisions.
        planned: How many decisions the canary is to make.
        seed: Draws the same again.
        looks: How often the judge looks.

    Example:
        >>> good = Quality(error_rate=0.01, value=10.0, spread=5.0)
        >>> worse = Quality(error_rate=0.05, value=10.0, spread=5.0)
        >>> rails = (Guardrail("errors"), Guardrail("value"))
        >>> rollout(rails, canary=worse, champion=good, share=0.1, planned=20_000, seed=1).advice.value
        'abort'
    """
    chance = np.random.default_rng(seed)
    decided = [0, 0]
    failed = [0, 0]
    saved = [Moments(), Moments()]
    each = max(round(planned / share / looks), 1)
    verdict = judge(guardrails, Evidence(canary=0, champion=0), planned=planned)
    while verdict.advice is Advice.WAIT and decided[0] < planned:
        in_canary = int(chance.binomial(each, share))
        for arm, (number, quality) in enumerate(((in_canary, canary), (each - in_canary, champion))):
            decided[arm] += number
            failed[arm] += int(chance.binomial(number, quality.error_rate))
            amounts = chance.normal(quality.value, quality.spread, number)
            mean = float(amounts.mean()) if number else 0.0
            saved[arm] = saved[arm].plus(Moments(number, mean, float(((amounts - mean) ** 2).sum())))
        happened = {Metric.ERRORS: [Happened(share, failed[0], failed[1])]}
        seen = Evidence(canary=decided[0], champion=decided[1], happened=happened, values=(saved[0], saved[1]))
        verdict = judge(guardrails, seen, planned=planned)
    return Course(advice=verdict.advice, exposure=min(decided[0] / planned, 1.0))
