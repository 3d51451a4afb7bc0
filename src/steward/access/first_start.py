"""The first start: nobody is known, and there is no default password; a one-time key makes the first administrator."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from steward.access.administration import IssuedKey, issued
from steward.access.changes import Changes
from steward.access.directory import given_of
from steward.access.entries import GivenBootstrap, GivenKey, Granted
from steward.access.identity import EVERY, Assignment, Identity, Kind, check_identity
from steward.access.permissions import Role
from steward.access.tokens import NOBODYS, Random, Secret, new_token, random_bytes, split
from steward.errors import Conflict, Denied

ONE_TIME_KEY_LASTS: Final = timedelta(hours=1)
FIRST_KEY_LASTS: Final = timedelta(days=90)


class FirstStart:
    """Makes the one-time key, and takes it.

    Args:
        changes: Where it is written and known.
        random: Gives the bits of secrets.

    Example:
        >>> import asyncio
        >>> from steward.access.directory import Directory
        >>> from steward.clock import SystemClock
        >>> from steward.ledger.memory import MemoryLedger
        >>> async def main() -> tuple[str, Secret | None]:
        ...     first = FirstStart(Changes(Directory(), MemoryLedger(), SystemClock()))
        ...     once = await first.bootstrap()
        ...     key = await first.exchange(once.reveal(), id="anna", display="Anna")
        ...     return key.identity, await first.bootstrap()
        >>> asyncio.run(main())
        ('anna', None)
    """

    def __init__(self, changes: Changes, *, random: Random = random_bytes) -> None:
        self._changes, self._directory, self._random = changes, changes.directory, random

    async def bootstrap(self, *, recover: bool = False) -> Secret | None:
        """Return a one-time key while there has never been an administrator; it takes the place of an earlier one.

        Whoever starts the server shows it once, to whoever stands at the machine. It is good for an hour.

        Args:
            recover: Make one although there are administrators, because all have lost their keys. Only for a command
                that needs the ledger's own files, never for a route.
        """
        token = new_token(self._random)

        def grant() -> Granted | None:
            if self._directory.claimed and not recover:
                return None
            expires_at = self._changes.clock.now() + ONE_TIME_KEY_LASTS
            return self._changes.granted(
                "system", GivenBootstrap(prefix=token.prefix, sealed=token.sealed, expires_at=expires_at)
            )

        return token.secret if await self._changes.write(grant) else None

    async def exchange(self, token: str, *, id: str, display: str) -> IssuedKey:
        """Take the one-time key and enrol its bearer as a person and administrator of everything; return their key.

        Raises:
            Denied: It is not the one-time key, or its hour is over; ``code`` is ``unauthenticated``.
            Conflict: Somebody has this id already.
            ContractError: The id or the name does not fit.
        """
        who = Identity(id=id, kind=Kind.PERSON, display=display, roles=(Assignment(Role.ADMINISTRATOR),))
        everywhere = replace(who, teams=frozenset({EVERY}), tenants=frozenset({EVERY}))
        new = new_token(self._random)

        def grant() -> Granted:
            once = self._check(token)
            if id in self._directory.identities:
                raise Conflict(f"{id} is enrolled already", fix="choose another id", field="id")
            key = GivenKey(
                prefix=new.prefix,
                identity=id,
                sealed=new.sealed,
                expires_at=self._changes.clock.now() + FIRST_KEY_LASTS,
                label="first key",
                replaces=once.prefix,
            )
            return self._changes.granted(id, given_of(everywhere), key)

        check_identity(who)
        await self._changes.write(grant)
        return issued(self._directory, new)

    def _check(self, token: str) -> GivenBootstrap:
        once, (prefix, secret) = self._directory.bootstrap, split(token) or ("", "")
        known = once if once is not None and once.prefix == prefix else None
        opened = (NOBODYS if known is None else known.sealed).opens(secret)
        if known is None or not opened or known.expires_at <= self._changes.clock.now():
            raise Denied(
                "this is not a one-time key that is good now",
                fix="take the one that the server showed last; it is good for an hour, and only once",
                code="unauthenticated",
                field="key.one-time",
            )
        return known
