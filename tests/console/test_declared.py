"""Declarations in words: every kind of feature, step and gate is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.console.world import Due, Order, Setpoint, dispatch, refund, write_back, write_setpoint

from steward import Action, Call, Checks, Event, Features, Gate, Steps, Stream, hours, impact_above, minutes
from steward.console import declared
from steward.decision.action import Destination
from steward.decision.schedule import Every, Missed
from steward.decision.steps import Signal, Wait
from steward.decision.stream import Aggregate


class Load(Event):
    region: str
    load_mw: float


load = Stream("grid.load", Load, key="region")
WINDOWS = {
    Aggregate.LAST: (load.last("load_mw"), "the latest load_mw, not older than 30 days"),
    Aggregate.LAG: (load.lag("load_mw", by=minutes(30)), "load_mw as it was 30 minutes before"),
    Aggregate.COUNT: (load.count(over=minutes(5)), "how many there were in the last 5 minutes"),
    Aggregate.SUM: (load.sum("load_mw", over=minutes(5)), "the sum of load_mw over the last 5 minutes"),
    Aggregate.MEAN: (load.mean("load_mw", over=hours(24)), "the mean of load_mw over the last 1 day"),
    Aggregate.MIN: (load.min("load_mw", over=minutes(5)), "the smallest of load_mw"),
    Aggregate.MAX: (load.max("load_mw", over=minutes(5)), "the largest of load_mw"),
    Aggregate.STD: (load.std("load_mw", over=minutes(5)), "the spread (standard deviation) of load_mw"),
    Aggregate.QUANTILE: (load.quantile("load_mw", 0.9, over=minutes(5)), "the 0.9 quantile of load_mw"),
    Aggregate.SERIES: (
        load.series("load_mw", over=hours(4), step=hours(1)),
        "load_mw of the last 4 hours, one value each hour",
    ),
}


def noon(choice: Setpoint, call: Call) -> datetime:
    return call.decided_at


def ten_times(features: Features, choice: Setpoint) -> Setpoint:
    return Setpoint.CHARGE


def inside(features: Features, proposed: Setpoint, wanted: Setpoint) -> None:
    """Anything goes."""


def sometimes(impact: float) -> bool:
    return impact > 3


@pytest.mark.parametrize("aggregate", list(Aggregate))
def test_every_window_is_told(aggregate: Aggregate) -> None:
    window, told = WINDOWS[aggregate]
    words = declared.window_words(window)
    assert words.startswith(told)
    assert "of grid.load by region" in words
    assert ("rounded to" in words) == bool(window.hop)


def test_every_gate_is_told() -> None:
    gate = dispatch.gate
    assert isinstance(gate, Gate)
    full = replace(gate, limits=inside, checks=Checks(rate=0.05, wrong=ten_times), escalate_to=("duty", "boss"))
    words = dict(declared.gate_words(full))
    assert words["Limits"] == "an approver may change the choice inside the limits of “inside”"
    assert words["Seeded checks"].startswith("5.0\xa0% of the questions come with a wrong twin")
    assert words["Ladder"] == "asks duty after 3 minutes 20 seconds then boss after 6 minutes 40 seconds too"
    assert dict(declared.gate_words(replace(gate, escalate_to=None)))["Ladder"] == "nobody else is asked"


def test_when_people_are_asked() -> None:
    gate = dispatch.gate
    assert gate is not None
    asks = {
        "none": replace(dispatch, gate=None),
        "always": replace(dispatch, gate=replace(gate, needed=impact_above(0))),
        "custom": replace(dispatch, gate=replace(gate, needed=sometimes)),
        "advice": replace(dispatch, gate=None, action=None),
    }
    assert {name: (declared.when_asked(each), declared.stage(each)) for name, each in asks.items()} == {
        "none": ("Never: it runs by itself", "automated"),
        "always": ("Whenever money is at stake", "every choice with money at stake asks a person"),
        "custom": ("When “sometimes” says so", "asks a person in some cases"),
        "advice": ("Never: it runs by itself", "automated, as advice: nothing is done"),
    }
    assert declared.threshold(refund) is not None
    assert declared.threshold(asks["custom"]) is None


def test_every_step_is_told() -> None:
    steps = Steps(
        Action(do=write_setpoint, undo=write_back, attempts=1, within=minutes(5), to=Destination(name="gateway")),
        Wait(timedelta(seconds=30), name="settle"),
        Wait(noon, name="noon"),
        Signal(name="clear", within=minutes(30)),
    )
    assert declared.step_words(replace(dispatch, action=steps)) == [
        ("write_setpoint", "tried once, can be taken back, begins within 5 minutes or not at all, calls gateway"),
        ("settle", "waits 30 seconds"),
        ("noon", "waits until “noon”"),
        ("clear", "waits up to 30 minutes until somebody or something says so"),
    ]
    assert declared.step_words(replace(dispatch, action=None)) == []


def test_when_a_decision_is_due() -> None:
    every = Every(hours(1), make=lambda at: Due(region="ES", price_eur=1.0, load_mw=1.0), offset=minutes(55))
    assert declared.schedule_words(None) == "when an event asks for it"
    assert declared.schedule_words(every) == "each hour, 55 minutes past the full; missed ones are caught up"
    assert declared.schedule_words(replace(every, missed=Missed.SKIP)).endswith("skipped, but for the latest")


def test_what_is_known_is_told() -> None:
    assert declared.feature_rows(refund) == [("amount_eur", "field", "as it stands in the event (amount_eur)")]
    assert declared.prediction_words(dispatch) == "The model saving, version asked for: latest"
    assert declared.prediction_words(refund) == "Without a model: the policy decides from the features alone"
    assert Order(pay=True, amount_eur=1.0).pay
