"""Which values are tried: of the right kind, inside the range, the nearest first."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from steward.models.attribution.counterfactual import Movable

FINITE = st.floats(-1e6, 1e6)


@st.composite
def movables(draw: st.DrawFn) -> Movable:
    low, high = sorted((draw(FINITE), draw(FINITE)))
    high += 2.0
    whole = draw(st.booleans())
    stored: Any = draw(st.integers(int(low) + 1, int(high))) if whole else draw(st.floats(low, high))
    turns = sorted(draw(st.lists(FINITE, max_size=80)))
    return Movable(name="a", stored=stored, low=low, high=high, scale=high - low, is_whole=whole, turns=turns)


@given(movables())
def test_tries_stay_inside_and_keep_their_kind(movable: Movable) -> None:
    tries: list[Any] = list(movable.tries())
    assert all(movable.low <= value <= movable.high and value != movable.stored for value in tries)
    assert all(isinstance(value, int) for value in tries) or not movable.is_whole
    costs = [movable.cost(value) for value in tries]
    assert costs == sorted(costs)
    assert len(tries) == len(set(tries))


@given(movables())
def test_both_sides_of_the_nearest_turning_points_are_tried(movable: Movable) -> None:
    tries: Any = list(movable.tries())
    stored: Any = movable.stored
    above = [turn for turn in movable.turns if stored <= turn][:1]
    for turn in above:
        if movable.fitted(turn) + 1 <= movable.high - 1e-3 * movable.scale:
            beyond = [value for value in tries if value > turn]
            assert min(beyond) - turn <= max(1.0, 1e-5 * movable.scale)
    below = [turn for turn in movable.turns if turn < stored][-1:]
    for turn in below:
        if turn - 1 >= movable.low:
            assert max(value for value in tries if value <= turn) >= turn - 1.0


@given(movables().filter(lambda each: not each.is_whole), st.floats(0, 1))
def test_shorter_numbers_lie_beyond(movable: Movable, share: float) -> None:
    stored: Any = movable.stored
    value = movable.low + share * (movable.high - movable.low)
    if abs(value - stored) < 1e-3:
        return
    for rounded in movable.rounder(value):
        assert abs(rounded - stored) >= abs(value - stored) - 1e-9 * (1 + abs(value))
        assert movable.low <= rounded <= movable.high


def test_what_is_no_number_has_its_other_values() -> None:
    colour = Movable(name="colour", stored="red", others=("green", "blue"))
    assert list(colour.tries()) == ["green", "blue"]
    assert (colour.cost("green"), colour.cost("red")) == (1.0, 0.0)
    flag = Movable(name="flag", stored=True, others=(False,))
    assert (list(flag.tries()), flag.cost(False), list(flag.rounder(1.0))) == ([False], 1.0, [])
