"""Who hands out what: every change of who may do what, checked, and written before it takes effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from steward.access.changes import Changes
from steward.access.directory import Directory, given_of
from steward.access.entries import GivenKey, GivenLimit, Granted, Revoked
from steward.access.identity import (
    EVERY,
    WHOLE,
    Identity,
    Resource,
    Scope,
    check_groups,
    check_identity,
    check_patterns,
)
from steward.access.permissions import Permission, Role
from steward.access.tokens import Random, Secret, Token, new_token, random_bytes
from steward.errors import Conflict, ContractError, NotFound

KEY_LASTS: Final = timedelta(days=90)
KEY_LASTS_AT_MOST: Final = timedelta(days=366)
OVERLAP_AT_MOST: Final = timedelta(days=30)
_MAX_LETTERS = 200
_MAX_SUBJECTS = 20
Require = Callable[[Identity, Permission, Resource], None]
"""Raises ``Denied`` unless somebody may do something."""


class IssuedKey(Struct, frozen=True, kw_only=True):
    """A key that is new; ``secret`` is shown once and is nowhere kept.

    Example:
        >>> from steward.clock import EPOCH
        >>> IssuedKey(prefix="3f0000000000", identity="billing", secret=Secret("stw_..."), expires_at=EPOCH).secret
        Secret(****)
    """

    prefix: str
    identity: str
    secret: Secret
    expires_at: datetime


class Administration:
    """Writes grants and revocations.

    Each method first checks whether ``by`` may do it (``Denied``), then whether it makes sense as things are now
    (``NotFound``, ``Conflict``, ``ContractError``), then writes one entry, and only then changes the directory. If
    another process was faster, it reads on and checks again.

    Args:
        changes: Where it is written and known.
        require: Says who may; raises ``Denied``.
        random: Gives the bits of secrets.

    Example:
        >>> import asyncio
        >>> from steward.access.directory import Directory
        >>> from steward.access.identity import Assignment, Kind
        >>> from steward.clock import SystemClock
        >>> from steward.ledger.memory import MemoryLedger
        >>> changes = Changes(Directory(), MemoryLedger(), SystemClock())
        >>> office = Administration(changes, require=lambda *asked: None)
        >>> billing = Identity(id="billing", kind=Kind.SERVICE, display="Billing", roles=(Assignment(Role.SERVICE),))
        >>> asyncio.run(office.enrol(billing, billing)).id
        'billing'
        >>> asyncio.run(office.issue_key(billing, "billing", label="nightly run")).secret
        Secret(****)
    """

    def __init__(self, changes: Changes, *, require: Require, random: Random = random_bytes) -> None:
        self._changes, self._directory = changes, changes.directory
        self._require, self._random = require, random

    async def enrol(self, by: Identity, identity: Identity, *, subjects: Iterable[str] = ()) -> Identity:
        """Make somebody known; they can sign in once they have a key, or with a name at another authority.

        Args:
            by: Who does it; needs ``administer``.
            identity: Who it is; ``scope`` and ``credential`` are of credentials and are ignored.
            subjects: Their names elsewhere: ``token:<issuer>:<sub>``, ``uri:…``, ``dns:…``, ``email:…``, ``dn:…``.

        Raises:
            Conflict: The id or a subject is taken.
            ContractError: A name does not fit.
        """
        return await self._put(by, identity, subjects, self._check_new)

    async def alter(self, by: Identity, identity: Identity, *, subjects: Iterable[str] | None = None) -> Identity:
        """Change somebody's teams, roles or names; it holds from their next request on.

        Raises:
            NotFound: Nobody has this id.
            Conflict: A subject is taken, or nobody would be left to administer.
        """

        def check(identity_id: str) -> None:
            self._check_known(identity_id)
            if not any(a.role is Role.ADMINISTRATOR for a in identity.roles):
                self._check_not_last(identity_id)

        return await self._put(by, identity, subjects, check)

    async def _put(
        self, by: Identity, identity: Identity, subjects: Iterable[str] | None, check: Callable[[str], None]
    ) -> Identity:
        wanted = None if subjects is None else tuple(subjects)

        def grant() -> Granted:
            self._require(by, Permission.ADMINISTER, WHOLE)
            check(identity.id)
            names = self._directory.subjects_of(identity.id) if wanted is None else wanted
            if any(self._directory.owner_of(name) not in (None, identity.id) for name in names):
                raise Conflict("a subject belongs to somebody else", fix="take it from them first", field="subjects")
            return self._changes.granted(by.id, given_of(identity, names))

        check_identity(identity)
        _check_subjects(wanted or ())
        await self._changes.write(grant)
        return self._directory.identities[identity.id]

    async def issue_key(
        self, by: Identity, identity_id: str, *, label: str, lasts: timedelta = KEY_LASTS, scope: Scope | None = None
    ) -> IssuedKey:
        """Make an API key for somebody who is enrolled.

        Args:
            by: Who does it; needs ``administer``.
            identity_id: Whose key it is.
            label: What it is for, 1 to 200 letters.
            lasts: At most a year.
            scope: What it may do at most; without it, whatever its holder's roles allow.
        """
        new = new_token(self._random)

        def grant() -> Granted:
            self._require(by, Permission.ADMINISTER, WHOLE)
            self._check_known(identity_id)
            expires_at = self._changes.clock.now() + lasts
            return self._changes.granted(
                by.id,
                GivenKey(
                    prefix=new.prefix,
                    identity=identity_id,
                    sealed=new.sealed,
                    expires_at=expires_at,
                    label=label,
                    scope=scope,
                ),
            )

        _check_text(label, "label")
        _check_span(lasts, KEY_LASTS_AT_MOST, "lasts")
        if scope is not None:
            check_patterns(scope.decisions)
        await self._changes.write(grant)
        return issued(self._directory, new)

    async def rotate_key(
        self, by: Identity, prefix: str, *, overlap: timedelta = timedelta(days=1), lasts: timedelta = KEY_LASTS
    ) -> IssuedKey:
        """Make a new key in the place of an old one, which is good for ``overlap`` yet; holder and scope stay.

        Args:
            by: Who does it: an administrator, or the key's holder with this very key.
            prefix: The old key's.
            overlap: At most 30 days; 0 ends the old key at once.
            lasts: At most a year.
        """
        new = new_token(self._random)

        def grant() -> Granted:
            if by.credential != f"key:{prefix}":
                self._require(by, Permission.ADMINISTER, WHOLE)
            now = self._changes.clock.now()
            old = self._directory.keys.get(prefix)
            if old is None or old.expires_at <= now:
                raise _unknown("key", prefix)
            return self._changes.granted(
                by.id,
                GivenKey(
                    prefix=new.prefix,
                    identity=old.identity,
                    sealed=new.sealed,
                    expires_at=now + lasts,
                    label=old.label,
                    scope=old.scope,
                    replaces=prefix,
                    overlap_until=now + overlap,
                ),
            )

        if overlap != timedelta(0):
            _check_span(overlap, OVERLAP_AT_MOST, "overlap")
        _check_span(lasts, KEY_LASTS_AT_MOST, "lasts")
        await self._changes.write(grant)
        return issued(self._directory, new)

    async def revoke_key(self, by: Identity, prefix: str, *, reason: str) -> None:
        """End a key at once. Its holder may, with this very key, and so may an administrator."""

        def check() -> None:
            if by.credential != f"key:{prefix}":
                self._require(by, Permission.ADMINISTER, WHOLE)
            if prefix not in self._directory.keys:
                raise _unknown("key", prefix)

        await self._revoke(by, "key", prefix, reason, check)

    async def revoke_identity(self, by: Identity, identity_id: str, *, reason: str) -> None:
        """End somebody's access at once, with all keys and sessions, also if an issuer still vouches for them."""

        def check() -> None:
            self._require(by, Permission.ADMINISTER, WHOLE)
            if ":" not in identity_id:  # ids with one are known to their issuer only
                self._check_known(identity_id)
            self._check_not_last(identity_id)

        _check_text(identity_id, "id")
        await self._revoke(by, "identity", identity_id, reason, check)

    async def limit(self, by: Identity, decision: str, teams: Iterable[str]) -> None:
        """Let a decision exist for some teams only; for all again if there are none."""
        only = frozenset(teams)

        def grant() -> Granted:
            self._require(by, Permission.ADMINISTER, WHOLE)
            return self._changes.granted(by.id, GivenLimit(decision=decision, teams=only))

        check_patterns([decision])
        if decision.endswith("*"):
            raise ContractError("a limit is for one decision", fix="name it", field="decision")
        if EVERY in only:
            raise ContractError("a limit to all teams is none", fix="give no teams", field="teams")
        check_groups(only, "teams")
        await self._changes.write(grant)

    async def _revoke(self, by: Identity, what: str, name: str, reason: str, check: Callable[[], None]) -> None:
        def revoke() -> Revoked:
            check()
            return self._changes.revoked(by.id, what, name, reason)

        _check_text(reason, "reason")
        await self._changes.write(revoke)

    def _check_new(self, identity_id: str) -> None:
        if identity_id in self._directory.identities:
            raise Conflict(f"{identity_id} is enrolled already", fix="alter it, or choose another id", field="id")

    def _check_known(self, identity_id: str) -> None:
        if identity_id not in self._directory.identities:
            raise _unknown("identity", identity_id)

    def _check_not_last(self, identity_id: str) -> None:
        if list(self._directory.administrators()) == [identity_id]:
            raise Conflict(
                f"{identity_id} is the last administrator",
                fix="make somebody else one first",
                code="conflict.last-administrator",
            )


