"""Training sets are what the decision saw."""

from __future__ import annotations

import random

import pytest
from tests.features.streams import LOAD, START, Reading, disturbed, generated, table_of, tell, windows_of

from steward.decision.feature import Feature, minutes
from steward.errors import ContractError
from steward.features.online import OnlineFeatures
from steward.features.row import compile_row_features
from steward.features.training import training_set
from steward.records import FeatureValue


def surprise(event: Reading, load_mw_last: float | None) -> float | None:
    return None if load_mw_last is None else event.load_mw - load_mw_last


def test_a_training_set_is_what_the_decisions_saw_online() -> None:
    windows = windows_of(LOAD)
    facts = disturbed(generated(600, 8), 8, delay=minutes(70))
    online, row = OnlineFeatures(windows), compile_row_features([Feature(surprise)], [w.name for w in windows])
    reader, chance = online.reader(windows), random.Random(8)
    events, at, seen = [], [], []
    for fact in facts:
        tell(online, fact)
        if chance.random() < 0.3:
            values: dict[str, FeatureValue] = dict(
                zip([w.name for w in windows], reader(fact.event, fact.known_at), strict=True)
            )
            row.compute(fact.event, values)
            events.append(fact.event)
            at.append(fact.known_at)
            seen.append(values)
    columns = training_set([Feature(surprise), *windows], events, at, [table_of(facts)])
    assert next(iter(columns)) == "surprise"
    assert repr([{name: columns[name][n] for name in seen[0]} for n in range(len(seen))]) == repr(seen)


def test_every_event_needs_a_time() -> None:
    with pytest.raises(ContractError, match="as many times"):
        training_set([Feature("load_mw")], [Reading(region="ES", load_mw=1.0)], [START, START], [])
