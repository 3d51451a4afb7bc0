"""The table keeps every promise of the port, and says what the documents say."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from steward.access import authorizer as port
from steward.access.authorizer import Authorizer, TableAuthorizer
from steward.access.cedar import CedarAuthorizer
from steward.access.identity import covers
from steward.access.permissions import TABLE, Permission, Role
from steward.testing.conformance.access import AuthorizerConformance, allowed_by_matrix


class TestTable(AuthorizerConformance):
    def make(self) -> Authorizer:
        return TableAuthorizer()


def test_every_promise_has_a_test_and_every_test_a_promise() -> None:
    promises = set(re.findall(r"^\* ``(\w+)``", port.__doc__ or "", re.MULTILINE))
    tests = {name.removeprefix("test_") for name in vars(AuthorizerConformance) if name.startswith("test_")}
    assert tests == promises
    assert len(tests) == 7


def test_engines_have_the_signature_of_the_port() -> None:
    for engine in (TableAuthorizer, CedarAuthorizer):
        assert inspect.signature(engine.allows) == inspect.signature(Authorizer.allows)


def test_the_document_shows_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
    head = re.search(r"^\| role \|(.*)\|$", page, re.M)
    assert head is not None
    permissions = [Permission(cell.strip()) for cell in head[1].split("|")]
    shown = set()
    for role in Role:
        row = re.search(rf"^\| {role} \|(.*)\|$", page, re.M)
        assert row is not None, role
        shown |= {(role, p) for p, cell in zip(permissions, row[1].split("|"), strict=True) if cell.strip() == "yes"}
    assert shown == {(role, permission) for role, permissions in TABLE.items() for permission in permissions}
    assert shown == allowed_by_matrix()


def test_who_hands_out_roles_decides_nothing() -> None:
    held = TABLE[Role.ADMINISTRATOR]
    assert not held & {Permission.INVOKE, Permission.APPROVE, Permission.PUBLISH, Permission.PROMOTE}
    assert [role for role, permissions in TABLE.items() if Permission.ADMINISTER in permissions] == [Role.ADMINISTRATOR]


@given(st.lists(st.sampled_from(["a", "b", "ab", "a-b"]), min_size=1, max_size=4), st.data())
def test_a_pattern_covers_what_lies_below_it(parts: list[str], data: st.DataObject) -> None:
    name = ".".join(parts)
    cut = data.draw(st.integers(1, len(parts)))
    pattern = ".".join(parts[:cut]) + ".*"
    assert covers((pattern,), name) == (cut < len(parts))
    assert covers((name,), name)
    assert not covers((name,), name + "x")
    assert not covers((pattern,), "")
