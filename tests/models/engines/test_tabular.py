from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pytest

from steward.errors import EngineError
from steward.models.engines.classes import likeliest, likeliest_one
from steward.models.engines.tabular import BLOCK, PROBE_SIZES, TabularClassifier, TabularModel, steady


def asked_of(answer: Any, *, rowwise: bool = True) -> tuple[list[int], Any]:
    sizes: list[int] = []

    def counted(rows: Any) -> Any:
        sizes.append(len(rows))
        return answer(rows)

    made = steady(counted, 3, rowwise=rowwise)
    sizes.clear()
    return sizes, made


def test_what_answers_each_row_alike_is_asked_for_all_at_once() -> None:
    sizes, answer = asked_of(lambda rows: rows[:, 0] * 2)
    assert answer(np.ones((5, 3))).tolist() == [2.0] * 5
    assert answer(np.ones((1, 3))).tolist() == [2.0]
    assert sizes == [5, 1]


def test_what_is_not_known_to_go_row_by_row_is_asked_in_blocks() -> None:
    sizes, answer = asked_of(lambda rows: rows[:, 0] * 2, rowwise=False)
    assert answer(np.ones((1, 3))).tolist() == [2.0]
    assert sizes == [BLOCK]


@pytest.mark.parametrize("size", PROBE_SIZES[2:])
def test_what_depends_on_the_size_is_asked_in_blocks_of_one(size: int) -> None:
    sizes, answer = asked_of(lambda rows: rows[:, 0] * (2 + (len(rows) == size) * 1e-15))
    for count in (1, 4, BLOCK, 70):
        assert answer(np.arange(3.0 * count).reshape(count, 3)).tolist() == [6.0 * at for at in range(count)]
    assert sizes == [BLOCK] * (1 + 1 + 1 + 3)


def test_what_depends_on_the_place_in_a_block_is_asked_for_each_row() -> None:
    sizes, answer = asked_of(lambda rows: rows[:, 0] * (2 + (np.arange(len(rows)) % 7 == 3) * 1e-15))
    assert answer(np.ones((5, 3))).tolist() == [2.0] * 5
    assert sizes == [1] * 5


def test_what_refuses_made_up_rows_is_asked_for_each_row() -> None:
    def answer(rows: Any) -> Any:
        if (rows < 0).any():
            raise ValueError("an age is not below 0")
        return rows[:, 0]

    model = TabularModel(answer, name="m", inputs=("age",), task="regression")
    assert model.predict([[1.0], [2.0]]).tolist() == [1.0, 2.0]
    with pytest.raises(EngineError, match="an age is not below 0"):
        model.predict_one([-1.0])


@pytest.mark.parametrize("answer", [lambda rows: rows[:1], lambda rows: rows, lambda rows: np.float64(1)])
def test_an_answer_of_another_shape_is_refused(answer: Any) -> None:
    model = TabularModel(answer, name="m", inputs=("a", "b"), task="regression")
    with pytest.raises(EngineError, match=r"answered 3 rows with an array of shape|model 'm' failed"):
        model.predict(np.ones((3, 2)))


def test_of_two_columns_the_second_is_the_probability_of_yes() -> None:
    model = TabularModel(lambda rows: np.hstack([1 - rows, rows]), name="m", inputs=("p",), task="binary")
    assert model.predict_one([0.25]) == 0.25
    assert model.predict([[0.25], [0.5]]).flags.c_contiguous


@pytest.mark.parametrize("rows", [[["a"]], [[1.0, 2.0]], [1.0], [[[1.0]]]])
def test_rows_that_are_none_are_refused(rows: Any) -> None:
    model = TabularClassifier(lambda rows: rows, name="m", inputs=("p",), outputs=("a",))
    with pytest.raises(EngineError, match="takes rows of 1 inputs"):
        model.probabilities(rows)


def test_the_first_of_equals_is_the_likeliest() -> None:
    table = [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [nan, 0.9, 0.1], [0.1, 0.2, 0.7]]
    assert [likeliest_one(row) for row in table] == pytest.approx([0.0, 1.0, nan, 2.0], nan_ok=True)
    assert likeliest(np.array(table)).tolist() == pytest.approx([0.0, 1.0, nan, 2.0], nan_ok=True)
    assert likeliest(np.empty((0, 3))).tolist() == []
