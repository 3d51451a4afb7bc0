"""The bodies of the ledger's entries about access; as in :mod:`steward.records`, they never change their meaning.

All entries that make up who may do what belong to one run, :data:`ACCESS_RUN`, and are numbered by their keys
(``access/0``, ``access/1`` …). So the state is read with one look-up however long the ledger is, and of two writers
that know the same state only one is right: the other gets a ``Conflict``, reads on and thinks again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from steward.access.identity import EVERY, Assignment, Kind, Scope
from steward.access.permissions import Permission
from steward.access.tokens import Sealed
from steward.ledger.port import Draft
from steward.records import EntryBody

ACCESS_RUN: Final = UUID("00000000-0000-8000-8000-616363657373")
"""The run of all entries that are folded into the state."""
REFUSED_RUN: Final = UUID("00000000-0000-8000-8000-726566757365")
"""The run of refusals, which change no state."""


class _Given(Struct, frozen=True, kw_only=True, tag_field="what", forbid_unknown_fields=True):
    """One thing that a ``granted`` entry gives."""


class GivenIdentity(_Given, frozen=True, kw_only=True, tag="identity", forbid_unknown_fields=True):
    """An identity is enrolled, or is from now on as said here; ``subjects`` are its names at other authorities."""

    id: str
    kind: Kind
    display: str
    teams: frozenset[str]
    tenants: frozenset[str]
    roles: tuple[Assignment, ...]
    subjects: tuple[str, ...]


class GivenKey(_Given, frozen=True, kw_only=True, tag="key", forbid_unknown_fields=True):
    """An API key; the one it ``replaces`` is good until ``overlap_until``."""

    prefix: str
    identity: str
    sealed: Sealed
    expires_at: datetime
    label: str
    scope: Scope | None = None
    replaces: str | UnsetType = UNSET
    overlap_until: datetime | UnsetType = UNSET


class GivenSession(_Given, frozen=True, kw_only=True, tag="session", forbid_unknown_fields=True):
    """Somebody signed in at the console with ``credential``; ``fingerprint`` is the SHA-256 of the session's id.

    ``shown`` is the identity where it is not enrolled but vouched for by an issuer of tokens.
    """

    fingerprint: bytes
    identity: str
    credential: str
    expires_at: datetime
    scope: Scope | None = None
    shown: GivenIdentity | None = None
    replaces: bytes | UnsetType = UNSET


class GivenBootstrap(_Given, frozen=True, kw_only=True, tag="bootstrap", forbid_unknown_fields=True):
    """The one-time key of the first start, or of a recovery; it takes the place of an earlier one."""

    prefix: str
    sealed: Sealed
    expires_at: datetime


class GivenLimit(_Given, frozen=True, kw_only=True, tag="limit", forbid_unknown_fields=True):
    """From now on a decision exists for these teams only; for all if there are none."""

    decision: str
    teams: frozenset[str]


Given = GivenIdentity | GivenKey | GivenSession | GivenBootstrap | GivenLimit


class _Access(EntryBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry about access, made at ``at`` by ``by``: an identity, ``system``, or empty if nobody was recognised."""

    decision_id: UUID = ACCESS_RUN
    decision: str = EVERY
    at: datetime
    by: str = "system"


class Granted(_Access, frozen=True, kw_only=True, tag="granted", forbid_unknown_fields=True):
    """Something was given; all of it or nothing."""

    given: tuple[Given, ...]


class Revoked(_Access, frozen=True, kw_only=True, tag="revoked", forbid_unknown_fields=True):
    """An identity, a key or a session (named by its fingerprint in hex) is no longer good; ``what`` says which."""

    what: str
    name: str
    reason: str


class Refused(_Access, frozen=True, kw_only=True, tag="refused", forbid_unknown_fields=True):
    """Somebody was turned away: ``times`` times since ``since``, for the same ``code``.

    Attributes:
        code: Why, for programs: ``unknown-key``, ``expired``, ``denied`` …
        address: Where it came from, if known.
        credential: What was shown, never the secret: ``key:<prefix>``, ``token:<issuer>`` …
        permission: What was wanted, if it was known who wanted it.
    """

    code: str
    since: datetime
    times: int
    address: str = ""
    credential: str = ""
    permission: Permission | UnsetType = UNSET


class Used(_Access, frozen=True, kw_only=True, tag="used", forbid_unknown_fields=True):
    """When keys (by prefix) and sessions (by fingerprint in hex) were last used; written now and then."""

    keys: dict[str, datetime]
    sessions: dict[str, datetime]


AccessBody = Granted | Revoked | Refused | Used
ACCESS_KINDS: Final = frozenset({"granted", "revoked", "refused", "used"})
"""The kinds of the entries about access; no run of a decision has them."""
decode_access = msgspec.json.Decoder(AccessBody).decode
"""Decode the bytes of an entry about access, strictly; raises ``msgspec.ValidationError``."""


def draft(body: AccessBody, number: int | None = None) -> Draft:
    """Return the entry of a body, with its place in the order of the state if it has one.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> body = Revoked(at=noon, by="anna", what="key", name="3f0000000000", reason="lost")
        >>> draft(body, 7).kind, draft(body, 7).key
        ('revoked', 'access/7')
    """
    # Sets have no order of their own; the same grant is to be the same bytes.
    encoded = msgspec.json.encode(body, order="deterministic")
    kind = str(type(body).__struct_config__.tag)
    return Draft(kind, body.decision_id, encoded, None if number is None else key_of(number))


def key_of(number: int) -> str:
    """Return the ledger's key of the state's entry with this number.

    Example:
        >>> key_of(0)
        'access/0'
    """
    return f"access/{number}"
