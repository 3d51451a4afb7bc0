from __future__ import annotations

import re
import subprocess
import sys

import pytest
from tests.models.artefacts import INPUTS, lightgbm_text

from steward.models.formats.lightgbm_text import MAX_DEPTH, Unsupported, check
from steward.testing.conformance.models import STUMP

CATEGORIES = lightgbm_text("regression", 5, categorical_feature="4", min_data_per_group=5, cat_smooth=1)


def resized(text: bytes) -> bytes:
    """State the true ``tree_sizes``, so that a change is found for what it is."""
    trees = text[text.index(b"Tree=0") : text.index(b"\nend of trees") + 1]
    sizes = [len(block) for block in re.split(rb"(?=Tree=\d+\n)", trees) if block]
    return re.sub(rb"tree_sizes=[0-9 ]*", b"tree_sizes=" + b" ".join(b"%d" % size for size in sizes), text)


def with_line(key: bytes, value: bytes, text: bytes = STUMP) -> bytes:
    return resized(re.sub(rb"(?m)^" + key + rb"=.*$", key + b"=" + value, text, count=1))


def test_what_lightgbm_writes_is_understood() -> None:
    checked = check(CATEGORIES)
    assert (checked.names, checked.objective, checked.trees) == (INPUTS, "regression", 5)
    assert checked.text.endswith(b"\nend of trees\n")
    assert resized(CATEGORIES) == CATEGORIES


def test_training_parameters_are_not_handed_over() -> None:
    assert b"parameters:" in CATEGORIES
    assert b"parameters:" not in check(CATEGORIES).text


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (b"left_child", b"1", "not within"),
        (b"left_child", b"0", "do not form a tree"),
        (b"right_child", b"-1", "do not form a tree"),
        (b"right_child", b"-9", "not within"),
        (b"split_feature", b"1", "not within"),
        (b"split_feature", b"-1", "not within"),
        (b"split_feature", b"0 0", "is not 1 whole"),
        (b"threshold", b"nan", "threshold is not"),
        (b"threshold", b"1_0", "threshold is not"),
        (b"threshold", b"", "threshold is not"),
        (b"decision_type", b"1", "outside of its table"),
        (b"decision_type", b"12", "not within"),
        (b"leaf_value", b"10", "leaf_value is not 2"),
        (b"leaf_value", b"10 inf", "not finite"),
        (b"leaf_value", b"10 1e999", "not finite"),
        (b"leaf_value", b"10 --1", "could not convert"),
        (b"leaf_weight", b"6", "leaf_weight is not 2"),
        (b"leaf_count", b"6 -1", "not within"),
        (b"internal_value", b"", "internal_value is not 1"),
        (b"num_leaves", b"3", "leaf_value is not 3"),
        (b"num_leaves", b"0", "not within"),
        (b"num_leaves", b"99999999999", "not within"),
        (b"num_cat", b"1", "cat_boundaries is missing"),
        (b"shrinkage", b"1=1", "unknown or there twice"),
        (b"max_feature_idx", b"1", "1 feature names, and max_feature_idx says 2"),
        (b"max_feature_idx", b"-1", "not within"),
        (b"feature_infos", b"[0:23] [0:1]", "feature names"),
    ],
)
def test_a_tree_that_is_none_is_refused(key: bytes, value: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check(with_line(key, value))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"cat_boundaries=0 1", b"cat_boundaries=1 1"),
        (b"cat_boundaries=0 1", b"cat_boundaries=0 0"),
        (b"cat_threshold=", b"cat_threshold=7 "),
        (b"cat_threshold=", b"cat_threshold=99999999999"),
    ],
)
def test_a_table_of_categories_out_of_order_is_refused(old: bytes, new: bytes) -> None:
    assert old in CATEGORIES
    with pytest.raises(ValueError, match=r"cat_|categorical"):
        check(resized(CATEGORIES.replace(old, new, 1)))


