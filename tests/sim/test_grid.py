"""The grid case with its battery, by seed: hourly decisions in several steps, some of which need a person."""

from __future__ import annotations

import pytest

from steward.cases.grid.dispatch.rehearsal import GRID
from steward.testing import check


def test_grid_12_seeds() -> None:
    happened = check(GRID, range(12)).happened
    assert happened["metered"] >= 12 * 12
    assert happened["effect"] > 200
    for thing in ("died", "told answered", "taken back", "device.answer-lost", "clock.jumped"):
        assert happened[thing] > 0, thing


@pytest.mark.deep
def test_grid_1_000_seeds() -> None:
    check(GRID, range(1000))


def test_the_same_seed_does_the_same() -> None:
    assert GRID.run(3).digest == GRID.run(3).digest != GRID.run(4).digest
