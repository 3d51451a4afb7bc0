"""Explained before the answer only where that is declared and within what it allows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.runtime.lending import lend, loan, model, prepared

from steward import Attribution, Features, Pipeline
from steward.errors import DeclarationError
from steward.features.online import OnlineFeatures
from steward.loop import explain
from steward.loop.explain import Explaining
from steward.loop.prepare import prepare
from steward.models.attribution.explaining import cost_of
from steward.models.engines.functions import FunctionModel

ROW = Features(
    income_eur=40_000.0, debt_eur=30_000.0, jobs=3, age=30, has_guarantor=False, purpose="other", burden=0.75
)
DAY, MOMENT = timedelta(days=1), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("when", "within", "then", "is_over"),
    [
        (Attribution.INLINE, None, Attribution.INLINE, False),
        (Attribution.INLINE, DAY, Attribution.INLINE, False),
        (Attribution.INLINE, MOMENT, Attribution.DEFERRED, True),
        (Attribution.DEFERRED, None, Attribution.DEFERRED, False),
        (Attribution.OFF, None, Attribution.OFF, False),
    ],
)
async def test_it_is_put_off_where_it_costs_more_than_is_allowed(
    when: Attribution, within: timedelta | None, then: Attribution, is_over: bool
) -> None:
    ready = prepared(attribution=when, explain_within=within)
    assert (ready.explaining.when, ready.explaining.is_over_budget) == (then, is_over)
    [prediction] = await ready.predict([ROW])
    assert not isinstance(prediction, Exception)
    if then is not Attribution.INLINE:
        assert prediction.attribution is None
        return
    expected = model().attribute([[40_000.0, 30_000.0, 3.0, 30.0]])[0]
    assert prediction.attribution is not None
    assert list(prediction.attribution.values()) == expected.tolist()


def test_the_budget_has_no_part_in_the_name_of_a_release_that_has_none() -> None:
    plain, bounded = loan(attribution=Attribution.INLINE), loan(attribution=Attribution.INLINE, explain_within=DAY)
    assert plain.fingerprint == loan(attribution=Attribution.INLINE, explain_within=None, immutable=()).fingerprint
    assert plain.fingerprint != bounded.fingerprint


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"explain_within": DAY}, "explain_within"),
        ({"explain_within": DAY, "attribution": Attribution.DEFERRED}, "explain_within"),
        ({"explain_within": timedelta(0), "attribution": Attribution.INLINE}, "explain_within"),
        ({"explain_within": 5, "attribution": Attribution.INLINE}, "explain_within"),
        ({"immutable": ("salary",)}, "immutable"),
        ({"immutable": ["age"]}, "immutable"),
    ],
)
def test_a_budget_or_a_feature_that_makes_no_sense_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        loan(**changes)
    assert raised.value.field == field


def test_what_cannot_be_explained_costs_nothing() -> None:
    assert cost_of(FunctionModel("double", lambda load_mw: 2 * load_mw)) is None

    def guess(features: Features) -> float:
        return 0.5

    ready = prepare(loan(predict=Pipeline(guess), policy=lend), {}, OnlineFeatures(()))
    assert ready.explaining == Explaining()


def test_the_first_try_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [0.0], list[Any]()

    class Slow(FunctionModel):
        def attribute(self, rows: Any) -> Any:
            now[0] += 9.0 if not calls else 0.03
            calls.append(np.shape(rows))
            return np.zeros((1, 2))

    monkeypatch.setattr("steward.models.attribution.explaining.time.perf_counter", lambda: now[0])
    cost = cost_of(Slow("double", lambda load_mw: 2 * load_mw))
    assert cost is not None
    assert round(cost / timedelta(milliseconds=1)) == 30
    assert calls == [(1, 1)] * 3, "fifty milliseconds are enough"


def test_it_says_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "cost_of", lambda model: timedelta(microseconds=640))
    slow = prepared(attribution=Attribution.INLINE, explain_within=timedelta(microseconds=100)).explaining
    assert str(slow) == "after the answer: 640 µs were measured, 100 µs are allowed"
    assert str(prepared(attribution=Attribution.INLINE).explaining) == "before the answer: 640 µs were measured"
    assert str(prepared().explaining) == "not computed"