CATEGORY = resized(
    STUMP.replace(b"decision_type=2", b"decision_type=1")
    .replace(b"threshold=5.5", b"threshold=0")
    .replace(b"num_cat=0", b"num_cat=1")
    .replace(b"is_linear=0", b"cat_boundaries=0 1\ncat_threshold=4\nis_linear=0")
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"threshold=0\n", b"threshold=1\n"),
        (b"threshold=0\n", b"threshold=-1\n"),
        (b"threshold=0\n", b"threshold=0.5\n"),
        (b"threshold=0\n", b"threshold=inf\n"),
        (b"boundaries=0 1\ncat_threshold=4", b"boundaries=1 2\ncat_threshold=4 4"),
        (b"boundaries=0 1", b"boundaries=0"),
        (b"cat_threshold=4\n", b""),
    ],
)
def test_a_category_outside_of_its_table_is_refused(old: bytes, new: bytes) -> None:
    assert check(CATEGORY).trees == 1
    assert old in CATEGORY
    with pytest.raises(ValueError, match=r"cat_|categorical"):
        check(resized(CATEGORY.replace(old, new)))


def test_a_cycle_is_refused() -> None:
    text = STUMP
    for key, value in {
        b"num_leaves": b"4", b"split_feature": b"0 0 0", b"split_gain": b"1 1 1", b"threshold": b"1 2 3",
        b"decision_type": b"2 2 2", b"left_child": b"-1 2 1", b"right_child": b"-2 -3 -4",
        b"leaf_value": b"1 2 3 4", b"leaf_weight": b"1 2 3 4", b"leaf_count": b"1 2 3 4",
        b"internal_value": b"1 1 1", b"internal_weight": b"1 1 1", b"internal_count": b"1 1 1",
    }.items():  # fmt: skip
        text = with_line(key, value, text)
    with pytest.raises(ValueError, match="do not form a tree"):
        check(text)
    check(with_line(b"right_child", b"1 -3 -4", with_line(b"left_child", b"-1 2 -2", text)))


def test_a_tree_too_deep_is_refused() -> None:
    def chain(splits: int) -> bytes:
        many = b" ".join([b"1"] * splits)
        text = STUMP
        for key in (b"split_gain", b"threshold", b"internal_value", b"internal_weight", b"internal_count"):
            text = with_line(key, many, text)
        for key in (b"leaf_value", b"leaf_weight", b"leaf_count"):
            text = with_line(key, many + b" 1", text)
        text = with_line(
            b"num_leaves", b"%d" % (splits + 1), with_line(b"split_feature", many.replace(b"1", b"0"), text)
        )
        text = with_line(b"decision_type", many.replace(b"1", b"2"), text)
        text = with_line(b"left_child", b" ".join(b"%d" % -(at + 1) for at in range(splits)), text)
        return with_line(
            b"right_child", b" ".join([*(b"%d" % (at + 1) for at in range(splits - 1)), b"%d" % -(splits + 1)]), text
        )

    assert check(chain(MAX_DEPTH)).trees == 1
    with pytest.raises(ValueError, match="deeper than"):
        check(chain(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"tree",
        STUMP[:-30],
        STUMP[1:],
        STUMP.replace(b"\n", b"\r\n"),
        STUMP.replace(b"feature_names=hour", b"feature_names=ho\0r"),
        STUMP.replace(b"feature_names=hour", b"feature_names=hour\r"),
        STUMP.replace(b"tree_sizes=253", b"tree_sizes=252"),
        STUMP.replace(b"tree_sizes=253", b"tree_sizes=254"),
        STUMP.replace(b"tree_sizes=253", b"tree_sizes=253 253"),
        STUMP.replace(b"tree_sizes=253", b"tree_sizes="),
        STUMP.replace(b"tree_sizes=253\n", b""),
        STUMP.replace(b"num_class=1\n", b"num_class=1\nnum_class=1\n"),
        STUMP.replace(b"num_class=1\n", b"num_class=1\nsurprise=1\n"),
        STUMP.replace(b"feature_names=hour", b"feature_names=\xff"),
        STUMP.replace(b"end of trees", b"more\nend of trees"),
        STUMP.replace(b"Tree=0", b"Tree=1"),
        resized(STUMP.replace(b"shrinkage=1\n", b"shrinkage=1\nshrinkage=1\n")),
        resized(STUMP.replace(b"threshold=5.5\n", b"")),
    ],
)
def test_a_text_that_is_no_model_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each has its own words
        check(text)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"version=v4", b"version=v5"), (b"label_index=0", b"average_output")],
)
def test_another_sort_of_model_is_told_from_a_broken_one(old: bytes, new: bytes) -> None:
    with pytest.raises(Unsupported):
        check(STUMP.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"num_class=3\n", b"num_class=1\n"),
        (b"num_class=3\n", b"num_class=2\n"),
        (b"num_class=3\n", b"num_class=300\n"),
        (b"num_tree_per_iteration=3", b"num_tree_per_iteration=1"),
        (b"num_class:3", b"num_class:4"),
        (b"multiclass num_class:3", b"multiclass"),
        (b"multiclass num_class:3", b"multiclass num_class:3 num_class:5"),
        (b"multiclass num_class:3", b"regression"),
        (b"multiclass num_class:3", b""),
    ],
)
def test_classes_that_do_not_agree_are_refused(old: bytes, new: bytes) -> None:
    text = lightgbm_text("multiclass", 2, num_class=3)
    assert old in text
    assert check(text).classes == 3
    with pytest.raises(ValueError, match=r"classes|num_class"):
        check(text.replace(old, new))


