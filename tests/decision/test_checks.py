"""Every self-check of a declaration names its argument and says what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.runtime.shop import CARDS, ECONOMICS, HOURLY, Due, Payment, Refund, payments, refund, visits
from tests.runtime.world import Till

from steward import (
    Action,
    Attribution,
    Checks,
    Choice,
    Every,
    Feature,
    Features,
    Gate,
    Model,
    Models,
    Pipeline,
    Prediction,
    Skill,
    hours,
    impact_above,
    minutes,
    seconds,
)
from steward.errors import DeclarationError

DECISION = refund(Till())
# Without types, as what mypy would find is planted below.
WORTH: Any = ECONOMICS
ACTION: Any = Action
PIPELINE: Any = Pipeline
EVERY: Any = Every
STEP: Any = Skill
UNTYPED_GATE: Any = Gate
CHECKS: Any = Checks
UNTYPED_PAYMENTS: Any = payments
CHOICE: Any = Choice
GATE: Any = Gate(
    needed=impact_above(5), impact=lambda f, p, c: 1.0, approvers="desk", within=minutes(1), otherwise="hold"
)


def needs_itself(event: Refund, needs_itself: float) -> float:
    return 1.0


def needs_second(event: Refund, second: float) -> float:
    return 1.0


def second(event: Refund, needs_second: float) -> float:
    return 1.0


def needs_unknown(event: Refund, amount_eru: float) -> float:
    return 1.0


def one(features: Features) -> float:
    return 1.0


def by_load(features: Features, models: Models) -> float:
    return 1.0


def by_load_again(features: Features, previous: float, models: Models) -> float:
    return 1.0


async def slow_policy(features: Features, prediction: Prediction[None]) -> Choice[str]:
    return Choice("x", reasons=("y",))


def make_visit(at: datetime) -> Payment:
    return Payment(card="c", at=at, amount_eur=1.0)


def swapped(prediction: Prediction[None], features: Features) -> Choice[str]:
    return Choice("x", reasons=("y",))


def bare(features: Features, prediction: Prediction[None]) -> str:
    return "x"


def of_a_payment(event: Payment) -> float:
    return event.amount_eur


async def later(event: Any) -> float:
    return 1.0


slow_feature: Any = later


async def slow_impact(features: Features, prediction: Prediction[None], choice: str) -> float:
    return 1.0


def value_of_a_payment(features: Features, choice: str, outcome: Payment) -> float:
    return 1.0


AMOUNT: Any = Feature("amount_eur")
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "Shop.Refund"}, "name", "lower-case words"),
    ({"name": "shop..refund"}, "name", "is not a name"),
    ({"name": ""}, "name", "is not a name"),
    ({"name": "a" * 101}, "name", "is not a name"),
    ({"owner": " "}, "owner", "has no owner"),
    ({"purpose": ""}, "purpose", "has no purpose"),
    ({"features": [AMOUNT]}, "features", "pass a tuple"),
    ({"features": AMOUNT}, "features", "pass a tuple"),
    ({"features": (AMOUNT, one)}, "features", r"Feature\(\.\.\.\)"),
    ({"features": (AMOUNT, "amount_eur")}, "features", r"Feature\(\.\.\.\)"),
    ({"features": (AMOUNT, AMOUNT)}, "features", "two features are named 'amount_eur'"),
    ({"features": (Feature("amount_eru"),)}, "features", "did you mean 'amount_eur'"),
    ({"features": (AMOUNT, Feature(needs_unknown))}, "features", "unknown feature 'amount_eru'.*did you mean"),
    ({"features": (Feature(needs_itself),)}, "features", "in a circle"),
    ({"features": (Feature(needs_second), Feature(second))}, "features", "in a circle"),
    ({"features": (AMOUNT, visits.count(over=hours(1)))}, "features", "needs the field 'customer'"),
    ({"predict": one}, "predict", r"pass a Model\(\.\.\.\) or a Pipeline\(\.\.\.\)"),
    ({"predict": Model("m", inputs=("amount",))}, "predict.inputs", "did you mean 'amount_eur'"),
    (
        {"predict": Pipeline(Skill(by_load, models=("load",), inputs=("load",)))},
        "predict.inputs",
        "unknown feature 'load'",
    ),
    ({"predict": Pipeline(one), "attribution": Attribution.INLINE}, "attribution", "leave attribution out"),
    ({"attribution": Attribution.DEFERRED}, "attribution", "no model"),
    (
        {
            "predict": Pipeline(
                Skill(by_load, models=(Model("load", version="1"),)),
                Skill(by_load_again, models=(Model("load", version="2"),)),
            )
        },
        "predict.models",
        "versions 1 and 2",
    ),
    ({"policy": one}, "policy", "cannot be called with features and prediction"),
    ({"policy": "release"}, "policy", "is not a function"),
    ({"policy": slow_policy}, "policy", "is a coroutine"),
    ({"economics": None}, "economics", "a gate weighs money"),
    ({"gate": replace(GATE, impact=one)}, "gate.impact", "features, prediction and choice"),
    ({"gate": replace(GATE, limits=one)}, "gate.limits", "what is wanted"),
    ({"gate": replace(GATE, checks=CHECKS(rate=0.5, wrong=one))}, "gate.checks", "features and choice"),
    ({"gate": replace(GATE, needed=lambda: True)}, "gate.needed", "the impact"),
    ({"gate": replace(GATE, otherwise=7)}, "gate.otherwise", "pass a str"),
    ({"gate": replace(GATE, otherwise=None)}, "gate.otherwise", "pass a str"),
    ({"action": ACTION(do=lambda choice: None)}, "action.do", "choice and call"),
    ({"action": ACTION(do=Till().pay, undo=lambda: None)}, "action.undo", "choice and call"),
    ({"action": ACTION(do=Till().pay, verify=lambda c: None)}, "action.verify", "choice and call"),
    ({"economics": replace(WORTH, value=one)}, "economics.value", "features, choice and outcome"),
    ({"economics": replace(WORTH, baseline=lambda f: 0.0)}, "economics.baseline", "features and outcome"),
    ({"economics": replace(WORTH, expected=lambda f: 0.0)}, "economics.expected", "features, prediction and"),
    ({"economics": replace(WORTH, key=("kept_eur",))}, "economics.key", "no field 'kept_eur' to join"),
    ({"schedule": EVERY(hours(1), make=make_visit)}, "schedule.make", "return a Refund"),
    ({"schedule": EVERY(hours(1), make=lambda: None)}, "schedule.make", "the tick's time"),
    ({"name": 3}, "name", "pass a text"),
    ({"owner": None}, "owner", "pass a text"),
    ({"risk": "high"}, "risk", r"pass Risk\.LOW"),
    ({"predict": Model("m"), "attribution": True}, "attribution", "pass Attribution"),
    ({"action": Till().pay}, "action", r"Action\(do=\.\.\.\)"),
    ({"gate": one}, "gate", r"pass Gate\("),
    ({"economics": replace(WORTH, sticky=("kept_eur",))}, "economics.sticky", "no field 'kept_eur' to share"),
    ({"economics": {}}, "economics", r"pass Economics\("),
    ({"schedule": hours(1)}, "schedule", r"pass Every\("),
    ({"policy": swapped}, "policy", "takes a Prediction as 'prediction', but gets a Features"),
    ({"policy": bare}, "policy", "returns a str"),
    ({"features": (AMOUNT, Feature(of_a_payment))}, "features", "takes a Payment as 'event', but gets a Refund"),
    ({"features": (AMOUNT, Feature(slow_feature, name="slow"))}, "features", "is a coroutine"),
    ({"predict": Pipeline(slow_feature)}, "predict", "is a coroutine"),
    ({"gate": replace(GATE, impact=slow_impact)}, "gate.impact", "is a coroutine"),
    ({"gate": replace(GATE, needed=slow_feature)}, "gate.needed", "is a coroutine"),
    ({"economics": replace(WORTH, value=value_of_a_payment)}, "economics.value", "takes a Payment as 'outcome'"),
    ({"economics": replace(WORTH, baseline=slow_policy)}, "economics.baseline", "is a coroutine"),
]


@pytest.mark.parametrize(("change", "field", "says"), MISTAKES, ids=[f"{m[1]}-{n}" for n, m in enumerate(MISTAKES)])
def test_a_mistake_is_named_with_its_fix(change: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(DeclarationError, match=says) as raised:
        replace(DECISION, **change)
    assert raised.value.field == field
    assert raised.value.code == "declaration"
    assert raised.value.fix or raised.value.why or field in ("owner", "purpose")


def test_a_schedule_that_makes_the_events_type_passes() -> None:
    assert HOURLY.schedule is not None
    assert replace(HOURLY, schedule=Every(hours(2), make=lambda at: Due(at=at))).schedule is not None


def test_replace_makes_a_checked_challenger() -> None:
    def other(features: Features, prediction: Prediction[None]) -> Choice[str]:
        return Choice("hold", reasons=("never",))

    challenger = replace(DECISION, policy=other)
    assert challenger != DECISION
    assert challenger.fingerprint != DECISION.fingerprint
    assert replace(challenger, policy=DECISION.policy) == DECISION


def test_not_an_event_type() -> None:
    changes: dict[str, Any] = {"event": "refund"}
    with pytest.raises(DeclarationError, match="is not an event type"):
        replace(DECISION, **changes)


PARTS: list[tuple[Any, str, str]] = [
    (
        lambda: type(GATE)(needed=bool, impact=one, approvers="", within=minutes(1), otherwise=1),
        "gate.approvers",
        "somebody",
    ),
    (lambda: replace(GATE, within=minutes(0)), "gate.within", "people need time"),
    (lambda: replace(GATE, escalate_after=minutes(1)), "gate.escalate_after", "shorter than within"),
    (lambda: replace(GATE, within=60), "gate.within", "no duration"),
    (lambda: replace(GATE, approvers=" "), "gate.approvers", "somebody"),
    (lambda: replace(GATE, escalate_after=seconds(30)), "gate.escalate_to", "to whom"),
    (lambda: replace(GATE, escalate_to="boss", escalate_after=30), "gate.escalate_after", "no duration"),
    (
        lambda: UNTYPED_GATE(needed=bool, impact=one, approvers="desk", within=minutes(1)),
        "gate.otherwise",
        r"pass otherwise=\.\.\.",
    ),
    (lambda: CHECKS(rate=0.0, wrong=one), "gate.checks", "above 0"),
    (lambda: CHECKS(rate=float("nan"), wrong=one), "gate.checks", "above 0"),
    (lambda: CHECKS(rate=1.1, wrong=one), "gate.checks", "at most 1"),
    (lambda: impact_above(float("nan")), "gate.needed", "0 or more"),
    (lambda: impact_above(float("inf")), "gate.needed", "0 or more"),
    (lambda: impact_above(-1), "gate.needed", "0 or more"),
    (lambda: replace(WORTH, within=hours(0)), "economics.within", "comes after"),
    (lambda: replace(WORTH, within=2), "economics.within", "no duration"),
    (lambda: replace(WORTH, key="order_id"), "economics.key", r"\('order_id',\)"),
    (lambda: replace(WORTH, unit="ÄÖÜ"), "economics.unit", "ISO 4217"),
    (lambda: ACTION(do=Till().pay, timeout=5), "action.timeout", "no duration"),
    (lambda: ACTION(do=Till().pay, backoff=5), "action.backoff", "no duration"),
    (lambda: ACTION(do=Till().pay, attempts=0), "action.attempts", "at least once"),
    (lambda: ACTION(do=Till().pay, timeout=seconds(0)), "action.timeout", "positive"),
    (lambda: ACTION(do=Till().pay, backoff=seconds(-1)), "action.timeout", "positive"),
    (lambda: replace(WORTH, key=()), "economics.key", "joined by something"),
    (lambda: replace(WORTH, sticky="order_id"), "economics.sticky", r"\('order_id',\)"),
    (lambda: replace(WORTH, sticky=()), "economics.sticky", "told apart by something"),
    (lambda: replace(WORTH, key=("x",)), "economics.key", "choose from order_id, kept_eur"),
    (lambda: replace(WORTH, unit="euro"), "economics.unit", "ISO 4217"),
    (lambda: Every(seconds(0.5), make=make_visit), "schedule.period", "shortest period"),
    (lambda: Every(hours(1), make=make_visit, offset=hours(1)), "schedule.offset", "shorter than the period"),
    (lambda: Every(hours(1), make=make_visit, offset=hours(-1)), "schedule.offset", "shorter than the period"),
    (lambda: Choice("x", reasons=()), "reasons", "needs reasons"),
    (lambda: CHOICE("x", reasons="because"), "reasons", "needs reasons"),
    (lambda: Choice("x", reasons=("y",), propensity=0.0), "propensity", r"\(0, 1\]"),
    (lambda: Choice("x", reasons=("y",), propensity=1.01), "propensity", r"\(0, 1\]"),
    (lambda: Choice("x", reasons=("y",), propensity=float("nan")), "propensity", r"\(0, 1\]"),
    (PIPELINE, "predict", "at least one step"),
    (lambda: PIPELINE(7), "predict", "is not a step"),
    (lambda: STEP(by_load, reuse=3), "predict.inputs", "name the features it reads"),
    (lambda: payments.mean("amount", over=hours(1)), "field", "choose one of card, at, amount_eur"),
    (lambda: payments.mean("amount_eur", over=hours(0)), "over", "longer than zero"),
    (lambda: payments.mean("amount_eur", over=hours(2), exact=True), "exact", "leave exact out"),
    (lambda: payments.quantile("amount_eur", 1.5, over=hours(1)), "q", "between 0 and 1"),
    (lambda: payments.series("amount_eur", over=hours(1), step=minutes(7)), "step", "whole number"),
    (lambda: UNTYPED_PAYMENTS.mean("amount_eur", over=3600), "over", "no duration"),
    (lambda: UNTYPED_PAYMENTS.series("amount_eur", over=hours(1), step=60), "step", "no duration"),
    (lambda: payments.series("amount_eur", over=hours(1), step=hours(0)), "step", "whole number"),
    (lambda: payments.mean("card", over=hours(1)), "field", "is a str, not a number"),
    (lambda: payments.last("at"), "field", "is a datetime, not a number"),
    (lambda: replace(payments, time="amount_eur"), "time", "is a float, not a datetime"),
    (lambda: EVERY(3600, make=make_visit), "schedule.period", "no duration"),
    (lambda: replace(payments, key="kard"), "key", "no field 'kard'"),
    (lambda: replace(payments, time="when"), "time", "no field 'when'"),
]


@pytest.mark.parametrize(("make", "field", "says"), PARTS, ids=[f"{p[1]}-{n}" for n, p in enumerate(PARTS)])
def test_a_part_checks_itself(make: Any, field: str, says: str) -> None:
    with pytest.raises(DeclarationError, match=says) as raised:
        make()
    assert raised.value.field == field


def test_what_may_fit_is_left_to_the_type_checker() -> None:
    def loosely(features: dict[str, Any], prediction: Prediction[None] | None) -> Choice[float]:
        return Choice(1.0, reasons=("y",))

    def of_either(event: Refund | Payment) -> float:
        return event.amount_eur

    def unresolved(event: Nowhere) -> float:  # type: ignore[name-defined]  # noqa: F821 - on purpose
        return 1.0

    changes: dict[str, Any] = {
        "policy": loosely,
        "features": (AMOUNT, Feature(of_either), Feature(unresolved)),
        "gate": replace(GATE, otherwise=0),
    }
    assert replace(DECISION, **changes).gate is not None

    def anything(features: Any, prediction: Any) -> Choice[Any]:
        return Choice("hold", reasons=("y",))

    def untyped(features: Any, prediction: Any) -> Any:
        return Choice("hold", reasons=("y",))

    assert replace(DECISION, policy=anything).policy is anything
    assert replace(DECISION, policy=untyped).policy is untyped


def test_a_feature_needs_a_name() -> None:
    feature: Any = Feature
    with pytest.raises(DeclarationError, match="lambda has no name"):
        feature(lambda event: 1.0)
    assert feature(lambda event: 1.0, name="one").name == "one"
    with pytest.raises(DeclarationError, match="is not a name"):
        Feature("amount_eur", name="amount eur")
    with pytest.raises(DeclarationError, match="must name its parameters"):
        feature(lambda *anything: 1.0, name="all")


def test_names_of_windows_say_what_they_are() -> None:
    names = [
        payments.last("amount_eur").name,
        payments.lag("amount_eur", by=hours(168)).name,
        payments.count(over=hours(1)).name,
        payments.sum("amount_eur", over=minutes(90)).name,
        payments.quantile("amount_eur", 0.995, over=hours(36)).name,
    ]
    assert names == [
        *("amount_eur_last", "amount_eur_lag_7d", "cards_payments_count_1h", "amount_eur_sum_90m"),
        "amount_eur_q99_5_36h",
    ]


def test_a_decision_can_be_a_key() -> None:
    assert {CARDS: 1, HOURLY: 2}[replace(CARDS)] == 1
    assert replace(CARDS) == CARDS
    assert hash(CARDS) == hash(replace(CARDS))


def test_the_decision_is_named_because_a_file_may_have_many() -> None:
    with pytest.raises(DeclarationError) as raised:
        replace(DECISION, economics=None)
    assert raised.value.what == "decision 'shop.refund': a gate weighs money, but the decision has no economics"
    assert (raised.value.field, raised.value.fix) == ("economics", "declare economics=...")
