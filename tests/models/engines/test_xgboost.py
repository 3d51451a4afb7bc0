from __future__ import annotations

import json
from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
import pytest
import xgboost
from msgspec.structs import replace
from tests.models.artefacts import INPUTS
from tests.models.estimators import described, rows, xgboost_booster, xgboost_file

from steward.errors import EngineError, IntegrityError
from steward.models.compilation.sampling import sample
from steward.models.engines.tabular import TabularClassifier
from steward.models.engines.xgboost import XGBoostModel, load
from steward.models.formats.ubjson import decode
from steward.models.formats.xgboost_json import check


def loaded(content: bytes, task: str = "regression", name: str = "model.json") -> XGBoostModel:
    return load(described("xgboost", task, {name: content}), "sha256:x", {name: content})


@pytest.mark.parametrize("form", ["json", "ubj"])
@pytest.mark.parametrize(
    ("objective", "task", "parameters"),
    [
        ("reg:squarederror", "regression", {}),
        ("reg:squarederror", "regression", {"base_score": 3.5, "max_depth": 1}),
        ("reg:squarederror", "regression", {"gamma": 1e9}),
        ("binary:logistic", "binary", {"scale_pos_weight": 2.0}),
        ("multi:softprob", "multiclass", {"num_class": 3}),
        ("multi:softprob", "multiclass", {"num_class": 3, "num_parallel_tree": 2, "subsample": 0.5}),
    ],
)
def test_answers_are_those_of_xgboost(objective: str, task: str, parameters: dict[str, Any], form: str) -> None:
    content = xgboost_file(objective, task, form, **parameters)
    model, peer = loaded(content, task, f"model.{form}"), xgboost_booster(objective, task, **parameters)
    given = np.vstack([rows(0.2), sample(5, check(content).forest.thresholds(), single=True)])
    given[0], given[1], given[2, 0] = inf, -inf, 1e300
    answers = model.probabilities(given) if isinstance(model, TabularClassifier) else model.predict(given)
    # Its sums are rounded to single precision, ours are not; each row comes to the same leaves.
    np.testing.assert_allclose(answers, peer.inplace_predict(given), rtol=1e-5, atol=1e-5)
    assert model.arithmetic == "float32"


@pytest.mark.parametrize("link", ["count:poisson", "reg:gamma", "reg:tweedie"])
def test_exponential_answers_are_those_of_xgboost(link: str) -> None:
    data = xgboost.DMatrix(rows(), np.round(np.exp(rows()[:, 0])) + (link == "reg:gamma"))
    peer = xgboost.train({"objective": link, "nthread": 1}, data, 5)
    model = loaded(bytes(peer.save_raw("json")))
    np.testing.assert_allclose(model.predict(rows()), peer.inplace_predict(rows()), rtol=1e-5)


def test_contributions_are_those_of_xgboost() -> None:
    for objective, task, more in (
        ("binary:logistic", "binary", {}),
        ("multi:softprob", "multiclass", {"num_class": 3}),
    ):
        model = loaded(xgboost_file(objective, task, "json", **more), task)
        peer = xgboost_booster(objective, task, **more)
        parts = peer.predict(xgboost.DMatrix(rows(0.1)), pred_contribs=True).reshape(len(rows()), -1, 6)
        places = model.predict(rows(0.1)).astype(int) if task == "multiclass" else np.zeros(len(rows()), dtype=int)
        wanted = parts[np.arange(len(places)), places]
        np.testing.assert_allclose(model.attribute(rows(0.1)), wanted, rtol=1e-4, atol=1e-5)


def test_an_answer_turns_between_a_threshold_and_the_number_below() -> None:
    model = loaded(xgboost_file("reg:squarederror", "regression", max_depth=1))
    (name, turns), *_ = model.turns.items()
    row, at = [nan] * 5, INPUTS.index(name)
    row[at] = turns[0]
    below = model.predict_one(row)
    row[at] = float(np.nextafter(np.float32(turns[0]), np.float32(inf)))
    assert model.predict_one(row) != below
    assert model.seen == {}


def changed(change: Callable[[dict[str, Any]], object], objective: str = "reg:squarederror") -> bytes:
    content = json.loads(xgboost_file(objective, "binary" if objective.startswith("binary") else "regression"))
    change(content["learner"])
    return json.dumps(content).encode()


