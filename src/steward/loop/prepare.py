"""A declaration made ready to run: everything that can be looked up once is looked up here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.decision.fingerprint import digest, source_hash
from steward.decision.stream import Stream
from steward.features.online import OnlineFeatures
from steward.loop.choose import Choose, chooser
from steward.loop.featurize import Featurize, featurizer
from steward.loop.gate import SYSTEM, Weigh, weigher
from steward.loop.observe import joiner
from steward.loop.predict import Predict, predictor
from steward.loop.receive import Receive, receiver
from steward.models.port import LoadedModel


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One decision with its stages bound to its models and feature state.

    Attributes:
        release: Names declaration and models together: ``<decision>@<16 hex digits>``.
        own_stream: The stream that the decision's own events are part of, if its features read one.
        author: Who published the release, as far as is known.
        topics: The bus topics whose messages ask for this decision.
    """

    decision: Decision[Any, Any, Any]
    models: Mapping[str, LoadedModel]
    release: str
    policy_hash: str
    author: str
    contract: Contract[Any]
    receive: Receive
    featurize: Featurize
    predict: Predict
    choose: Choose
    weigh: Weigh | None
    outcome_key: Callable[[Any], str] | None
    own_stream: Stream | None
    topics: frozenset[str]


def prepare(decision: Decision[Any, Any, Any], models: Mapping[str, LoadedModel], online: OnlineFeatures) -> Prepared:
    """Bind a decision to its loaded models and to the runtime's feature state."""
    contract = decision.contract
    own = [w.stream for w in decision.windows if Contract.of(w.stream.contract) == contract]
    return Prepared(
        decision=decision,
        models=models,
        release=release_of(decision, models),
        policy_hash=source_hash(decision.policy),
        author=SYSTEM,
        contract=contract,
        receive=receiver(contract),
        featurize=featurizer(decision, online),
        predict=predictor(decision, models),
        choose=chooser(decision),
        weigh=weigher(decision),
        outcome_key=joiner(decision),
        own_stream=own[0] if own else None,
        topics=frozenset({contract.name, *(stream.name for stream in own)}),
    )


def release_of(decision: Decision[Any, Any, Any], models: Mapping[str, LoadedModel]) -> str:
    """Return the name of declaration and models together."""
    parts = [decision.fingerprint, {name: model.digest for name, model in models.items()}]
    return f"{decision.name}@{digest(parts)[7:23]}"
