"""Predict: one model call for a whole batch, or the pipeline's skills run by run."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from steward import wire
from steward.decision.checks import nearest
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.decision.fingerprint import digest, plain
from steward.decision.model import Model, Pipeline, Step
from steward.errors import DeclarationError, EngineError
from steward.loop.served import by_served, teller
from steward.models.port import Classifying, LoadedModel
from steward.records import Interval, Prediction
from steward.serving.model import ServedModel

Predictions = Sequence["Prediction[Any] | Exception"]
"""What a batch is answered with; a run that fails alone gets its exception in place of a prediction."""
Predict = Callable[[Sequence[Features]], Awaitable[Predictions]]
"""Answers a batch. A model of this process does so at once; one that is far away lets others go on meanwhile."""

NOTHING: Prediction[None] = Prediction(value=None)


def predictor(decision: Decision[Any, Any, Any], models: Mapping[str, LoadedModel], *, inline: bool = False) -> Predict:
    """Return what predicts for ``decision`` with its loaded models; ``inline`` explains each answer at once."""
    if decision.predict is None:
        return _by_nothing
    if isinstance(decision.predict, Model):
        model = models[decision.predict.name]
        _check_inputs(model, [feature.name for feature in decision.features])
        if isinstance(model, ServedModel):
            return _by_served(decision.predict, model, inline=inline)
        return _by_model(decision.predict, model, inline=inline)
    return _by_pipeline(decision.predict, models)


async def _by_nothing(batch: Sequence[Features]) -> Predictions:
    return [NOTHING] * len(batch)


def row_of(features: Features, inputs: Sequence[str]) -> list[float]:
    """Return a model's input row; what has no value is NaN.

    Raises:
        DeclarationError: A feature is not a number.
    """
    try:
        return [math.nan if (value := features[name]) is None else float(value) for name in inputs]  # type: ignore[arg-type]  # a tuple raises TypeError, handled below
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"the model takes numbers only: {error}", field="predict.inputs") from error


def attributions(model: LoadedModel, rows: Sequence[Sequence[float]]) -> list[dict[str, float]]:
    """Return each row's contribution by input; the model's bias is the entry ``(bias)``."""
    attribute = getattr(model, "attribute", None)
    if attribute is None:
        raise DeclarationError(
            f"model {model.name!r} cannot attribute its answers", fix="declare attribution=OFF", field="attribution"
        )
    names = (*model.inputs, "(bias)")
    return [dict(zip(names, contributions.tolist(), strict=True)) for contributions in attribute(rows)]


def _by_model(declared: Model[Any], model: LoadedModel, *, inline: bool) -> Predict:
    inputs = declared.inputs or model.inputs
    if tuple(inputs) != tuple(model.inputs):
        raise DeclarationError(
            f"model {model.name!r} was trained on {', '.join(model.inputs)}, not on {', '.join(inputs)}",
            fix="declare its inputs in that order",
            field="predict.inputs",
        )
    name, version, hashed = model.name, model.version, model.digest
    tell = _labels(declared, cast("Any", model)) if model.task == "multiclass" else _numbers(model)

    async def predict(batch: Sequence[Features]) -> Predictions:
        try:
            rows = [row_of(features, inputs) for features in batch]
        except DeclarationError as error:
            if len(batch) == 1:
                return [error]
            return [(await predict([features]))[0] for features in batch]
        told = tell(rows)
        explained = attributions(model, rows) if inline else [None] * len(rows)
        return [
            Prediction(
                value=value,
                confidence=confidence,
                probabilities=probabilities,
                attribution=why,
                model_id=name,
                model_version=version,
                model_hash=hashed,
            )
            if isinstance(value, str) or math.isfinite(value)
            else EngineError(f"model {model.name!r} answered {value}", code="model-not-finite")
            for (value, confidence, probabilities), why in zip(told, explained, strict=True)
        ]

    return predict


def _by_served(declared: Model[Any], model: ServedModel, *, inline: bool) -> Predict:
    inputs, tell = declared.inputs or model.inputs, teller(declared, model)
    places = tuple(zip(model.inputs, inputs, strict=True))

    def ask(features: Features) -> object:
        return {place: features[name] for place, name in places} if model.local is None else row_of(features, inputs)

    async def predict(batch: Sequence[Features]) -> Predictions:
        predictions = await by_served(batch, model, ask, tell)
        if not inline:
            return predictions
        return [
            told
            if isinstance(told, Exception)
            else msgspec.structs.replace(told, attribution=attributions(model, [row_of(features, inputs)])[0])
            for features, told in zip(batch, predictions, strict=True)
        ]

    return predict


_Told = tuple[float | str, float | None, Mapping[str, float] | None]
"""A value, the probability that it is right, and that of each label."""


def _numbers(model: LoadedModel) -> Callable[[list[list[float]]], list[_Told]]:
    binary = model.task == "binary"

    def tell(rows: list[list[float]]) -> list[_Told]:
        values = [model.predict_one(rows[0])] if len(rows) == 1 else model.predict(rows).tolist()
        return [(value, max(value, 1 - value) if binary else None, None) for value in values]

    return tell


def _labels(declared: Model[Any], model: Classifying) -> Callable[[list[list[float]]], list[_Told]]:
    if declared.returns is float:
        raise DeclarationError(
            f"model {declared.name!r} answers with one of {', '.join(model.outputs)}, not with a number",
            fix=f"declare Model({declared.name!r}, returns=str)",
            field="predict.returns",
        )
    labels = model.outputs

    def tell(rows: list[list[float]]) -> list[_Told]:
        few = len(rows) == 1
        return list(map(likeliest, [model.probabilities_one(rows[0])] if few else model.probabilities(rows).tolist()))

    def likeliest(probabilities: Sequence[float]) -> _Told:
        if not math.isfinite(sum(probabilities)):
            return math.nan, None, None
        highest = max(probabilities)
        return labels[probabilities.index(highest)], highest, dict(zip(labels, probabilities, strict=True))

    return tell


def _check_inputs(model: LoadedModel, names: Sequence[str]) -> None:
    for name in model.inputs:
        if name not in names:
            raise DeclarationError(
                f"model {model.name!r} takes the feature {name!r}, which is not declared",
                fix=nearest(name, names),
                field="features",
            )


def _by_pipeline(pipeline: Pipeline[Any], models: Mapping[str, LoadedModel]) -> Predict:
    used = {m.name: models[m.name].digest for step in pipeline.steps for own in step.skill.models for m in own.used}
    name, hashed = pipeline.name, digest([plain(pipeline), used])
    steps = [_step(step, models) for step in pipeline.steps]

    def run(features: Features) -> Prediction[Any]:
        value: Any = None
        for step in steps:
            value = step(features, value)
        confidence = pipeline.confidence(value) if pipeline.confidence else None
        interval = pipeline.interval(value) if pipeline.interval else None
        _check_told(value, confidence, interval)
        return Prediction(value=value, confidence=confidence, interval=interval, model_id=name, model_hash=hashed)

    async def predict(batch: Sequence[Features]) -> Predictions:
        answers: list[Prediction[Any] | Exception] = []
        for features in batch:
            try:
                answers.append(run(features))
            except Exception as error:
                answers.append(error)
        return answers

    return predict


def _check_told(value: object, confidence: object, interval: object) -> None:
    """Refuse what a ledger could not give back as it was."""
    wire.check_finite(value, "prediction")
    if confidence is not None and not (isinstance(confidence, float | int) and 0 <= confidence <= 1):
        raise DeclarationError(f"a confidence lies in 0..1, got {confidence!r}", field="predict.confidence")
    if interval is None:
        return
    if not isinstance(interval, Interval):
        raise DeclarationError(f"{interval!r} is no Interval", fix="return Interval(...)", field="predict.interval")
    if not (-math.inf < interval.low <= interval.high < math.inf and 0 < interval.level < 1):
        raise DeclarationError(f"{interval} holds no value", fix="give low <= high", field="predict.interval")


def _step(step: Step, models: Mapping[str, LoadedModel]) -> Callable[[Features, Any], Any]:
    skill = step.skill
    own = {m.name: models[m.name] for m in skill.models}
    if not skill.inputs:
        return lambda features, previous: step.call(features, previous, own)
    names = skill.inputs

    def narrowed(features: Features, previous: Any) -> Any:
        return step.call(Features((name, features[name]) for name in names), previous, own)

    return _Reuse(narrowed, names, skill.reuse) if skill.reuse else narrowed


class _Reuse:
    """Keeps the latest results of a pure step by the bytes of its inputs."""

    def __init__(self, step: Callable[[Features, Any], Any], names: Sequence[str], size: int) -> None:
        self._step, self._names, self._size = step, names, size
        self._kept: OrderedDict[bytes, Any] = OrderedDict()

    def __call__(self, features: Features, previous: Any) -> Any:
        key = msgspec.msgpack.encode(([features[name] for name in self._names], previous))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        result = self._kept[key] = self._step(features, previous)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return result
