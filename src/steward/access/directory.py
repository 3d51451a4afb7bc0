"""The directory: who is known and by what, folded from the ledger's entries about access. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import replace

from steward.access.entries import (
    ACCESS_RUN,
    GivenBootstrap,
    GivenIdentity,
    GivenKey,
    GivenLimit,
    GivenSession,
    Granted,
    Revoked,
    Used,
    decode_access,
    key_of,
)
from steward.access.identity import WHOLE, Identity, Resource, Scope
from steward.access.permissions import Role
from steward.access.tokens import Sealed
from steward.errors import IntegrityError
from steward.ledger.port import Entry, Ledger
from steward.wire import UNREADABLE


class Key(Struct, kw_only=True):
    """An API key as it is known; ``used_at`` changes at each use.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> Key(prefix="3f0000000000", identity="billing", sealed=Sealed.of("s", bytes(16)), label="nightly run",
        ...     issued_at=noon, expires_at=noon).used_at is None
        True
    """

    prefix: str
    identity: str
    sealed: Sealed
    label: str
    issued_at: datetime
    expires_at: datetime
    scope: Scope | None = None
    used_at: datetime | None = None
    holder: Identity | None = None


class Session(Struct, kw_only=True):
    """A session of the console as it is known; ``seen_at`` changes at each use.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> Session(fingerprint=bytes(32), identity="anna", credential="token:corp", opened_at=noon, seen_at=noon,
        ...         expires_at=noon).identity
        'anna'
    """

    fingerprint: bytes
    identity: str
    credential: str
    opened_at: datetime
    seen_at: datetime
    expires_at: datetime
    scope: Scope | None = None
    shown: Identity | None = None
    holder: Identity | None = None


class Directory:
    """Everybody who is enrolled, their keys and sessions, and which decisions are limited to teams.

    Attributes:
        number: How many changes it knows: the number that the next one takes.
        identities: Those enrolled and not revoked, by id, without any credential.
        keys: Those neither revoked nor known to have expired, by prefix.
        sessions: The same, by fingerprint.
        bootstrap: The one-time key, if one may still be exchanged.
        claimed: Whether there has ever been an administrator.

    Example:
        >>> directory = Directory()
        >>> directory.number, directory.claimed, directory.resource("grid.dispatch").teams
        (0, False, frozenset())
    """

    def __init__(self) -> None:
        self.number = 0
        self.identities: dict[str, Identity] = {}
        self.keys: dict[str, Key] = {}
        self.sessions: dict[bytes, Session] = {}
        self.bootstrap: GivenBootstrap | None = None
        self.claimed = False
        self._subjects: dict[str, str] = {}
        self._barred: set[str] = set()
        self._limits: dict[str, frozenset[str]] = {}
        self._resources: dict[str, Resource] = {"": WHOLE}

    @classmethod
    async def load(cls, ledger: Ledger) -> Directory:
        """Fold what the ledger holds.

        Raises:
            IntegrityError: An entry is not one about access, or one is missing.
        """
        directory = cls()
        for entry in await ledger.of_run(ACCESS_RUN):
            directory.take(entry)
        return directory

    async def catch_up(self, ledger: Ledger) -> int:
        """Take the changes that others have written meanwhile; return how many there were."""
        before = self.number
        while (entry := await ledger.by_key(key_of(self.number))) is not None:
            self.take(entry)
        return self.number - before

    def take(self, entry: Entry) -> None:
        """Change by one entry; the next change only, as they are numbered."""
        try:
            body = decode_access(entry.body)
        except UNREADABLE as error:
            raise _broken(entry, f"its body is not one about access: {error}") from error
        if entry.key is not None:
            if entry.key != key_of(self.number):
                raise _broken(entry, f"it is {entry.key}, but {key_of(self.number)} is due")
            self.number += 1
        self.apply(body)

    def apply(self, body: object) -> None:
        """Change by what an entry says."""
        if isinstance(body, Granted):
            for given in body.given:
                _TAKE[type(given)](self, given, body.at)
        elif isinstance(body, Revoked):
            self._revoke(body)
        elif isinstance(body, Used):
            self._used(body)

    def identity(self, identity_id: str) -> Identity | None:
        """Return who has this id."""
        return self.identities.get(identity_id)

    def subject(self, name: str) -> Identity | None:
        """Return who is known to another authority by ``name``: a certificate's or a token's subject."""
        return self.identities.get(self._subjects.get(name, ""))

    def is_barred(self, subject: str) -> bool:
        """Tell whether whoever has this name at another authority was revoked here, whatever that authority says."""
        return subject in self._barred

    def subjects_of(self, identity_id: str) -> tuple[str, ...]:
        """Return an identity's names at other authorities."""
        return tuple(name for name, owner in self._subjects.items() if owner == identity_id)

    def owner_of(self, subject: str) -> str | None:
        """Return the id of whoever has a name at another authority."""
        return self._subjects.get(subject)

    def holder_of(self, held: Key | Session) -> Identity | None:
        """Return the identity as a key or session shows it; ``None`` once it is revoked."""
        if held.holder is None:
            known = self.identities.get(held.identity)
            if isinstance(held, Key):
                credential = f"key:{held.prefix}"
            else:
                known, credential = known or held.shown, f"session:{held.fingerprint.hex()}"
            held.holder = known and replace(known, scope=held.scope, credential=credential)
        return held.holder

    def resource(self, decision: str) -> Resource:
        """Return a decision with the teams it is limited to; without a name, the installation as a whole."""
        return self._resources.get(decision) or Resource(decision, self._limits.get(decision, frozenset()))

    def limits(self) -> dict[str, frozenset[str]]:
        """Return the teams of each decision that is limited."""
        return dict(self._limits)

    def administrators(self) -> Iterable[str]:
        """Return who may administer now."""
        return [who.id for who in self.identities.values() if any(a.role == Role.ADMINISTRATOR for a in who.roles)]

    def forget_expired(self, now: datetime) -> None:
        """Drop keys and sessions whose time is over; they are refused anyhow."""
        self.keys = {prefix: key for prefix, key in self.keys.items() if key.expires_at > now}
        self.sessions = {name: session for name, session in self.sessions.items() if session.expires_at > now}

    def _enrol(self, given: GivenIdentity, at: datetime) -> None:
        self._forget_subjects(given.id)
        self._subjects.update(dict.fromkeys(given.subjects, given.id))
        self._barred -= set(given.subjects)
        self.identities[given.id] = _identity(given)
        self.claimed = self.claimed or given.id in self.administrators()
        self._forget_holders(given.id)

    def _issue(self, given: GivenKey, at: datetime) -> None:
        self.keys[given.prefix] = Key(
            prefix=given.prefix,
            identity=given.identity,
            sealed=given.sealed,
            label=given.label,
            issued_at=at,
            expires_at=given.expires_at,
            scope=given.scope,
        )
        if given.replaces is UNSET:
            return
        old = self.keys.get(given.replaces)
        if old is not None and given.overlap_until is not UNSET:
            old.expires_at = min(old.expires_at, given.overlap_until)
        if self.bootstrap is not None and self.bootstrap.prefix == given.replaces:
            self.bootstrap = None

    def _open(self, given: GivenSession, at: datetime) -> None:
        if given.replaces is not UNSET:
            self.sessions.pop(given.replaces, None)
        self.sessions[given.fingerprint] = Session(
            fingerprint=given.fingerprint,
            identity=given.identity,
            credential=given.credential,
            opened_at=at,
            seen_at=at,
            expires_at=given.expires_at,
            scope=given.scope,
            shown=None if given.shown is None else _identity(given.shown),
        )

    def _invite(self, given: GivenBootstrap, at: datetime) -> None:
        self.bootstrap = given

    def _limit(self, given: GivenLimit, at: datetime) -> None:
        if given.teams:
            self._limits[given.decision] = given.teams
            self._resources[given.decision] = Resource(given.decision, given.teams)
        else:
            self._limits.pop(given.decision, None)
            self._resources.pop(given.decision, None)

    def _revoke(self, body: Revoked) -> None:
        if body.what == "key":
            self.keys.pop(body.name, None)
            opened = f"key:{body.name}"
            self.sessions = {name: one for name, one in self.sessions.items() if one.credential != opened}
        elif body.what == "session":
            self.sessions.pop(bytes.fromhex(body.name), None)
        elif body.what == "identity":
            self.identities.pop(body.name, None)
            # A token's issuer may go on vouching for them.
            self._barred |= {*self.subjects_of(body.name), f"token:{body.name}"}
            self._forget_subjects(body.name)
            self.keys = {prefix: key for prefix, key in self.keys.items() if key.identity != body.name}
            self.sessions = {name: one for name, one in self.sessions.items() if one.identity != body.name}

    def _used(self, body: Used) -> None:
        for prefix, at in body.keys.items():
            if prefix in self.keys:
                self.keys[prefix].used_at = at
        for name, at in body.sessions.items():
            session = self.sessions.get(bytes.fromhex(name))
            if session is not None:
                session.seen_at = max(session.seen_at, at)

    def _forget_subjects(self, identity_id: str) -> None:
        self._subjects = {name: owner for name, owner in self._subjects.items() if owner != identity_id}

    def _forget_holders(self, identity_id: str) -> None:
        held: list[Key | Session] = [*self.keys.values(), *self.sessions.values()]
        for one in held:
            if one.identity == identity_id:
                one.holder = None


_TAKE: dict[type[object], Callable[[Directory, Any, datetime], None]] = {
    GivenIdentity: Directory._enrol,
    GivenKey: Directory._issue,
    GivenSession: Directory._open,
    GivenBootstrap: Directory._invite,
    GivenLimit: Directory._limit,
}


def _identity(given: GivenIdentity) -> Identity:
    return Identity(
        id=given.id,
        kind=given.kind,
        display=given.display,
        teams=given.teams,
        tenants=given.tenants,
        roles=given.roles,
    )


def given_of(identity: Identity, subjects: tuple[str, ...] = ()) -> GivenIdentity:
    """Return what the ledger keeps of an identity."""
    return GivenIdentity(
        id=identity.id,
        kind=identity.kind,
        display=identity.display,
        teams=identity.teams,
        tenants=identity.tenants,
        roles=identity.roles,
        subjects=subjects,
    )


def _broken(entry: Entry, why: str) -> IntegrityError:
    return IntegrityError(
        f"entry {entry.index} cannot be folded into who may do what",
        why=why,
        fix="run: steward verify --all, then restore from a backup",
        code="integrity.access",
    )
