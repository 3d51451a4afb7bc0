"""The door that people come through: it asks an authorizer that may break whether they may."""

from __future__ import annotations

from functools import cache
from typing import Final

from steward.access.asking import Asking
from steward.access.attempts import Notes
from steward.access.authorizer import Authorizer, TableAuthorizer, Verdict
from steward.access.directory import Directory
from steward.access.identity import Assignment, Identity, Kind, Resource
from steward.access.permissions import Permission, Role
from steward.testing.faults import Faults
from steward.testing.simulation.world import Simulation

OUTSIDER: Final = "eve"
"""Somebody without any role, who tries all the same."""
_ROLES: Final = (Assignment(Role.APPROVER), Assignment(Role.OPERATOR))
_TABLE: Final = TableAuthorizer()


class FaultyAuthorizer:
    """An authorizer in front of another; it breaks at the point ``authorizer.broken``.

    Args:
        inner: Who decides otherwise.
        faults: Whether it breaks.

    Example:
        >>> import random
        >>> authorizer = FaultyAuthorizer(TableAuthorizer(), Faults(random.Random(1), live=0.0))
        >>> authorizer.allows(identity_of(OUTSIDER), Permission.APPROVE, Resource("pay.release")).allowed
        False
    """

    def __init__(self, inner: Authorizer, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def allows(self, identity: Identity, permission: Permission, resource: Resource) -> Verdict:
        """Return the inner one's verdict, unless it breaks."""
        if self._faults.at("authorizer.broken", 0.2):
            raise RuntimeError("the authorizer has lost its policies")
        return self._inner.allows(identity, permission, resource)


class Door:
    """Lets through who may, as the faces do before every request.

    Args:
        simulation: Whose faults its authorizer has.

    Example:
        >>> door = Door(Simulation(seed=1))
        >>> door.require("ann", Permission.APPROVE, "pay.release")
        >>> door.require(OUTSIDER, Permission.APPROVE, "pay.release")
        Traceback (most recent call last):
        ...
        steward.errors.Denied: eve may not approve pay.release...
    """

    def __init__(self, simulation: Simulation) -> None:
        authorizer = FaultyAuthorizer(_TABLE, simulation.faults)
        self._asking = Asking(authorizer, Directory(), Notes(), simulation.new_clock())

    def require(self, name: str, permission: Permission, decision: str) -> None:
        """Return if somebody may do something with a decision.

        Raises:
            Denied: They may not, or nobody can tell.
        """
        self._asking.require(identity_of(name), permission, self._asking.resource(decision))


@cache
def identity_of(name: str) -> Identity:
    """Return a person of the simulation: everybody approves and operates, but for the outsider.

    Example:
        >>> identity_of("ann").roles[0].role.value
        'approver'
    """
    return Identity(id=name, kind=Kind.PERSON, display=name, roles=() if name == OUTSIDER else _ROLES)
