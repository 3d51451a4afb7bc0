"""The pulse equals the sum of the runs decided in each step, whatever the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.entries import Acted, Approved, Asked, Body, Changed, Expired, Rejected, Valued
from steward.errors import ContractError
from steward.insight.rows import Pulse, Worth
from steward.insight.views import Views
from steward.ledger.port import Entry
from steward.records import ActionFacts, GateFacts, Money, PolicyFacts, Provenance, Receipt, Record, Status

START = datetime(2026, 3, 28, 21, 17, tzinfo=UTC)
NAMES = ("pay.release", "grid.dispatch")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def decided(number: int, after: timedelta) -> Record:
    run_id = UUID(int=((number + 1) << 80) | (7 << 76) | (2 << 62))
    return Record(
        decision_id=run_id,
        decision=NAMES[number % 2],
        release="sha256:0a",
        decided_at=START + after,
        status=Status.DECIDED,
        event={},
        features={},
        choice="release",
        reasons=("small",),
        propensity=1.0,
        policy=PolicyFacts("sha256:0b"),
        provenance=Provenance(event_id=str(number), source="test", contract="payment", contract_version=1),
        action=ActionFacts(name="release", key=str(run_id)),
    )


def later(kind: type[Any], run: Record, **fields: Any) -> Any:
    return kind(decision_id=run.decision_id, decision=run.decision, at=run.decided_at + HOUR, **fields)


def asked(run: Record) -> Any:
    gate = GateFacts(
        needed=True,
        impact=Money.of_minor(1, "EUR"),
        approvers="desk",
        deadline=run.decided_at + HOUR,
        otherwise="hold",
    )
    return later(Asked, run, gate=gate, choice="release", evidence="e")


def changed(run: Record) -> Any:
    more = {"reason": "less", "proposed": 1, "choice": "less", "evidence": "e2", "round": 1}
    return later(Changed, run, by="cleo", **more)


def valued(run: Record, cents: int, unit: str = "EUR") -> Any:
    money = [Money.of_minor(minor, unit) for minor in (cents + 7, 7, cents)]
    return later(Valued, run, value=money[0], baseline=money[1], saving=money[2], outcome_id="o", restates=False)


ENDINGS: dict[str, Callable[[Record], list[Any]]] = {
    "decided": lambda run: [],
    "acted": lambda run: [
        later(
            Acted,
            run,
            action=run.action,
            choice="release",
            receipt=Receipt(reference="r"),
            attempt=1,
        )
    ],
    "valued": lambda run: [valued(run, 250)],
    "lost": lambda run: [valued(run, -(2**61), "JPY")],
    "waiting": lambda run: [asked(run)],
    "approved": lambda run: [asked(run), later(Approved, run, by="a", reason="ok", evidence="e", choice="release")],
    "changed": lambda run: [
        asked(run),
        changed(run),
        later(Approved, run, by="a", reason="ok", evidence="e2", choice="less"),
    ],
    "rejected": lambda run: [asked(run), later(Rejected, run, by="a", reason="no", evidence="e", choice="hold")],
    "expired": lambda run: [asked(run), later(Expired, run, choice="hold")],
}
ASKED = {"waiting", "approved", "changed", "rejected", "expired"}


def filled(runs: list[tuple[timedelta, str]], batch: int = 1_000) -> Views:
    bodies: list[Body] = []
    for number, (after, ending) in enumerate(runs):
        run = decided(number, after)
        bodies += [run, *ENDINGS[ending](run)]
    entries = [
        Entry(index, str(type(body).__struct_config__.tag), body.decision_id, msgspec.json.encode(body))
        for index, body in enumerate(bodies)
    ]
    views = Views(":memory:")
    for start in range(0, len(entries), batch):
        views.apply(entries[start : start + batch])
    return views


def steps(since: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    at = since
    while at < until:
        yield at
        at += step


@given(
    st.lists(
        st.tuples(st.integers(0, 4 * 24 * 3600).map(lambda s: timedelta(seconds=s)), st.sampled_from(sorted(ENDINGS))),
        max_size=30,
    ),
    st.integers(-3000, 3000),
    st.sampled_from([1, 7, 15, 60, 180, 1440]),
    st.integers(1, 6),
)
def test_each_step_counts_the_runs_decided_in_it(
    runs: list[tuple[timedelta, str]], offset_min: int, step_min: int, batch: int
) -> None:
    views = filled(runs, batch)
    since, step = START + offset_min * MINUTE, step_min * MINUTE
    found = views.pulse(since, since + 40 * step, step)
    assert [each.at for each in found] == list(steps(since, since + 40 * step, step))
    for each in found:
        own = [ending for after, ending in runs if each.at <= START + after < each.at + step]
        assert each.runs == len(own) == sum(each.by_status.values())
        assert each.asked == sum(ending in ASKED for ending in own)
        assert each.approved == own.count("approved") + own.count("changed")
        assert (each.rejected, each.expired) == (own.count("rejected"), own.count("expired"))
        assert each.overridden == own.count("changed") + own.count("rejected")
        assert {worth.unit: worth.valued for worth in each.worth} == {
            unit: n for unit, n in (("EUR", own.count("valued")), ("JPY", own.count("lost"))) if n
        }
        for worth in each.worth:
            saving = 250 if worth.unit == "EUR" else -(2**61)
            assert (worth.saving_minor, worth.squares_minor) == (saving * worth.valued, saving**2 * worth.valued)
    views.close()


@given(
    st.lists(st.integers(0, 4 * 24 * 3600).map(lambda s: timedelta(seconds=s)), max_size=30),
    st.integers(-3000, 6000),
    st.integers(-10, 6000),
)
def test_runs_are_counted_between_any_two_minutes(after: list[timedelta], offset_min: int, length_min: int) -> None:
    views = filled([(each, "decided") for each in after])
    since = START + offset_min * MINUTE
    until = since + length_min * MINUTE
    assert views.runs_between(since, until) == sum(since <= START + each < until for each in after)
    own = sum(since <= START + each < until for each in after[::2])
    assert views.runs_between(since, until, among={NAMES[0]}) == own
    views.close()


def test_a_step_may_be_of_some_decisions_only() -> None:
    views = filled([(0 * HOUR, "decided"), (1 * HOUR, "acted"), (2 * HOUR, "acted")])
    whole = (START, START + DAY, DAY)
    assert [each.runs for each in views.pulse(*whole)] == [3]
    assert [each.runs for each in views.pulse(*whole, decision=NAMES[0])] == [2]
    assert [each.runs for each in views.pulse(*whole, among={NAMES[1]})] == [1]
    assert [each.runs for each in views.pulse(*whole, decision=NAMES[0], among={NAMES[1]})] == [0]
    assert [each.runs for each in views.pulse(*whole, among=frozenset())] == [0]
    views.close()


def test_the_last_step_is_whole_and_none_is_of_nothing() -> None:
    views = filled([(timedelta(minutes=50), "decided")])
    late = views.pulse(START, START + timedelta(minutes=31), timedelta(minutes=30))
    assert [each.runs for each in late] == [0, 1]
    assert views.pulse(START, START, HOUR) == []
    assert views.pulse(START, START - HOUR, HOUR) == []
    assert views.pulse(START + timedelta(seconds=59), START + MINUTE, MINUTE) == [Pulse(at=START)]
    views.close()


@pytest.mark.parametrize("step", [timedelta(0), timedelta(seconds=59), timedelta(seconds=90), timedelta(minutes=-1)])
def test_a_step_that_is_not_whole_minutes_is_refused(step: timedelta) -> None:
    views = Views(":memory:")
    with pytest.raises(ContractError, match="whole minutes"):
        views.pulse(START, START + DAY, step)
    views.close()


def test_more_steps_than_anybody_can_look_at_are_refused() -> None:
    views = Views(":memory:")
    with pytest.raises(ContractError, match="too many"):
        views.pulse(START, START + 10 * DAY, MINUTE)
    views.close()


def test_sums_stay_exact_from_small_to_beyond_64_bits_and_back() -> None:
    huge = 3 * 10**20
    run = decided(0, timedelta(0))
    restated = [valued(run, 5), valued(run, huge), valued(run, -huge), valued(run, 2**62 - 1), valued(run, 5)]
    bodies = [run, *restated]
    views = Views(":memory:")
    for index, body in enumerate(bodies):
        kind = str(type(body).__struct_config__.tag)
        views.apply([Entry(index, kind, run.decision_id, msgspec.json.encode(body))])
    (only,) = views.pulse(START, START + MINUTE, MINUTE)
    assert only.worth == (
        Worth(unit="EUR", valued=1, value_minor=12, baseline_minor=7, saving_minor=5, squares_minor=25),
    )
    assert views.totals()[0].worth == only.worth
    views.close()


def test_what_ran_without_a_person_is_a_share_of_all() -> None:
    views = filled([(0 * MINUTE, "acted"), (0 * MINUTE, "approved"), (0 * MINUTE, "acted"), (0 * MINUTE, "acted")])
    (first, empty) = views.pulse(START, START + 2 * MINUTE, MINUTE)
    assert (first.alone, empty.alone) == (0.75, None)
    views.close()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40 * 60).map(lambda minutes: minutes * MINUTE),
            st.one_of(
                st.integers(-(10**6), 10**6), st.sampled_from([2**62 - 1, 1 - 2**62, 2**62, -(2**62), 3 * 10**20])
            ),
        ),
        max_size=12,
    ),
    st.sampled_from([MINUTE, 15 * MINUTE, HOUR, DAY]),
)
def test_savings_over_time_are_exact_however_large(outcomes: list[tuple[timedelta, int]], step: timedelta) -> None:
    views, since = Views(":memory:"), START - DAY
    bodies: list[Any] = []
    for number, (after, cents) in enumerate(outcomes):
        run = decided(number, after)
        bodies += [run, valued(run, cents)]
    views.apply(
        [
            Entry(index, str(type(body).__struct_config__.tag), body.decision_id, msgspec.json.encode(body))
            for index, body in enumerate(bodies)
        ]
    )
    until = since + 3 * DAY
    expected: dict[tuple[str, str], list[int]] = {}
    for number, (after, cents) in enumerate(outcomes):
        sums = expected.setdefault((NAMES[number % 2], "EUR"), [0] * (3 * DAY // step))
        sums[(START + after - since) // step] += cents
    assert views.savings(since, until, step, NAMES) == expected
    only = {key: sums for key, sums in expected.items() if key[0] == NAMES[0]}
    assert views.savings(since, until, step, [NAMES[0], "no.such"]) == only
    assert views.savings(since, until, step, []) == {}
    views.close()


def test_the_first_day_of_each_decision_is_told() -> None:
    views = filled([(0 * MINUTE, "acted"), (3 * HOUR, "decided"), (DAY, "approved"), (2 * DAY, "acted")])
    day = START.date()
    assert views.first_days() == {NAMES[0]: day, NAMES[1]: day + DAY}  # 21:17 and three hours is the next day
    assert views.first_days([NAMES[1]]) == {NAMES[1]: day + DAY}
    views.clear()
    assert views.first_days() == {}
    views.close()
