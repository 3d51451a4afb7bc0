"""The views equal the fold of every run, however the entries arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.insight.histories import (
    NAMES,
    START,
    asked,
    entries_of,
    filled,
    histories,
    later,
    record,
    valued,
)

from steward.entries import (
    Approved,
    Body,
    Escalated,
    Expired,
    Failed,
    Published,
    Rejected,
)
from steward.errors import EngineError, IntegrityError
from steward.insight.rows import Worth
from steward.insight.views import Views
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Draft, Entry
from steward.ledger.run import Run
from steward.records import Money, Record, Status


def folded(entries: Sequence[Entry]) -> dict[UUID, Run]:
    by_run: dict[UUID, list[Entry]] = {}
    for entry in entries:
        by_run.setdefault(entry.run_id, []).append(entry)
    return {run_id: Run.of(own, run_id) for run_id, own in by_run.items()}


def seen(views: Views) -> tuple[object, ...]:
    """Return everything that views show."""
    return (
        views.position,
        views.runs(limit=1000),
        views.waiting(1000),
        views.unfinished(),
        views.totals(),
        views.value_by_day(),
        views.people(),
        views.answer_counts(),
        views.pulse(START, START + timedelta(hours=8), timedelta(minutes=1)),
        views.pulse(START, START + timedelta(hours=8), timedelta(hours=1)),
        [views.find(name, f"k{number}") for name in NAMES for number in range(4)],
    )


@given(histories())
def test_rows_equal_the_fold_of_each_run(bodies: list[Body]) -> None:
    entries = entries_of(bodies)
    runs = folded(entries)
    views = filled(bodies)
    rows = views.runs(limit=1000)
    assert [row.decision_id for row in rows] == sorted(runs, reverse=True)
    for row in rows:
        run = runs[row.decision_id]
        assert (row.status, row.choice, row.index) == (run.status, msgspec.to_builtins(run.choice), run.index)
        assert row.decided_at == run.record.decided_at
        assert row.saving == (run.valued.saving if run.valued else None)
    assert views.unfinished() == sorted(key for key, run in runs.items() if run.is_waiting or run.needs_action)
    for shown in views.waiting():
        now = runs[shown.decision_id].asked
        assert now is not None
        assert (shown.choice, shown.evidence, shown.impact) == (now.choice, now.evidence, now.gate.impact)
    assert {row.decision_id for row in views.waiting()} == {key for key, run in runs.items() if run.is_waiting}
    for name in NAMES:
        for number in range(4):
            own = [r for r in runs.values() if (r.record.decision, r.record.outcome_key) == (name, f"k{number}")]
            assert views.find(name, f"k{number}") == sorted(run.record.decision_id for run in own)
    views.close()


@given(histories())
def test_totals_equal_the_sum_of_all_runs(bodies: list[Body]) -> None:
    runs = folded(entries_of(bodies)).values()
    views = filled(bodies)
    totals = views.totals()
    assert [row.decision for row in totals] == sorted({run.record.decision for run in runs})
    for row in totals:
        own = [run for run in runs if run.record.decision == row.decision]
        assert row.runs == len(own)
        assert row.by_status == {status: n for status in Status if (n := sum(run.status is status for run in own))}
        assert row.asked == sum(run.asked is not None for run in own)
        counts = (row.approved, row.rejected, row.expired)
        assert counts == tuple(sum(isinstance(r.answer, kind) for r in own) for kind in (Approved, Rejected, Expired))
        worth = [run.valued for run in own if run.valued]
        assert row.valued == len(worth)
        for each in row.worth:
            in_unit = [one for one in worth if one.saving.unit == each.unit]
            assert each.value_minor == sum(one.value.minor for one in in_unit)
            assert each.baseline_minor == sum(one.baseline.minor for one in in_unit)
            assert each.saving_minor == sum(one.saving.minor for one in in_unit)
            assert each.squares_minor == sum(one.saving.minor**2 for one in in_unit)
    views.close()


@given(histories(), st.lists(st.integers(0, 60), max_size=6))
def test_any_batches_and_repetitions_give_the_same_views(bodies: list[Body], cuts: list[int]) -> None:
    entries = entries_of(bodies)
    whole, pieces = filled(bodies), Views(":memory:")
    for cut in sorted(cuts):
        pieces.apply(entries[max(0, pieces.position - 3) : cut])
    pieces.apply(entries)
    assert seen(pieces) == seen(whole)
    whole.close()
    pieces.close()


@given(histories())
def test_rebuilt_views_equal_live_ones(bodies: list[Body]) -> None:
    async def main() -> None:
        ledger, live = MemoryLedger(), Views(":memory:")
        for entry in entries_of(bodies):
            await ledger.append(Commit(entries=[Draft(entry.kind, entry.run_id, entry.body)]))
            await live.catch_up(ledger)
        before = seen(live)
        assert await live.rebuild(ledger) == len(bodies)
        assert seen(live) == before
        live.close()

    asyncio.run(main())


def test_a_restated_value_replaces_the_earlier_one() -> None:
    run = record(1)
    views = filled([run, valued(run, 500), valued(run, 300, restates=True)])
    assert views.totals()[0].worth == (
        Worth(unit="EUR", valued=1, value_minor=340, baseline_minor=40, saving_minor=300, squares_minor=90_000),
    )
    views.close()


def test_sums_stay_exact_beyond_64_bits() -> None:
    runs = [record(n) for n in range(4)]
    views = filled([*runs, *(valued(run, 9_223_372_036_854_775_807) for run in runs)])
    assert views.totals()[0].worth[0].saving_minor == 4 * 9_223_372_036_854_775_807
    views.close()


def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    runs = [record(n, decision=NAMES[n % 2]) for n in range(23)]
    done = [later(Failed, run, stage="act", code="x", reason="y") for run in runs[::3]]
    views = filled([*runs, *done])
    wanted: list[tuple[dict[str, Any], list[Record]]] = [
        ({}, runs),
        ({"decision": NAMES[0]}, runs[::2]),
        ({"status": Status.FAILED}, runs[::3]),
        ({"decision": NAMES[0], "status": "failed"}, runs[::6]),
        ({"decision": "unknown"}, []),
    ]
    for filters, expected in wanted:
        pages: list[UUID] = []
        while page := views.runs(**filters, before=pages[-1] if pages else None, limit=4):
            assert len(page) <= 4
            pages += [row.decision_id for row in page]
        assert pages == [run.decision_id for run in reversed(expected)]
    views.close()


def test_waiting_shows_the_next_deadline_first_with_all_that_is_at_stake() -> None:
    slow, quick, answered = record(1), record(2), record(3)
    views = filled(
        [
            *(slow, quick, answered),
            *(asked(slow, within=timedelta(days=3)), asked(quick), asked(answered)),
            later(Escalated, quick, to="duty-manager"),
            later(Approved, answered, by="anna", reason="ok", evidence="e", choice="release"),
        ]
    )
    first, second = views.waiting()
    assert (first.decision_id, second.decision_id) == (quick.decision_id, slow.decision_id)
    assert first.deadline == quick.decided_at + timedelta(minutes=10)
    assert (first.impact, first.approvers, first.otherwise) == (Money.of_minor(750_000, "EUR"), "desk", "hold")
    assert (first.choice, first.reasons) == ({"do": "release"}, ("known customer", "small"))
    assert (first.evidence, first.escalated_to, second.escalated_to) == ("sha256:0e", "duty-manager", None)
    assert len(views.waiting(1)) == 1
    views.close()


def test_days_are_of_utc_and_hold_only_their_runs() -> None:
    runs = [record(n) for n in range(4)]  # two before midnight, two after
    views = filled([*runs, valued(runs[0], 10), valued(runs[2], 100), valued(runs[3], 1000)])
    one, two = views.value_by_day()
    assert (one.day.isoformat(), one.runs, one.worth[0].saving_minor) == ("2026-01-01", 2, 10)
    assert (two.day.isoformat(), two.runs, two.worth[0].saving_minor) == ("2026-01-02", 2, 1100)
    assert views.value_by_day("other") == []
    assert views.value_by_day(since=two.day) == [two]
    assert views.value_by_day(until=one.day) == [one]
    (only,) = views.totals(until=one.day)
    assert (only.runs, only.worth[0].saving_minor) == (2, 10)
    views.close()


def test_entries_of_no_run_change_nothing_but_the_position() -> None:
    published = Published(
        decision_id=UUID(int=9), decision="pay.release", at=START, release="sha256:0a", description={"name": "x"}
    )
    views = filled([published, later(Failed, record(5), stage="act", code="x", reason="y")])
    assert (views.position, views.runs(), views.totals()) == (2, [], [])
    views.close()


@pytest.mark.parametrize("body", [b'{"kind":"decided"}', b'{"kind":"deci\xe1ed"}'])
def test_a_gap_is_refused_and_a_broken_body_names_its_entry(body: bytes) -> None:
    views = filled([record(1)])
    with pytest.raises(EngineError, match="at entry 1 and cannot continue at 3"):
        views.apply(entries_of([record(2)], start=3))
    good = entries_of([record(2)], start=1)
    with pytest.raises(IntegrityError, match="entry 2 cannot be read as 'decided'"):
        views.apply([*good, Entry(2, "decided", UUID(int=3), body)])
    assert (views.position, len(views.runs())) == (1, 1)
    views.close()
