"""The guard: the one object that every face asks who somebody is and whether they may."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NoReturn

from msgspec.structs import replace

from steward.access.addresses import origin
from steward.access.administration import Administration, IssuedKey
from steward.access.asking import Asking
from steward.access.attempts import Attempts, Notes
from steward.access.authorizer import Authorizer, TableAuthorizer
from steward.access.bearer import BearerTokens, Issuer
from steward.access.certificates import ClientCertificate
from steward.access.changes import Append, Changes
from steward.access.cookies import OpenedSession, own_site, session_id
from steward.access.directory import Directory
from steward.access.entries import Used, draft
from steward.access.first_start import FirstStart
from steward.access.identity import Identity
from steward.access.jwks import FetchKeys
from steward.access.sessions import Sessions, SessionTimes
from steward.access.tokens import NOBODYS, SCHEME, Random, Secret, random_bytes, split
from steward.clock import Clock
from steward.errors import Denied, EngineError
from steward.ledger.port import Commit, Ledger

MAX_AUTHORIZATION_BYTES: Final = 8_300
NOTE_EVERY: Final = timedelta(seconds=10)
"""How often refusals are written by the requests that cause them; the others wait for the sweep."""
USES_EVERY: Final = timedelta(minutes=10)
"""How often the last uses of keys and sessions are written."""
_BEARER = b"bearer "
_KEYS = f"{SCHEME}_"
_KEY_HEADER = f"Bearer {_KEYS}".encode()
_SHOW = "show a key that is good: Authorization: Bearer stw_..."
_MAX_ADDRESS_LETTERS = 64
_TABLE: Final = TableAuthorizer()
_log = logging.getLogger("steward.access")
Headers = Mapping[bytes, bytes]


class Guard(Asking):
    """Recognises callers by key, session, token or certificate, and says what they may; made by :meth:`open`.

    Attributes:
        administration: Enrols, grants, issues and revokes.
        sessions: Signs in and out.
        directory: Who is known.

    Example:
        >>> import asyncio
        >>> from steward.access.permissions import Permission
        >>> from steward.clock import SystemClock
        >>> from steward.ledger.memory import MemoryLedger
        >>> async def main() -> str:
        ...     guard = await Guard.open(MemoryLedger(), SystemClock())
        ...     once = await guard.bootstrap()
        ...     key = await guard.exchange(once.reveal(), id="anna", display="Anna")
        ...     headers = {b"authorization": b"Bearer " + key.secret.reveal().encode()}
        ...     anna = await guard.identify(headers, method="POST", address="192.0.2.7")
        ...     guard.require(anna, Permission.ADMINISTER)
        ...     return anna.id
        >>> asyncio.run(main())
        'anna'
    """

    def __init__(
        self,
        changes: Changes,
        *,
        authorizer: Authorizer,
        tokens: BearerTokens | None,
        origins: Collection[str],
        times: SessionTimes | None,
        attempts: Attempts,
        random: Random,
        append: Append,
    ) -> None:
        notes = Notes()
        super().__init__(authorizer, changes.directory, notes, changes.clock)
        self.directory = changes.directory
        self.administration = Administration(changes, require=self.require, random=random)
        self.sessions = Sessions(changes, times, random=random)
        self._first = FirstStart(changes, random=random)
        self._changes, self._tokens, self._attempts = changes, tokens, attempts
        self._origins, self._append = frozenset(each.lower() for each in origins), append
        self._noted_at: datetime | None = None
        self._uses_at: datetime = changes.clock.now()

    @classmethod
    async def open(
        cls,
        ledger: Ledger,
        clock: Clock,
        *,
        authorizer: Authorizer | None = None,
        issuers: Iterable[Issuer] = (),
        fetch: FetchKeys | None = None,
        origins: Collection[str] = (),
        times: SessionTimes | None = None,
        attempts: Attempts | None = None,
        random: Random = random_bytes,
        append: Append | None = None,
    ) -> Guard:
        """Read who may do what from the ledger.

        Args:
            ledger: The only truth.
            clock: Says when.
            authorizer: By default the table of roles.
            issuers: Whose bearer tokens are believed.
            fetch: Gets their keys; by default over HTTPS.
            origins: Our own, as browsers say them (``https://steward.example``); by default whatever host is asked for.
            times: How long sessions last.
            attempts: How many failed sign-ins are too many.
            random: Gives the bits of secrets.
            append: Writes commits, if not the ledger itself does.

        Raises:
            IntegrityError: The ledger's entries about access do not follow from each other.
        """
        directory = await Directory.load(ledger)
        directory.forget_expired(clock.now())
        changes = Changes(directory, ledger, clock, append=append)
        believed = tuple(issuers)
        if believed and fetch is None:
            from steward.access.https import HttpsFetcher  # noqa: PLC0415 - only where tokens are believed

            fetch = HttpsFetcher()
        return cls(
            changes,
            authorizer=authorizer or _TABLE,
            tokens=BearerTokens(believed, fetch, clock) if fetch is not None else None,
            origins=origins,
            times=times,
            attempts=attempts or Attempts(),
            random=random,
            append=append or ledger.append,
        )

    def recognise(self, headers: Headers, address: str = "") -> Identity | None:
        """Return who shows a good key, without waiting; ``None`` if only :meth:`identify` can tell."""
        authorization = headers.get(b"authorization")
        if authorization is None or authorization[: len(_KEY_HEADER)] != _KEY_HEADER:
            return None
        found = self._by_key(authorization[len(_BEARER) :].decode("latin-1"))
        return found if isinstance(found, Identity) else None

    async def identify(
        self,
        headers: Mapping[bytes, bytes],
        *,
        method: str = "GET",
        address: str = "",
        certificate: ClientCertificate | None = None,
    ) -> Identity:
        """Return who sends a request.

        What is shown counts in this order: ``Authorization``, the session's cookie, the client's certificate. The first
        that is there must be good; a bad one is never made up for by another.

        Args:
            headers: By lower-case name, each once.
            method: The HTTP method; a session may not change things from another site's pages.
            address: The client's; from a trusted proxy, the one that it names. Empty if that is not known.
            certificate: The client's, verified by TLS.

        Raises:
            Denied: Nobody is recognised (``code`` is ``unauthenticated``), or there were too many failures from there
                (``too-many-attempts``), or the request comes from another site's page (``cross-site``).
            EngineError: A token's issuer does not answer.
        """
        authorization = headers.get(b"authorization")
        if authorization is not None:
            if authorization[: len(_KEY_HEADER)] == _KEY_HEADER:  # nearly every request
                token = authorization[len(_BEARER) :].decode("latin-1")
                found = self._by_key(token)
                return found if isinstance(found, Identity) else await self._refuse_key(found, token, address)
            return await self._by_authorization(authorization, address)
        cookie = headers.get(b"cookie")
        shown = None if cookie is None else session_id(cookie)
        if shown is not None:
            return await self._by_session(shown, headers, method, address)
        if certificate is not None:
            return await self._by_certificate(certificate, address)
        raise _nobody("nobody is signed in", "show a key or token: Authorization: Bearer ...")

    async def _by_authorization(self, header: bytes, address: str) -> Identity:
        scheme, token = header[: len(_BEARER)], header[len(_BEARER) :].decode("latin-1")
        if len(header) > MAX_AUTHORIZATION_BYTES or scheme.lower() != _BEARER:
            await self._refuse("scheme", "", address, _nobody("only bearer keys and tokens are taken", _SHOW))
        if token.startswith(_KEYS):
            found = self._by_key(token)
            return found if isinstance(found, Identity) else await self._refuse_key(found, token, address)
        if self._tokens is None:
            await self._refuse("scheme", "", address, _nobody("tokens of other issuers are not taken", _SHOW))
        return await self._by_token(self._tokens, token, address)

    async def _refuse_key(self, code: str, token: str, address: str) -> NoReturn:
        prefix = (split(token) or ("", ""))[0]
        await self._refuse(code, prefix and f"key:{prefix}", address, _nobody("the key is not good", _SHOW))

    def _by_key(self, token: str) -> Identity | str:
        """Return whose key it is, or why it is not good; an unknown prefix takes as long as a wrong secret."""
        prefix, secret = split(token) or ("", "")
        key = self.directory.keys.get(prefix)
        if not (NOBODYS if key is None else key.sealed).opens(secret) or key is None:
            return "unknown-key" if key is None else "wrong-secret"
        now = self._clock.now()
        holder = key.holder or self.directory.holder_of(key)
        if now >= key.expires_at or holder is None:
            return "expired-key"
        key.used_at = now
        return holder

    async def _by_token(self, tokens: BearerTokens, token: str, address: str) -> Identity:
        # Checking a signature is work that strangers could make us do, so those who failed often wait.
        self._attempts.check(_origins(address), self._clock.now())
        try:
            vouched = await tokens.verify(token)
        except Denied as error:
            await self._refuse(error.field or "token", "", address, error)
        known = self.directory.subject(vouched.subject)
        if known is not None:
            return replace(known, credential=vouched.identity.credential)
        if vouched.mapped and not self.directory.is_barred(vouched.subject):
            return vouched.identity
        stranger = _nobody("the token is good, but its subject is not enrolled here", "ask an administrator")
        return await self._refuse("unknown-subject", vouched.identity.credential, address, stranger)

    async def _by_session(self, shown: str, headers: Headers, method: str, address: str) -> Identity:
        session = self.sessions.find(shown)
        holder = None if session is None else self.directory.holder_of(session)
        if holder is None:
            # Sessions end every day: no reason to let anybody wait.
            await self._refuse("session", "", address, _nobody("the session has ended", "sign in again"), counts=False)
        self.check_site(method, headers, address, holder.id)
        return holder

    async def _by_certificate(self, certificate: ClientCertificate, address: str) -> Identity:
        known = {who.id: who for name in certificate.names if (who := self.directory.subject(name)) is not None}
        if len(known) != 1 or certificate.not_after <= self._clock.now():
            stranger = _nobody("the certificate's names are not those of one identity", "ask an administrator")
            await self._refuse("certificate", "certificate", address, stranger)
        return replace(next(iter(known.values())), credential="certificate")

    def is_current(self, identity: Identity) -> bool:
        """Tell whether somebody recognised a while ago is still known as such; for streams that stay open."""
        kind, _, name = identity.credential.partition(":")
        if kind == "key":
            key = self.directory.keys.get(name)
            good = key is not None and self._clock.now() < key.expires_at
            return good and key is not None and self.directory.holder_of(key) == identity
        if kind == "session":
            session = self.directory.sessions.get(bytes.fromhex(name))
            good = session is not None and self.sessions.is_good(session)
            return good and session is not None and self.directory.holder_of(session) == identity
        known = self.directory.identities.get(identity.id)
        if known is None:
            return kind == "token" and ":" in identity.id and not self.directory.is_barred(f"token:{identity.id}")
        return replace(known, credential=identity.credential) == identity

    async def sign_in(
        self, headers: Headers, *, method: str = "POST", address: str = "", only: str | None = None
    ) -> OpenedSession:
        """Open a session of the console for the sender of a request that shows a key or token.

        Args:
            headers: By lower-case name, each once.
            method: The HTTP method.
            address: The client's.
            only: The only identity that may sign in, where somebody signs in anew.

        Raises:
            Denied: As in :meth:`identify`; a session does not open another one. Or it is somebody else's key (``code``
                is ``reauthenticate``).
        """
        self.check_site(method, headers, address, "")
        shown = {name: value for name, value in headers.items() if name != b"cookie"}
        identity = await self.identify(shown, method=method, address=address)
        if only is not None and identity.id != only:
            other = Denied(f"this is not a key of {only}", fix="show one of your own", code="reauthenticate")
            await self._refuse("another-person", identity.credential, address, other)
        return await self.sessions.sign_in(identity, previous=session_id(headers.get(b"cookie", b"")))

    async def sign_out(self, headers: Headers, *, method: str = "POST", address: str = "") -> None:
        """End the session whose cookie a request carries; without one, nothing is to be done."""
        self.check_site(method, headers, address, "")
        await self.sessions.sign_out(session_id(headers.get(b"cookie", b"")) or "")

    async def bootstrap(self, *, recover: bool = False) -> Secret | None:
        """Return the one-time key of the first start, to be shown once; ``None`` if there has been an administrator.

        See :meth:`FirstStart.bootstrap`.
        """
        return await self._first.bootstrap(recover=recover)

    async def exchange(self, token: str, *, id: str, display: str, address: str = "") -> IssuedKey:
        """Take the one-time key, and return the first administrator's; see :meth:`FirstStart.exchange`."""
        self._attempts.check(_origins(address), self._clock.now())
        try:
            return await self._first.exchange(token, id=id, display=display)
        except Denied as error:
            return await self._refuse("one-time-key", "", address, error)

    async def sweep(self) -> int:
        """Do what is due now and then, about every second; return how many entries were written.

        Writes refusals that are not in the ledger yet and, more rarely, when keys and sessions were last used; forgets
        what has expired; learns what other processes have changed.

        Raises:
            EngineError: The ledger cannot be written or read; the next sweep tries again.
        """
        await self._changes.catch_up()
        now = self._clock.now()
        self.directory.forget_expired(now)
        return await self._write_notes(now) + await self._write_uses(now)

    def check_site(self, method: str, headers: Headers, address: str = "", by: str = "") -> None:
        """Refuse a request that would change something and was not sent by a page of ours; see :func:`own_site`.

        Raises:
            Denied: It was not; ``code`` is ``cross-site``.
        """
        verdict = own_site(method, headers, self._origins)
        if not verdict.allowed:
            self._notes.add("cross-site", self._clock.now(), by=by, address=address)
            raise Denied(
                "the request was refused", why=verdict.why, fix="use the console's own pages", code="cross-site"
            )

    async def _refuse(
        self, code: str, credential: str, address: str, error: Denied, *, counts: bool = True
    ) -> NoReturn:
        now = self._clock.now()
        self._notes.add(code, now, address=address[:_MAX_ADDRESS_LETTERS], credential=credential)
        if counts:
            origins = _origins(address, credential)
            self._attempts.check(origins, now)
            self._attempts.failed(origins, now)
        if self._noted_at is None or not timedelta(0) <= now - self._noted_at < NOTE_EVERY:
            try:
                await self._write_notes(now)
            except EngineError:
                _log.warning("refusals wait until the ledger can be written")
        raise error

    async def _write_notes(self, now: datetime) -> int:
        notes = self._notes.take(now)
        if not notes:
            return 0
        self._noted_at = now
        try:
            await self._append(Commit(entries=[draft(note) for note in notes]))
        except BaseException:
            self._notes.put_back(notes)
            raise
        return len(notes)

    async def _write_uses(self, now: datetime) -> int:
        since = self._uses_at
        if timedelta(0) <= now - since < USES_EVERY:
            return 0
        keys = {
            k.prefix: k.used_at for k in self.directory.keys.values() if k.used_at is not None and k.used_at > since
        }
        sessions = {s.fingerprint.hex(): s.seen_at for s in self.directory.sessions.values() if s.seen_at > since}
        if keys or sessions:
            await self._append(Commit(entries=[draft(Used(at=now, keys=keys, sessions=sessions))]))
        self._uses_at = now
        return 1 if keys or sessions else 0


def _origins(address: str, credential: str = "") -> list[str]:
    return [each for each in (origin(address), credential) if each]


def _nobody(what: str, fix: str) -> Denied:
    return Denied(what, fix=fix, code="unauthenticated")
