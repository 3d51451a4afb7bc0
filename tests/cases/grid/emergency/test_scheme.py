"""What is used, and what never: the rules behind every order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.emergency.events import Device, Part, Relief
from steward.cases.grid.emergency.scheme import Feeder, Late, Scheme, Store
from steward.errors import DeclarationError

ORDER = (Store("battery", least_soc_mwh=4.0), Feeder("f1"), Feeder("f2"), Feeder("f3"))
SCHEME = Scheme(order=ORDER, most_shed_mw=12.0, protected=frozenset({"hospital"}))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def battery(soc_mwh: float = 20.0) -> Device:
    return Device(name="battery", can_relieve_mw=10.0, soc_mwh=soc_mwh)


def feeder(name: str, mw: float, *, is_priority: bool = False, relieves_mw: float = 0.0) -> Device:
    return Device(name=name, can_relieve_mw=mw, is_priority=is_priority, relieves_mw=relieves_mw)


def parts(relief: Relief) -> dict[str, float]:
    return {part.device: part.mw for part in relief.parts}


def test_what_is_enough_is_enough() -> None:
    there = [battery(), feeder("f1", 5.0), feeder("f2", 6.0)]
    assert parts(SCHEME.relief(7.0, there)) == {"battery": 7.0}
    assert parts(SCHEME.relief(10.5, there)) == {"battery": 10.0, "f1": 5.0}


def test_a_store_gives_what_lasts_for_the_longest_hold() -> None:
    there = [battery(soc_mwh=6.0), feeder("f1", 5.0)]
    assert parts(SCHEME.relief(8.0, there)) == {"battery": 4.0, "f1": 5.0}
    assert SCHEME.obstacle(ORDER[0], 4.0, battery(soc_mwh=6.0), shed_mw=0.0) is None
    assert SCHEME.obstacle(ORDER[0], 4.0, battery(soc_mwh=5.9), shed_mw=0.0) is not None
    assert parts(SCHEME.relief(8.0, [battery(soc_mwh=4.0)])) == {}


def test_a_feeder_that_would_shed_too_much_is_left_out_for_a_smaller_one() -> None:
    there = [feeder("f1", 8.0), feeder("f2", 6.0), feeder("f3", 4.0)]
    assert parts(SCHEME.relief(20.0, there)) == {"f1": 8.0, "f3": 4.0}


def test_what_is_shed_already_counts() -> None:
    there = [feeder("f1", 0.0, relieves_mw=8.0), feeder("f2", 6.0), feeder("f3", 4.0)]
    assert parts(SCHEME.relief(20.0, there)) == {"f3": 4.0}


def test_priority_is_never_shed_whoever_says_so() -> None:
    assert parts(SCHEME.relief(9.0, [feeder("f1", 5.0, is_priority=True), feeder("f2", 6.0)])) == {"f2": 6.0}
    why = SCHEME.obstacle(Feeder("hospital"), 1.0, feeder("hospital", 1.0), shed_mw=0.0)
    assert why is not None
    assert "never shed" in why


@given(
    st.floats(0, 100),
    st.floats(0, 40),
    st.lists(st.tuples(st.floats(0, 15), st.booleans()), min_size=3, max_size=3),
)
def test_no_limit_is_passed_whatever_is_missing(
    missing_mw: float, soc_mwh: float, feeders: list[tuple[float, bool]]
) -> None:
    there = [feeder(f"f{number}", mw, is_priority=flag) for number, (mw, flag) in enumerate(feeders, 1)]
    relief = SCHEME.relief(missing_mw, [battery(soc_mwh), *there])
    assert SCHEME.shed_mw(relief) <= SCHEME.most_shed_mw + 1e-6
    assert relief.mw("battery") * 0.5 <= max(soc_mwh - 4.0, 0.0) + 1e-6
    assert not any(relief.mw(each.name) for each in there if each.is_priority)
    before_last = sum(part.mw for part in relief.parts[:-1])
    assert not relief.parts or before_last < missing_mw


def test_late_is_late_where_it_is_declared_so() -> None:
    assert SCHEME.why_too_late(NOON, NOON + timedelta(seconds=1)) is None
    assert "1.20 s" in str(SCHEME.why_too_late(NOON, NOON + timedelta(seconds=1.2)))
    patient = Scheme(order=ORDER, most_shed_mw=1.0, if_late=Late.ACT)
    assert patient.why_too_late(NOON, NOON + timedelta(hours=1)) is None


def test_sums() -> None:
    relief = Relief((Part("battery", 10.0), Part("f1", 5.0), Part("f2", 6.0)))
    assert (SCHEME.shed_mw(relief), SCHEME.shed_mw(relief, before="f2")) == (11.0, 5.0)
    assert SCHEME.at_stake_eur(relief) == 11.0 * 0.5 * 10_000.0


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"order": ()}, "each once"),
        ({"order": (Feeder("f1"), Feeder("f1"))}, "each once"),
        ({"order": (Feeder("hospital"),)}, "protected"),
        ({"low_hz": 50.0}, "normal above"),
        ({"act_within": timedelta(0)}, "positive"),
        ({"most_shed_mw": -1.0}, "below 0"),
    ],
)
def test_a_scheme_that_could_do_harm_is_refused(changed: dict[str, object], word: str) -> None:
    declared: dict[str, object] = {
        "order": ORDER,
        "most_shed_mw": 12.0,
        "protected": frozenset({"hospital"}),
        **changed,
    }
    with pytest.raises(DeclarationError, match=word):
        Scheme(**declared)  # type: ignore[arg-type] # wrong on purpose
