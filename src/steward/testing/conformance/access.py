"""What every authorizer must keep: one test for each promise in :mod:`steward.access.authorizer`.

Example of a suite for one's own engine::

    class TestMine(AuthorizerConformance):
        def make(self) -> Authorizer:
            return MyAuthorizer()
"""

from __future__ import annotations

import re
from itertools import product

import pytest
from msgspec.structs import replace

from steward.access.authorizer import Authorizer
from steward.access.identity import WHOLE, Assignment, Identity, Kind, Resource, Scope
from steward.access.permissions import Permission, Role

MATRIX = """
                 invoke read approve publish promote stop verify export administer
operator         yes    yes  -       -       -       yes  yes    -      -
approver         -      yes  yes     -       -       yes  yes    -      -
model-owner      -      yes  -       yes     -       -    yes    -      -
publisher        -      yes  -       yes     yes     -    yes    -      -
auditor          -      yes  -       -       -       -    yes    yes    -
product-leader   -      yes  -       -       -       yes  yes    yes    -
administrator    -      yes  -       -       -       yes  yes    -      yes
service          yes    yes  -       -       -       -    -      -      -
"""
"""What each role allows, written once more by hand."""
DECISIONS = ("", "grid", "gridlock", "grid.dispatch", "grid.battery.dispatch", "pay.release")
COVERED: dict[str, tuple[str, ...]] = {
    "*": DECISIONS,
    "grid": ("grid",),
    "grid.*": ("grid.dispatch", "grid.battery.dispatch"),
    "grid.battery.*": ("grid.battery.dispatch",),
    "pay.release": ("pay.release",),
}
"""Which of the decisions each pattern covers."""


def allowed_by_matrix() -> set[tuple[Role, Permission]]:
    """Return the pairs that the matrix allows.

    Example:
        >>> len(allowed_by_matrix())
        28
    """
    head, *rows = MATRIX.strip().splitlines()
    permissions = [Permission(name) for name in head.split()]
    return {
        (Role(name), permission)
        for name, *cells in map(str.split, rows)
        for permission, cell in zip(permissions, cells, strict=True)
        if cell == "yes"
    }


def somebody(*roles: Assignment) -> Identity:
    """Return a person of the grid team and the tenant acme.

    Example:
        >>> somebody(Assignment(Role.AUDITOR)).roles[0].decisions
        ('*',)
    """
    teams, tenants = frozenset({"grid"}), frozenset({"acme"})
    return Identity(id="anna", kind=Kind.PERSON, display="Anna", teams=teams, tenants=tenants, roles=roles)


EVERYTHING = tuple(Assignment(role) for role in Role)


class AuthorizerConformance:
    """One test for each promise; an engine's suite inherits it and gives ``make``.

    Example:
        >>> sorted(name for name in vars(AuthorizerConformance) if name.startswith("test_"))[0]
        'test_default_is_deny'
    """

    def make(self) -> Authorizer:
        """Make the authorizer under test."""
        raise NotImplementedError

    @pytest.fixture
    def authorizer(self) -> Authorizer:
        """Return the authorizer under test."""
        return self.make()

    def test_default_is_deny(self, authorizer: Authorizer) -> None:
        """Without a role nothing is allowed."""
        nobody = replace(somebody(), roles=())
        for permission, decision in product(Permission, DECISIONS):
            assert authorizer.allows(nobody, permission, Resource(decision)).allowed is False

    def test_roles_allow_what_the_table_says(self, authorizer: Authorizer) -> None:
        """No more and no less, for each role, permission, pattern and decision."""
        matrix = allowed_by_matrix()
        for role, permission, pattern, decision in product(Role, Permission, COVERED, DECISIONS):
            expected = (role, permission) in matrix and decision in COVERED[pattern]
            found = authorizer.allows(somebody(Assignment(role, (pattern,))), permission, Resource(decision))
            assert found.allowed is expected, (role, permission, pattern, decision)

    def test_scope_only_narrows(self, authorizer: Authorizer) -> None:
        """A scope takes permissions away and never adds one."""
        wide = somebody(*EVERYTHING)
        for permission, pattern, decision in product(Permission, COVERED, DECISIONS):
            scope = Scope(frozenset({permission}), (pattern,))
            within = decision in COVERED[pattern]
            for asked in Permission:
                found = authorizer.allows(replace(wide, scope=scope), asked, Resource(decision))
                assert found.allowed is (within and asked is permission), (permission, pattern, decision, asked)
            powerless = replace(somebody(), scope=scope)
            assert not authorizer.allows(powerless, permission, Resource(decision)).allowed
        assert not authorizer.allows(replace(wide, scope=Scope(frozenset())), Permission.READ, WHOLE).allowed

    def test_other_teams_are_denied(self, authorizer: Authorizer) -> None:
        """What belongs to other teams or tenants is denied whatever the role."""
        wide = somebody(*EVERYTHING)
        mine, shared = frozenset({"grid"}), frozenset({"grid", "payments"})
        theirs = frozenset({"payments", "grid-2"})
        for permission in Permission:
            for teams, tenant, expected in (
                (frozenset[str](), "", True),
                (mine, "acme", True),
                (shared, "", True),
                (theirs, "", False),
                (theirs, "acme", False),
                (mine, "umbrella", False),
                (frozenset[str](), "umbrella", False),
            ):
                found = authorizer.allows(wide, permission, Resource("grid.dispatch", teams, tenant))
                assert found.allowed is expected, (permission, teams, tenant)
            everywhere = replace(wide, teams=frozenset({"*"}), tenants=frozenset({"*"}))
            assert authorizer.allows(everywhere, permission, Resource("grid.dispatch", theirs, "umbrella")).allowed

    def test_the_whole_needs_a_role_for_all(self, authorizer: Authorizer) -> None:
        """What belongs to no decision is covered by roles for ``*`` only."""
        narrow = tuple(Assignment(role, ("grid.*", "grid", "pay.release")) for role in Role)
        for permission in Permission:
            assert not authorizer.allows(somebody(*narrow), permission, WHOLE).allowed
            assert authorizer.allows(somebody(*EVERYTHING), permission, WHOLE).allowed

    def test_same_question_same_answer(self, authorizer: Authorizer) -> None:
        """A verdict depends on its arguments only: not on what was asked before, nor on which authorizer is asked."""
        few, many = somebody(Assignment(Role.SERVICE)), somebody(*EVERYTHING)
        questions = [(who, permission, Resource("pay.release")) for who in (few, many) for permission in Permission]
        first = [authorizer.allows(*question) for question in questions]
        assert [authorizer.allows(*question) for question in reversed(questions)] == first[::-1]
        assert [self.make().allows(*question) for question in questions] == first

    def test_verdicts_say_why(self, authorizer: Authorizer) -> None:
        """Each names its reason."""
        for who, permission in product((somebody(), somebody(*EVERYTHING)), Permission):
            assert re.search(r"\w", authorizer.allows(who, permission, Resource("grid.dispatch")).why)
