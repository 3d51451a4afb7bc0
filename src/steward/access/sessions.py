"""Sessions of the console: opened with a key or token, ended by time, by signing out, or by signing in again."""

from __future__ import annotations

from datetime import timedelta

from msgspec import UNSET, Struct, UnsetType

from steward.access.changes import Changes
from steward.access.cookies import OpenedSession
from steward.access.directory import Session, given_of
from steward.access.entries import GivenSession, Granted, Revoked
from steward.access.identity import Identity
from steward.access.tokens import Random, Secret, fingerprint, new_text, random_bytes
from steward.errors import DeclarationError, Denied

_CORRECTION = timedelta(minutes=5)


class SessionTimes(Struct, frozen=True, kw_only=True):
    """How long a session of the console lasts.

    Args:
        idle: Without a request for this long it ends.
        absolute: It ends this long after the sign-in, whatever happens.

    Example:
        >>> SessionTimes().idle, SessionTimes().absolute
        (datetime.timedelta(seconds=1800), datetime.timedelta(seconds=43200))
    """

    idle: timedelta = timedelta(minutes=30)
    absolute: timedelta = timedelta(hours=12)

    def __post_init__(self) -> None:
        """Refuse times in which nobody could work."""
        if not timedelta(0) < self.idle <= self.absolute:
            raise DeclarationError(
                f"a session cannot be idle for {self.idle} of {self.absolute}",
                fix="choose 0 < idle <= absolute",
                field="idle",
            )


class Sessions:
    """Opens, knows and ends sessions.

    Args:
        changes: Where they are written and known.
        times: How long they last.
        random: Gives the bits of their ids.

    Example:
        >>> import asyncio
        >>> from steward.access.directory import Directory
        >>> from steward.access.identity import Kind
        >>> from steward.clock import SystemClock
        >>> from steward.ledger.memory import MemoryLedger
        >>> sessions = Sessions(Changes(Directory(), MemoryLedger(), SystemClock()))
        >>> anna = Identity(id="corp:anna", kind=Kind.PERSON, display="Anna", credential="token:corp")
        >>> opened = asyncio.run(sessions.sign_in(anna))
        >>> sessions.find(opened.secret.reveal()).identity
        'corp:anna'
    """

    def __init__(self, changes: Changes, times: SessionTimes | None = None, *, random: Random = random_bytes) -> None:
        self.times = times or SessionTimes()
        self._changes, self._directory, self._random = changes, changes.directory, random

    def find(self, session_id: str) -> Session | None:
        """Return the session that has this id and is still good; this counts as its use."""
        name = fingerprint(session_id)
        session = None if name is None else self._directory.sessions.get(name)
        if session is None or not self.is_good(session):
            return None
        session.seen_at = self._changes.clock.now()
        return session

    def is_good(self, session: Session) -> bool:
        """Tell whether a session has neither been idle for too long nor come to its end."""
        now = self._changes.clock.now()
        # A clock that was set back by more than clocks are corrected must not make a session last for ever.
        return session.opened_at - _CORRECTION <= now < session.expires_at and now - session.seen_at < self.times.idle

    def is_older(self, identity: Identity, than: timedelta) -> bool:
        """Tell whether somebody was recognised by a session that was opened longer ago, or has ended since.

        Example:
            >>> from steward.access.directory import Directory
            >>> from steward.access.identity import Kind
            >>> from steward.clock import SystemClock
            >>> from steward.ledger.memory import MemoryLedger
            >>> sessions = Sessions(Changes(Directory(), MemoryLedger(), SystemClock()))
            >>> anna = Identity(id="anna", kind=Kind.PERSON, display="Anna", credential="key:3f0000000000")
            >>> sessions.is_older(anna, timedelta(0))
            False
        """
        kind, _, name = identity.credential.partition(":")
        if kind != "session":
            return False
        session = self._directory.sessions.get(bytes.fromhex(name))
        return session is None or self._changes.clock.now() - session.opened_at > than

    async def sign_in(self, identity: Identity, *, previous: str | None = None) -> OpenedSession:
        """Open a session for somebody who has just shown a key or token.

        Args:
            identity: As the guard recognised them.
            previous: The session's id that the browser still had; it ends, so that nobody can plant one.

        Raises:
            Denied: They have only shown a session (``code`` is ``unauthenticated``).
        """
        if not identity.credential.startswith(("key:", "token:")):
            raise Denied(
                "a session is opened with a key or token only", fix="show one in Authorization", code="unauthenticated"
            )
        text = new_text(self._random)
        await self._changes.write(lambda: self._granted(identity, text, previous or ""))
        return OpenedSession(secret=Secret(text), lasts=self.times.absolute)

    async def sign_out(self, session_id: str) -> None:
        """End a session; one that is not known has ended already."""
        name = fingerprint(session_id)

        def revoke() -> Revoked | None:
            session = None if name is None else self._directory.sessions.get(name)
            if session is None:
                return None
            return self._changes.revoked(session.identity, "session", session.fingerprint.hex(), "signed out")

        await self._changes.write(revoke)

    def _granted(self, identity: Identity, text: str, previous: str) -> Granted:
        old = fingerprint(previous)
        replaces: bytes | UnsetType = UNSET if old is None or old not in self._directory.sessions else old
        key = self._directory.keys.get(identity.credential.removeprefix("key:"))
        ends = self._changes.clock.now() + self.times.absolute
        return self._changes.granted(
            identity.id,
            GivenSession(
                fingerprint=fingerprint(text) or b"",
                identity=identity.id,
                credential=identity.credential,
                # A session never outlives the key that opened it.
                expires_at=ends if key is None else min(ends, key.expires_at),
                scope=identity.scope,
                shown=None if identity.id in self._directory.identities else given_of(identity),
                replaces=replaces,
            ),
        )
