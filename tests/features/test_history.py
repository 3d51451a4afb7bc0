"""History against the plain definition and, bit for bit, against the online state."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.streams import (
    LOAD,
    MICROSECOND,
    START,
    Fact,
    Reading,
    agrees,
    counted,
    disturbed,
    expected,
    generated,
    table_of,
    tell,
    windows_of,
)

from steward.decision.feature import days, hours, minutes
from steward.errors import ContractError, DeclarationError
from steward.features import past
from steward.features.history import EventTable, Spine, history
from steward.features.online import OnlineFeatures
from steward.records import FeatureValue

WINDOWS = windows_of(LOAD)
Asked = tuple[str, datetime, datetime]


def over_history(facts: list[Fact], asked: list[Asked], **options: Any) -> list[list[FeatureValue]]:
    spine = Spine({"region": [key for key, *_ in asked]}, [at for _, at, _ in asked], [known for *_, known in asked])
    columns = history(WINDOWS, [table_of(facts)], spine, **options)
    return [list(row) for row in zip(*[columns[w.name].as_values() for w in WINDOWS], strict=True)]


def as_it_happens(
    facts: list[Fact], chance: random.Random, share: float
) -> tuple[list[Asked], list[list[FeatureValue]]]:
    """Tell online features the facts one by one, and read now and then, for some time near the present."""
    online = OnlineFeatures(WINDOWS)
    reader = online.reader(WINDOWS)
    asked, values = [], []
    for n, fact in enumerate(facts):
        tell(online, fact)
        last_at_this_time = n + 1 == len(facts) or facts[n + 1].known_at > fact.known_at
        if last_at_this_time and chance.random() < share:
            at = fact.known_at + chance.choice([timedelta(0), timedelta(0), hours(20), -minutes(chance.random() * 60)])
            asked.append((fact.event.region, at, fact.known_at))
            values.append(reader(Reading(region=fact.event.region, load_mw=0.0), at))
    return asked, values


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("delay", [timedelta(0), timedelta(seconds=20), minutes(60), minutes(75)])
def test_history_is_online_bit_for_bit(seed: int, delay: timedelta) -> None:
    chance = random.Random(seed)
    facts = disturbed(generated(1500, seed, keys=3), seed, delay=delay)
    asked, online = as_it_happens(facts, chance, 0.3)
    order = list(range(len(facts)))
    chance.shuffle(order)
    got = over_history([facts[n] for n in sorted(order, key=lambda n: (facts[n].known_at, n))], asked)
    assert repr(got) == repr(online)
    assert len(asked) > 100


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40 * 12),
            st.floats(-9e12, 9e12) | st.integers(-2000, 2000).map(float),
            st.none() | st.floats(-1e3, 1e3),
            st.integers(0, 70),
            st.integers(0, 25),
        ),
        max_size=40,
    ),
    st.lists(st.tuples(st.integers(-20, 50 * 12), st.integers(-20, 3000)), min_size=1, max_size=8),
)
def test_history_is_its_definition(drawn: list[Any], rows: list[Any]) -> None:
    facts = [
        Fact(
            Reading(region="ES", load_mw=load, price_eur=price),
            f"e{id}",
            START + minutes(5 * at),
            START + minutes(5 * at + late),
        )
        for at, load, price, late, id in drawn
    ]
    first = {fact.id: fact for fact in reversed(facts)}
    facts = [replace(fact, event=first[fact.id].event, event_time=first[fact.id].event_time) for fact in facts]
    asked = [("ES", START + minutes(5 * at), START + minutes(known)) for at, known in rows]
    got = over_history(facts, asked)
    for (key, at, known_at), values in zip(asked, got, strict=True):
        for window, value in zip(WINDOWS, values, strict=True):
            wanted = expected(window, counted(facts, LOAD.lateness), key, at, known_at)
            assert agrees(window, value, wanted), f"{window.name}: {value!r}, not {wanted!r}"


def test_as_known_now_counts_late_events_and_forgets_when_they_came() -> None:
    facts = disturbed(generated(400, 3), 3, delay=hours(9))
    asked = [("r0", fact.event_time, fact.event_time) for fact in facts[50:80]]
    then, now = over_history(facts, asked), over_history(facts, asked, as_known="now")
    all_counted = counted(facts, days(10_000))
    for (key, at, _), values in zip(asked, now, strict=True):
        for window, value in zip(WINDOWS, values, strict=True):
            assert agrees(window, value, expected(window, all_counted, key, at, at + days(300)))
    assert then != now


def test_every_leak_of_a_microsecond_is_seen() -> None:
    window = LOAD.count(over=hours(2))
    facts = [Fact(Reading(region="ES", load_mw=1.0), "a", START, START + minutes(1))]
    at = [START - MICROSECOND, START, START + minutes(1) - MICROSECOND, START + minutes(1)]
    columns = history([window], [table_of(facts)], Spine({"region": ["ES"] * 4}, at))
    assert columns[window.name].values.tolist() == [0, 0, 0, 1]


def test_history_is_the_same_however_few_events_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = disturbed(generated(600, 8, keys=3), 8, delay=minutes(59))
    chance = random.Random(8)
    asked = [
        (fact.event.region, fact.known_at + chance.choice([-1, 0, 1, 20]) * hours(1), fact.known_at) for fact in facts
    ]
    whole = over_history(facts, asked)
    monkeypatch.setattr(past, "_CHUNK", 7)
    assert repr(over_history(facts, asked)) == repr(whole)
    known = counted(facts, LOAD.lateness)
    for (key, at, known_at), values in list(zip(asked, whole, strict=True))[::29]:
        for window, value in zip(WINDOWS, values, strict=True):
            assert agrees(window, value, expected(window, known, key, at, known_at))


def test_history_is_the_same_however_few_keys_are_worked_on_together(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = disturbed(generated(600, 15, keys=7), 15, delay=minutes(59))
    asked = [(key, fact.known_at, fact.known_at) for fact in facts for key in (fact.event.region, "nowhere")]
    whole = over_history(facts, asked)
    monkeypatch.setattr(past, "_PART", 1)
    assert repr(over_history(facts, asked)) == repr(whole)


def test_no_rows_have_no_values() -> None:
    assert over_history([], []) == []
    assert over_history(generated(50, 1), []) == []


def test_keys_are_equal_if_their_texts_are() -> None:
    table = EventTable(LOAD, [1, "1", True, 2], [10, 20, 30, 40], [10, 20, 30, 40], ["a", "b", "c", "d"], {})
    spine = Spine({"region": ["1", 1, "True", 1.0]}, [50] * 4)
    window = LOAD.count(over=hours(1))
    assert history([window], [table], spine)[window.name].values.tolist() == [2, 2, 1, 0]


def test_ids_are_repeated_only_within_a_key_and_the_first_known_counts() -> None:
    times = list(range(10, 60, 10))
    table = EventTable(
        LOAD, ["a", "b", "a", "a", "b"], times, [10, 20, 29, 40, 50], ["x", "x", "x", "y", "y"], {"load_mw": times}
    )
    window = LOAD.sum("load_mw", over=hours(1))
    columns = history([window], [table], Spine({"region": ["a", "b"]}, [100, 100]))
    assert columns[window.name].values.tolist() == [10 + 40, 20 + 50]


def test_what_is_unknown_at_the_end_of_a_window_is_cut_off_and_not_listed() -> None:
    facts = disturbed(generated(400, 12, keys=2), 12, delay=minutes(5))
    spine = Spine({"region": ["r0"] * 20}, [START + days(30)] * 20, [START + hours(n) for n in range(20)])
    its_past = past.Past.of(table_of(facts), "then")
    holes = its_past.query(spine, None).window(its_past.events, 30 * 86_400_000_000, 0).holes
    assert holes is None or len(holes.events) < 20


def test_the_rows_come_back_in_their_own_order() -> None:
    facts = generated(300, 9, keys=5)
    asked = [(fact.event.region, fact.event_time, fact.event_time) for fact in facts]
    shuffled = list(range(len(asked)))
    random.Random(1).shuffle(shuffled)
    in_order, mixed = over_history(facts, asked), over_history(facts, [asked[n] for n in shuffled])
    assert repr(mixed) == repr([in_order[n] for n in shuffled])


def test_an_empty_table_and_an_unknown_key_have_empty_windows() -> None:
    asked: list[Asked] = [("nowhere", START, START)]
    wanted = [[expected(window, [], "nowhere", START, START) for window in WINDOWS]]
    assert over_history([], asked) == wanted
    assert over_history(generated(50, 1), asked) == wanted


def test_the_largest_values_stay_exact_in_history() -> None:
    largest = (2**53 - 1) / 1000
    facts = [
        Fact(
            Reading(region="ES", load_mw=largest * sign, price_eur=1e9 + n),
            f"{n}",
            START + minutes(n),
            START + minutes(n),
        )
        for n, sign in enumerate([1, 1, -1, 1] * 600)
    ]
    chance = random.Random(2)
    asked, online = as_it_happens(facts, chance, 0.02)
    assert repr(over_history(facts, asked)) == repr(online)


def test_spans_of_time_that_do_not_fit_one_integer_are_searched_by_rank() -> None:
    far = [datetime(1, 1, 2, tzinfo=START.tzinfo), datetime(9999, 1, 1, tzinfo=START.tzinfo)]
    facts = [
        Fact(Reading(region=f"k{n}", load_mw=float(n)), f"{n}{t}", t, t)
        for n in range(40)
        for t in (far[0], START, far[1])
    ]
    asked = [
        (f"k{n}", t + minutes(shift), t + minutes(shift))
        for n in range(40)
        for t in (START, far[1])
        for shift in (-1, 0, 1)
    ]
    got = over_history(facts, asked)
    for (key, at, known), values in zip(asked, got, strict=True):
        assert [v for v in values] == [expected(w, facts, key, at, known) for w in WINDOWS] or all(
            agrees(w, v, expected(w, facts, key, at, known)) for w, v in zip(WINDOWS, values, strict=True)
        )


def test_frames_and_datetime_columns_are_taken() -> None:
    polars = pytest.importorskip("polars")
    facts = generated(100, 4)
    frame = polars.DataFrame(
        {
            "region": [f.event.region for f in facts],
            "load_mw": [f.event.load_mw for f in facts],
            "price_eur": [f.event.price_eur for f in facts],
            "when": [f.event_time for f in facts],
            "known": [f.known_at for f in facts],
            "name": [f.id for f in facts],
        }
    )
    table = EventTable.of_frame(LOAD, frame, event_time="when", known_at="known", id="name")
    spine = Spine({"region": frame["region"].to_numpy()}, frame["when"].to_numpy())
    asked = [(f.event.region, f.event_time, f.event_time) for f in facts]
    columns = history(WINDOWS, [table], spine)
    got = [list(row) for row in zip(*[columns[w.name].as_values() for w in WINDOWS], strict=True)]
    assert repr(got) == repr(over_history(facts, asked))


def test_what_is_missing_is_named() -> None:
    window = LOAD.mean("load_mw", over=hours(1))
    spine = Spine({"region": ["ES"]}, [0])
    with pytest.raises(DeclarationError, match="has no table"):
        history([window], [], spine)
    with pytest.raises(DeclarationError, match="no column 'region'"):
        history([window], [table_of([])], Spine({}, [0]))
    table = EventTable(LOAD, ["ES"], [0], [0], ["a"], {})
    with pytest.raises(DeclarationError, match="no column 'load_mw'"):
        history([window], [table], spine)


@pytest.mark.parametrize("bad", [float("inf"), 1e30, "seven"])
def test_what_is_not_a_number_is_refused(bad: Any) -> None:
    table = EventTable(LOAD, ["ES"], [0], [0], ["a"], {"load_mw": [bad]})
    with pytest.raises(ContractError, match="load_mw"):
        history([LOAD.mean("load_mw", over=hours(1))], [table], Spine({"region": ["ES"]}, [0]))


@pytest.mark.deep
def test_a_million_disturbed_events_are_the_same_bits() -> None:
    facts = disturbed(generated(850_000, 77, keys=40, every=timedelta(seconds=20)), 77, delay=minutes(62))
    assert len(facts) > 1_000_000
    asked, online = as_it_happens(facts, random.Random(77), 0.3)
    assert repr(over_history(facts, asked)) == repr(online)
    assert len(asked) > 300_000
