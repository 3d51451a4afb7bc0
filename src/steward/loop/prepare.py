"""A declaration made ready to run: everything that can be looked up once is looked up here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from msgspec import UNSET, UnsetType

from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.decision.model import Attribution
from steward.decision.rules import policy_hash
from steward.decision.stream import Stream
from steward.errors import StewardError
from steward.features.online import OnlineFeatures
from steward.loop.calibrate import Find, as_recorded, calibrated, through_calibrators, untaught
from steward.loop.choose import Choose, chooser
from steward.loop.explain import Explaining, explaining
from steward.loop.fallback import Rescue, rescuer, with_fallback
from steward.loop.featurize import Featurize, featurizer
from steward.loop.gate import SYSTEM, Weigh, weigher
from steward.loop.observe import joiner, sharer
from steward.loop.predict import Predict, Predictions, predictor
from steward.loop.receive import Receive, receiver
from steward.models.port import LoadedModel
from steward.records import Record, RolloutFacts
from steward.releases.release import Release

Pace = Callable[[timedelta, int], None]
"""Hears how long a number of decisions took that were made together."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One decision with its stages bound to its models and feature state.

    Attributes:
        made_of: The release: declaration, models and whatever else decides, by their digests.
        predict_as: Predicts as ``predict``, but calibrated as it was when a record was made.
        own_stream: The stream that the decision's own events are part of, if its features read one.
        author: Who published the release, as far as is known.
        topics: The bus topics whose messages ask for this decision.
        explaining: When its answers are explained here, and what that costs.
        rescue: Chooses where no model answered, if a fallback is declared.
        rollout: The arm of a rollout that it decides for; it stands in each record.
        pace: Hears how long decisions took, where that arm is compared with others.
        development: Set where nobody has to sign or agree to a release; it stands in each record.
    """

    decision: Decision[Any, Any, Any]
    models: Mapping[str, LoadedModel]
    made_of: Release
    policy_hash: str
    author: str
    contract: Contract[Any]
    receive: Receive
    featurize: Featurize
    predict: Predict
    predict_as: Callable[[Record], Predict]
    choose: Choose
    rescue: Rescue | None
    weigh: Weigh | None
    outcome_key: Callable[[Any], str] | None
    arm_key: Callable[[Any], str] | None
    own_stream: Stream | None
    topics: frozenset[str]
    explaining: Explaining = Explaining()  # noqa: RUF009 - frozen
    rollout: RolloutFacts | UnsetType = UNSET
    pace: Pace | None = None
    development: bool | UnsetType = UNSET

    @cached_property
    def release(self) -> str:
        """What records call the release: ``<decision>@<16 hex digits>``."""
        return self.made_of.name


def prepare(
    decision: Decision[Any, Any, Any],
    models: Mapping[str, LoadedModel],
    online: OnlineFeatures,
    find: Find | None = None,
) -> Prepared:
    """Bind a decision to its loaded models, to the runtime's feature state and to what was learnt from outcomes."""
    find = find or untaught(decision).facts
    explained = explaining(decision, models)
    inline = explained.when is Attribution.INLINE
    through = through_calibrators(decision, models)
    predict = with_fallback(decision, predictor(decision, through, inline=inline), through)
    weigh = weigher(decision)
    return _around(
        decision,
        online,
        models=models,
        predict=calibrated(decision, predict, find),
        predict_as=lambda record: calibrated(decision, predict, as_recorded(record, find)),
        weigh=weigh,
        rescue=rescuer(decision, weigh),
        explained=explained,
    )


def withheld(decision: Decision[Any, Any, Any], online: OnlineFeatures, error: StewardError) -> Prepared:
    """Return a decision whose models or policy may not be used: all of it but its answers, each of which is ``error``.

    Its release is none that anybody can publish, as it is made of no models.
    """

    async def predict(rows: object) -> Predictions:
        raise error

    return _around(
        decision,
        online,
        models={},
        predict=predict,
        predict_as=lambda record: predict,
        weigh=weigher(decision),
        rescue=None,
        explained=Explaining(),
    )


def _around(
    decision: Decision[Any, Any, Any],
    online: OnlineFeatures,
    *,
    models: Mapping[str, LoadedModel],
    predict: Predict,
    predict_as: Callable[[Record], Predict],
    weigh: Weigh | None,
    rescue: Rescue | None,
    explained: Explaining,
) -> Prepared:
    """Put around what predicts all that needs no model."""
    contract = decision.contract
    own = [w.stream for w in decision.windows if Contract.of(w.stream.contract) == contract]
    return Prepared(
        decision=decision,
        models=models,
        made_of=Release.of(decision, {name: model.digest for name, model in models.items()}),
        policy_hash=policy_hash(decision.policy),
        author=SYSTEM,
        contract=contract,
        receive=receiver(contract),
        featurize=featurizer(decision, online),
        predict=predict,
        predict_as=predict_as,
        choose=chooser(decision),
        rescue=rescue,
        weigh=weigh,
        outcome_key=joiner(decision),
        arm_key=sharer(decision),
        own_stream=own[0] if own else None,
        topics=frozenset({contract.name, *(stream.name for stream in own)}),
        explaining=explained,
    )
