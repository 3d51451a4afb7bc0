"""Only what differs between two versions is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from steward.models.checked import Checked
from steward.models.comparing import Side, differences
from steward.models.manifest import FileFacts, Manifest
from steward.models.signing.card import Card, Metric
from steward.models.signing.provenance import Provenance
from steward.models.untrusted.intake import draft

AT = datetime(2026, 1, 1, tzinfo=UTC)


def made(**changes: Any) -> Manifest:
    known = draft("load", kind="linear", task="regression", inputs=["hour", "day"], metrics={"mae": 2.5, "r2": 0.9})
    return replace(known, **changes)


def test_what_is_the_same_is_not_told() -> None:
    card, provenance = Card(purpose="Forecast."), Provenance(builder="nightly", finished_at=AT)
    side = Side(manifest=made(), card=card, provenance=provenance)
    assert differences(side, side) == {}
    other = made(version=2, created_at=AT)
    assert differences(Side(manifest=made()), Side(manifest=other)) == {}, "versions and times always differ"


def test_each_part_is_told_by_its_name() -> None:
    one = made(checked=Checked(engine="native", p50_us=2.0), files={"a": FileFacts.of(b"1"), "b": FileFacts.of(b"2")})
    other = made(
        kind="onnx", metrics={"mae": 2.0, "r2": 0.9}, checked=Checked(engine="native", p50_us=3.0),
        files={"b": FileFacts.of(b"22"), "c": FileFacts.of(b"3")},
    )  # fmt: skip
    found = differences(Side(manifest=one), Side(manifest=other))
    assert {field: found[field] for field in ("kind", "metrics.mae", "checked.p50_us")} == {
        "kind": ("linear", "onnx"), "metrics.mae": (2.5, 2.0), "checked.p50_us": (2.0, 3.0),
    }  # fmt: skip
    assert [field for field in found if field.startswith("files.")] == ["files.a", "files.b", "files.c"]
    assert found["files.a"][1] is None
    assert str(found["files.b"][1]).startswith("2 bytes, sha256 785f3ec7eb32")
    assert {"metrics.r2", "checked.engine", "task", "inputs"}.isdisjoint(found)


def test_inputs_are_told_as_those_that_only_one_has() -> None:
    def of(*inputs: str) -> Side:
        return Side(manifest=made(inputs=inputs))

    assert differences(of("a", "b"), of("b", "c")) == {"inputs": (["a"], ["c"])}
    assert differences(of("a"), of("a", "b")) == {"inputs": (None, ["b"])}
    assert differences(of("a", "b"), of("b", "a")) == {"inputs' order": (["a", "b"], ["b", "a"])}


def test_the_metrics_of_cards_are_compared_with_their_own() -> None:
    def of(*metrics: Metric) -> Side:
        return Side(manifest=made(), card=Card(metrics=metrics))

    weekend = Metric(name="mae", value=3.0, segment="weekend")
    found = differences(of(Metric(name="mae", value=2.0), weekend), of(weekend, Metric(name="mae", value=1.5)))
    assert found == {"card.metrics.mae of all.value": (2.0, 1.5)}


def test_one_without_a_card_lacks_all_of_it() -> None:
    found = differences(Side(manifest=made()), Side(manifest=made(), card=Card(owner="grid team")))
    assert found["card.owner"] == (None, "grid team")
