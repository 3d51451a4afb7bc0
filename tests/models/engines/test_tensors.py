from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.models import estimators
from tests.models.estimators import described, tensors_files

from steward.errors import DeclarationError, EngineError, IntegrityError
from steward.models.code_reference import CodeReference
from steward.models.engines.functions import load as load_function
from steward.models.engines.tabular import TabularModel
from steward.models.engines.tensors import load
from steward.models.formats.safetensors import decode, encode


def loaded(files: Mapping[str, bytes], task: str = "regression") -> TabularModel:
    return load(described("safetensors", task, files), "sha256:x", files)


def held(header: str, data: bytes = b"") -> bytes:
    return len(header.encode()).to_bytes(8, "little") + header.encode() + data


def told(kind: str = "F64", shape: str = "[1]", at: str = "[0,8]") -> str:
    return f'{{"dtype":"{kind}","shape":{shape},"data_offsets":{at}}}'


@settings(max_examples=40, deadline=None)
@given(
    seed=some.integers(0, 1 << 32),
    kinds=some.lists(some.sampled_from(["f8", "f4", "f2", "i8", "i4", "u1", "?"]), min_size=1, max_size=4),
)
def test_files_are_those_of_the_safetensors_library(seed: int, kinds: list[str]) -> None:
    drawn = np.random.default_rng(seed)
    arrays = {
        f"t{at}": np.asarray(drawn.integers(0, 2, drawn.integers(0, 4, int(drawn.integers(0, 3)))), dtype=kind)
        for at, kind in enumerate(kinds)
    }
    ours = decode(safetensors.numpy.save(arrays, metadata={"made": "here"}))
    theirs = safetensors.numpy.load(encode(arrays))
    for name, array in arrays.items():
        for read in (ours[name], theirs[name]):
            assert read.dtype == array.dtype
            assert read.shape == array.shape
            assert read.tobytes() == array.tobytes()
    assert not any(array.flags.writeable for array in ours.values())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        held("[]"),
        held("{}", b"more"),
        held("{" * 9000),
        held('{"a":' + told() + ',"a":' + told() + "}", bytes(8)),
        held('{"a":' + told(kind="O") + "}", bytes(8)),
        held('{"a":' + told(shape="[2]") + "}", bytes(8)),
        held('{"a":' + told(shape="[-1]") + "}", bytes(8)),
        held('{"a":' + told(shape="[true]") + "}", bytes(8)),
        held('{"a":' + told(at="[8,16]") + "}", bytes(16)),
        held('{"a":' + told(at="[0,16]") + "}", bytes(16)),
        held('{"a":' + told() + ',"b":' + told(at="[4,12]") + "}", bytes(12)),
        held('{"a":' + told() + ',"b":' + told(at="[9,17]") + "}", bytes(17)),
        held('{"a":' + told() + ',"b":' + told() + "}", bytes(16)),
        held('{"a":' + told() + "}", bytes(4)),
        held('{"a":' + told() + "}", np.array([np.nan]).tobytes()),
        held('{"a":' + told() + "}", np.array([np.inf]).tobytes()),
        held('{"a":' + told("BOOL", at="[0,1]") + "}", b"\2"),
        held('{"a":5}'),
        held('{"__metadata__":{"a":5}}'),
    ],
)
def test_what_the_format_does_not_allow_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each has its own words
        decode(content)
    assert str(caught.value)
    with pytest.raises(IntegrityError):
        loaded({**tensors_files("regression"), "model.safetensors": content})


def test_a_type_that_the_format_does_not_know_is_not_written() -> None:
    with pytest.raises(ValueError, match="complex128"):
        encode({"w": np.array([1j])})


def test_answers_are_those_of_the_function() -> None:
    model, rows = loaded(tensors_files("regression")), np.random.default_rng(1).normal(size=(50, 5))
    weights = decode(tensors_files("regression")["model.safetensors"])
    np.testing.assert_allclose(model.predict(rows), estimators.one_layer(weights, rows), rtol=1e-12)


def test_a_function_that_was_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    files = tensors_files("regression")

    def one_layer(tensors: Mapping[str, Any], given: Any) -> Any:
        return given[:, 0]

    one_layer.__module__, one_layer.__qualname__ = estimators.__name__, "one_layer"
    monkeypatch.setattr(estimators, "one_layer", one_layer)
    with pytest.raises(IntegrityError, match="is not the one that was registered"):
        loaded(files)


@pytest.mark.parametrize(
    "function", ["shutil:rmtree", "os:system", "nowhere.at.all:f", "tests.models.estimators:LABELS", "x:a.b", "", ":"]
)
def test_a_reference_never_makes_a_process_import_or_call_what_is_no_model(function: str) -> None:
    with pytest.raises(IntegrityError, match="is not part of this release"):
        CodeReference(function=function, source="sha256:0").resolve()


def test_a_function_of_steward_by_another_name_is_refused() -> None:
    known = CodeReference.of(estimators.one_layer)
    with pytest.raises(IntegrityError, match="not the one that was registered"):
        CodeReference(function="tests.models.estimators:two_layers", source=known.source).resolve()


def test_what_cannot_be_found_again_cannot_be_named() -> None:
    def inner(tensors: Any, rows: Any) -> Any:
        return rows

    for function in (inner, lambda: 0, np.sin, len, type("F", (), {"__call__": inner})()):
        with pytest.raises(DeclarationError, match="cannot be registered as a model"):
            CodeReference.of(function)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format":"steward.code/2","function":"a:b","source":""}'])
def test_a_reference_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError, match="cannot be loaded"):
        loaded({**tensors_files("regression"), "code.json": content})
    files = {"function.json": content}
    with pytest.raises(IntegrityError, match="cannot be loaded"):
        load_function(described("function", "regression", files), "sha256:x", files)


def test_a_function_of_another_width_or_task_is_refused() -> None:
    files = {"function.json": CodeReference.of(estimators.one_layer).encode()}
    for task in ("regression", "multiclass"):
        with pytest.raises(IntegrityError, match="cannot be loaded"):
            load_function(described("function", task, files), "sha256:x", files)


def test_other_files_are_refused() -> None:
    with pytest.raises(IntegrityError, match="its files must be"):
        loaded({"model.safetensors": b""})


def fails(tensors: Mapping[str, Any], rows: Any) -> Any:
    raise KeyError("w")


def test_a_function_that_fails_is_an_error_of_the_engine() -> None:
    model = loaded({**tensors_files("regression"), "code.json": CodeReference.of(fails).encode()})
    with pytest.raises(EngineError, match="KeyError: 'w'"):
        model.predict_one([1.0] * 5)
