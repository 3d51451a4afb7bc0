"""Online features against their plain definition, in disorder, at edges, and across a restart."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.streams import (
    LOAD,
    MICROSECOND,
    SLOW,
    START,
    Fact,
    Reading,
    agrees,
    counted,
    disturbed,
    expected,
    generated,
    online_after,
    tell,
    windows_of,
)

from steward.decision.contract import Event
from steward.decision.feature import days, hours, minutes
from steward.decision.stream import Stream, WindowFeature
from steward.errors import ContractError, DeclarationError, StewardError
from steward.features.online import Observed, OnlineFeatures

WINDOWS = windows_of(LOAD)


def read(online: OnlineFeatures, windows: list[WindowFeature], key: str, at: datetime) -> list[Any]:
    return online.reader(windows)(Reading(region=key, load_mw=0.0), at)


def check_all(online: OnlineFeatures, facts: list[Fact], key: str, at: datetime, known_at: datetime) -> None:
    values = read(online, WINDOWS, key, at)
    for window, got in zip(WINDOWS, values, strict=True):
        wanted = expected(window, facts, key, at, known_at)
        assert agrees(window, got, wanted), f"{window.name} at {at}: {got!r}, not {wanted!r}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stream", [LOAD, SLOW], ids=["lateness-1h", "lateness-30h"])
def test_every_read_is_what_the_definition_says(seed: int, stream: Stream) -> None:
    facts = disturbed(generated(500, seed), seed, delay=stream.lateness - minutes(5))
    online, chance = OnlineFeatures(windows_of(stream)), random.Random(seed)
    for n, fact in enumerate(facts):
        tell(online, fact)
        if chance.random() < 0.25:
            slack = chance.choice([timedelta(0), timedelta(0), minutes(59), -hours(30), minutes(7)])
            known = counted(facts[: n + 1], stream.lateness)
            check_all(online, known, fact.event.region, fact.known_at - slack, fact.known_at)


times = st.integers(0, 60 * 72).map(lambda n: START + minutes(n)) | st.integers(0, 72 * 3600 * 10**6).map(
    lambda n: START + n * MICROSECOND
)
values = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 0.0005, 1e12, -9e12])
facts_of_day = st.lists(st.tuples(times, values, st.none() | values, st.floats(0, 1)), min_size=1, max_size=60)


def facts_from(drawn: list[tuple[datetime, float, float | None, float]]) -> list[Fact]:
    facts = [
        Fact(
            Reading(region="ES", load_mw=load, price_eur=price), f"{n * 7919 % 101}-{n}", time, time + delay * hours(1)
        )
        for n, (time, load, price, delay) in enumerate(drawn)
    ]
    return sorted(facts, key=lambda fact: fact.known_at)


@settings(max_examples=60, deadline=None)
@given(facts_of_day, times, st.randoms(use_true_random=False))
def test_shuffled_late_and_repeated_events_leave_the_same_state(
    drawn: list[tuple[datetime, float, float | None, float]], at: datetime, chance: random.Random
) -> None:
    facts = facts_from(drawn)
    now = max(fact.known_at for fact in facts)
    clean = OnlineFeatures(WINDOWS)
    for fact in sorted(facts, key=lambda fact: (fact.event_time, fact.id)):
        tell(clean, fact)
    messy = OnlineFeatures(WINDOWS)
    for n, fact in enumerate(facts):
        tell(messy, fact)
        if chance.random() < 0.3:
            again = chance.choice(facts[: n + 1])
            assert tell(messy, again) != Observed.APPLIED
    at = max(at, now - minutes(60))
    assert repr(read(messy, WINDOWS, "ES", at)) == repr(read(clean, WINDOWS, "ES", at))
    check_all(messy, facts, "ES", at, now)
    assert clean.snapshot() == messy.snapshot()


@pytest.mark.parametrize("stream", [LOAD, SLOW], ids=["lateness-1h", "lateness-30h"])
def test_disorder_within_the_lateness_leaves_the_same_snapshot(stream: Stream) -> None:
    facts = [f for f in generated(900, 5, keys=3) if f.event_time < START + days(4)]
    end = max(fact.event_time for fact in facts)
    # One fact of each key at the end brings all of them to the same newest known_at.
    end += stream.lateness
    last = [Fact(Reading(region=f"r{n}", load_mw=1.0), f"last{n}", end, end) for n in range(3)]
    windows = windows_of(stream)
    clean = online_after(windows, facts + last)
    planted = disturbed(facts, 1, delay=stream.lateness)
    messy = online_after(windows, planted + last)
    assert messy.snapshot() == clean.snapshot()
    del planted[-3]
    assert online_after(windows, planted + last).snapshot() != clean.snapshot()


def test_a_late_event_exactly_on_a_windows_old_end_stays_out() -> None:
    windows = [LOAD.quantile("load_mw", 1.0, over=minutes(30)), LOAD.max("load_mw", over=minutes(30))]
    facts = [Fact(Reading(region="ES", load_mw=1.0), f"{n}", START + minutes(n), START + minutes(n)) for n in range(60)]
    online = online_after(windows, facts)
    now = facts[-1].event_time
    assert read(online, windows, "ES", now) == [pytest.approx(1.0, rel=0.01), 1.0]
    tell(online, Fact(Reading(region="ES", load_mw=100.0), "late", now - minutes(30), now))
    assert read(online, windows, "ES", now) == [pytest.approx(1.0, rel=0.01), 1.0]
    tell(online, Fact(Reading(region="ES", load_mw=100.0), "later", now - minutes(30) + MICROSECOND, now))
    assert read(online, windows, "ES", now) == [pytest.approx(100.0, rel=0.01), 100.0]


def test_duplicates_and_late_events_change_nothing_and_say_so() -> None:
    online = OnlineFeatures(WINDOWS)
    first = Fact(Reading(region="ES", load_mw=10.0), "a", START, START)
    assert tell(online, first) is Observed.APPLIED
    before = online.snapshot()
    assert tell(online, first) is Observed.DUPLICATE
    late = Fact(Reading(region="ES", load_mw=99.0), "b", START, START + hours(1) + MICROSECOND)
    assert tell(online, late) is Observed.TOO_LATE
    assert online.too_late == {"grid.load": 1}
    online._streams["grid.load"].too_late = 0
    assert online.snapshot() == before
    in_time = Fact(Reading(region="ES", load_mw=20.0), "c", START, START + hours(1))
    assert tell(online, in_time) is Observed.APPLIED
    assert read(online, [LOAD.mean("load_mw", over=minutes(5))], "ES", START) == [15.0]


def test_a_repeated_id_is_found_as_long_as_it_could_still_count() -> None:
    online = OnlineFeatures(WINDOWS)
    facts = [
        Fact(Reading(region="ES", load_mw=float(n)), f"e{n}", START + minutes(n), START + minutes(n))
        for n in range(3000)
    ]
    for n, fact in enumerate(facts):
        tell(online, fact)
        oldest = facts[max(n - 60, 0)]
        again = Fact(oldest.event, oldest.id, oldest.event_time, fact.known_at)
        assert tell(online, again) is Observed.DUPLICATE
    assert len(online._streams["grid.load"].keys["ES"].ids) < 400


@pytest.mark.parametrize(
    ("offset", "counts"),
    [(timedelta(0), 0), (MICROSECOND, 1), (minutes(30), 1), (minutes(60), 1), (minutes(60) + MICROSECOND, 0)],
)
def test_exact_windows_are_open_at_the_old_end_and_closed_at_the_new(offset: timedelta, counts: int) -> None:
    window = LOAD.count(over=hours(1))
    online = online_after([window], [Fact(Reading(region="ES", load_mw=1.0), "a", START + offset, START + hours(1))])
    assert read(online, [window], "ES", START + hours(1)) == [counts]


@pytest.mark.parametrize(("minute", "counts"), [(0, 1), (4, 1), (5, 0), (6, 0)])
def test_sawtooth_windows_let_go_at_multiples_of_the_hop(minute: int, counts: int) -> None:
    window = LOAD.count(over=hours(2))
    fact = Fact(Reading(region="ES", load_mw=1.0), "a", START + minutes(5), START + minutes(5))
    online = online_after([window], [fact])
    assert read(online, [window], "ES", START + hours(2) + minutes(minute)) == [counts]


def test_a_series_has_the_full_hours_before_noon_each_stamped_with_its_start() -> None:
    window = LOAD.series("load_mw", over=hours(360), step=hours(1))
    facts = [
        Fact(Reading(region="ES", load_mw=float(n)), f"{n}", START + hours(n), START + hours(n)) for n in range(400)
    ]
    noon = START + hours(396)
    online = online_after([window], [fact for fact in facts if fact.event_time <= noon])
    assert read(online, [window], "ES", noon) == [tuple(float(n) for n in range(36, 396))]
    assert read(online, [window], "ES", noon + minutes(59)) == [tuple(float(n) for n in range(36, 396))]


@pytest.mark.parametrize("pause", [hours(1), hours(5), hours(30), days(20)])
def test_reads_are_exact_after_a_pause_in_which_tiles_were_merged(pause: timedelta) -> None:
    facts = generated(800, 21, keys=1, every=minutes(2))
    first = [fact for fact in facts if fact.event_time < START + hours(20)]
    online = online_after(WINDOWS, first)
    now = first[-1].event_time
    check_all(online, first, "r0", now, now)
    later = [
        Fact(fact.event, f"later-{fact.id}", fact.event_time + pause, fact.known_at + pause)
        for fact in first
        if fact.event_time + pause > now
    ]
    for n, fact in enumerate(later):
        tell(online, fact)
        if n > len(later) - 3:
            check_all(online, first + later[: n + 1], "r0", fact.event_time, fact.event_time)


def test_a_series_remembers_its_finished_steps_until_an_event_comes_for_one() -> None:
    window = LOAD.series("load_mw", over=hours(3), step=hours(1))
    facts = [
        Fact(Reading(region="ES", load_mw=float(n)), f"{n}", START + minutes(30 * n), START + minutes(30 * n))
        for n in range(8)
    ]
    online = OnlineFeatures([window])
    for fact in facts:
        tell(online, fact)
        read(online, [window], "ES", fact.event_time)
    assert read(online, [window], "ES", START + hours(4)) == [(2.5, 4.5, 6.5)]
    # Further back, on again, and further on by more than the whole series.
    assert read(online, [window], "ES", START + hours(3)) == [(0.5, 2.5, 4.5)]
    late = Fact(Reading(region="ES", load_mw=100.0), "late", START + minutes(200), START + minutes(211))
    assert tell(online, late) is Observed.APPLIED
    assert read(online, [window], "ES", START + hours(4)) == [(2.5, 4.5, 113 / 3)]
    assert read(online, [window], "ES", START + hours(40)) == [(None, None, None)]
    # The newest event of all, but before a step that was read as finished.
    tell(online, Fact(Reading(region="ES", load_mw=1.0), "then", START + hours(39.5), START + hours(40)))
    assert read(online, [window], "ES", START + hours(40)) == [(None, None, 1.0)]


def test_future_events_wait_for_their_time() -> None:
    windows = [LOAD.last("load_mw"), LOAD.max("load_mw", over=hours(24)), LOAD.quantile("load_mw", 1.0, over=hours(24))]
    online, reader = OnlineFeatures(windows), OnlineFeatures(windows).reader(windows)
    for n in range(36):
        tell(online, Fact(Reading(region="ES", load_mw=float(n)), f"{n:02}", START + hours(n), START))
    reader = online.reader(windows)
    for n in [*range(36), 20, 35]:
        last, highest, top = reader(Reading(region="ES", load_mw=0.0), START + hours(n) + minutes(30))
        assert (last, highest) == (float(n), float(n))
        assert top == pytest.approx(n, rel=0.01)


def test_an_old_read_is_refused() -> None:
    online = online_after(WINDOWS, [Fact(Reading(region="ES", load_mw=1.0), "a", START, START)])
    read(online, WINDOWS, "ES", START - hours(1))
    with pytest.raises(StewardError, match="no longer be read") as raised:
        read(online, WINDOWS, "ES", START - hours(1) - MICROSECOND)
    assert raised.value.code == "features-too-old"


def test_an_unknown_key_has_empty_windows() -> None:
    got = read(OnlineFeatures(WINDOWS), WINDOWS, "nowhere", START)
    assert got == [expected(window, [], "nowhere", START, START) for window in WINDOWS]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30, 2.0**53 / 1000, None, "7"])
def test_what_is_not_a_number_is_refused_and_nothing_applied(bad: Any) -> None:
    online = online_after(WINDOWS, [Fact(Reading(region="ES", load_mw=1.0), "a", START, START)])
    before = online.snapshot()
    with pytest.raises(ContractError) as raised:
        tell(online, Fact(Reading(region="ES", load_mw=bad), "b", START, START))
    assert raised.value.field == "load_mw"
    assert online.snapshot() == before


def test_the_largest_values_stay_exact() -> None:
    largest = (2**53 - 1) / 1000
    facts = [
        Fact(Reading(region="ES", load_mw=largest * sign), f"{n}", START + minutes(n), START + minutes(n))
        for n, sign in enumerate([1, 1, -1, 1] * 600)
    ]
    online = online_after(WINDOWS, facts)
    check_all(online, facts, "ES", facts[-1].event_time, facts[-1].known_at)


def test_a_window_may_end_at_a_field_of_the_decision() -> None:
    class Due(Event):
        region: str
        delivery: datetime

    window = LOAD.last("load_mw", at="delivery", name="then")
    facts = [Fact(Reading(region="ES", load_mw=float(n)), f"{n}", START + hours(n), START) for n in range(5)]
    online = online_after([window], facts)
    reader = online.reader([window])
    assert reader(Due(region="ES", delivery=START + hours(3)), START) == [3.0]


@pytest.mark.parametrize("cut", [0, 1, 150, 399])
def test_a_restart_gives_the_same_values(cut: int) -> None:
    facts = disturbed(generated(400, 11), 11, delay=minutes(50))
    whole, first = OnlineFeatures(WINDOWS), OnlineFeatures(WINDOWS)
    for fact in facts[:cut]:
        tell(whole, fact)
        tell(first, fact)
    second = OnlineFeatures(WINDOWS)
    second.restore(first.snapshot())
    for fact in facts[cut:]:
        assert tell(second, fact) == tell(whole, fact)
        at = fact.known_at - minutes(3)
        assert read(second, WINDOWS, fact.event.region, at) == read(whole, WINDOWS, fact.event.region, at)
    assert second.snapshot() == whole.snapshot()


def test_readers_made_before_a_restore_see_it() -> None:
    window = LOAD.last("load_mw")
    full = online_after([window], [Fact(Reading(region="ES", load_mw=7.0), "a", START, START)])
    empty = OnlineFeatures([window])
    reader = empty.reader([window])
    empty.restore(full.snapshot())
    assert reader(Reading(region="ES", load_mw=0.0), START) == [7.0]


def test_keys_that_fell_silent_are_forgotten() -> None:
    windows = [LOAD.mean("load_mw", over=hours(24))]
    online = online_after(windows, [Fact(Reading(region="ES", load_mw=7.0), "a", START, START)])
    assert online.forget(START + hours(25)) == 0
    assert online.forget(START + hours(28)) == 1
    assert read(online, windows, "ES", START + hours(28)) == [None]


def test_memory_of_a_key_stays_bounded() -> None:
    online = OnlineFeatures(WINDOWS)
    sizes = []
    for n in range(30_000):
        tell(online, Fact(Reading(region="ES", load_mw=float(n)), f"{n}", START + minutes(n), START + minutes(n)))
        if n % 5000 == 4999:
            read(online, WINDOWS, "ES", START + minutes(n))
            sizes.append(max(len(track.times) for track in online._streams["grid.load"].keys["ES"].tracks))
    # Ids of two hours, tiles of 5 minutes for 3 h, of an hour for a day, of a day for two weeks.
    assert max(sizes) < 900


def test_unknown_streams_and_windows_are_named() -> None:
    online = OnlineFeatures(WINDOWS)
    with pytest.raises(DeclarationError, match=r"did you mean 'grid\.load'"):
        online.observe("grid.laod", Reading(region="ES", load_mw=1.0), id="a", event_time=START, known_at=START)
    with pytest.raises(DeclarationError, match="not among the windows"):
        online.reader([LOAD.std("price_eur", over=hours(1), scale=7)])
    other = Stream("grid.load", Reading, key="region", lateness=hours(2))
    with pytest.raises(DeclarationError, match="declared in two ways"):
        OnlineFeatures([LOAD.last("load_mw"), other.last("load_mw")])


def test_naive_times_are_refused() -> None:
    online = OnlineFeatures(WINDOWS)
    with pytest.raises(ContractError, match="not an aware time"):
        online.observe(
            "grid.load",
            Reading(region="ES", load_mw=1.0),
            id="a",
            event_time=START,
            known_at=START.replace(tzinfo=None),
        )
