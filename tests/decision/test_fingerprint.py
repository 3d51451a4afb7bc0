"""The fingerprint: the same for what does the same, in every process; another for whatever changes an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from tests.runtime.shop import CARDS, ECONOMICS, HOURLY, refund
from tests.runtime.world import Till

from steward import Choice, Contract, Event, Features, Gate, Prediction, Risk, impact_above, minutes
from steward.decision.fingerprint import digest, plain, source_hash

ROOT = Path(__file__).parents[2]
LIMIT_EUR = 100.0
WORDS = frozenset({"alpha", "beta", "gamma", "delta", "epsilon"})


class Reading(Event):
    load_mw: Annotated[float, Meta(ge=0)]


class HighReading(Event):
    load_mw: Annotated[float, Meta(ge=1)]


def within_limit(amount_eur: float) -> bool:
    return amount_eur <= LIMIT_EUR


def known(word: str) -> bool:
    return word in WORDS and word not in {"one", "two", "three", "four", "five"}


def above(limit: float) -> Callable[[float], bool]:
    def is_above(amount: float) -> bool:
        return amount > limit

    return is_above


def policy_of(limit: float) -> Callable[[Features, Prediction[None]], Choice[str]]:
    check = above(limit)

    def policy(features: Features, prediction: Prediction[None]) -> Choice[str]:
        return Choice("hold" if check(features.number("amount_eur")) else "pay", reasons=("limit",))

    return policy


def test_equal_declarations_have_one_fingerprint() -> None:
    assert refund(Till()).fingerprint == refund(Till()).fingerprint == replace(refund(Till())).fingerprint


def test_every_field_counts() -> None:
    base = refund(Till())
    changes: list[dict[str, Any]] = [
        {"name": "shop.other"},
        {"owner": "others"},
        {"purpose": "another"},
        {"risk": Risk.HIGH},
        {"gate": None},
        {"action": None},
        {"economics": replace(ECONOMICS, unit="USD")},
        {"policy": policy_of(1)},
    ]
    prints = [replace(base, **change).fingerprint for change in changes]
    assert len({base.fingerprint, *prints}) == len(prints) + 1


def test_a_threshold_in_a_closure_counts() -> None:
    base = refund(Till())
    assert replace(base, policy=policy_of(5)).fingerprint == replace(base, policy=policy_of(5)).fingerprint
    assert replace(base, policy=policy_of(5)).fingerprint != replace(base, policy=policy_of(6)).fingerprint


def test_a_threshold_in_the_gate_counts() -> None:
    gate: Gate[None, str] = Gate(
        needed=impact_above(5), impact=lambda f, p, c: 1.0, approvers="desk", within=minutes(1), otherwise="hold"
    )
    base = refund(Till(), gate=gate)
    assert base.fingerprint != replace(base, gate=replace(gate, needed=impact_above(6))).fingerprint
    assert base.fingerprint != replace(base, gate=replace(gate, within=minutes(2))).fingerprint


@dataclass(frozen=True)
class impact_below:
    amount: float

    def __call__(self, impact: float) -> bool:
        return impact < self.amount


class Limit:
    def __init__(self, amount: float) -> None:
        self.amount = amount

    def __call__(self, impact: float) -> bool:
        return impact > self.amount

    def check(self, impact: float) -> bool:
        return impact > self.amount


def test_callable_values_count_by_class_and_contents() -> None:
    assert plain(impact_above(5)) != plain(impact_below(5))
    assert plain(impact_above(5)) == plain(impact_above(5))
    assert source_hash(Limit(5)) == source_hash(Limit(5)) != source_hash(Limit(6))
    assert source_hash(Limit(5).check) == source_hash(Limit(5).check) != source_hash(Limit(6).check)


def test_partials_and_defaults_count() -> None:
    def over(limit: float, amount: float) -> bool:
        return amount > limit

    assert source_hash(partial(over, 5)) == source_hash(partial(over, 5)) != source_hash(partial(over, 6))
    assert source_hash(partial(over, limit=5)) != source_hash(partial(over, limit=6))

    def with_default(default: float) -> Callable[..., bool]:
        def check(amount: float, limit: float = default, *, strict: bool = bool(default)) -> bool:
            return amount > limit or strict

        return check

    assert with_default(5).__closure__ is None
    assert source_hash(with_default(5)) == source_hash(with_default(5)) != source_hash(with_default(6))


def test_lambdas_of_one_line_differ() -> None:
    both: tuple[Callable[[float], float], Callable[[float], float]] = (lambda x: x + 1, lambda x: x + 2)
    assert source_hash(both[0]) != source_hash(both[1])


def test_constants_of_the_module_count(monkeypatch: Any) -> None:
    before = source_hash(within_limit)
    monkeypatch.setitem(within_limit.__globals__, "LIMIT_EUR", 101.0)
    assert source_hash(within_limit) != before
    monkeypatch.setitem(within_limit.__globals__, "LIMIT_EUR", 100.0)
    assert source_hash(within_limit) == before


def test_a_function_that_holds_itself_or_a_strange_thing_has_a_hash() -> None:
    def outer(thing: object) -> Callable[[int], int]:
        def down(n: int) -> int:
            return down(n - 1) if n and thing else 0

        return down

    assert source_hash(outer(object())) == source_hash(outer(object()))
    assert source_hash(outer(float("nan"))) != source_hash(outer(float("inf")))


def test_the_types_of_a_contracts_fields_count() -> None:
    def contract(schema: type[Event], upcast: Callable[[dict[str, Any]], dict[str, Any]]) -> Contract[Any]:
        return Contract(schema, "reading", version=2, upcasts={1: upcast})

    def same(old: dict[str, Any]) -> dict[str, Any]:
        return old

    def renamed(old: dict[str, Any]) -> dict[str, Any]:
        return {"load_mw": old["load"]}

    assert plain(contract(Reading, same)) == plain(contract(Reading, same))
    assert len({digest(plain(contract(kind, up))) for kind in (Reading, HighReading) for up in (same, renamed)}) == 4


def test_a_dataclass_as_event_counts_by_its_schema() -> None:
    def declared(kind: type) -> object:
        made: Any = dataclass(type("Reading", (), {"__annotations__": {"load_mw": kind}, "__module__": __name__}))
        return plain(made)

    assert declared(float) != declared(int)


def test_the_description_is_plain_json() -> None:
    for decision in (refund(Till()), CARDS, HOURLY):
        described = decision.description
        assert msgspec.json.decode(msgspec.json.encode(described)) == described
        assert described["fingerprint"] == decision.fingerprint
        assert set(described) == {"fingerprint", *decision.__dataclass_fields__}


def test_it_is_the_same_in_every_process() -> None:
    code = (
        "from tests.decision.test_fingerprint import *\n"
        "print(refund(Till()).fingerprint, CARDS.fingerprint, HOURLY.fingerprint, source_hash(known),"
        " source_hash(policy_of(5)), digest(plain(WORDS)), sep='\\n')"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    here = [refund(Till()).fingerprint, CARDS.fingerprint, HOURLY.fingerprint, source_hash(known)]
    assert printed == {"\n".join([*here, source_hash(policy_of(5)), digest(plain(WORDS)), ""])}


class Posts:
    """Ships with a library, and says itself when it does something else."""

    code_version = "1"

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, choice: str) -> str:
        return self.url + choice


def test_a_class_that_names_its_version_is_known_by_it() -> None:
    plain = {"a": Posts("a"), "b": Posts("b")}
    before = {name: source_hash(each) for name, each in plain.items()}
    assert before["a"] != before["b"]
    Posts.code_version = "2"
    try:
        assert all(source_hash(each) != before[name] for name, each in plain.items())
    finally:
        Posts.code_version = "1"
    assert {name: source_hash(each) for name, each in plain.items()} == before


def test_what_is_not_declared_has_no_part_in_it() -> None:
    decision = refund(Till())
    assert decision.schedule is None
    said = {name: plain(getattr(decision, name)) for name in decision.__dataclass_fields__ if name != "lane"}
    assert decision.fingerprint == digest({name: part for name, part in said.items() if part not in (None, [])})
    assert decision.fingerprint != digest(said)
