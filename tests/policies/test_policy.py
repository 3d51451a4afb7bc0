"""What a policy may hold, what is refused and why, and what names it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steward.errors import DeclarationError
from steward.policies.coverage import check
from steward.policies.demo import REFUNDS
from steward.policies.difference import difference
from steward.policies.policy import Policy


def changed(**nodes: dict[str, Any]) -> bytes:
    document = json.loads(REFUNDS)
    for node in document["nodes"]:
        node.update(nodes.get(node["id"], {}))
    return json.dumps(document).encode()


def rows(*rules: dict[str, str], **content: Any) -> bytes:
    table = next(n for n in json.loads(REFUNDS)["nodes"] if n["id"] == "refunds")["content"]
    return changed(refunds={"content": {**table, "rules": list(rules), **content}})


@pytest.mark.parametrize("kind", ["functionNode", "customNode", "decisionNode", "httpNode", "requestNode", "other"])
def test_what_runs_code_or_calls_out_is_refused_by_name(kind: str) -> None:
    with pytest.raises(DeclarationError, match=kind):
        Policy.read(changed(refunds={"type": kind, "content": {"source": "x"}}))


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("> now()", "function"),
        ("> 'a'", "number"),
        ("`x`", "language"),
        ("> 5 > 3", "cannot stand"),
        ("in []", "at least one"),
        ("#.x", "language"),
        ("> 1234567890123456", "digits"),
        ("(" * 30 + "1" + ")" * 30, "nested"),
    ],
)
def test_expressions_outside_the_subset_are_refused(cell: str, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        Policy.read(rows({"_id": "r", "a": cell, "c": "'pay'"}))


def test_bounds_unknown_fields_and_twice_the_same_id_are_refused() -> None:
    for bad in (
        rows({"_id": "r", "c": "'pay'"}, {"_id": "r", "c": "'pay'"}),
        rows({"c": "'pay'"}),
        rows({"_id": "r", "zzz": "1"}),
        rows({"_id": "r"}, executionMode="loop"),
        rows(*({"_id": f"r{at}"} for at in range(5_001))),
        REFUNDS.replace(b'"edges"', b'"nodes"'),
    ):
        with pytest.raises(DeclarationError):
            Policy.read(bad)


def test_places_on_the_board_and_the_order_of_nodes_make_no_new_policy() -> None:
    moved = json.loads(changed(refunds={"position": {"x": 10, "y": 5}}))
    moved["nodes"].reverse()
    again = Policy.read(json.dumps(moved, indent=2).encode())
    assert again.digest == Policy.read(REFUNDS).digest
    assert Policy.read(again.canonical()).digest == again.digest
    assert Policy.read(REFUNDS.replace(b'"500"', b'"400"')).digest != again.digest


def test_a_name_that_a_node_does_not_pass_on_is_refused() -> None:
    document = json.loads(REFUNDS)
    limits = next(node for node in document["nodes"] if node["id"] == "limits")
    limits["content"]["passThrough"] = False
    with pytest.raises(DeclarationError, match="passThrough"):
        Policy.read(json.dumps(document).encode())


def test_gaps_unreachable_rows_and_conflicts_are_found() -> None:
    small, big = {"_id": "small", "a": "<= 50", "c": "'pay'"}, {"_id": "big", "a": "> 60", "c": "'no'"}
    gap = check(Policy.read(rows(small, big)))
    assert [(each.kind, each.told) for each in gap] == [("gap", "no row fits Amount between 50 and 60 or is 60")]
    shadow = check(Policy.read(rows({"_id": "all", "c": "'pay'"}, {"_id": "late", "a": "< 5", "c": "'no'"})))
    assert [(each.kind, each.rows) for each in shadow] == [("unreachable", ("late",))]
    one, other = {"_id": "a", "a": "< 50", "c": "'x'"}, {"_id": "b", "p": "> 0.5", "c": "'y'"}
    crossing = check(Policy.read(rows(one, other, {"_id": "z", "c": "'z'"})))
    assert [(each.kind, each.rows) for each in crossing] == [("conflict", ("a", "b"))]
    unclear = check(Policy.read(rows({"_id": "a", "a": "> prediction", "c": "'x'"}, {"_id": "z", "c": "'z'"})))
    assert [each.kind for each in unclear] == ["not-analysed"]


def test_differences_are_told_by_row() -> None:
    new = Policy.read(
        rows(
            {"_id": "small", "a": "<= 40", "p": "<= risk", "c": "'pay'"},
            {"_id": "rest", "c": "'review'"},
            {"_id": "new", "s": "'new'", "c": "'refuse'"},
        )
    )
    found = {(each.kind, each.where): each.told for each in difference(Policy.read(REFUNDS), new)}
    assert "at most 50" in found["changed", "Refunds/small"]
    assert "at most 40" in found["changed", "Refunds/small"]
    assert ("removed", "Refunds/known") in found
    assert found["added", "Refunds/new"] == "Segment is new: choice = 'refuse'"
    assert difference(new, new) == ()
