"""What the routes about identities take and answer, as structs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from steward.access.directory import Directory, Key
from steward.access.entries import Refused
from steward.access.identity import EVERY, Assignment, Identity, Kind, Scope
from steward.access.permissions import Permission, Role

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Names = Annotated[tuple[Name, ...], Meta(max_length=100)]
Days = Annotated[int, Meta(ge=1, le=366)]
Hours = Annotated[float, Meta(ge=0, le=720)]


class HeldRole(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role, of the decisions that ``decisions`` cover: a name, ``grid.*``, or ``*``."""

    role: Role
    decisions: Names = (EVERY,)


class KeyScope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key may do at most."""

    permissions: Sequence[Permission]
    decisions: Names = (EVERY,)


class Account(Struct, frozen=True, kw_only=True):
    """Somebody who is known; ``scope`` and ``credential`` (never the secret) are told to the caller of themselves."""

    id: str
    kind: Kind
    display: str
    teams: Sequence[str]
    tenants: Sequence[str]
    roles: Sequence[HeldRole]
    subjects: Sequence[str] = ()
    scope: KeyScope | UnsetType = UNSET
    credential: str | UnsetType = UNSET

    @classmethod
    def of(cls, identity: Identity, subjects: Sequence[str] = ()) -> Account:
        """Return what is shown of an identity."""
        return cls(
            id=identity.id,
            kind=identity.kind,
            display=identity.display,
            teams=sorted(identity.teams),
            tenants=sorted(identity.tenants),
            roles=[HeldRole(role=each.role, decisions=each.decisions) for each in identity.roles],
            subjects=subjects,
            scope=UNSET if identity.scope is None else scope_shown(identity.scope),
            credential=identity.credential or UNSET,
        )


def scope_shown(scope: Scope) -> KeyScope:
    """Return a scope as it is shown."""
    return KeyScope(permissions=sorted(scope.permissions), decisions=scope.decisions)


class AccountIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody to be enrolled. ``subjects`` are their names elsewhere: ``token:<issuer>:<sub>``, ``uri:...``."""

    id: Name
    display: Name
    kind: Kind = Kind.PERSON
    teams: Names = ()
    tenants: Names = ()
    roles: Annotated[tuple[HeldRole, ...], Meta(max_length=100)] = ()
    subjects: Names = ()

    def identity(self) -> Identity:
        """Return the identity that is meant."""
        return Identity(
            id=self.id,
            kind=self.kind,
            display=self.display,
            teams=frozenset(self.teams),
            tenants=frozenset(self.tenants),
            roles=assignments(self.roles),
        )


def assignments(roles: Sequence[HeldRole]) -> tuple[Assignment, ...]:
    """Return roles as the guard knows them."""
    return tuple(Assignment(each.role, each.decisions) for each in roles)


class AccountChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different about somebody; what is left out stays as it is."""

    display: Name | UnsetType = UNSET
    teams: Names | UnsetType = UNSET
    tenants: Names | UnsetType = UNSET
    roles: Annotated[tuple[HeldRole, ...], Meta(max_length=100)] | UnsetType = UNSET
    subjects: Names | UnsetType = UNSET


class KeyIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be issued."""

    identity: Name
    label: Name
    days: Days = 90
    scope: KeyScope | None = None


class KeyRotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a key is replaced: for how long the old one stays good, and the new one."""

    overlap_h: Hours = 24.0
    days: Days = 90


class KeyIssued(Struct, frozen=True, kw_only=True):
    """A new key; ``secret`` is told this once."""

    prefix: str
    identity: str
    secret: str
    expires_at: datetime


class KeyShown(Struct, frozen=True, kw_only=True):
    """A key as it is known."""

    prefix: str
    identity: str
    label: str
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None
    scope: KeyScope | None

    @classmethod
    def of(cls, key: Key) -> KeyShown:
        """Return what is shown of a key."""
        return cls(
            prefix=key.prefix,
            identity=key.identity,
            label=key.label,
            issued_at=key.issued_at,
            expires_at=key.expires_at,
            used_at=key.used_at,
            scope=None if key.scope is None else scope_shown(key.scope),
        )


class Reasoned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is taken away."""

    reason: Name


class LimitIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The only teams for whom a decision exists; none for all."""

    teams: Names


class Limit(Struct, frozen=True, kw_only=True):
    """A decision that exists for some teams only."""

    decision: str
    teams: Sequence[str]

    @classmethod
    def all_of(cls, directory: Directory) -> list[Limit]:
        """Return all limits, by name."""
        return [cls(decision=name, teams=sorted(teams)) for name, teams in sorted(directory.limits().items())]


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who the first administrator is, and the one-time key; without it only whoever is at the machine may."""

    id: Name
    display: Name
    one_time_key: Name | None = None


class Refusal(Struct, frozen=True, kw_only=True):
    """Somebody was turned away, ``times`` times since ``since``; ``index`` is the entry's place in the ledger."""

    index: int
    at: datetime
    since: datetime
    times: int
    code: str
    by: str
    address: str
    credential: str
    decision: str
    permission: Permission | UnsetType = UNSET

    @classmethod
    def of(cls, index: int, body: Refused) -> Refusal:
        """Return what is shown of a refusal."""
        return cls(
            index=index,
            at=body.at,
            since=body.since,
            times=body.times,
            code=body.code,
            by=body.by,
            address=body.address,
            credential=body.credential,
            decision=body.decision,
            permission=body.permission,
        )
