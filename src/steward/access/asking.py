"""Whether somebody may: the questions that every guard answers, whoever recognised them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from steward.access.attempts import Notes
from steward.access.authorizer import Authorizer, Verdict
from steward.access.directory import Directory
from steward.access.identity import WHOLE, Identity, Resource
from steward.access.permissions import TABLE, Permission
from steward.clock import Clock
from steward.errors import Denied, NotFound

_log = logging.getLogger("steward.access")
MAX_REMEMBERED: Final = 10_000
_FAILED = Verdict(False, "the authorizer failed, which counts as a no")
_HIDDEN = Verdict(False, "it belongs to another team or tenant")
_OUT_OF_SCOPE = Verdict(False, "the credential's scope does not reach that far")


class Asking:
    """Asks an authorizer, and takes only a clear yes for one.

    What belongs to other teams, and what lies outside a credential's scope, is refused before the authorizer is asked,
    so that no policy can allow it by mistake.

    Args:
        authorizer: Who decides.
        directory: Knows which decisions are limited to teams.
        notes: Takes refusals for the ledger.
        clock: Says when they were.

    Example:
        >>> from steward.access.authorizer import TableAuthorizer
        >>> from steward.access.identity import Kind
        >>> from steward.clock import SystemClock
        >>> asking = Asking(TableAuthorizer(), Directory(), Notes(), SystemClock())
        >>> bob = Identity(id="bob", kind=Kind.PERSON, display="Bob")
        >>> asking.require(bob, Permission.STOP, Resource("grid.dispatch"))
        Traceback (most recent call last):
        ...
        steward.errors.Denied: bob may not stop grid.dispatch. Why: none of the roles allows to stop grid.dispatch...
    """

    def __init__(self, authorizer: Authorizer, directory: Directory, notes: Notes, clock: Clock) -> None:
        self._authorizer, self._directory = authorizer, directory
        self._notes, self._clock = notes, clock
        self._allowed: dict[tuple[int, Permission, str], Identity] = {}
        self._allowed_as_of = -1

    def resource(self, decision: str = "", tenant: str = "") -> Resource:
        """Return a decision as a resource, limited to its teams and, if its data are one tenant's, to that one."""
        known = self._directory.resource(decision)
        return Resource(decision, known.teams, tenant) if tenant else known

    def may(self, identity: Identity, permission: Permission, resource: Resource = WHOLE) -> Verdict:
        """Return whether somebody may, and why; for lists and screens, as nothing is noted."""
        if not identity.sees(resource):
            return _HIDDEN
        if identity.scope is not None and not identity.scope.holds(permission, resource.decision):
            return _OUT_OF_SCOPE
        try:
            verdict = self._authorizer.allows(identity, permission, resource)
            return verdict if verdict.allowed is True else Verdict(False, verdict.why)
        except Exception as error:
            # Whatever goes wrong in an engine must not open a door. Its text may hold anything: only its type is told.
            _log.error("the authorizer failed: %s", type(error).__name__)
            self._notes.add(
                "authorizer-failed",
                self._clock.now(),
                by=identity.id,
                credential=identity.credential,
                permission=permission,
                decision=resource.decision or "*",
            )
            return _FAILED

    def allows(self, identity: Identity, permission: Permission, decision: str) -> bool:
        """Tell whether somebody may do something with a decision, as :meth:`may` does.

        A yes is remembered until anything changes in who may what, so that it costs next to nothing, whoever decides.
        """
        if self._allowed_as_of != self._directory.number or len(self._allowed) >= MAX_REMEMBERED:
            self._allowed.clear()
            self._allowed_as_of = self._directory.number
        # It is kept as long as its id is, so that nobody else can have that.
        key = (id(identity), permission, decision)
        if self._allowed.get(key) is identity:
            return True
        allowed = self.may(identity, permission, self._directory.resource(decision)).allowed
        if allowed:
            self._allowed[key] = identity
        return allowed

    def require(
        self,
        identity: Identity,
        permission: Permission,
        resource: Resource = WHOLE,
        *,
        missing: Callable[[], NotFound] | None = None,
    ) -> None:
        """Return if somebody may; refuse and note it otherwise.

        Args:
            identity: Who asks.
            permission: What for.
            resource: On what.
            missing: Makes the very error of something that does not exist, so that what belongs to other teams cannot
                be told from it.

        Raises:
            NotFound: It belongs to another team or tenant.
            Denied: They may not; ``code`` is ``denied``.
        """
        verdict = self.may(identity, permission, resource)
        if verdict.allowed:
            return
        hidden = not identity.sees(resource)
        self._notes.add(
            "hidden" if hidden else "denied",
            self._clock.now(),
            by=identity.id,
            credential=identity.credential,
            permission=permission,
            decision=resource.decision or "*",
        )
        if hidden:
            raise missing() if missing is not None else _missing(resource)
        raise _denied(identity, permission, resource, verdict.why)


def _missing(resource: Resource) -> NotFound:
    return NotFound(f"no decision is named {resource.decision!r}", field="name")


def _denied(identity: Identity, permission: Permission, resource: Resource, why: str) -> Denied:
    roles = " or ".join(role for role, permissions in TABLE.items() if permission in permissions)
    return Denied(
        f"{identity.id} may not {permission} {resource.decision or 'for all decisions'}",
        why=why,
        fix=f"ask an administrator to be {roles}" + ("" if resource.decision else " of every decision (*)"),
    )
