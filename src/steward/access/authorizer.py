"""The authorizer's port, and its default: the table.

Promises, each with a test of that name in :mod:`steward.testing.conformance.access`:

* ``default_is_deny``: without a role nothing is allowed.
* ``roles_allow_what_the_table_says``: no more and no less, for each role, permission and decision.
* ``scope_only_narrows``: a scope takes permissions away and never adds one.
* ``other_teams_are_denied``: what belongs to other teams or tenants is denied whatever the role.
* ``the_whole_needs_a_role_for_all``: what belongs to no decision is covered by roles for ``*`` only.
* ``same_question_same_answer``: a verdict depends on its arguments only.
* ``verdicts_say_why``: each names its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from steward.access.identity import Identity, Resource, covers
from steward.access.permissions import TABLE, Permission, Role


class Verdict(NamedTuple):
    """Whether something is allowed, and why.

    Example:
        >>> Verdict(False, "no role allows it").allowed
        False
    """

    allowed: bool
    why: str


class Authorizer(Protocol):
    """Says who may do what; pure, and quick: it is asked at every request."""

    def allows(self, identity: Identity, permission: Permission, resource: Resource) -> Verdict:
        """Return the verdict. Whatever it raises counts as a no."""
        ...


_HIDDEN: Final = Verdict(False, "it belongs to another team or tenant")
_OUT_OF_SCOPE: Final = Verdict(False, "the credential's scope does not reach that far")


class TableAuthorizer:
    """Allows what the table of roles says.

    Args:
        table: Permissions by role.

    Example:
        >>> from steward.access.identity import Assignment, Kind
        >>> roles = (Assignment(Role.APPROVER, ("grid.*",)),)
        >>> anna = Identity(id="anna", kind=Kind.PERSON, display="Anna", roles=roles)
        >>> TableAuthorizer().allows(anna, Permission.APPROVE, Resource("grid.dispatch"))
        Verdict(allowed=True, why='an approver may approve')
        >>> TableAuthorizer().allows(anna, Permission.INVOKE, Resource("grid.dispatch"))
        Verdict(allowed=False, why='none of the roles allows to invoke grid.dispatch')
    """

    def __init__(self, table: Mapping[Role, frozenset[Permission]] = TABLE) -> None:
        self._allowed = {
            (role, permission): Verdict(True, f"{'an' if role[0] in 'aeiou' else 'a'} {role} may {permission}")
            for role, permissions in table.items()
            for permission in permissions
        }

    def allows(self, identity: Identity, permission: Permission, resource: Resource) -> Verdict:
        """Return the verdict."""
        decision = resource.decision
        if not identity.sees(resource):
            return _HIDDEN
        scope = identity.scope
        if scope is not None and not scope.holds(permission, decision):
            return _OUT_OF_SCOPE
        for assignment in identity.roles:
            verdict = self._allowed.get((assignment.role, permission))
            if verdict is not None and covers(assignment.decisions, decision):
                return verdict
        return Verdict(False, f"none of the roles allows to {permission} {decision or 'for all decisions'}")
