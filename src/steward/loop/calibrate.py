"""Calibrate: what was learnt from outcomes turns an answer into an interval, or a set of labels, that holds.

Both ways are here, so that they cannot differ: from a prediction to what is promised, and from a stored record and what
really happened to what is learnt. Nothing but the record is needed for that, so the state is a fold of the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from steward.decision.calibration import Calibration
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.decision.model import Model
from steward.errors import DeclarationError
from steward.loop.encode import own_code
from steward.loop.predict import Predict, Predictions
from steward.models.calibration.calibrators import CalibratedModel
from steward.models.calibration.conformal import Given, Trackers, labels_within
from steward.models.port import LoadedModel
from steward.records import CalibrationFacts, FeatureValue, Interval, Prediction, Record

Find = Callable[[str, str | None], CalibrationFacts]
"""Returns what the answers of a model (by its hash), for a group if there are any, are made by now."""


class Basis(Struct, frozen=True):
    """What a recorded answer is held against an outcome by.

    Attributes:
        model: The hash of the model, or its name if it has none.
        group: The group, if the decision has any.
        band: The answer, or the bounds that the pipeline told.
        scale: What residuals are in proportion to.
        probabilities: The probability of each label, if the answer is one of several.
        promised: How the answer was calibrated, if it was, to the level that is declared now.
        held: The interval or the labels that were given.

    Example:
        >>> Basis(model="sha256:ab", group=None, band=(30.5, 30.5)).scale
        1.0
    """

    model: str
    group: str | None
    band: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    probabilities: Mapping[Any, float] | None = None
    promised: CalibrationFacts | None = None
    held: Interval | tuple[object, ...] | None = None


def untaught(decision: Decision[Any, Any, Any]) -> Trackers:
    """Return what is known before the first outcome; of no use to a decision that is not calibrated."""
    calibration = decision.calibration
    return Trackers(0.5, 0) if calibration is None else Trackers(calibration.level, calibration.groups)


def through_calibrators(
    decision: Decision[Any, Any, Any], models: Mapping[str, LoadedModel]
) -> Mapping[str, LoadedModel]:
    """Return the loaded models, by name, with those that have a calibrator answering through it.

    Raises:
        DeclarationError: A calibrator is none, or the calibration that is declared does not fit the model's answers.
    """
    declared, calibration = decision.predict, decision.calibration
    if calibration is not None and isinstance(declared, Model):
        _check_labels(calibration, models[declared.name])
    through = {
        model.name: CalibratedModel(models[model.name], models[model.calibration.name])
        for model in decision.models
        if model.calibration is not None
    }
    return {**models, **through} if through else models


def _check_labels(calibration: Calibration[Any], model: LoadedModel) -> None:
    if model.task == "binary" and not calibration.labels:
        raise DeclarationError(
            f"model {model.name!r} answers with a probability, but calibration does not say of which label",
            fix='name both, second the one it is the probability of: labels=("legit", "fraud")',
            field="calibration.labels",
        )
    if model.task != "binary" and calibration.labels:
        raise DeclarationError(
            f"model {model.name!r} is of the task {model.task}, so its answer is no probability of a label",
            fix="leave labels out",
            field="calibration.labels",
        )


def calibrated(decision: Decision[Any, Any, Any], predict: Predict, find: Find) -> Predict:
    """Return ``predict`` with its answers calibrated as the decision declares; ``predict`` itself if it does not."""
    calibration = decision.calibration
    if calibration is None:
        return predict

    async def answer(batch: Sequence[Features]) -> Predictions:
        found = await predict(batch)
        return [_each(calibration, row, each, find) for row, each in zip(batch, found, strict=True)]

    return answer


def as_recorded(record: Record, find: Find) -> Find:
    """Return what calibrates as it did when a record was made; for another model or group as ``find`` does now."""
    facts = record.calibration
    if isinstance(facts, UnsetType):
        return find
    then, model, group = replace(facts, band=UNSET), _model(record), facts.group

    def found(asked: str, for_group: str | None) -> CalibrationFacts:
        return then if asked == model and group in (UNSET, for_group) else find(asked, for_group)

    return found


def _each(
    calibration: Calibration[Any], features: Features, answer: Prediction[Any] | Exception, find: Find
) -> Prediction[Any] | Exception:
    if isinstance(answer, Exception):
        return answer
    facts = find(answer.model_hash or answer.model_id or "", _group(calibration, features))
    threshold = None if isinstance(facts.threshold, UnsetType) else facts.threshold
    probabilities = _probabilities(calibration, answer.value, answer.probabilities)
    if probabilities is not None:
        return replace(answer, labels=labels_within(probabilities, threshold), calibration=facts)
    scale, told = _scale(calibration, features), answer.interval
    if scale is None:
        return answer
    if told is not None:
        facts = replace(facts, band=(told.low, told.high))
    elif isinstance(answer.value, bool) or not isinstance(answer.value, Real):
        return DeclarationError(
            f"{answer.value!r} is neither a number nor one of several labels, so it cannot be calibrated",
            fix="let the pipeline tell an interval, Pipeline(..., interval=...), or leave calibration out",
            field="calibration",
        )
    if threshold is None:
        return replace(answer, calibration=facts)
    low, high = (told.low, told.high) if told is not None else (float(answer.value), float(answer.value))
    low, high = low - threshold * scale, high + threshold * scale
    if low > high:  # the pipeline's own bounds are so wide that less than nothing has to be added
        low = high = (low + high) / 2
    interval = Interval(low, high, facts.level)
    confidence = facts.level if answer.confidence is None else answer.confidence
    return replace(answer, interval=interval, confidence=confidence, calibration=facts)


def basis(calibration: Calibration[Any], record: Record) -> Basis | None:
    """Return what a stored answer is judged by; ``None`` if it is none that can be."""
    facts = None if isinstance(record.calibration, UnsetType) else record.calibration
    promised = facts if facts is not None and facts.level == calibration.level else None
    about = (_model(record), _group(calibration, record.features))
    told = None if isinstance(record.probabilities, UnsetType) else record.probabilities
    probabilities = _probabilities(calibration, record.prediction, told)
    if probabilities is not None:
        labels = () if isinstance(record.labels, UnsetType) else record.labels
        return Basis(*about, probabilities=probabilities, promised=promised, held=labels)
    interval = None if isinstance(record.interval, UnsetType) else record.interval
    band, scale = _band(facts, interval, record.prediction), _scale(calibration, record.features)
    if band is None or scale is None:
        return None
    return Basis(*about, band=band, scale=scale, promised=promised, held=interval)


def truth_of(calibration: Calibration[Any], outcome: Any) -> object:
    """Return what an outcome says the right answer was; ``None`` if it does not say.

    Raises:
        StewardError: The decision's own code failed.
    """
    with own_code("calibration.truth"):
        return calibration.truth(outcome)


def learn(trackers: Trackers, basis: Basis, truth: Any) -> None:
    """Take in what really happened after an answer; a number that is not finite teaches nothing.

    Raises:
        StewardError: What the decision's own code says is neither a number nor a label, as the answer is.
    """
    with own_code("calibration.truth"):
        score, held = _judged(basis, truth)
    if not math.isfinite(score):
        return
    promised = basis.promised
    if promised is None or promised.method in {"none", "borrowed"}:
        trackers.learn(basis.model, basis.group, score)
        return
    group = None if isinstance(promised.group, UnsetType) else promised.group
    trackers.learn(basis.model, basis.group, score, Given(group, held, promised.learnt))


def _judged(basis: Basis, truth: Any) -> tuple[float, bool]:
    """Return the score of an answer, and whether what was given held the truth."""
    if basis.probabilities is not None:
        return 1 - basis.probabilities.get(truth, 0.0), isinstance(basis.held, tuple) and truth in basis.held
    if isinstance(truth, str):
        raise TypeError(f"{truth!r} is no number")
    number = float(truth)
    held = isinstance(basis.held, Interval) and basis.held.low <= number <= basis.held.high
    return max(basis.band[0] - number, number - basis.band[1]) / basis.scale, held


def _model(record: Record) -> str:
    return record.model_hash or record.model_id or ""


def _group(calibration: Calibration[Any], features: Mapping[str, FeatureValue]) -> str | None:
    if calibration.group is None:
        return None
    value = features.get(calibration.group)
    return None if value is None else str(value)


def _scale(calibration: Calibration[Any], features: Mapping[str, FeatureValue]) -> float | None:
    """Return what residuals are in proportion to; ``None`` where it is not known."""
    if calibration.scale is None:
        return 1.0
    value = features.get(calibration.scale)
    known = isinstance(value, int | float) and 0 < value < math.inf
    return float(value) if known else None  # type: ignore[arg-type]  # mypy does not follow `known`


def _probabilities(
    calibration: Calibration[Any], value: object, told: Mapping[str, float] | None
) -> Mapping[Any, float] | None:
    if told is not None:
        return told
    if not calibration.labels or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    no, yes = calibration.labels
    return {no: 1 - value, yes: value}


def _band(facts: CalibrationFacts | None, interval: Interval | None, value: object) -> tuple[float, float] | None:
    if facts is not None and not isinstance(facts.band, UnsetType):
        return facts.band
    if facts is None and interval is not None:
        return interval.low, interval.high
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value), float(value)
