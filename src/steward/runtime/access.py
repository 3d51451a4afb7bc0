"""Who may what, put together: the guard over the runtime's ledger, as the settings say."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from steward.access.authorizer import Authorizer
from steward.access.bearer import Issuer
from steward.access.guard import Guard
from steward.access.identity import EVERY, Assignment, Kind, check_patterns
from steward.access.permissions import Role
from steward.clock import Clock
from steward.errors import ContractError, DeclarationError
from steward.ledger.port import Ledger
from steward.runtime.engines import open_ledger
from steward.runtime.journal import Journal
from steward.runtime.settings import Settings


class _Held(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: Role
    decisions: tuple[str, ...] = (EVERY,)


class _Issuer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256", "ES256", "Ed25519")
    leeway_s: float = 30.0
    longest_h: float = 24.0
    kind: Kind = Kind.PERSON
    roles_claim: str | None = None
    roles: Mapping[str, tuple[_Held, ...]] = {}
    teams_claim: str | None = None


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    issuers: tuple[_Issuer, ...] = ()


async def open_guard(settings: Settings, ledger: Ledger, journal: Journal, clock: Clock) -> Guard:
    """Return the guard that knows what the ledger says of who may what.

    Raises:
        IntegrityError: The ledger's entries about access do not follow from each other.
        DeclarationError: A setting about access does not fit.
    """
    return await Guard.open(
        ledger,
        clock,
        authorizer=_authorizer(settings),
        issuers=issuers_of(settings),
        origins=settings.origins,
        append=journal.append,
    )


def issuers_of(settings: Settings) -> tuple[Issuer, ...]:
    """Return the issuers of tokens that the file of the setting ``access`` names.

    Raises:
        DeclarationError: The file cannot be read, or something in it is unknown or does not fit.

    Example:
        >>> issuers_of(Settings())
        ()
    """
    if not settings.access:
        return ()
    path = settings.path(settings.access)
    try:
        written = msgspec.convert(tomllib.loads(_text(path, "access")), _File)
        found = tuple(_issuer(each) for each in written.issuers)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ContractError) as error:
        raise DeclarationError(
            f"{path} does not say whose tokens are believed", why=str(error), fix="see docs/access.md", field="access"
        ) from error
    names = [each.issuer for each in found] + [each.name for each in found]
    twice = sorted(name for name in set(names) if names.count(name) > 1)
    if twice:
        raise DeclarationError(f"{path} names {twice[0]!r} twice", fix="leave one of them out", field="access")
    return found


def _issuer(written: _Issuer) -> Issuer:
    for held in (each for roles in written.roles.values() for each in roles):
        check_patterns(held.decisions)
    return Issuer(
        name=written.name,
        issuer=written.issuer,
        audience=written.audience,
        jwks_url=written.jwks_url,
        algorithms=written.algorithms,
        leeway=timedelta(seconds=written.leeway_s),
        longest=timedelta(hours=written.longest_h),
        kind=written.kind,
        roles_claim=written.roles_claim,
        roles={name: tuple(Assignment(r.role, r.decisions) for r in roles) for name, roles in written.roles.items()},
        teams_claim=written.teams_claim,
    )


def _authorizer(settings: Settings) -> Authorizer | None:
    if not settings.policies:
        return None
    from steward.access.cedar import CedarAuthorizer  # noqa: PLC0415 - an extra

    return CedarAuthorizer(_text(settings.path(settings.policies), "policies"))


def _text(path: Path, setting: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(
            f"the file {path} cannot be read", why=str(error), fix=f"set {setting} to one that can", field=setting
        ) from error


@asynccontextmanager
async def open_files(settings: Settings, clock: Clock) -> AsyncIterator[Guard]:
    """Open the guard alone, over the ledger's own files, which no server may have open; for who lost all keys.

    Raises:
        EngineError: The ledger cannot be opened, or a server has it.
    """
    ledger = await open_ledger(settings.ledger, settings, clock)
    try:
        yield await Guard.open(ledger, clock)
    finally:
        await ledger.close()
