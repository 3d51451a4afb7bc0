"""Lists of runs: what each filter lets through, in which order, and that pages are exact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.clock import VirtualClock
from steward.entries import Failed, Valued
from steward.errors import ContractError
from steward.insight.listing import SORTED, Filter
from steward.insight.views import Views
from steward.ledger.port import Entry
from steward.records import Money, PolicyFacts, Provenance, Record, Status

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Shelf:
    """Views that are filled run by run."""

    def __init__(self) -> None:
        self.views, self.clock = Views(":memory:"), VirtualClock(NOON, seed=7)
        self.ids: list[UUID] = []

    def put(self, decision: str = "pay.release", *, after_s: float = 60.0, **changes: Any) -> UUID:
        self.clock.advance(timedelta(seconds=after_s))
        run_id = self.clock.new_id()
        given: dict[str, Any] = {"choice": "release", "reasons": ("small",), "status": Status.DECIDED, **changes}
        record = Record(
            decision_id=run_id,
            decision=decision,
            release="r1",
            decided_at=self.clock.now(),
            event={},
            features={},
            propensity=1.0,
            policy=PolicyFacts("sha256:ab"),
            provenance=Provenance(event_id="7", source="shop", contract="payment", contract_version=1),
            **given,
        )
        self._apply("decided", record)
        self.ids.append(run_id)
        return run_id

    def fail(self, run_id: UUID) -> None:
        self._apply(
            "failed", Failed(decision_id=run_id, decision="-", at=self.clock.now(), stage="act", code="c", reason="r")
        )

    def value(self, run_id: UUID, cents: int) -> None:
        saving, zero = Money.of_minor(cents, "EUR"), Money.of_minor(0, "EUR")
        self._apply(
            "valued",
            Valued(
                decision_id=run_id,
                decision="-",
                at=self.clock.now(),
                value=saving,
                baseline=zero,
                saving=saving,
                outcome_id="o",
                restates=False,
            ),
        )

    def _apply(self, kind: str, body: Any) -> None:
        position = self.views.position
        self.views.apply([Entry(position, kind, body.decision_id, msgspec.json.encode(body))])

    def found(self, **how: Any) -> list[UUID]:
        options = {name: how.pop(name) for name in ("sort", "before", "skip", "limit") if name in how}
        return [row.decision_id for row in self.views.listed(Filter(**how), **options)]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_each_filter_lets_through_what_it_says(shelf: Shelf) -> None:
    first = shelf.put("pay.release")
    second = shelf.put("shop.refund", choice={"pay": True}, reasons=("known customer",))
    third = shelf.put("pay.release", reasons=('they said "no"', "50 % of_all"))
    shelf.fail(third)
    assert shelf.found() == [third, second, first]
    assert shelf.found(decision="pay.release") == [third, first]
    assert shelf.found(statuses=(Status.FAILED,)) == [third]
    assert shelf.found(statuses=(Status.FAILED, Status.DECIDED), decision="pay.release") == [third, first]
    assert shelf.found(among=frozenset({"shop.refund"})) == [second]
    assert shelf.found(among=frozenset({"shop.refund"}), decision="pay.release") == []
    assert shelf.found(among=frozenset()) == []
    assert shelf.found(decision="unknown") == []


@pytest.mark.parametrize("text", ["known", "KNOWN CUST", "shop.ref", '"pay"', "true", "known customer", " known "])
def test_a_text_is_found_in_name_choice_and_reasons(shelf: Shelf, text: str) -> None:
    shelf.put("pay.release")
    second = shelf.put("shop.refund", choice={"pay": True}, reasons=("known customer",))
    # The choice is kept as JSON: its own quotes are found only where they are part of a text.
    assert shelf.found(text=text.strip()) == ([] if '"' in text else [second])


def test_what_means_something_to_sql_or_json_is_found_as_it_is_written(shelf: Shelf) -> None:
    shelf.put()
    odd = shelf.put(reasons=('they said "no"', "50 % of_all", "back\\slash", "Zürich"))
    for text in ('said "no"', "50 %", "of_all", "back\\slash", "Zürich", "0 % o"):
        assert shelf.found(text=text) == [odd]
    for text in ("of-all", "5_ %", "%", "_"):
        assert shelf.found(text=text) == ([odd] if text in ("%", "_") else [])


def test_a_run_is_found_by_its_id_or_the_end_of_it(shelf: Shelf) -> None:
    ids = [shelf.put() for _ in range(5)]
    for run_id in ids:
        for text in (
            str(run_id),
            run_id.hex,
            str(run_id).upper(),
            str(run_id)[-8:],
            str(run_id)[-7:],
            str(run_id)[-17:],
        ):
            assert shelf.found(text=text) == [run_id]
    assert shelf.found(text=str(ids[0]), among=frozenset({"other"})) == []
    assert shelf.found(text=f"{UUID(int=7)}") == []


def test_a_stretch_of_time_holds_its_beginning_and_not_its_end(shelf: Shelf) -> None:
    ids = [shelf.put(after_s=3_600) for _ in range(8)]
    at = [NOON + timedelta(hours=1 + n) for n in range(8)]
    assert shelf.found(since=at[2], until=at[4]) == [ids[3], ids[2]]
    assert shelf.found(since=at[7]) == [ids[7]]
    assert shelf.found(since=at[7] + timedelta(microseconds=1)) == []
    assert shelf.found(until=at[1]) == [ids[0]]
    assert shelf.found(since=at[2], until=at[4], decision="pay.release", statuses=(Status.DECIDED,)) == [ids[3], ids[2]]
    assert shelf.found(since=datetime(1969, 1, 1, tzinfo=UTC), until=datetime(9999, 1, 1, tzinfo=UTC)) == ids[::-1]


def test_what_has_no_value_goes_last_whichever_way_it_is_sorted(shelf: Shelf) -> None:
    none = shelf.put(confidence=msgspec.UNSET)
    low, high = shelf.put(confidence=0.2), shelf.put(confidence=0.9)
    shelf.value(high, -500)
    shelf.value(none, 12_00)
    assert shelf.found(sort="confidence") == [low, high, none]
    assert shelf.found(sort="-confidence") == [high, low, none]
    assert shelf.found(sort="-confidence", skip=1, limit=1) == [low]
    assert shelf.found(sort="saving") == [high, none, low]
    assert shelf.found(sort="-saving", text="small") == [none, high, low]
    assert shelf.found(sort="time") == [none, low, high]
    assert shelf.found(sort="time", before=none, limit=1) == [low]
    with pytest.raises(ContractError) as raised:
        shelf.found(sort="choice; DROP TABLE runs")
    assert raised.value.field == "sort"
    assert SORTED == 10_000


def test_new_runs_are_counted_up_to_a_bound(shelf: Shelf) -> None:
    first = shelf.put()
    for _ in range(5):
        shelf.put("shop.refund")
    assert shelf.views.count_after(first, Filter()) == 5
    assert shelf.views.count_after(first, Filter(), most=3) == 3
    assert shelf.views.count_after(first, Filter(decision="pay.release")) == 0
    assert shelf.views.count_after(first, Filter(among=frozenset())) == 0
    assert shelf.views.count_after(shelf.ids[-1], Filter()) == 0


@given(
    made=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20),
    size=st.integers(1, 5),
    sort=st.sampled_from(["-time", "time"]),
    text=st.sampled_from(["", "small"]),
    among=st.none() | st.frozensets(st.sampled_from("abc")),
)
def test_pages_leave_out_nothing_and_show_nothing_twice(
    made: list[tuple[str, bool]], size: int, sort: str, text: str, among: frozenset[str] | None
) -> None:
    shelf = Shelf()
    for name, fails in made:
        run_id = shelf.put(name)
        if fails:
            shelf.fail(run_id)
    whole = [run for run, (name, _) in zip(shelf.ids, made, strict=True) if among is None or name in among]
    if sort == "-time":
        whole.reverse()
    pages: list[UUID] = []
    before = None
    while page := shelf.found(text=text, among=among, sort=sort, before=before, limit=size):
        assert len(page) <= size
        pages += page
        before = page[-1]
    assert pages == whole


def test_confidences_are_those_of_the_newest(shelf: Shelf) -> None:
    for confidence in (0.1, msgspec.UNSET, 0.3, 0.9):
        shelf.put(confidence=confidence)
    shelf.put("shop.refund", confidence=0.5)
    assert shelf.views.confidences(Filter()) == [0.5, 0.9, 0.3, 0.1]
    assert shelf.views.confidences(Filter(), most=4) == [0.5, 0.9, 0.3]
    assert shelf.views.confidences(Filter(among=frozenset({"shop.refund"}))) == [0.5]
    assert shelf.views.confidences(Filter(among=frozenset())) == []
