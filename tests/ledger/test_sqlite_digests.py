"""The sealed-segment index against a dictionary."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.ledger.sqlite_digests import ROW_BYTES, BloomFilter, DigestIndex, digest_of, search


def made(seal_at_rows: int) -> tuple[sqlite3.Connection, DigestIndex]:
    database = sqlite3.connect(":memory:", isolation_level=None)
    index = DigestIndex("keys", seal_at_rows=seal_at_rows)
    database.executescript(index.schema)
    return database, index


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 300), max_size=40), max_size=12), st.integers(1, 50))
def test_it_answers_like_a_dictionary(commits: list[set[int]], seal_at_rows: int) -> None:
    database, index = made(seal_at_rows)
    known: dict[bytes, int] = {}
    for numbers in commits:
        new = {digest_of(str(n)): n for n in sorted(numbers) if digest_of(str(n)) not in known}
        index.learn(index.log(database, new))
        known |= new
    again = DigestIndex("keys", seal_at_rows=seal_at_rows)
    again.load(database)
    for number in range(302):
        digest = digest_of(str(number))
        assert index.find(database, digest) == known.get(digest) == again.find(database, digest)
    database.close()


def test_segments_are_sealed_and_numbered_on_after_a_restart() -> None:
    database, index = made(10)
    for start in range(0, 100, 5):
        index.learn(index.log(database, {digest_of(str(n)): n for n in range(start, start + 5)}))
        if start == 50:
            index = DigestIndex("keys", seal_at_rows=10)
            index.load(database)
    segments = {row_id & 0xFFFF_FFFF for (row_id,) in database.execute("SELECT id FROM keys_sealed")}
    assert segments == set(range(10))
    assert database.execute("SELECT count(*) FROM keys_recent").fetchone() == (0,)
    assert [index.find(database, digest_of(str(n))) for n in range(100)] == list(range(100))
    database.close()


def test_a_transaction_that_failed_is_not_remembered() -> None:
    database, index = made(2)
    database.execute("BEGIN")
    index.log(database, {digest_of("a"): 1, digest_of("b"): 2, digest_of("c"): 3})
    database.execute("ROLLBACK")
    assert index.find(database, digest_of("a")) is None
    index.learn(index.log(database, {digest_of("a"): 7}))
    assert index.find(database, digest_of("a")) == 7
    database.close()


def test_the_filter_never_says_no_in_error_and_rarely_yes() -> None:
    seen = BloomFilter()
    for start in range(0, 200_000, 20_000):
        seen.add(b"".join(digest_of(str(n)) for n in range(start, start + 20_000)), stride=16)
    assert all(seen.suspects([digest_of(str(n))]) for n in range(0, 200_000, 7))
    wrong = len(seen.suspects(digest_of(f"not {n}") for n in range(20_000)))
    assert wrong < 0.02 * 20_000


def test_rows_are_found_only_where_a_row_begins() -> None:
    digest = digest_of("a")
    shifted = b"x" * 3 + digest + b"y" * (ROW_BYTES - 19 + 16) + (5).to_bytes(8, "big")
    assert search(shifted, digest) is None
    assert search(b"z" * ROW_BYTES + digest + (9).to_bytes(8, "big"), digest) == 9


@pytest.mark.parametrize("text", ["", "ü", "\ud800"])
def test_any_text_has_a_digest(text: str) -> None:
    assert len(digest_of(text)) == 16
