from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from tests.models.artefacts import manifest

from steward.errors import DeclarationError, IntegrityError
from steward.models.manifest import FileFacts, declared, decode, encode

GOOD = json.loads(encode(manifest("linear", "binary", model_json=b"{}")))


def test_comes_back_as_it_was() -> None:
    assert decode(encode(manifest("linear", "binary", model_json=b"{}"))) == manifest(
        "linear", "binary", model_json=b"{}"
    )
    assert GOOD["format"] == "steward.model/1"


@pytest.mark.parametrize(
    "change",
    [
        {"format": "steward.model/2"},
        {"extra": 1},
        {"name": "../load"},
        {"version": 0},
        {"version": "1"},
        {"task": "ranking"},
        {"inputs": []},
        {"inputs": ["a", "a"]},
        {"inputs": [""]},
        {"files": {}},
        {"files": {"../x": GOOD["files"]["model.json"]}},
        {"files": {"model.json": {"sha256": "a" * 63, "bytes": 2}}},
        {"files": {"model.json": {"sha256": "a" * 64, "bytes": -1}}},
        {"created_at": "2026-01-01T00:00:00"},
        {"metrics": {"auc": "high"}},
        {"trained": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", "rows": -1, "data": "sha256:0"}},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="manifest cannot be read"):
        decode(json.dumps({**GOOD, **change}).encode())


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(DeclarationError, match="created_at"):
        declared("load", version=1, kind="linear", task="binary", inputs=("a",), files={"m": FileFacts.of(b"")},
                 created_at=datetime(2026, 1, 1))  # fmt: skip  # noqa: DTZ001 - the mistake under test


def test_only_version_and_time_may_differ_for_the_same_content() -> None:
    first = manifest("linear", "binary", model_json=b"{}")
    later = decode(json.dumps({**GOOD, "version": 7, "created_at": "2027-01-01T00:00:00Z"}).encode())
    other = decode(json.dumps({**GOOD, "metrics": {"auc": 0.9}}).encode())
    assert first.same_content(later)
    assert not first.same_content(other)
