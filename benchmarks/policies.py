"""Policies as data: one decision with its reason, a replay in columns, a swap; a plain Python if-chain beside them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import polars as pl
from benchmarks.report import Figure, report

from steward.decision.choice import Choice
from steward.decision.feature import Features
from steward.policies.bound import Bound
from steward.policies.columns import choose
from steward.policies.engine import ask_of
from steward.policies.policy import Policy
from steward.records import Prediction

ROWS = 2_000_000
RULES: list[dict[str, str]] = [
    {"_id": "tiny", "a": "<= 20", "c": "'pay'"},
    {"_id": "risky", "p": "> 0.9", "c": "'refuse'"},
    {"_id": "small-gold", "a": "<= limit_eur", "s": "'gold'", "c": "'pay'"},
    {"_id": "small-silver", "a": "<= 250", "s": "'silver'", "p": "<= 0.4", "c": "'pay'"},
    {"_id": "small-new", "a": "<= 80", "s": "'new'", "p": "<= 0.1", "c": "'pay'"},
    {"_id": "doubtful", "a": "> 2000", "p": "> 0.6", "c": "'refuse'"},
    {"_id": "large-gold", "a": "(500..900]", "s": "'gold'", "p": "<= 0.05", "c": "'pay'"},
    {"_id": "rest", "c": "'review'"},
]


def policy_of(limit: int = 500) -> bytes:
    """Return a policy of eight rules and one limit."""
    inputs = [("a", "amount_eur"), ("s", "segment"), ("p", "prediction")]
    limits = {"passThrough": True, "expressions": [{"id": "1", "key": "limit_eur", "value": str(limit)}]}
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": id, "field": name} for id, name in inputs],
        "outputs": [{"id": "c", "field": "choice"}],
        "rules": RULES,
    }
    nodes = [
        {"id": "in", "type": "inputNode"},
        {"id": "l", "type": "expressionNode", "content": limits},
        {"id": "t", "type": "decisionTableNode", "name": "Refunds", "content": table},
        {"id": "out", "type": "outputNode"},
    ]
    ways = [("in", "l"), ("l", "t"), ("t", "out")]
    edges = [{"id": f"e{at}", "sourceId": one, "targetId": other} for at, (one, other) in enumerate(ways)]
    return json.dumps({"nodes": nodes, "edges": edges}).encode()


def plain(features: Features, prediction: Prediction[float]) -> Choice[str]:
    """Choose as the eight rules do, written by hand."""
    amount, segment, risk = features.number("amount_eur"), features.text("segment"), prediction.value
    if amount <= 20:
        return Choice("pay", reasons=("tiny",), rule="tiny")
    if risk > 0.9:
        return Choice("refuse", reasons=("risky",), rule="risky")
    if amount <= 500 and segment == "gold":
        return Choice("pay", reasons=("small",), rule="small-gold")
    if amount <= 250 and segment == "silver" and risk <= 0.4:
        return Choice("pay", reasons=("small",), rule="small-silver")
    if amount <= 80 and segment == "new" and risk <= 0.1:
        return Choice("pay", reasons=("small",), rule="small-new")
    if amount > 2000 and risk > 0.6:
        return Choice("refuse", reasons=("doubtful",), rule="doubtful")
    if 500 < amount <= 900 and segment == "gold" and risk <= 0.05:
        return Choice("pay", reasons=("large",), rule="large-gold")
    return Choice("review", reasons=("rest",), rule="rest")


def best_us(work: Callable[[], Any], count: int, tries: int = 7) -> float:
    """Return the best mean of several tries in microseconds of processor time, all threads together."""
    found = []
    for _ in range(tries):
        started = time.process_time()
        for _ in range(count):
            work()
        found.append((time.process_time() - started) / count * 1e6)
    return min(found)


def main() -> None:
    """Measure and print."""
    read = Policy.read(policy_of())
    bound = Bound(read, str, name="refunds")
    features, prediction = Features(amount_eur=450.0, segment="silver"), Prediction(value=0.5)
    assert bound(features, prediction).rule == plain(features, prediction).rule == "rest"
    ask, values = ask_of(read), b'{"amount_eur":450.0,"segment":"silver","prediction":0.5}'
    decide, bare = best_us(lambda: bound(features, prediction), 5_000), best_us(lambda: ask(values), 5_000)
    hand = best_us(lambda: plain(features, prediction), 50_000)
    swap = best_us(lambda: Bound(Policy.read(policy_of(400)), str), 5)
    frame = pl.DataFrame(
        {
            "amount_eur": pl.Series(range(ROWS)).cast(pl.Float64) % 3000,
            "segment": (["gold", "silver", "new"] * (ROWS // 3 + 1))[:ROWS],
            "prediction": (pl.Series(range(ROWS)).cast(pl.Float64) * 0.618034) % 1,
        }
    )
    replay = best_us(lambda: choose(read, frame), 1, 3)
    figures = [
        Figure("one decision with its reason", decide, "us", 25, below=True),
        Figure("of which the engine", bare, "us"),
        Figure("the same as a Python if-chain", hand, "us"),
        Figure("replay in columns, one core", ROWS / replay * 1e6, "decisions/s", 1_000_000),
        Figure("swap: read, check, compile, bind", swap / 1e3, "ms", 10, below=True),
    ]
    report("policies", figures)


if __name__ == "__main__":
    main()
