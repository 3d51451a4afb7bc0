"""Diagrams, read back from what is drawn: a tree holds what the ledger's own proof holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.console.charts.reading import classed, parse, texts

from steward.console.charts.diagrams import path, siblings, tree
from steward.console.charts.figures import Stage
from steward.ledger.merkle import holds_inclusion, inclusion_path, leaf_hash, node_hash, root_at


def node(height: int, index: int) -> bytes:
    if not height:
        return leaf_hash(b"%d" % index)
    return node_hash(node(height - 1, 2 * index), node(height - 1, 2 * index + 1))


PLACES = st.integers(1, 200).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))


@given(PLACES)
def test_given_hashes_stand_for_every_other_entry_once(place: tuple[int, int]) -> None:
    index, size = place
    covered = [entry for _, first, last in siblings(index, size) for entry in range(first, last + 1)]
    assert sorted([*covered, index]) == list(range(size))
    assert all((last < index) if is_left else (first > index) for is_left, first, last in siblings(index, size))


@given(PLACES)
def test_a_tree_ends_in_the_root_exactly_if_the_proof_holds(place: tuple[int, int]) -> None:
    index, size = place
    given_hashes, root = inclusion_path(node, index, size), root_at(node, size)
    assert holds_inclusion(node(0, index), index, size, given_hashes, root)
    drawn = parse(tree(index, size, node(0, index), given_hashes, root, "Proof"))
    assert not classed(drawn, "broken")
    assert (
        len([each for each in classed(drawn, "root") if each.tag == "rect" and "key" not in each.get("class", "")]) == 1
    )
    shown = texts(drawn)
    assert shown.count(root.hex()[:8]) == 1 + (size == 1)
    wanted = given_hashes if len(given_hashes) <= 9 else [*given_hashes[:4], *given_hashes[-3:]]
    assert all(each.hex()[:8] in shown for each in wanted)
    other = node(0, size)
    assert classed(parse(tree(index, size, other, given_hashes, root, "Proof")), "broken")
    assert classed(parse(tree(index, size, node(0, index), given_hashes, other, "Proof")), "broken")


def test_a_proof_of_another_length_is_broken() -> None:
    found = inclusion_path(node, 3, 8)
    for hashes in (found[:-1], [*found, b"x" * 32], []):
        assert classed(parse(tree(3, 8, node(0, 3), hashes, root_at(node, 8), "Proof")), "broken")


def test_the_middle_of_a_long_way_is_left_out_and_counted() -> None:
    hashes = [leaf_hash(b"%d" % at) for at in range(20)]
    root = parse(tree(0, 2**20, leaf_hash(b"leaf"), hashes, b"r" * 32, "Proof"))
    shown = texts(root)
    assert "13 more" in shown
    assert [each.hex()[:8] in shown for each in hashes] == [True] * 4 + [False] * 13 + [True] * 3
    (picture,) = classed(root, "audit-path")
    assert float(picture.get("height", "")) < 500


def test_boxes_do_not_lie_on_each_other() -> None:
    root = parse(tree(5, 8, node(0, 5), inclusion_path(node, 5, 8), root_at(node, 8), "Proof"))
    found = []
    for each in classed(root, "audit-path")[0].iter("rect"):
        x, y, width, height = (float(each.get(name, "")) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= 300
        found.append((x, y, x + width, y + height))
    assert len(found) == 2 * 3 + 2 - 1
    for at, (left, top, right, bottom) in enumerate(found):
        assert not any(l < right and left < r and t < bottom and top < b for l, t, r, b in found[:at])  # noqa: E741


def test_a_path_is_a_list_in_order() -> None:
    root = parse(path([Stage("Event", "scada & co", "pos"), Stage("Gate", tone="warn"), Stage("Action")], "The way"))
    (drawn,) = list(root)
    assert (drawn.tag, drawn.get("aria-label")) == ("ol", "The way")
    assert texts(root) == ["Event", "scada & co", "Gate", "Action"]
    assert len(classed(root, "arrow")) == 2
    assert [each.get("class", "").split()[1:] for each in classed(root, "stage")] == [["pos"], ["warn"], []]


def test_what_people_write_is_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    drawing = path([Stage(evil, evil, evil)], evil)
    assert "<script" not in drawing
    assert texts(parse(drawing)) == [evil, evil]
    assert "<script" not in tree(0, 1, b"l", [], b"l", evil)
