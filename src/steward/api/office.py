"""The office: how every face enrols people, hands out keys and limits decisions, so that one rule holds for all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from steward.access.administration import Administration, IssuedKey
from steward.access.identity import Identity
from steward.access.identity import Scope as Reach
from steward.api import accounts
from steward.api.entrance import Caller
from steward.api.service import Service
from steward.errors import Conflict, NotFound


def administration(service: Service, caller: Caller) -> Administration:
    """Return what grants and revokes, which asks for itself whether ``caller`` may.

    Raises:
        Conflict: Nobody is enrolled yet, so that nobody could be said to have done it; ``code`` is
            ``conflict.unclaimed``.
    """
    if caller.is_local:
        raise Conflict(
            "nobody administers yet", fix="become the first: steward access claim --id you", code="conflict.unclaimed"
        )
    return service.runtime.guard.administration


def known(service: Service, identity_id: str) -> Identity:
    """Return who has an id.

    Raises:
        NotFound: Nobody has.
    """
    found = service.runtime.guard.directory.identity(identity_id)
    if found is None:
        raise NotFound(f"no identity is named {identity_id[:200]!r}", fix="list those there are: steward access list")
    return found


async def enrol(service: Service, caller: Caller, sent: accounts.AccountIn) -> Identity:
    """Make somebody known; errors as of :meth:`Administration.enrol`."""
    office = administration(service, caller)
    return await office.enrol(caller.identity, sent.identity(), subjects=sent.subjects)


async def alter(service: Service, caller: Caller, identity_id: str, sent: accounts.AccountChange) -> Identity:
    """Change what is sent of somebody, and leave the rest; errors as of :meth:`Administration.alter`."""
    office = administration(service, caller)
    subjects: Sequence[str] | None = None if isinstance(sent.subjects, msgspec.UnsetType) else sent.subjects
    return await office.alter(caller.identity, _altered(known(service, identity_id), sent), subjects=subjects)


def _altered(identity: Identity, sent: accounts.AccountChange) -> Identity:
    changed: dict[str, Any] = {
        name: value for name in ("display", "teams", "tenants", "roles")
        if (value := getattr(sent, name)) is not msgspec.UNSET
    }  # fmt: skip
    for name in {"teams", "tenants"} & changed.keys():
        changed[name] = frozenset(changed[name])
    if "roles" in changed:
        changed["roles"] = accounts.assignments(changed["roles"])
    return replace(identity, **changed)


async def issue_key(service: Service, caller: Caller, sent: accounts.KeyIn) -> IssuedKey:
    """Make a key for somebody who is enrolled; errors as of :meth:`Administration.issue_key`."""
    scope = sent.scope
    reach = None if scope is None else Reach(frozenset(scope.permissions), scope.decisions)
    office, lasts = administration(service, caller), timedelta(days=sent.days)
    return await office.issue_key(caller.identity, sent.identity, label=sent.label, lasts=lasts, scope=reach)


async def rotate_key(service: Service, caller: Caller, prefix: str, sent: accounts.KeyRotation) -> IssuedKey:
    """Replace a key, the caller's own or any other; errors as of :meth:`Administration.rotate_key`."""
    office = administration(service, caller)
    overlap, lasts = timedelta(hours=sent.overlap_h), timedelta(days=sent.days)
    return await office.rotate_key(caller.identity, prefix, overlap=overlap, lasts=lasts)


async def revoke_key(service: Service, caller: Caller, prefix: str, sent: accounts.Reasoned) -> None:
    """End a key at once, the caller's own or any other; errors as of :meth:`Administration.revoke_key`."""
    await administration(service, caller).revoke_key(caller.identity, prefix, reason=sent.reason)


async def revoke_identity(service: Service, caller: Caller, identity_id: str, sent: accounts.Reasoned) -> None:
    """End somebody's access at once; errors as of :meth:`Administration.revoke_identity`."""
    await administration(service, caller).revoke_identity(caller.identity, identity_id, reason=sent.reason)


async def limit(service: Service, caller: Caller, decision: str, sent: accounts.LimitIn) -> None:
    """Let a decision exist for some teams only; errors as of :meth:`Administration.limit`."""
    await administration(service, caller).limit(caller.identity, decision, sent.teams)
