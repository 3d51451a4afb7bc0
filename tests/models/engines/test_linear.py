from __future__ import annotations

import json
from math import exp, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.artefacts import linear_file, manifest

from steward.errors import EngineError, IntegrityError
from steward.models.engines.linear import LinearFile, LinearModel, Term, load

number = st.floats(-1e9, 1e9)
value = st.one_of(number, st.just(nan))


@st.composite
def models_and_rows(draw: st.DrawFn) -> tuple[LinearModel, list[list[float]]]:
    width = draw(st.integers(1, 6))
    terms = tuple(Term(f"x{at}", *draw(st.tuples(number, number, number))) for at in range(width))
    task = draw(st.sampled_from(["regression", "binary"]))
    model = LinearModel(LinearFile(intercept=draw(number), terms=terms), name="load", task=task)  # type: ignore[arg-type] # drawn from its two values
    return model, draw(st.lists(st.lists(value, min_size=width, max_size=width), min_size=1, max_size=9))


@given(models_and_rows())
def test_batch_is_rows_bit_for_bit(drawn: tuple[LinearModel, list[list[float]]]) -> None:
    model, rows = drawn
    assert model.predict(rows).tobytes() == np.array([model.predict_one(row) for row in rows]).tobytes()


@given(models_and_rows())
def test_a_probability_is_one(drawn: tuple[LinearModel, list[list[float]]]) -> None:
    model, rows = drawn
    if model.task == "binary":
        assert all(0.0 <= model.predict_one(row) <= 1.0 for row in rows)


def test_answers_are_those_of_the_formula() -> None:
    terms = (Term("a", 2.0, 1.0, 0.5), Term("b", -1.0, 3.0, 4.0))
    line = LinearModel(LinearFile(intercept=10.0, terms=terms), name="m")
    curve = LinearModel(LinearFile(intercept=10.0, terms=terms), name="m", task="binary")
    assert line.predict_one([3.0, 4.0]) == 12.0
    assert line.predict_one([nan, nan]) == 10.0 + 2.0 * 0.5 - 4.0
    assert curve.predict_one([3.0, 4.0]) == pytest.approx(1 / (1 + exp(-12.0)), rel=1e-15)
    assert curve.predict_one([-5.0, 4.0]) == pytest.approx(1 / (1 + exp(4.0)), rel=1e-15)
    assert line.attribute([[3.0, 4.0]]).tolist() == [[2.0 * (3 - 1), -1.0 * (4 - 3), 10 + 2 * 1 - 3]]


@pytest.mark.parametrize("row", [[inf, 0.0], [1e308, -1e308]])
def test_an_answer_without_bounds_is_refused(row: list[float]) -> None:
    model = LinearModel(LinearFile(intercept=0.0, terms=(Term("a", 9.0, 0, 0), Term("b", -9.0, 0, 0))), name="m")
    with pytest.raises(EngineError, match="finite"):
        model.predict_one(row)
    with pytest.raises(EngineError, match="finite"):
        model.predict([row])


def test_far_log_odds_do_not_overflow() -> None:
    model = LinearModel(LinearFile(intercept=0.0, terms=(Term("a", 1.0, 0, 0),)), name="m", task="binary")
    assert [model.predict_one([x]) for x in (-1e9, 0.0, 1e9)] == [0.0, 0.5, 1.0]


def test_loads_what_it_wrote() -> None:
    model = load(manifest("linear", "binary", model_json=linear_file()), "sha256:x", {"model.json": linear_file()})
    assert (model.name, model.version, model.digest, model.task) == ("load", "1", "sha256:x", "binary")
    assert model.inputs == ("load_mw", "price_eur", "temperature_c", "hour", "weekday")


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(linear_file()), **fields}).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated"),
        (linear_file()[:-5], "truncated"),
        (changed(format="steward.linear/2"), "format"),
        (changed(intercept=nan), "malformed"),
        (changed(extra=1), "extra"),
        (changed(terms=[]), "inputs"),
        (changed(terms=json.loads(linear_file())["terms"][::-1]), "order"),
        (linear_file().replace(b'"missing":0.2', b'"missing":1e999'), "model.json"),
    ],
)
def test_another_file_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        load(manifest("linear", "binary", model_json=content), "sha256:x", {"model.json": content})


def test_another_file_name_is_refused() -> None:
    with pytest.raises(IntegrityError, match=r"must be model\.json, found other\.json"):
        load(manifest("linear", "binary", other_json=b""), "sha256:x", {"other.json": b""})


def test_coefficients_whose_bias_overflows_are_refused() -> None:
    with pytest.raises(IntegrityError, match="not finite"):
        LinearModel(LinearFile(intercept=0.0, terms=(Term("a", 1e200, 1e200, 0),)), name="m")
