"""Tiles of a track: merged by age alone, whatever the order of events and of compactions."""

from __future__ import annotations

import random

import pytest

from steward.features.columns import Column
from steward.features.grids import NEVER, Grid
from steward.features.ranks import Marks, unpack
from steward.features.tiles import Track

GRIDS = (Grid(1, 1, 5), Grid(10, 1, 60), Grid(10, 0, 60), Grid(100, 1, 700))


def track() -> Track:
    return Track(
        [Column(sums=True, squares=True, lowest=True, highest=True, marks=Marks(((60, 10),), each=5))], GRIDS, slack=3
    )


@pytest.mark.parametrize("seed", range(20))
def test_tiles_depend_on_the_events_and_the_time_only(seed: int) -> None:
    chance = random.Random(seed)
    events = [(chance.randrange(1000), f"e{n}", chance.randrange(-500, 500)) for n in range(300)]
    in_order, disordered = track(), track()
    for time, name, value in sorted(events):
        in_order.add(time, name, [value])
    in_order.compact(1000)
    for n, (time, name, value) in enumerate(events):
        disordered.add(time, name, [value])
        if chance.random() < 0.1:
            # Compacting early never merges more than compacting at the end would.
            disordered.compact(min(1000, 400 + 2 * n))
    disordered.compact(1000)
    assert disordered.times == in_order.times
    late = (in_order.times[3] - 1, "late", 7)
    for one in (in_order, disordered):
        one.add(late[0], late[1], [late[2]])
        one.compact(1000)
    fresh = track()
    for time, name, value in sorted([*events, late]):
        fresh.add(time, name, [value])
    fresh.compact(1000)
    assert in_order.dump() == fresh.dump()


def test_old_tiles_are_coarse_and_new_ones_single() -> None:
    one = track()
    for time in range(1, 1001):
        one.add(time, f"{time}", [time])
    one.compact(1000)
    raw = [time for time in one.times if time > 992]
    assert raw == list(range(993, 1001))
    assert [time for time in one.times if time <= 900][-7:] == [300, 400, 500, 600, 700, 800, 900]
    assert one.count_to(len(one.times) - 1) == 1000 - one.times[0]


def test_an_event_just_before_the_single_ones_joins_its_merged_neighbours() -> None:
    in_order, late = track(), track()
    for time in (940, 950, 1000):
        in_order.add(time, f"{time}", [time])
    for time in (940, 1000):
        late.add(time, f"{time}", [time])
    late.compact(1000)
    late.add(950, "950", [950])
    for one in (in_order, late):
        one.compact(1000)
    assert late.dump() == in_order.dump()


def test_a_new_event_older_than_the_single_ones_joins_its_merged_neighbours() -> None:
    in_order, sparse = track(), track()
    for time in (941, 947):
        in_order.add(time, f"{time}", [time])
    in_order.compact(1000)
    sparse.add(941, "941", [941])
    sparse.compact(1000)
    sparse.add(947, "947", [947])
    sparse.compact(1000)
    assert sparse.dump() == in_order.dump()
    assert len(sparse.times) == 2


def test_quantile_cells_are_no_finer_than_quantile_windows_need() -> None:
    one = track()
    for time in range(1, 1001):
        one.add(time, f"{time}", [time])
    one.compact(1000)
    marks = one.columns[0].marks
    assert marks is not None
    assert marks.times.tolist() == [NEVER, *range(930, 991, 10), 992]
    assert sum(count for cell in marks.cells[1:] for _, count in unpack(cell)) == 992 - 920
