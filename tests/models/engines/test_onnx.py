from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper
from tests.models.estimators import LABELS, answers, described, fitted, onnx_file, rows

from steward.errors import EngineError, IntegrityError
from steward.models.engines.onnx import load
from steward.models.engines.tabular import TabularClassifier, TabularModel


def loaded(content: bytes, task: str = "regression") -> TabularModel:
    files = {"model.onnx": content}
    return load(described("onnx", task, files), "sha256:x", files)


def graph(
    *nodes: Any,
    taken: tuple[Any, ...] = (None, 5),
    given: tuple[Any, ...] = (None, 1),
    kind: int = TensorProto.FLOAT,
    weights: tuple[Any, ...] = (),
    more: tuple[Any, ...] = (),
    domains: tuple[str, ...] = (),
) -> bytes:
    made = helper.make_graph(
        list(nodes) or [helper.make_node("ReduceSum", ["X", "axes"], ["Y"])],
        "g",
        [helper.make_tensor_value_info("X", kind, taken), *more],
        [helper.make_tensor_value_info("Y", kind, given)],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1]), *weights],
    )
    versions = [helper.make_opsetid("", 18), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return bytes(helper.make_model(made, opset_imports=versions, ir_version=9).SerializeToString())


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize(
    ("kind", "task"), [("linear", "regression"), ("linear", "binary"), ("forest", "binary"), ("scaled", "multiclass")]
)
def test_answers_are_those_of_scikit_learn(kind: str, task: str, double: bool) -> None:
    model, peer = loaded(onnx_file(kind, task, double=double), task), fitted(kind, task)
    exact = double and kind != "forest"
    assert model.arithmetic == ("float64" if exact else "float32")
    tolerance = 1e-12 if exact else 2e-6
    given = rows().astype(np.float32).astype(np.float64)
    if isinstance(model, TabularClassifier):
        np.testing.assert_allclose(model.probabilities(given), peer.predict_proba(given), rtol=0, atol=tolerance)
        assert model.outputs == LABELS
        assert (model.predict(given) == peer.predict(given)).mean() > 0.99
    else:
        wanted = peer.predict(given) if task == "regression" else peer.predict_proba(given)[:, 1]
        np.testing.assert_allclose(model.predict(given), wanted, rtol=0, atol=tolerance * np.ptp(answers("regression")))


def test_a_sum_is_a_sum() -> None:
    assert loaded(graph()).predict([[1, 2, 3, 4, 5]]).tolist() == [15.0]


def external() -> Any:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [5, 1], [0.0] * 5)
    weight.ClearField("float_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return weight


def inner(operator: str, domain: str = "") -> Any:
    body = helper.make_graph(
        [helper.make_node(operator, ["X"], ["Z"], domain=domain)],
        "b",
        [],
        [helper.make_tensor_value_info("Z", TensorProto.FLOAT, None)],
    )
    return helper.make_node("If", ["c"], ["Y"], then_branch=body, else_branch=body)


NO = (helper.make_tensor("c", TensorProto.BOOL, [], [True]),)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (graph(helper.make_node("MatMul", ["X", "w"], ["Y"]), weights=(external(),)), "external data"),
        (graph(helper.make_node("Evil", ["X"], ["Y"], domain="com.evil"), domains=("com.evil",)), "com.evil"),
        (graph(helper.make_node("FusedMatMul", ["X", "X"], ["Y"], domain="com.microsoft")), "com.microsoft"),
        (graph(domains=("ai.onnx.preview.training",)), "ai.onnx.preview.training"),
        (graph(helper.make_node("RandomUniformLike", ["X"], ["Y"])), "draws random numbers"),
        (graph(inner("RandomNormalLike"), weights=NO), "draws random numbers"),
        (graph(inner("Evil", "com.evil"), weights=NO), "com.evil"),
        (graph(kind=TensorProto.INT64), "no matrix of floats"),
        (graph(taken=(1, 5)), "one row only"),
        (graph(taken=(None, 5, 5)), "no matrix of floats"),
        (
            graph(more=(helper.make_tensor_value_info("second", TensorProto.FLOAT, (None, 1)),)),
            "must take one matrix, it takes X, second",
        ),
        (onnx_file("linear", "binary", zipmap=True), "zipmap"),
    ],
)
def test_what_is_not_served_says_why(content: bytes, says: str) -> None:
    with pytest.raises(EngineError, match=says) as caught:
        loaded(content)
    assert not isinstance(caught.value, IntegrityError)


