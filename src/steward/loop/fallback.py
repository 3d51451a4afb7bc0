"""Fallback: what answers where no prediction comes, step by step, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from steward import wire
from steward.decision.choice import Choice
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.decision.model import Attribution
from steward.errors import EngineError, StewardError
from steward.loop.gate import Weigh, asking
from steward.loop.predict import NOTHING, Predict, Predictions, predictor
from steward.models.port import LoadedModel
from steward.records import GateFacts, Money

_LONGEST: Final = 300


class Rescued(NamedTuple):
    """What is chosen without a prediction, and what the gate says to it.

    Example:
        >>> Rescued(Choice("hold", reasons=("no model answered",)), UNSET).choice.value
        'hold'
    """

    choice: Choice[Any]
    gate: GateFacts | UnsetType


Rescue = Callable[[Features, Exception, datetime], Rescued | None]
"""Returns what is done where no model answered; ``None`` if nothing is declared that can be done."""


def with_fallback(decision: Decision[Any, Any, Any], predict: Predict, models: Mapping[str, LoadedModel]) -> Predict:
    """Return ``predict`` with other models answering where it does not; ``predict`` itself if none is declared."""
    fallback = decision.fallback
    if fallback is None or not fallback.models:
        return predict
    plain = replace(decision, fallback=None, attribution=Attribution.OFF, explain_within=None, calibration=None)
    steps = [(model.name, predictor(replace(plain, predict=model), models)) for model in fallback.models]

    async def answer(batch: Sequence[Features]) -> Predictions:
        found = list(await _tried(predict, batch))
        why: dict[int, tuple[str, ...]] = {}
        for name, step in steps:
            lost = [(place, each) for place, each in enumerate(found) if isinstance(each, Exception)]
            if not lost:
                break
            answers = await _tried(step, [batch[place] for place, _ in lost])
            for (place, error), each in zip(lost, answers, strict=True):
                why[place] = (*why.get(place, ()), _told(error))
                if isinstance(each, Exception):
                    found[place] = each
                else:
                    found[place] = msgspec.structs.replace(each, reasons=(*why[place], f"{name} answered instead"))
        return [_exhausted(each, why[at]) if isinstance(each, Exception) else each for at, each in enumerate(found)]

    return answer


def rescuer(decision: Decision[Any, Any, Any], weigh: Weigh | None) -> Rescue | None:
    """Return what chooses where no model answered; ``None`` if nothing is declared that could."""
    fallback, gate, economics = decision.fallback, decision.gate, decision.economics
    if fallback is None:
        return None
    rule, otherwise, ask = fallback.rule, fallback.otherwise, None
    if fallback.people and gate is not None and economics is not None:
        ask, unit = asking(gate), economics.unit
        otherwise = gate.otherwise if otherwise is None else otherwise

    def rescue(features: Features, error: Exception, now: datetime) -> Rescued | None:
        why = [_told(error)]
        if rule is not None:
            try:
                choice = rule(features)
                wire.check_finite(choice.value, "choice")
                facts = weigh(features, NOTHING, choice.value, now) if weigh else UNSET
                return Rescued(_because(choice, why, "a rule chose instead", "fallback-rule"), facts)
            except Exception as failed:  # it is a step of the chain: the next one is taken
                why.append(f"the rule failed: {_told(failed)}")
        if ask is not None:
            # What is proposed is done anyway if nobody answers, so nothing more is at stake.
            nothing = Money.of_minor(0, unit)
            return Rescued(_because(otherwise, why, "people are asked instead", "fallback-people"), ask(nothing, now))
        if otherwise is None:
            return None
        return Rescued(_because(otherwise, why, "the safe default is taken", "fallback-otherwise"), UNSET)

    return rescue


async def _tried(predict: Predict, batch: Sequence[Features]) -> Predictions:
    try:
        return await predict(batch)
    except Exception as error:  # each run of the batch has its own way on
        return [error] * len(batch)


def _exhausted(last: Exception, why: tuple[str, ...]) -> EngineError:
    error = EngineError("no model answered", why="; ".join((*why, _told(last))), code="model-fallbacks-failed")
    error.__cause__ = last
    return error


def _because(chosen: Any, why: Sequence[str], step: str, rule: str) -> Choice[Any]:
    if isinstance(chosen, Choice):
        return replace(chosen, reasons=(*why, step, *chosen.reasons), rule=chosen.rule or rule)
    return Choice(chosen, reasons=(*why, step), rule=rule)


def _told(error: Exception) -> str:
    """Return an error in one short sentence."""
    text = " ".join(filter(None, (error.what, error.why))) if isinstance(error, StewardError) else repr(error)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
