"""What answers where no prediction comes: each step in its turn, each use a reason in the record."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.shop import Refund, refund
from tests.runtime.world import Till, World

from steward import Choice, Decision, Fallback, Feature, Features, Model, Pipeline, Prediction, Status
from steward.decision.fingerprint import fingerprint
from steward.errors import ContractError, DeclarationError, EngineError, StewardError
from steward.models.engines.functions import FunctionModel
from steward.models.static import StaticModels

BROKEN = FunctionModel("fraud", lambda amount_eur: 1 / (amount_eur - 20.0))
SIMPLE = FunctionModel("simple", lambda amount_eur: amount_eur / 1000)


@pytest.fixture
async def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    made = World("memory", tmp_path, monkeypatch)
    yield made
    await made.close()


def by_score(features: Features, prediction: Prediction[float]) -> Choice[str]:
    return Choice("pay" if prediction.value < 0.5 else "hold", reasons=(f"score {prediction.value}",))


def small_only(features: Features) -> Choice[str]:
    return Choice("pay" if features.number("amount_eur") < 50 else "hold", reasons=("50 EUR are fine",))


def impossible(features: Features) -> Choice[str]:
    raise RuntimeError("no rule either")


def weighs_anything(features: Features, prediction: Prediction[Any], choice: str) -> float:
    return features.number("amount_eur")


def weighs_scores(features: Features, prediction: Prediction[float], choice: str) -> float:
    return prediction.value * 10


def scored(fallback: Fallback[str] | None, **changes: Any) -> Decision[Any, Any, Any]:
    given: Decision[Any, Any, Any] = refund(Till())
    gate = replace(given.gate, impact=weighs_anything) if given.gate else None
    return replace(
        given, predict=Model("fraud", inputs=("amount_eur",)), policy=by_score, gate=gate, fallback=fallback, **changes
    )


async def answered(memory: World, decision: Decision[Any, Any, Any], *models: FunctionModel, eur: float = 20.0) -> Any:
    from steward.runtime.runtime import Runtime

    registry = StaticModels(*(models or (BROKEN, SIMPLE)))
    runtime = await Runtime.open([decision], settings=memory.settings, clock=memory.clock, registry=registry)
    memory.opened.append(runtime)
    return (await runtime.decide(decision.name, Refund(order_id="A", amount_eur=eur))).record


async def test_the_next_model_answers_and_the_policy_goes_on(memory: World) -> None:
    record = await answered(memory, scored(Fallback(models=(Model("simple"),), otherwise="hold")))
    assert (record.choice, record.model_id, record.prediction) == ("pay", "simple", 0.02)
    assert record.reasons[-2:] == ("simple answered instead", "score 0.02")
    assert "fraud" in record.reasons[0]


async def test_a_model_that_answers_is_not_replaced(memory: World) -> None:
    record = await answered(memory, scored(Fallback(models=(Model("simple"),), otherwise="hold")), eur=21.0)
    assert (record.model_id, record.reasons) == ("fraud", ("score 1.0",))


async def test_what_is_not_finite_is_no_answer(memory: World) -> None:
    infinite = FunctionModel("fraud", lambda amount_eur: math.inf)
    record = await answered(memory, scored(Fallback(models=(Model("simple"),))), infinite, SIMPLE)
    assert record.model_id == "simple"


async def test_models_are_tried_in_order(memory: World) -> None:
    middle = FunctionModel("middle", lambda amount_eur: math.nan)
    decision = scored(Fallback(models=(Model("middle"), Model("simple")), otherwise="hold"))
    record = await answered(memory, decision, BROKEN, middle, SIMPLE)
    assert (record.model_id, len(record.reasons)) == ("simple", 4)


async def test_a_rule_chooses_past_the_policy(memory: World) -> None:
    record = await answered(memory, scored(Fallback(rule=small_only, otherwise="hold")))
    assert (record.choice, record.policy.rule, record.status) == ("pay", "fallback-rule", Status.DECIDED)
    assert record.reasons[1:] == ("a rule chose instead", "50 EUR are fine")
    assert not record.model_id


@pytest.mark.parametrize("rule", [impossible, small_only])
async def test_a_rule_that_fails_or_cannot_be_weighed_is_passed_over(memory: World, rule: Any) -> None:
    decision = scored(Fallback(rule=rule, otherwise="hold"))
    assert decision.gate is not None
    record = await answered(memory, replace(decision, gate=replace(decision.gate, impact=weighs_scores)))
    assert (record.choice, record.policy.rule) == ("hold", "fallback-otherwise")
    assert record.reasons[-1] == "the safe default is taken"
    assert record.reasons[1].startswith("the rule failed")


async def test_people_are_asked_about_what_is_done_anyway(memory: World) -> None:
    record = await answered(memory, scored(Fallback(people=True)))
    assert (record.status, record.choice, record.gate.impact.minor) == (Status.WAITING, "hold", 0)
    assert record.reasons[-1] == "people are asked instead"
    [waiting] = await memory.runtime.approvals()
    assert waiting.choice == waiting.otherwise == "hold"
    run = await memory.runtime.approve(record.decision_id, by="ana", reason="fine")
    assert run.status is Status.APPROVED


async def test_without_a_step_that_is_left_the_run_fails(memory: World) -> None:
    worse = FunctionModel("simple", lambda amount_eur: math.nan)
    with pytest.raises(StewardError) as raised:
        await answered(memory, scored(Fallback(models=(Model("simple"),))), BROKEN, worse)
    assert raised.value.code == "model-fallbacks-failed"
    [failed] = await memory.bodies("failed")
    assert (failed.stage, failed.release) == ("predict", memory.runtime.running["shop.refund"].release)


async def test_in_a_batch_only_the_lost_ones_fall_back(memory: World) -> None:
    await answered(memory, scored(Fallback(models=(Model("simple"),))))
    events = [Refund(order_id=str(n), amount_eur=20.0 + n) for n in range(3)]
    answers: list[Any] = list(await memory.runtime.decide_batch("shop.refund", events))
    # One call for all fails as a whole, and so does each of the others in it: the simpler model answers them all.
    assert [answer.record.model_id for answer in answers] == ["simple", "simple", "simple"]


async def test_a_senders_mistake_is_theirs(memory: World) -> None:
    decision = scored(Fallback(otherwise="hold"))
    with pytest.raises(ContractError):
        await answered(memory, decision, eur=-1.0)


async def test_a_pipeline_falls_back_on_a_rule(memory: World) -> None:
    def fails(features: Features) -> float:
        raise EngineError("too late", code="deadline")

    record = await answered(memory, replace(scored(Fallback(otherwise="hold")), predict=Pipeline(fails)))
    assert (record.choice, record.reasons) == ("hold", ("too late", "the safe default is taken"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"predict": None, "policy": lambda features, prediction: Choice("x", reasons=("y",))}, "fallback"),
        ({"fallback": Fallback(models=(Model("fraud"),))}, "fallback.models"),
        ({"fallback": Fallback(models=(Model("simple", inputs=("nothing",)),))}, "fallback.models"),
        ({"fallback": Fallback(people=True), "gate": None}, "fallback.people"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        replace(scored(Fallback(otherwise="hold")), **changes)
    assert raised.value.field == field


def test_a_fallback_has_a_step() -> None:
    with pytest.raises(DeclarationError, match="at least one step"):
        Fallback()


def test_a_fallback_is_part_of_the_release(tmp_path: Path) -> None:
    plain = scored(None, features=(Feature("amount_eur"),))
    assert fingerprint(plain) != fingerprint(replace(plain, fallback=Fallback(otherwise="hold")))
