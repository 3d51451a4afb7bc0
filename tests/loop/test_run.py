"""The loop's stages over a batch: what one run does wrong is its own business, and the ledger stays readable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.runtime.world import World

from steward import (
    Attribution,
    Choice,
    Decision,
    Event,
    Feature,
    Features,
    Interval,
    Model,
    Models,
    Pipeline,
    Prediction,
    Risk,
    Skill,
)
from steward.errors import ContractError, DeclarationError, IntegrityError, NotFound, StewardError
from steward.loop.run import Answer
from steward.models.engines.linear import LinearFile, Term
from steward.models.registry import FolderRegistry


class Asked(Event):
    """Somebody asks."""

    x: float
    note: str = ""


def x_of(event: Asked) -> Any:
    return {
        "": event.x,
        "none": None,
        "text": "abc",
        "nan": float("nan"),
        "dict": {"a": 1},
        "numpy": np.float64(event.x),
    }[event.note]


def tell(features: Features, prediction: Prediction[Any]) -> Choice[str]:
    return Choice("yes", reasons=(f"saw {prediction.value}",))


def decision(**changes: Any) -> Decision[Asked, Any, Any]:
    given: dict[str, Any] = {
        "name": "ask.it",
        "owner": "o",
        "purpose": "p",
        "risk": Risk.LOW,
        "event": Asked,
        "features": (Feature(x_of, name="x"),),
        "policy": tell,
    }
    return Decision(**{**given, **changes})


def register(world: World, *, task: Any = "regression", intercept: float = 0.5, version_of: str = "m") -> str:
    file = LinearFile(intercept=intercept, terms=(Term("x", coefficient=2.0, mean=1.0, missing=0.0),))
    made = FolderRegistry(world.folder / "models").register(
        version_of, kind="linear", files={"model.json": file.to_bytes()}, inputs=("x",), task=task, clock=world.clock
    )
    return made.digest


@pytest.fixture(params=["memory", "sqlite"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    made = World(request.param, tmp_path, monkeypatch)
    yield made
    await made.close()


async def answers(world: World, *notes: str) -> list[Answer | StewardError]:
    events = [Asked(x=float(n), note=note) for n, note in enumerate(notes)]
    return list(await world.runtime.decide_batch("ask.it", events))


def codes(given: list[Answer | StewardError]) -> list[str]:
    return ["" if isinstance(answer, Answer) else answer.code for answer in given]


# Models


async def test_a_model_answers_a_batch_as_it_answers_each(world: World) -> None:
    digest = register(world)
    await world.open(decision(predict=Model("m")))
    batch = await answers(world, "", "none", "", "")
    singles = [
        await world.runtime.decide("ask.it", Asked(x=float(n), note=note)) for n, note in enumerate(["", "none"])
    ]
    values = [answer.record.prediction for answer in batch if isinstance(answer, Answer)]
    assert values == [0.5, 0.5, 4.5, 6.5]
    assert [answer.record.prediction for answer in singles] == values[:2]
    record = singles[0].record
    assert (record.model_id, record.model_version, record.model_hash) == ("m", "1", digest)
    assert record.confidence is msgspec.UNSET


async def test_a_feature_that_is_no_number_stops_its_own_run_only(world: World) -> None:
    register(world)
    await world.open(decision(predict=Model("m")))
    given = await answers(world, "", "text", "")
    assert codes(given) == ["", "declaration", ""]
    (failed,) = await world.bodies("failed")
    assert failed.stage == "predict"


async def test_a_probability_is_as_sure_as_the_likelier_side(world: World) -> None:
    register(world, task="binary", intercept=-3.0)
    await world.open(decision(predict=Model("m")))
    for answer in await answers(world, "", "", "", ""):
        assert isinstance(answer, Answer)
        p = answer.record.prediction
        assert isinstance(p, float)
        assert answer.record.confidence == max(p, 1 - p)


async def test_a_model_that_answers_nonsense_fails_its_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    register(world)
    await world.open(decision(predict=Model("m")))
    model = world.runtime._parts.lineups["ask.it"].models["m"]
    right = model.predict

    def wrong(rows: Any) -> Any:
        found = right(rows)
        found[1] = np.nan
        return found

    monkeypatch.setattr(type(model), "predict", lambda self, rows: wrong(rows))
    given = await answers(world, "", "", "")
    assert codes(given) == ["", "model-not-finite", ""]


async def test_a_missing_or_misfitting_model_is_found_at_the_start(world: World) -> None:
    with pytest.raises(NotFound):
        await world.open(decision(predict=Model("m")))
    register(world)
    with pytest.raises(NotFound):
        await world.open(decision(predict=Model("m", version="7")))
    with pytest.raises(DeclarationError):
        await world.open(decision(features=(Feature("x"), Feature("note")), predict=Model("m", inputs=("note", "x"))))
    with pytest.raises(DeclarationError, match="'x'"):
        await world.open(decision(features=(Feature("note"),), predict=Model("m")))


async def test_a_tampered_model_is_refused_at_the_start(world: World) -> None:
    register(world)
    (file,) = (world.folder / "models").rglob("model.json")
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b"2.0", b"9.0"))
    with pytest.raises(IntegrityError):
        await world.open(decision(predict=Model("m")))


# Attribution


async def test_inline_and_deferred_attribution_are_equal(world: World) -> None:
    register(world)
    await world.open(decision(predict=Model("m"), attribution=Attribution.INLINE))
    inline = [a.record.attribution for a in await answers(world, "", "none", "") if isinstance(a, Answer)]
    await world.restart(decision(predict=Model("m"), attribution=Attribution.DEFERRED))
    given = [a for a in await answers(world, "", "none", "") if isinstance(a, Answer)]
    assert [answer.record.attribution for answer in given] == [msgspec.UNSET] * 3
    await world.runtime.advance()
    deferred = [(await world.runtime.run(answer.record.decision_id)).attribution for answer in given]
    assert deferred == inline
    predicted = [float(str(answer.record.prediction)) for answer in given]
    assert predicted == pytest.approx([sum(why.values()) for why in deferred], abs=1e-9)


async def test_deferred_attribution_survives_a_crash_and_is_not_repeated(world: World) -> None:
    register(world)
    await world.open(decision(predict=Model("m"), attribution=Attribution.DEFERRED))
    await answers(world, "", "", "")
    await world.crash()
    await world.later()
    await world.crash()
    await world.later()
    assert (await world.counts())["attributed"] == 3


async def test_what_costs_more_than_is_allowed_is_attributed_after_the_answer(world: World) -> None:
    register(world)
    within = {"attribution": Attribution.INLINE, "explain_within": timedelta(microseconds=1)}
    await world.open(decision(predict=Model("m"), **within))
    given = [a for a in await answers(world, "", "") if isinstance(a, Answer)]
    assert [answer.record.attribution for answer in given] == [msgspec.UNSET] * 2
    await world.later()
    assert (await world.counts())["attributed"] == 2
    assert (await world.runtime.run(given[0].record.decision_id)).attribution


async def test_what_was_attributed_inline_is_not_attributed_again(world: World) -> None:
    register(world)
    await world.open(decision(predict=Model("m"), attribution=Attribution.INLINE))
    await answers(world, "", "")
    await world.restart(decision(predict=Model("m"), attribution=Attribution.DEFERRED))
    await world.later()
    assert (await world.counts())["attributed"] == 0


# Pipelines


async def test_a_pipeline_reuses_the_results_of_pure_steps(world: World) -> None:
    register(world)
    seen: list[float] = []

    def predicted(features: Features, models: Models) -> float:
        seen.append(features.number("x"))
        return float(models["m"].predict([[features.number("x")]])[0])

    def doubled(features: Features, previous: float) -> float:
        return 2 * previous

    chain = Pipeline(Skill(predicted, models=("m",), inputs=("x",), reuse=2), doubled, confidence=lambda value: 0.75)
    runtime = await world.open(decision(predict=chain))
    for x in (1.0, 2.0, 1.0, 3.0, 1.0, 2.0):
        record = (await runtime.decide("ask.it", Asked(x=x))).record
        assert record.prediction == 2 * (0.5 + 2.0 * (x - 1.0) + 2.0)
        assert (record.model_id, record.confidence) == ("predicted > doubled", 0.75)
        assert isinstance(record.model_hash, str)
    assert seen == [1.0, 2.0, 3.0, 2.0]


async def test_a_failing_skill_stops_its_own_run_only(world: World) -> None:
    def picky(features: Features) -> float:
        if features.number("x") == 1.0:
            raise ValueError("not one")
        return 1.0

    await world.open(decision(predict=Pipeline(picky)))
    assert codes(await answers(world, "", "", "")) == ["", "predict-failed", ""]


# What could not be read back is never written


def choice_of(value: Any, **facts: Any) -> Callable[[Features, Prediction[Any]], Any]:
    def policy(features: Features, prediction: Prediction[Any]) -> Any:
        return Choice(value, **{"reasons": ("because",), **facts}) if value != "no choice" else "no choice"

    return policy


def pipeline_of(value: Any, **facts: Any) -> Pipeline[Any]:
    def step(features: Features) -> Any:
        return value

    return Pipeline(step, **{name: (lambda _, fact=fact: fact) for name, fact in facts.items()})


POISON: list[dict[str, Any]] = [
    {"policy": choice_of("no choice")},
    {"policy": choice_of("x", reasons=(5,))},
    {"policy": choice_of("x", rule=5)},
    {"policy": choice_of(float("nan"))},
    {"policy": choice_of({"power_mw": float("inf")})},
    {"policy": choice_of(object())},
    {"predict": pipeline_of(1.0, confidence=float("nan"))},
    {"predict": pipeline_of(1.0, confidence=1.5)},
    {"predict": pipeline_of(1.0, confidence="high")},
    {"predict": pipeline_of(1.0, interval=Interval(float("nan"), 1.0, 0.9))},
    {"predict": pipeline_of(1.0, interval=(0, 1))},
    {"predict": pipeline_of(float("nan"))},
    {"predict": pipeline_of({"mw": [1.0, float("nan")]})},
]


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
async def test_a_record_that_cannot_be_read_back_is_not_written(world: World, poison: dict[str, Any]) -> None:
    await world.open(decision(**poison))
    (error,) = await answers(world, "")
    assert isinstance(error, StewardError)
    (failed,) = await world.bodies("failed")
    assert failed.code == error.code
    await world.later()
    await world.crash()
    await world.later()


@pytest.mark.parametrize("note", ["nan", "dict"])
async def test_a_feature_that_is_no_value_stops_its_own_run_only(world: World, note: str) -> None:
    await world.open(decision())
    given = await answers(world, "", note, "")
    assert [isinstance(answer, Answer) for answer in given] == [True, False, True]
    (failed,) = await world.bodies("failed")
    assert "x" in failed.reason
    await world.later()


async def test_numbers_of_numpy_are_numbers(world: World) -> None:
    await world.open(decision(policy=choice_of(np.float64(2.5)), predict=pipeline_of(np.int64(7))))
    (answer,) = await answers(world, "numpy")
    assert isinstance(answer, Answer)
    stored = (await world.bodies("decided"))[0]
    assert (stored.choice, stored.prediction, stored.features) == (2.5, 7, {"x": 0.0})


@pytest.mark.parametrize("x", [float("nan"), float("inf"), "1", None])
async def test_objects_are_checked_as_strictly_as_bytes(world: World, x: Any) -> None:
    await world.open(decision())
    with pytest.raises(ContractError):
        await world.runtime.decide("ask.it", Asked(x=x))
    assert not await world.counts()
