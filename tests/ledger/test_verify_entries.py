"""Many entries are held to what each of them is held to: no break hides in a crowd."""

from __future__ import annotations

import json
from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.ledger.sqlite_digests import digest_of
from steward.ledger.verify_entries import all_hold, breaks_of, index_rows, repeats

Row = tuple[object, object, object, object]


def body_of(kind: str, run: str, **more: object) -> bytes:
    return json.dumps({"kind": kind, "decision_id": run, **more}, separators=(",", ":")).encode()


def row_of(kind: str, run_id: bytes, body: bytes) -> Row:
    return kind, run_id, sha256(b"\x00" + body).digest(), body


def good(number: int) -> Row:
    run = UUID(int=number << 64 | 0x77)
    return row_of("decided", run.bytes, body_of("decided", str(run), n=number))


def hold(rows: list[Row]) -> bool:
    kinds, run_ids, leaves, bodies = zip(*rows, strict=True)
    return all_hold(kinds, run_ids, leaves, bodies)


def found(rows: list[Row]) -> list[list[str]]:
    return [breaks_of(*row) for row in rows]  # type: ignore[arg-type] # as from a damaged file: any type in any column


def test_good_entries_hold_together_and_alone() -> None:
    rows = [good(number) for number in range(300)]
    assert hold(rows)
    assert not any(found(rows))


RUN = UUID("0197ab12-5a5a-7000-8000-00000000cafe")
BODY = body_of("acted", str(RUN))
LEAF = sha256(b"\x00" + BODY).digest()
CHANGED, COLUMNS = ["its body is not the one that was hashed"], ["its columns do not repeat its body"]
NOT_JSON, WRONG_TYPE = ["its body is not an entry's JSON"], ["a column has a value of the wrong type"]
CHANGES: list[tuple[str, Row, list[str]]] = [
    ("body", ("acted", RUN.bytes, bytes(32), BODY), CHANGED),
    ("text", ("acted", RUN.bytes, LEAF, BODY.decode()), CHANGED),
    ("kind", row_of("failed", RUN.bytes, BODY), COLUMNS),
    ("run", row_of("acted", UUID(int=1).bytes, BODY), COLUMNS),
    ("kind-twice", row_of("acted", RUN.bytes, BODY[:-1] + b',"kind":"failed"}'), COLUMNS),
    ("run-twice", row_of("acted", RUN.bytes, BODY[:-1] + b',"decision_id":"%s"}' % (b"0" * 32)), COLUMNS),
    ("half", row_of("acted", RUN.bytes, BODY[:-1]), NOT_JSON),
    ("two", row_of("acted", RUN.bytes, BODY + b"," + BODY), NOT_JSON),
    ("deep", row_of("acted", RUN.bytes, BODY[:-1] + b',"a":' + b"[" * 100_000), NOT_JSON),
    ("no-id", row_of("acted", RUN.bytes, body_of("acted", "x" * 36)), NOT_JSON),
    ("no-field", row_of("acted", RUN.bytes, b'{"kind":"acted"}'), NOT_JSON),
    ("dashes", row_of("acted", RUN.bytes, body_of("acted", "-" + str(RUN).replace("-", "", 1))), NOT_JSON),
    ("body-null", ("acted", RUN.bytes, bytes(32), None), WRONG_TYPE),
    ("run-null", ("acted", None, LEAF, BODY), WRONG_TYPE),
    ("run-text", ("acted", "0" * 16, LEAF, BODY), WRONG_TYPE),
    ("kind-blob", (b"acted", RUN.bytes, LEAF, BODY), COLUMNS),
    ("leaf-text", ("acted", RUN.bytes, "leaf", BODY), CHANGED),
]


@pytest.mark.parametrize(("row", "breaks"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_each_break_is_found_among_good_entries(row: Row, breaks: list[str], place: int) -> None:
    rows = [good(number) for number in range(4)]
    rows.insert(place, row)
    assert not hold(rows)
    assert [each for each in found(rows) if each] == [breaks]


def test_a_run_cannot_borrow_of_its_neighbour() -> None:
    first, second = UUID(int=0x11 << 120 | 0x22), UUID(int=0x33 << 120 | 0x44)
    both = first.bytes + second.bytes
    for cut in (15, 17):
        rows = [
            row_of("a", both[:cut], body_of("a", str(first))),
            row_of("a", both[cut:], body_of("a", str(second))),
        ]
        assert (hold(rows), all(found(rows))) == (False, True)
    joined = str(first) + str(second)
    for cut in (35, 37):
        rows = [
            row_of("a", first.bytes, body_of("a", joined[:cut])),
            row_of("a", second.bytes, body_of("a", joined[cut:])),
        ]
        assert (hold(rows), all(found(rows))) == (False, True)


def test_a_body_cannot_borrow_of_its_neighbour() -> None:
    halves = [b'{"kind":"a","decision_id":"%s","n":[{}' % str(RUN).encode(), b'{}],"kind":"a"}']
    rows = [row_of("a", RUN.bytes, half) for half in halves]
    assert (hold(rows), all(found(rows))) == (False, True)


@pytest.mark.parametrize("spelled", [str(RUN).upper(), RUN.hex])
def test_an_unusual_spelling_of_an_id_is_left_to_the_check_of_one(spelled: str) -> None:
    rows = [good(1), row_of("acted", RUN.bytes, body_of("acted", spelled))]
    assert (hold(rows), any(found(rows))) == (False, False)


ANYTHING = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.binary(max_size=17))


@given(st.data())
def test_whatever_stands_in_a_column_no_crowd_holds_with_a_break_in_it(data: st.DataObject) -> None:
    rows = [good(number) for number in range(data.draw(st.integers(1, 5)))]
    for _ in range(data.draw(st.integers(1, 3))):
        place, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, 3))
        whole = rows[place][column]
        spoiled = ANYTHING
        if isinstance(whole, bytes) and whole:
            at = data.draw(st.integers(0, len(whole) - 1))
            spoiled |= st.just(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
        changed = list(rows[place])
        changed[column] = data.draw(spoiled)
        if column == 3 and isinstance(changed[3], bytes) and data.draw(st.booleans()):
            changed[2] = sha256(b"\x00" + changed[3]).digest()
        rows[place] = tuple(changed)  # type: ignore[assignment] # it has four columns still
    assert hold(rows) is (not any(found(rows))) or _is_spelled_unusually(rows)


def _is_spelled_unusually(rows: list[Row]) -> bool:
    """Whether nothing is broken but an id was flipped to upper case, where holding together may say no."""
    return not any(found(rows)) and any(
        isinstance(run, bytes) and isinstance(body, bytes) and str(UUID(bytes=run)).encode() not in body
        for _, run, _, body in rows
    )


def test_one_entry_repeats_its_body_or_not() -> None:
    assert repeats(BODY, "acted", RUN.bytes)
    for body in (BODY[:-1], b"\xff", b"[" * 100_000, BODY.replace(b"cafe", b"cafd")):
        assert not repeats(body, "acted", RUN.bytes)


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(0, 2**63 - 1))))
def test_index_rows_are_those_of_the_writer(identified: list[tuple[str, int]]) -> None:
    expected = b"".join(digest_of(text) + number.to_bytes(8, "big") for text, number in identified)
    assert index_rows(identified) == expected
