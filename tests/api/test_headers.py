"""Headers are parsed as their standards say."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.api.headers import KEY_MAX_LENGTH, host_name, idempotency_key, prefers_async, trace_id
from steward.errors import ContractError

VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=KEY_MAX_LENGTH)


@given(VISIBLE)
def test_every_quoted_string_is_read_back(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert idempotency_key(quoted.encode()) == key


@given(st.binary(max_size=KEY_MAX_LENGTH + 9))
def test_a_key_is_read_or_refused_never_more(value: bytes) -> None:
    with suppress(ContractError):
        key = idempotency_key(value)
        assert 1 <= len(key) <= KEY_MAX_LENGTH
        assert key.isprintable()
        assert key.isascii()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ],
)
def test_a_bad_trace_parent_is_ignored(value: bytes) -> None:
    assert trace_id(value) is None


def test_a_later_version_of_trace_context_is_read() -> None:
    assert trace_id(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more") is not None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"respond-async", True), (b"Respond-Async; x=1, wait=5", True), (b"x=respond-async", False), (b"", False)],
)
def test_preferences(value: bytes, expected: bool) -> None:
    assert prefers_async(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"), [(b"A.example:1", "a.example"), (b"[::1]", "[::1]"), (b"[::1", "[::1]"), (b"", "")]
)
def test_host_names(value: bytes, expected: str) -> None:
    assert host_name(value) == expected
