"""Models of several classes: the answer is a label, with the probability of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.loop.test_run import Asked, answers, codes, decision
from tests.runtime.world import World

from steward import Choice, Features, Model, Prediction
from steward.errors import DeclarationError
from steward.loop.run import Answer
from steward.models.registration.registering import Weights, register

LABELS = ("cold", "mild", "hot")


def three(tensors: Mapping[str, Any], rows: Any) -> Any:
    powers = np.exp(rows * tensors["slope"])
    return powers / powers.sum(axis=1, keepdims=True)


def by_label(features: Features, prediction: Prediction[str]) -> Choice[str]:
    assert prediction.probabilities is not None
    return Choice(f"it is {prediction.value}", reasons=(f"{prediction.probabilities['mild']:.3f}",))


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    made = World("memory", tmp_path, monkeypatch)
    model = Weights(three, {"slope": np.array([-1.0, 0.1, 1.0])})
    place = made.folder / "models"
    register(model, name="m", registry=place, inputs=("x",), outputs=LABELS, task="multiclass", clock=made.clock)
    yield made
    await made.close()


async def test_a_classifier_answers_with_its_likeliest_label(world: World) -> None:
    await world.open(decision(predict=Model("m", returns=str), policy=by_label))
    batch = await answers(world, "", "", "", "none")
    assert codes(batch) == ["", "", "", "model-not-finite"]
    singles = [await world.runtime.decide("ask.it", Asked(x=float(n))) for n in range(3)]
    for n, (many, one) in enumerate(zip(batch, singles, strict=False)):
        assert isinstance(many, Answer)
        told = three({"slope": np.array([-1.0, 0.1, 1.0])}, np.array([[float(n)]]))[0].tolist()
        for record in (many.record, one.record):
            assert record.prediction == ("cold" if n == 0 else "hot")
            assert record.probabilities == dict(zip(LABELS, told, strict=True))
            assert record.confidence == max(told)
            assert record.choice == f"it is {record.prediction}"
            assert record.reasons == (f"{told[1]:.3f}",)


async def test_a_label_is_not_declared_as_a_number(world: World) -> None:
    with pytest.raises(DeclarationError, match=r"declare Model\('m', returns=str\)"):
        await world.open(decision(predict=Model("m")))


async def test_probabilities_that_are_none_fail_their_own_run_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.open(decision(predict=Model("m", returns=str), policy=by_label))
    model = world.runtime._parts.lineups["ask.it"].models["m"]
    right = model.probabilities  # type: ignore[attr-defined]  # it is a classifier

    def wrong(rows: Any) -> Any:
        table = right(rows)
        table[1, 2] = nan
        return table

    monkeypatch.setattr(model, "probabilities", wrong)
    assert codes(await answers(world, "", "", "")) == ["", "model-not-finite", ""]