def issued(directory: Directory, token: Token) -> IssuedKey:
    """Return a key that was just made and is known by now."""
    key = directory.keys[token.prefix]
    return IssuedKey(prefix=key.prefix, identity=key.identity, secret=token.secret, expires_at=key.expires_at)


def _unknown(what: str, name: str) -> NotFound:
    return NotFound(f"no {what} is named {name[:_MAX_LETTERS]!r}", fix="list those there are: steward access list")


def _check_text(text: str, field: str) -> None:
    if not 0 < len(text) <= _MAX_LETTERS or not text.isprintable():
        raise ContractError(f"{field} needs 1 to {_MAX_LETTERS} letters that can be printed", field=field)


def _check_span(span: timedelta, most: timedelta, field: str) -> None:
    if not timedelta(0) < span <= most:
        raise ContractError(f"{field} of {span} is not allowed", fix=f"choose up to {most.days} days", field=field)


def _check_subjects(subjects: tuple[str, ...]) -> None:
    known = ("token:", "uri:", "dns:", "email:", "dn:")
    for subject in subjects:
        _check_text(subject, "subjects")
        if not subject.startswith(known):
            raise ContractError(
                "a subject says who knows it", fix=f"begin with one of {', '.join(known)}", field="subjects"
            )
    if len(subjects) > _MAX_SUBJECTS:
        raise ContractError(f"more than {_MAX_SUBJECTS} subjects", fix="drop some", field="subjects")
