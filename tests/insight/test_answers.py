"""How people answer is told by the entries alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.entries import Approved, Body, Changed, Endorsed, Expired, Rejected, Seeded
from steward.errors import IntegrityError
from steward.insight.answers import quantile
from steward.insight.views import Views
from steward.ledger.port import Entry

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def said(kind: type[Any], run: int, by: str, waited_s: float, *, decision: str = "pay.release", **more: Any) -> Any:
    at = NOON + timedelta(seconds=waited_s)
    common = {"decision_id": UUID(int=run), "decision": decision, "at": at, "by": by, "reason": "r", "evidence": "e"}
    return kind(**common, waited_s=waited_s, **more)


def approved(run: int, by: str, waited_s: float, **more: Any) -> Any:
    return said(Approved, run, by, waited_s, choice=1, **more)


def rejected(run: int, by: str, waited_s: float, **more: Any) -> Any:
    return said(Rejected, run, by, waited_s, choice=0, **more)


def endorsed(run: int, by: str, waited_s: float) -> Any:
    return said(Endorsed, run, by, waited_s, round=0)


def changed(run: int, by: str, waited_s: float) -> Any:
    return said(Changed, run, by, waited_s, proposed=1, choice=2, round=1)


def seeded(run: int) -> Any:
    return Seeded(decision_id=UUID(int=run + 1000), decision="pay.release", at=NOON, about=UUID(int=run), why="wrong")


def filled(*bodies: Body) -> Views:
    views = Views(":memory:")
    kinds = [str(type(body).__struct_config__.tag) for body in bodies]
    views.apply(
        [
            Entry(index, kind, body.decision_id, msgspec.json.encode(body))
            for index, (kind, body) in enumerate(zip(kinds, bodies, strict=True))
        ]
    )
    return views


def test_each_person_is_told_of() -> None:
    views = filled(
        approved(1, "ana", 10.0),
        approved(2, "ana", 30.0),
        rejected(3, "ana", 20.0),
        changed(4, "bo", 5.0),
        Expired(decision_id=UUID(int=5), decision="pay.release", at=NOON, choice=0),
    )
    report = views.people()
    ana, bo = report.people
    assert (ana.person, ana.answers, ana.approved, ana.rejected, ana.agreement) == ("ana", 3, 2, 1, 2 / 3)
    assert (ana.median_s, ana.p95_s) == (20.0, 30.0)
    assert (bo.person, bo.answers, bo.changed, bo.agreement, bo.median_s) == ("bo", 1, 1, 0.0, 5.0)
    assert (report.expired, report.checks, report.caught) == (1, 0, 0)
    views.close()


def test_what_takes_two_entries_is_one_answer() -> None:
    views = filled(
        endorsed(1, "ana", 10.0),
        endorsed(1, "bo", 20.0),
        approved(1, "bo", 20.0),
        changed(2, "ana", 10.0),
        said(Approved, 2, "ana", 10.0, choice=2),
    )
    assert [(row.person, row.answers, row.approved, row.changed) for row in views.people().people] == [
        ("ana", 2, 1, 1),
        ("bo", 1, 1, 0),
    ]
    views.close()


def test_checks_are_counted_apart() -> None:
    views = filled(
        approved(1, "ana", 10.0),
        *(seeded(run) for run in (2, 3, 4)),
        approved(2, "ana", 90.0),
        rejected(3, "ana", 90.0),
        Expired(decision_id=UUID(int=4), decision="pay.release", at=NOON, choice=0),
    )
    report = views.people()
    (ana,) = report.people
    assert (ana.answers, ana.agreement, ana.median_s, ana.checks, ana.caught) == (1, 1.0, 10.0, 2, 1)
    assert (report.expired, report.checks, report.caught) == (0, 3, 1)
    views.close()


def test_only_of_some_decisions() -> None:
    views = filled(approved(1, "ana", 10.0), approved(2, "bo", 10.0, decision="grid.dispatch"))
    assert [row.person for row in views.people(among={"grid.dispatch"}).people] == ["bo"]
    assert views.people(among=()).people == []
    counts = [(each.decision, each.verdict, each.answers, each.waited_s) for each in views.answer_counts()]
    assert counts == [("grid.dispatch", "approved", 1, 10.0), ("pay.release", "approved", 1, 10.0)]
    assert [each.decision for each in views.answer_counts(among={"pay.release"})] == ["pay.release"]
    views.close()


@pytest.mark.parametrize("body", [b'{"kind":"seeded"}', b'{"kind":"\xe1"}'])
def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    views = Views(":memory:")
    with pytest.raises(IntegrityError, match="entry 0"):
        views.apply([Entry(0, "seeded", UUID(int=1), body)])
    assert views.position == 0
    views.close()


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_one_of_the_values_and_covers_its_share(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert found in values
    assert found is not None
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) < share * len(values) + 1e-6


def test_quantiles_of_twenty() -> None:
    values = [float(value) for value in range(1, 21)]
    assert (quantile(values, 0.5), quantile(values, 0.95), quantile(values, 1.0)) == (10.0, 19.0, 20.0)
