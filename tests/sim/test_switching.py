"""Several steps, four eyes, signals, a destination with one place: by seed."""

from __future__ import annotations

import pytest

from steward.testing import check
from steward.testing.scenarios.switching import SWITCHING


def test_switching_30_seeds() -> None:
    happened = check(SWITCHING, range(30)).happened
    assert happened["effect"] > 60
    for thing in ("died", "taken back", "operator.aborts", "operator.redrives", "told stopped", "authorizer.broken"):
        assert happened[thing] > 2, thing


@pytest.mark.deep
@pytest.mark.parametrize("part", range(4))
def test_switching_4_000_seeds(part: int) -> None:
    check(SWITCHING, range(1000 * part, 1000 * (part + 1)))
