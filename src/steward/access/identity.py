"""Who somebody is, and what they want to touch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from steward.access.permissions import Permission, Role
from steward.errors import ContractError

EVERY: Final = "*"
"""Stands for every decision, team or tenant."""
_PATTERN = re.compile(r"\*|[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*(?:\.\*)?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,126}[A-Za-z0-9])?")
_GROUP = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_MAX_DISPLAY_LETTERS = 200


class Kind(StrEnum):
    """What an identity is; only a person can answer for a person.

    Example:
        >>> Kind.PERSON.value
        'person'
    """

    PERSON = "person"
    SERVICE = "service"


class Assignment(Struct, frozen=True):
    """A role, of the decisions that ``decisions`` cover: a name, ``grid.*``, or ``*``.

    Example:
        >>> Assignment(Role.APPROVER, ("grid.*",)).role.value
        'approver'
    """

    role: Role
    decisions: tuple[str, ...] = (EVERY,)


class Scope(Struct, frozen=True):
    """What a key may do at most; its holder's roles still have to allow it.

    Example:
        >>> scope = Scope(frozenset({Permission.INVOKE}), ("grid.*",))
        >>> scope.holds(Permission.INVOKE, "grid.dispatch"), scope.holds(Permission.INVOKE, "pay.release")
        (True, False)
    """

    permissions: frozenset[Permission]
    decisions: tuple[str, ...] = (EVERY,)

    def holds(self, permission: Permission, decision: str) -> bool:
        """Tell whether ``permission`` on ``decision`` lies within the scope."""
        return permission in self.permissions and covers(self.decisions, decision)


class Identity(Struct, frozen=True, kw_only=True):
    """A person or a service, as recognised by one credential.

    Attributes:
        id: Stable name, for example ``anna`` or ``billing``; it stands in the ledger as who did something.
        kind: Person or service.
        display: How to show it.
        teams: The teams it belongs to; ``*`` for all.
        tenants: The tenants it serves; ``*`` for all.
        roles: Its jobs.
        scope: What the credential may do at most; ``None`` for all that the roles allow.
        credential: How it was recognised, never the secret: ``key:3f…``, ``session``, ``token:<issuer>`` …

    Example:
        >>> anna = Identity(id="anna", kind=Kind.PERSON, display="Anna", teams=frozenset({"grid"}),
        ...                 roles=(Assignment(Role.APPROVER, ("grid.*",)),))
        >>> anna.sees(Resource("grid.dispatch", teams=frozenset({"grid"})))
        True
        >>> anna.sees(Resource("pay.release", teams=frozenset({"payments"})))
        False
    """

    id: str
    kind: Kind
    display: str
    teams: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    roles: tuple[Assignment, ...] = ()
    scope: Scope | None = None
    credential: str = ""

    def sees(self, resource: Resource) -> bool:
        """Tell whether ``resource`` exists for this identity: it is nobody's, or of a team and tenant of its own."""
        teams, tenant = resource.teams, resource.tenant
        if teams and teams.isdisjoint(self.teams) and EVERY not in self.teams:
            return False
        return not tenant or tenant in self.tenants or EVERY in self.tenants


class Resource(Struct, frozen=True):
    """What is to be touched.

    Attributes:
        decision: The decision's name; empty for what belongs to none: keys, the ledger, all decisions together.
            Only roles and scopes for every decision (``*``) cover it.
        teams: The only teams for whom it exists; empty for all.
        tenant: The only tenant for whom it exists; empty for all.

    Example:
        >>> Resource("grid.dispatch").teams
        frozenset()
    """

    decision: str = ""
    teams: frozenset[str] = frozenset()
    tenant: str = ""


WHOLE: Final = Resource()
"""The installation as a whole."""


def covers(patterns: Iterable[str], decision: str) -> bool:
    """Tell whether one of ``patterns`` covers a decision's name.

    Example:
        >>> covers(("grid.*",), "grid.battery.dispatch"), covers(("grid.*",), "gridlock"), covers(("*",), "")
        (True, False, True)
    """
    for pattern in patterns:
        if pattern in (EVERY, decision) or (pattern[-2:] == ".*" and decision.startswith(pattern[:-1])):
            return True
    return False


def check_patterns(patterns: Iterable[str]) -> None:
    """Refuse patterns that no decision could have meant; an empty list is one of them.

    Raises:
        ContractError: ``error.field`` is ``decisions``.
    """
    listed = tuple(patterns)
    wrong = [pattern for pattern in listed if len(pattern) > 102 or not _PATTERN.fullmatch(pattern)]
    if wrong or not listed:
        raise ContractError(
            f"{wrong[0]!r} covers no decision" if wrong else "no decision is covered",
            fix="write a decision's name, the beginning of names as in grid.*, or * for all",
            field="decisions",
        )


def check_name(name: str) -> None:
    """Refuse a name of an identity that could be mistaken, in the ledger or on a screen.

    Raises:
        ContractError: ``error.field`` is ``id``.

    Example:
        >>> check_name("anna@corp.example")
        >>> check_name("system")
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: 'system' cannot name an identity. Next: use letters, digits and . _ @ + -
    """
    if not _NAME.fullmatch(name) or name == "system":
        raise ContractError(
            f"{name[:128]!r} cannot name an identity", fix="use letters, digits and . _ @ + -", field="id"
        )


def check_identity(identity: Identity) -> None:
    """Refuse an identity whose names could be mistaken, in the ledger or on a screen.

    Raises:
        ContractError: ``error.field`` names the part.

    Example:
        >>> check_identity(Identity(id="an na", kind=Kind.PERSON, display="Anna"))
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: 'an na' cannot name an identity. Next: use letters, digits and . _ @ + -
    """
    check_name(identity.id)
    if not identity.display.isprintable() or not 0 < len(identity.display) <= _MAX_DISPLAY_LETTERS:
        raise ContractError(
            "a display name has 1 to 200 letters that can be printed", fix="shorten it", field="display"
        )
    for field in ("teams", "tenants"):
        check_groups(getattr(identity, field), field)
    for assignment in identity.roles:
        check_patterns(assignment.decisions)


def check_groups(names: Iterable[str], field: str) -> None:
    """Refuse names of teams or tenants that are none.

    Raises:
        ContractError: ``error.field`` is ``field``.
    """
    for name in names:
        if not _GROUP.fullmatch(name):
            raise ContractError(
                f"{name[:64]!r} names no team or tenant", fix="use letters, digits and . _ : -", field=field
            )
