"""Histories recorded by versions of the past are read for ever, and lead to the moves that they led to then."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from tests.workflow.stories import HISTORIES, STORIES, moves_along, tell

from steward.ledger.port import Entry

RECORDED = sorted(HISTORIES.glob("*.jsonl"))


def test_every_story_is_recorded() -> None:
    assert {path.stem for path in RECORDED} >= set(STORIES)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_each_prefix_leads_to_the_move_that_was_made(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    run_id = UUID(lines[0]["entry"]["decision_id"])
    entries = [
        Entry(index, line["entry"]["kind"], run_id, msgspec.json.encode(line["entry"]), line["key"])
        for index, line in enumerate(lines)
    ]
    assert moves_along(path.stem, entries) == [line["next"] for line in lines]


@pytest.mark.parametrize("name", STORIES)
async def test_today_the_same_story_has_the_same_entries(name: str) -> None:
    lines = [json.loads(line) for line in (HISTORIES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    today = await tell(name)
    assert [(entry.kind, entry.key) for entry in today] == [(line["entry"]["kind"], line["key"]) for line in lines]