def test_trees_that_are_not_as_many_for_each_class_are_refused() -> None:
    text = lightgbm_text("multiclass", 2, num_class=3)
    sizes = next(line for line in text.split(b"\n") if line.startswith(b"tree_sizes="))
    last = text[text.index(b"Tree=5") : text.index(b"end of trees")]
    fewer = text.replace(sizes, sizes.rpartition(b" ")[0]).replace(last, b"\n")
    with pytest.raises(ValueError, match=r"5 trees are not the same|more between"):
        check(fewer)


def test_every_prefix_is_refused() -> None:
    for end in range(len(STUMP) - 1):
        with pytest.raises(ValueError):  # noqa: PT011 - what it says depends on where it ends
            check(STUMP[:end])


FUZZ = """
import random, sys
import numpy as np
from steward.errors import EngineError
from steward.models.engines.lightgbm import LightGBMModel
from steward.models.formats.lightgbm_text import check
text, seed, rounds = sys.stdin.buffer.read(), int(sys.argv[1]), int(sys.argv[2])
draw, asked, rows = random.Random(seed), 0, np.random.default_rng(seed).normal(size=(8, 5)) * 5
end = text.index(b"end of trees")
for _ in range(rounds):
    changed = bytearray(text)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at, how = draw.randrange(end), draw.random()
        if how < 0.5:
            changed[at] = draw.choice(b"0123456789-.e =\\n")
        elif how < 0.7:
            del changed[at : at + draw.randrange(1, 60)]
        else:
            changed[at:at] = draw.choice([b"9", b"-", b"e99", b" 7", b"99999999", b"=", b"\\n", b"nan", b"inf"])
    try:
        checked = check(bytes(changed))
        if len(checked.names) == 5 and checked.objective == "regression":
            model = LightGBMModel(checked, name="m", inputs="abcde", task="regression")
            model.predict_one(rows[0]), model.predict(rows), model.attribute(rows)
            asked += 1
    except (ValueError, EngineError):
        continue
print(asked)
"""


@pytest.mark.parametrize("rounds", [150, pytest.param(30_000, marks=pytest.mark.deep)])
def test_a_damaged_text_never_takes_the_process_down(rounds: int) -> None:
    # Without the check the library aborts, or never returns, within a few of these.
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, "5", str(rounds)], input=CATEGORIES, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) > rounds // 10, "some changes leave a model, and it is asked"