def tree(learner: dict[str, Any], at: int = 3) -> dict[str, Any]:
    found: dict[str, Any] = learner["gradient_booster"]["model"]["trees"][at]
    return found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: tree(it)["left_children"].__setitem__(0, 0), "tree 3: its nodes do not form a tree"),
        (lambda it: tree(it)["left_children"].__setitem__(0, 10_000), "do not form a tree"),
        (lambda it: tree(it)["left_children"].__setitem__(0, 2), "do not form a tree"),
        (lambda it: tree(it)["right_children"].__setitem__(0, -1), "one child only"),
        (lambda it: tree(it)["split_indices"].__setitem__(0, 5), "feature that is not there"),
        (lambda it: tree(it)["split_indices"].__setitem__(0, -1), "feature that is not there"),
        (lambda it: tree(it)["split_conditions"].__setitem__(0, 1e300), "too large for single precision"),
        (lambda it: tree(it)["split_conditions"].pop(), "not of one length"),
        (lambda it: tree(it).pop("default_left"), "default_left"),
        (lambda it: tree(it)["tree_param"].__setitem__("num_nodes", "3"), "not of one length"),
        (lambda it: it["learner_model_param"].__setitem__("num_feature", "0"), "0 features"),
        (lambda it: it["learner_model_param"].__setitem__("num_class", "3"), "3 classes"),
        (lambda it: it["learner_model_param"].__setitem__("base_score", "[nan]"), "base_score"),
        (lambda it: it["learner_model_param"].__setitem__("base_score", "[1,2]"), "base_score"),
        (lambda it: it["learner_model_param"].__setitem__("base_score", "much"), "base_score"),
        (lambda it: it.__setitem__("feature_names", ["a"]), "1 feature names for 5 features"),
        (lambda it: it["gradient_booster"]["model"].__setitem__("tree_info", [7]), "which class"),
        (lambda it: it["gradient_booster"].pop("model"), "no trees"),
    ],
)
def test_a_file_that_is_no_model_is_refused(change: Callable[[dict[str, Any]], object], says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        loaded(changed(change))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it["gradient_booster"].__setitem__("name", "gblinear"), "gblinear"),
        (lambda it: it["objective"].__setitem__("name", "rank:ndcg"), "rank:ndcg"),
        (lambda it: it["learner_model_param"].__setitem__("num_target", "2"), "more than one target"),
        (lambda it: it["attributes"].__setitem__("best_iteration", "1"), "stopped early"),
        (lambda it: tree(it)["split_type"].__setitem__(0, 1), "categorical"),
        (lambda it: tree(it)["tree_param"].__setitem__("size_leaf_vector", "2"), "several values"),
    ],
)
def test_what_is_not_served_yet_says_so(change: Callable[[dict[str, Any]], object], says: str) -> None:
    with pytest.raises(EngineError, match=says) as caught:
        loaded(changed(change))
    assert not isinstance(caught.value, IntegrityError)


def test_a_probability_must_begin_as_one() -> None:
    with pytest.raises(IntegrityError, match="no probability"):
        loaded(
            changed(lambda it: it["learner_model_param"].__setitem__("base_score", "1.5"), "binary:logistic"), "binary"
        )


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"task": "binary"}, "a regression, and the manifest says binary"),
        ({"inputs": ("a", "b")}, "takes 5 inputs, and the manifest names 2"),
        ({"inputs": tuple(reversed(INPUTS))}, "another order"),
    ],
)
def test_a_model_that_is_not_the_manifests_is_refused(facts: dict[str, Any], says: str) -> None:
    content = changed(lambda it: it.__setitem__("feature_names", list(INPUTS)))
    manifest = replace(described("xgboost", "regression", {"model.json": content}), **facts)
    with pytest.raises(IntegrityError, match=says):
        load(manifest, "sha256:x", {"model.json": content})


def test_every_prefix_of_either_form_is_refused() -> None:
    for form in ("json", "ubj"):
        content = xgboost_file("reg:squarederror", "regression", form)
        for end in range(0, len(content), 997):
            with pytest.raises(IntegrityError):
                loaded(content[:end], name=f"model.{form}")


def test_changed_bytes_of_either_form_end_in_an_error_or_a_model() -> None:
    drawn = np.random.default_rng(3)
    for form in ("json", "ubj"):
        content = xgboost_file("reg:squarederror", "regression", form, max_depth=2)
        for _ in range(40):
            harmed = bytearray(content)
            for at in drawn.integers(0, len(harmed), 3):
                harmed[at] = drawn.integers(0, 256)
            try:
                loaded(bytes(harmed), name=f"model.{form}").predict(rows()[:3])
            except EngineError:
                continue


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cut off"),
        (b"{i\x01ai\x05i\x01ai\x05}", "the key 'a' twice"),
        (b"[" * 40, "too deep"),
        (b"Si\x7fabc", "longer than itself"),
        (b"SD\x00", "no whole number"),
        (b"q", "unknown type 'q'"),
        (b"[$S#i\x01", "unknown form"),
        (b"i\x05i", "more after its end"),
        (b"Si\xff", "longer than itself"),
    ],
)
def test_what_is_no_universal_binary_json_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(content)


def test_universal_binary_json_is_read() -> None:
    content = b"{i\x01a[Z T F]i\x01b[#i\x02i\x01U\xffi\x01cSi\x02hii\x01dd" + np.array(1.5, ">f4").tobytes() + b"}"
    assert decode(content.replace(b" ", b"")) == {"a": [None, True, False], "b": [1, 255], "c": "hi", "d": 1.5}
