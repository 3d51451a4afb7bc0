"""Calibrators in front of a policy, and what a calibration asks of the model it is declared for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.runtime.gauge import FRAUD, Payment, Settled, register_fraud
from tests.runtime.world import World

from steward import Calibration, Choice, Feature, Features, Model, Models, Pipeline, Prediction, Skill
from steward.errors import DeclarationError
from steward.models.calibration import beta, isotonic
from steward.models.calibration.calibrators import FILE, INPUTS
from steward.models.registry import FolderRegistry


def register_map(world: World, true: float, *, kind: str = "isotonic") -> str:
    file = (
        isotonic.IsotonicFile(told=(0.5,), true=(true,)) if kind == "isotonic" else beta.BetaFile(a=1.0, b=1.0, c=true)
    )
    registry = FolderRegistry(world.folder / "models")
    made = registry.register(
        "fraud-map",
        kind=kind,
        files={FILE: file.to_bytes()},
        inputs=INPUTS,
        task="calibrator",
        clock=world.clock,
    )
    return made.digest


def tell(features: Features, prediction: Prediction[float]) -> Choice[str]:
    return Choice("refuse" if prediction.value > 0.5 else "release", reasons=("the probability",))


MAPPED = replace(FRAUD, predict=Model("fraud", calibration="fraud-map"), policy=tell, calibration=None)


async def decided(world: World, amount: float = 0.0) -> Any:
    return (await world.runtime.decide("pay.fraud", Payment(order="p", amount=amount))).record


async def test_a_policy_sees_the_calibrated_probability_and_the_release_names_the_calibrator(world: World) -> None:
    register_fraud(world)
    mapped = register_map(world, 0.9)
    runtime = await world.open(MAPPED)
    record = await decided(world)
    assert (record.prediction, record.confidence, record.choice) == (0.9, 0.9, "refuse")
    assert record.model_id == "fraud"
    assert runtime.running["pay.fraud"].made_of.models["fraud-map"] == mapped
    register_map(world, 0.1)
    again = await world.restart()
    assert again.running["pay.fraud"].release != record.release
    second = await decided(world)
    assert (second.prediction, second.confidence, second.choice) == (0.1, 0.9, "release")


async def test_beta_is_applied_as_well(world: World) -> None:
    register_fraud(world)
    register_map(world, 2.0, kind="beta")
    await world.open(MAPPED)
    assert (await decided(world)).prediction == pytest.approx(0.8807970779778823)


async def test_a_skills_model_goes_through_its_calibrator(world: World) -> None:
    def rate(features: Features, models: Models) -> float:
        return float(models["fraud"].predict([[features.number("amount")]])[0])

    register_fraud(world)
    register_map(world, 0.9)
    skill = Skill(rate, models=(Model("fraud", calibration="fraud-map"),))
    await world.open(replace(MAPPED, predict=Pipeline(skill)))
    first = await decided(world)
    assert first.prediction == 0.9
    register_map(world, 0.1)
    await world.restart()
    assert (await decided(world)).model_hash != first.model_hash


async def test_what_does_not_fit_is_refused_at_the_start(world: World) -> None:
    register_fraud(world)
    with pytest.raises(DeclarationError, match="does not say of which label"):
        await world.open(replace(FRAUD, calibration=Calibration(truth=lambda outcome: 0.0)))
    with pytest.raises(DeclarationError, match="is no calibrator"):
        await world.open(replace(MAPPED, predict=Model("fraud", calibration=Model("fraud", version="1"))))
    register_fraud(world, task="regression", coefficient=2.0)
    with pytest.raises(DeclarationError, match="no probability of a label"):
        await world.open(FRAUD)
    register_map(world, 0.9)
    with pytest.raises(DeclarationError, match="no probability that 'fraud-map' could calibrate"):
        await world.open(MAPPED)


async def test_a_pipeline_of_texts_cannot_be_calibrated_as_a_number(world: World) -> None:
    def text(features: Features) -> str:
        return "much"

    def any_choice(features: Features, prediction: Prediction[str]) -> Choice[str]:
        return Choice("hold", reasons=("never",))

    calibration: Calibration[Settled] = Calibration(truth=lambda outcome: 1.0)
    await world.open(replace(FRAUD, predict=Pipeline(text), policy=any_choice, calibration=calibration))
    with pytest.raises(DeclarationError, match="neither a number nor one of several labels"):
        await decided(world)


async def test_one_of_several_labels_is_calibrated_by_the_recorded_probabilities(world: World) -> None:
    from tests.models.artefacts import INPUTS as COLUMNS
    from tests.models.artefacts import lightgbm_text

    FolderRegistry(world.folder / "models").register(
        "size",
        kind="lightgbm",
        files={"model.txt": lightgbm_text("multiclass", trees=5, num_class=3)},
        inputs=COLUMNS,
        task="multiclass",
        outputs=("small", "middle", "large"),
        clock=world.clock,
    )

    def any_label(features: Features, prediction: Prediction[str]) -> Choice[str]:
        return Choice("hold" if prediction.abstains else prediction.value, reasons=("the labels left",))

    sized: Any = replace(
        FRAUD,
        features=tuple(Feature("amount", name=name) for name in COLUMNS),
        predict=Model("size", returns=str),
        policy=any_label,
        calibration=Calibration(truth=lambda outcome: "large" if outcome.was_fraud else "small", level=0.8),
    )
    runtime = await world.open(sized)
    for n in range(12):
        record = (await runtime.decide("pay.fraud", Payment(order=f"p{n}", amount=float(n % 2) * 3 - 1))).record
        assert sum(record.probabilities.values()) == pytest.approx(1)  # type: ignore[union-attr]  # it is set
        assert set(record.labels) <= {"small", "middle", "large"}  # type: ignore[arg-type]  # as above
        await runtime.observe("pay.fraud", Settled(order=f"p{n}", was_fraud=n % 2 == 1), outcome_id=f"o{n}")
        await runtime.calibrations.step()
    [row] = runtime.calibrations.rows("pay.fraud")
    stored = [(await runtime.run(entry.run_id)).record for entry in await world.entries("decided")]
    likely = ["large" if n % 2 else "small" for n in range(12)]
    scores = sorted(1 - record.probabilities[label] for record, label in zip(stored, likely, strict=True))  # type: ignore[index]  # as above
    assert row.tracker.first == pytest.approx(tuple(scores))
    assert (stored[-1].calibration.method, stored[0].choice) == ("split", "hold")  # type: ignore[union-attr]  # as above
