"""Declarations that fit, for the mistakes beside this file to be made with. Read by mypy only."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from steward import (
    Action,
    Call,
    Choice,
    Decision,
    Economics,
    Event,
    Every,
    Feature,
    Features,
    Gate,
    Model,
    Models,
    Pipeline,
    Prediction,
    Receipt,
    Risk,
    Skill,
    Stream,
    hours,
    impact_above,
    minutes,
)


class Setpoint(Enum):
    HOLD = "hold"
    CHARGE = "charge"


class Due(Event):
    region: str
    at: datetime


class Other(Event):
    number: int


class Load(Event):
    region: str
    at: datetime
    load_mw: float


class Metered(Event):
    region: str
    at: datetime
    paid_eur: float


load = Stream("grid.load", Load, key="region", time="at")


def hour_of_day(event: Due) -> int:
    return event.at.hour


def hour_of_other(event: Other) -> int:
    return event.number


def forecast(features: Features) -> float:
    return 1.0


def round_up(features: Features, forecast_mw: float) -> int:
    return int(forecast_mw) + 1


def plan(features: Features, whole_mw: int, models: Models) -> str:
    return "plan"


def follow(features: Features, prediction: Prediction[str]) -> Choice[Setpoint]:
    return Choice(Setpoint.HOLD, reasons=("as planned",))


def follow_number(features: Features, prediction: Prediction[float]) -> Choice[Setpoint]:
    return Choice(Setpoint.HOLD, reasons=("as predicted",))


def impact_eur(features: Features, prediction: Prediction[str], choice: Setpoint) -> float:
    return 1.0


def impact_of_text(features: Features, prediction: Prediction[str], choice: str) -> float:
    return 1.0


def value_eur(features: Features, choice: Setpoint, outcome: Metered) -> float:
    return outcome.paid_eur


def value_of_other(features: Features, choice: Setpoint, outcome: Other) -> float:
    return 0.0


def baseline_eur(features: Features, outcome: Metered) -> float:
    return 0.0


def write(choice: Setpoint, call: Call) -> Receipt:
    return Receipt(reference=call.key)


def write_text(choice: str, call: Call) -> Receipt:
    return Receipt(reference=choice)


async def write_later(choice: Setpoint, call: Call) -> Receipt:
    return Receipt(reference=call.key)


whole = Decision(
    name="grid.whole",
    owner="grid",
    purpose="Everything fits",
    risk=Risk.HIGH,
    event=Due,
    features=(load.last("load_mw"), load.lag("load_mw", by=hours(168)), Feature(hour_of_day), Feature("region")),
    predict=Pipeline(forecast, round_up, Skill(plan, models=("planner",))),
    policy=follow,
    gate=Gate(
        needed=impact_above(5_000),
        impact=impact_eur,
        approvers="grid-desk",
        within=minutes(10),
        otherwise=Setpoint.HOLD,
    ),
    action=Action(do=write_later, undo=write),
    economics=Economics(
        outcome=Metered,
        key=("region", "at"),
        within=hours(2),
        value=value_eur,
        baseline=baseline_eur,
        unit="EUR",
    ),
    schedule=Every(hours(1), make=lambda at: Due(region="ES", at=at)),
)
by_model = Decision(
    name="grid.by-model",
    owner="grid",
    purpose="A model answers with a number",
    risk=Risk.LOW,
    event=Due,
    predict=Model("load"),
    policy=follow_number,
)
