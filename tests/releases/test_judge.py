"""The judge: aborts on a breach, never on missing data, promotes only what is held."""

from __future__ import annotations

import pytest

from steward.decision.guardrail import Guardrail, Metric
from steward.releases.judge import FEWEST_DECISIONS, Advice, Evidence, State, judge, told
from steward.releases.sequences import Happened, Moments

ERRORS, VALUE = Guardrail("errors"), Guardrail("value")


def seen(
    canary: int = 2_000, champion: int = 18_000, bad: tuple[int, int] = (20, 180), worth: float = 10.0
) -> Evidence:
    share = canary / max(canary + champion, 1)
    return Evidence(
        canary=canary,
        champion=champion,
        happened={Metric.ERRORS: [Happened(share, *bad)]},
        values=(Moments(canary, worth, canary * 1.0), Moments(champion, 10.0, champion * 1.0)),
    )


def test_nothing_is_said_before_anything_is_known() -> None:
    verdict = judge([ERRORS, VALUE], Evidence(canary=0, champion=0), planned=1_000)
    assert verdict.advice is Advice.WAIT
    assert [finding.state for finding in verdict.findings] == [State.MISSING, State.MISSING]
    assert "0 of 1,000 planned decisions" in verdict.reason


def test_more_errors_abort_it_and_the_reason_has_both_figures() -> None:
    verdict = judge([ERRORS, VALUE], seen(bad=(100, 180)), planned=100_000)
    assert verdict.advice is Advice.ABORT
    assert verdict.findings[0].state is State.BREACHED
    assert "errors: 5.00 % of the canary, 1.00 % of the champion" in verdict.reason


def test_less_value_aborts_it() -> None:
    verdict = judge([ERRORS, VALUE], seen(worth=9.0), planned=100_000)
    assert (verdict.advice, verdict.findings[1].state) == (Advice.ABORT, State.BREACHED)
    assert "value: 9.00 of the canary, 10.00 of the champion" in verdict.reason
    assert verdict.findings[1].bound == pytest.approx(-0.2)


def test_within_the_tolerance_it_goes_on() -> None:
    verdict = judge([VALUE], seen(worth=9.9), planned=100_000)
    assert verdict.advice is Advice.WAIT
    assert (
        judge([Guardrail("value", tolerance=0)], seen(20_000, 180_000, worth=9.9), planned=10**6).advice is Advice.ABORT
    )


def test_all_that_was_planned_and_held_is_promoted() -> None:
    verdict = judge([Guardrail("errors", tolerance=1.0), VALUE], seen(20_000, 180_000, (200, 1_800)), planned=20_000)
    assert verdict.advice is Advice.PROMOTE, verdict.reason


def test_what_is_not_shown_is_left_to_a_person() -> None:
    verdict = judge([Guardrail("errors", tolerance=0.0), VALUE], seen(20_000, 180_000, (200, 1_800)), planned=20_000)
    assert verdict.advice is Advice.PROPOSE
    assert "not shown that errors did not become worse" in verdict.reason
    assert judge([], seen(), planned=100).advice is Advice.PROPOSE


def test_missing_data_promotes_nothing_and_aborts_nothing() -> None:
    without_values = Evidence(canary=5_000, champion=5_000, happened=seen().happened)
    verdict = judge([VALUE], without_values, planned=1_000)
    assert verdict.advice is Advice.WAIT
    assert "nothing is known of value" in verdict.reason
    unknown = judge([Guardrail("misses")], seen(), planned=1_000)
    assert (unknown.advice, unknown.findings[0].state) == (Advice.WAIT, State.MISSING)


def test_what_never_happened_is_held_once_all_is_decided() -> None:
    none = seen(bad=(0, 0))
    assert judge([ERRORS], none, planned=10_000).findings[0].state is State.OPEN
    assert judge([ERRORS], none, planned=2_000).advice is Advice.PROMOTE


def test_a_few_decisions_promote_nothing_whatever_was_planned() -> None:
    few = seen(FEWEST_DECISIONS - 1, FEWEST_DECISIONS, (0, 0))
    assert judge([ERRORS], few, planned=1).advice is Advice.WAIT
    assert judge([ERRORS], seen(FEWEST_DECISIONS, FEWEST_DECISIONS, (0, 0)), planned=1).advice is Advice.PROMOTE


def test_the_chance_of_a_false_alarm_is_shared_by_the_guardrails() -> None:
    borderline = seen(bad=(40, 180))
    alone = judge([ERRORS], borderline, planned=10**6).findings[0].low
    of_five = judge([ERRORS, *[Guardrail("misses")] * 4], borderline, planned=10**6).findings[0].low
    assert alone is not None
    assert of_five is not None
    assert of_five < alone


def test_an_open_finding_is_told_with_both_bounds() -> None:
    finding = judge([VALUE], seen(200, 1_800, worth=9.9), planned=10**6).findings[0]
    assert finding.state is State.OPEN
    assert "between -" in told(finding)
