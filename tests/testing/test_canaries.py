"""Canaries of a known quality: a worse one is found in time, an equal one is left alone."""

from __future__ import annotations

from functools import partial

import pytest

from steward.decision.guardrail import Guardrail
from steward.releases.judge import Advice
from steward.testing.canaries import Course, Quality, rollout

GOOD = Quality(error_rate=0.01, value=10.0, spread=10.0)
WORSE = Quality(error_rate=0.03, value=9.5, spread=10.0)
RAILS = (Guardrail("errors"), Guardrail("value"))
draw = partial(rollout, RAILS, champion=GOOD, share=0.05, planned=10_000)


def courses(canary: Quality, number: int) -> list[Course]:
    return [draw(canary=canary, seed=seed) for seed in range(number)]


def test_a_worse_canary_is_always_taken_back_early() -> None:
    assert all(course.advice is Advice.ABORT and course.exposure < 0.2 for course in courses(WORSE, 200))


def test_an_equal_canary_is_hardly_ever_taken_back() -> None:
    assert sum(course.advice is Advice.ABORT for course in courses(GOOD, 40)) <= 2


@pytest.mark.deep
@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_an_equal_canary_is_hardly_ever_taken_back_often_tried(share: float) -> None:
    tried = [draw(canary=GOOD, share=share, seed=seed) for seed in range(1_000)]
    assert sum(course.advice is Advice.ABORT for course in tried) < 50


def test_a_loss_of_value_alone_is_found_when_enough_is_planned() -> None:
    poorer = Quality(error_rate=0.01, value=8.5, spread=10.0)
    assert draw(canary=poorer, planned=20_000, seed=1).advice is Advice.ABORT


def test_a_better_canary_is_promoted() -> None:
    better = Quality(error_rate=0.001, value=12.0, spread=5.0)
    assert draw(canary=better, seed=1).advice is Advice.PROMOTE


def test_the_same_seed_draws_the_same() -> None:
    assert draw(canary=WORSE, seed=5) == draw(canary=WORSE, seed=5) != draw(canary=WORSE, seed=6)