def test_functions_of_a_model_are_not_read() -> None:
    model = onnx.load_from_string(graph())
    function = helper.make_function("", "F", ["a"], ["b"], [helper.make_node("Abs", ["a"], ["b"])], [])
    model.functions.append(function)
    with pytest.raises(EngineError, match=r"field \(25\)"):
        loaded(model.SerializeToString())


@pytest.mark.parametrize(
    ("content", "task", "says"),
    [
        (graph(taken=(None, 4)), "regression", "takes 4 inputs, and the manifest names 5"),
        (graph(given=(None, 2)), "regression", "answers with 2 columns"),
        (onnx_file("scaled", "multiclass"), "binary", "answers with 3 columns, a binary with 1 or 2"),
        (onnx_file("linear", "binary"), "multiclass", "answers with 2 columns, a multiclass with 3"),
        (b"", "regression", "no graph"),
        (graph()[:-9], "regression", "cut off"),
        (b"\x08\x09" + b"\xff" * 12, "regression", "not protobuf"),
        (b"\x3b", "regression", "not protobuf"),
    ],
)
def test_what_is_not_the_manifests_model_is_refused(content: bytes, task: str, says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        loaded(content, task)


def test_more_files_are_refused() -> None:
    files = {"model.onnx": graph(), "weights.bin": b""}
    with pytest.raises(IntegrityError, match="its only file"):
        load(described("onnx", "regression", files), "sha256:x", files)


def test_what_the_runtime_refuses_is_an_error_of_the_engine() -> None:
    with pytest.raises(EngineError, match="ONNX Runtime refuses"):
        loaded(graph(helper.make_node("Abs", ["nowhere"], ["Y"])))


def test_an_output_of_another_shape_than_promised_is_refused() -> None:
    model = loaded(graph(helper.make_node("Identity", ["X"], ["Y"]), given=(None, None)))
    with pytest.raises(EngineError, match=r"answered 2 rows with an array of shape \(2, 5\)"):
        model.predict(np.ones((2, 5)))


def test_every_prefix_is_refused() -> None:
    content = onnx_file("linear", "regression")
    for end in range(0, len(content), 7):
        with pytest.raises((IntegrityError, EngineError)):
            loaded(content[:end])


def test_changed_bytes_never_take_the_process_down() -> None:
    drawn = np.random.default_rng(3)
    content = onnx_file("forest", "binary")
    for _ in range(60):
        changed = bytearray(content)
        for at in drawn.integers(0, 400, 3):
            changed[at] = drawn.integers(0, 256)
        try:
            loaded(bytes(changed), "binary").predict(rows()[:3])
        except EngineError:
            continue


def test_two_rows_stand_in_for_one_where_the_runtime_adds_in_another_order() -> None:
    content = onnx_file("linear", "regression")
    model = loaded(content)
    one = np.array([model.predict_one(row) for row in rows().tolist()])
    assert one.tobytes() == model.predict(rows()).tobytes()


def test_labels_are_those_of_the_manifest() -> None:
    files = {"model.onnx": onnx_file("scaled", "multiclass")}
    with pytest.raises(IntegrityError, match="answers with 3 columns, a multiclass with 2"):
        load(replace(described("onnx", "multiclass", files), outputs=("a", "b")), "sha256:x", files)
