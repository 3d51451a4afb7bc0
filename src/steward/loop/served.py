"""Predict by a served model: rows or values go to its engine, answers come back as predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from steward.decision.feature import Features
from steward.decision.model import Model
from steward.errors import DeclarationError, EngineError
from steward.records import Prediction
from steward.serving.model import ServedModel
from steward.serving.port import Answered

Tell = Callable[[Answered], "Prediction[Any] | Exception"]
Ask = Callable[[Features], object]


async def by_served(
    batch: Sequence[Features], model: ServedModel, ask: Ask, tell: Tell
) -> Sequence[Prediction[Any] | Exception]:
    """Answer a batch through an engine; a run that fails alone gets its exception.

    Args:
        batch: The features of each run.
        model: Whose engine is asked.
        ask: Makes a question of features.
        tell: Makes a prediction of an answer.

    Raises:
        EngineError: Nothing could be answered.
    """
    results: list[Prediction[Any] | Exception] = []
    questions = []
    places = []
    for features in batch:
        try:
            questions.append(ask(features))
        except (DeclarationError, EngineError) as error:
            results.append(error)
        else:
            places.append(len(results))
            results.append(NO_ANSWER)
    if questions:
        answers = await model.engine.answer(questions, within_s=model.within_s)
        for place, answer in zip(places, answers, strict=True):
            results[place] = tell(answer) if isinstance(answer, Answered) else answer
    return results


NO_ANSWER = EngineError("an engine gave no answer", code="serving-failed")


def teller(declared: Model[Any], model: ServedModel) -> Tell:
    """Return what makes predictions of a model's answers.

    Raises:
        DeclarationError: The declared type is not what the model answers with.
    """
    name, version, hashed, labels = model.name, model.version, model.digest, model.outputs
    is_binary, is_multiclass = model.task == "binary", model.task == "multiclass"
    if is_multiclass and declared.returns is float:
        raise DeclarationError(
            f"model {declared.name!r} answers with one of {', '.join(labels)}, not with a number",
            fix=f"declare Model({declared.name!r}, returns=str)",
            field="predict.returns",
        )

    def tell(answer: Answered) -> Prediction[Any] | Exception:
        value, confidence, probabilities = answer.value, answer.confidence, None
        if is_multiclass:
            told: Sequence[float] = answer.value  # type: ignore[assignment]  # as the port says of this task
            if not math.isfinite(sum(told)):
                return _not_finite(name, math.nan)
            confidence = max(told)
            value, probabilities = labels[told.index(confidence)], dict(zip(labels, told, strict=True))
        elif isinstance(value, float):
            if not math.isfinite(value):
                return _not_finite(name, value)
            confidence = max(value, 1 - value) if is_binary else confidence
        return Prediction(
            value=value,
            confidence=confidence,
            probabilities=probabilities,
            model_id=name,
            model_version=version,
            model_hash=hashed,
            serving=answer.facts,
            cost=answer.cost,
        )

    return tell


def _not_finite(name: str, value: float) -> EngineError:
    return EngineError(f"model {name!r} answered {value}", code="model-not-finite")
