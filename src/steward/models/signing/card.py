"""A model's card: what it is for, how good it is and for whom, where it ends, and who has looked at it.

The card is signed about one version. What a person must say is optional in the file and asked for by
:func:`publishable`, so that a card can grow while a model is tried, and no model is published without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from steward.errors import DeclarationError, Distrusted
from steward.models.artefact import CARD, Artefact
from steward.models.signing.dsse import Envelope, opened, parse, sign
from steward.models.signing.keys import PrivateKey
from steward.models.signing.statements import signer_of
from steward.models.signing.trust import Trust, TrustedKey

PAYLOAD_TYPE: Final = "application/vnd.steward.model-card+json"
EVERYBODY: Final = "all"
"""The segment of a metric over all rows."""
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_Text = Annotated[str, Meta(max_length=4000)]
_Line = Annotated[str, Meta(min_length=1, max_length=1000)]
_Name = Annotated[str, Meta(min_length=1, max_length=200)]


class Metric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How good the model is for one segment.

    Attributes:
        name: What was measured, as ``mae_mw`` or ``auc``.
        value: The figure.
        segment: For whom or when, as ``country=ES`` or ``weekend``; ``all`` is over all rows.
        rows: How many rows it was measured on.
        low: The lower end of its interval, if one was computed.
        high: The upper end of it.

    Example:
        >>> Metric(name="auc", value=0.91, segment="new customers", rows=4_210).low
        UNSET
    """

    name: _Name
    value: float
    segment: _Name = EVERYBODY
    rows: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    low: float | UnsetType = UNSET
    high: float | UnsetType = UNSET


class Validation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody who is not the author has found.

    Attributes:
        by: Who looked at it; with a trust, the name of the key that has signed the card.
        at: When, aware.
        finding: What was done and found.
        accepted: Whether the model may be used.

    Example:
        >>> from datetime import UTC
        >>> Validation(by="ben", at=datetime(2026, 1, 2, tzinfo=UTC), finding="held out weeks agree", accepted=True).by
        'ben'
    """

    by: _Name
    at: Annotated[datetime, Meta(tz=True)]
    finding: _Line
    accepted: bool


class Card(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model's card, as a person writes it.

    Attributes:
        purpose: What the model is for.
        out_of_scope: What it is not for.
        data: What it learned from, in words: where it comes from, what is missing, what is private.
        metrics: How good it is, over all rows and by segment.
        limits: Where it fails or was not tried.
        owner: Who answers for it.
        author: Who made it.
        validation: What somebody else has found.

    Example:
        >>> card = Card(purpose="Forecast tomorrow's load.", owner="grid team", author="anna")
        >>> card.missing
        ('data', 'metrics', 'metrics by segment', 'limits', 'validation')
    """

    format: Literal["steward.card/1"] = "steward.card/1"
    purpose: _Text = ""
    out_of_scope: tuple[_Line, ...] = ()
    data: _Text = ""
    metrics: tuple[Metric, ...] = ()
    limits: tuple[_Line, ...] = ()
    owner: Annotated[str, Meta(max_length=200)] = ""
    author: Annotated[str, Meta(max_length=200)] = ""
    validation: Validation | UnsetType = UNSET

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts that are not said yet."""
        said = {
            "purpose": self.purpose.strip(),
            "data": self.data.strip(),
            "metrics": self.metrics,
            "metrics by segment": [each for each in self.metrics if each.segment != EVERYBODY],
            "limits": self.limits,
            "owner": self.owner.strip(),
            "author": self.author.strip(),
            "validation": self.validation is not UNSET,
        }
        return tuple(part for part, there in said.items() if not there)


class _Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    version: str
    digest: str


class _Stated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: _Model
    card: Card


def parse_card(content: bytes, *, toml: bool = False) -> Card:
    """Read a card that a person wrote, as JSON or TOML.

    Raises:
        DeclarationError: A field is unknown or out of its range, or has letters that nobody sees.
    """
    try:
        read = msgspec.toml.decode if toml else msgspec.json.decode
        card = read(content, type=Card)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        fix = "correct the field that is named; docs/models.md has an example"
        raise DeclarationError("this is not a model card", why=str(error), fix=fix, field="card") from error
    if found := _UNSEEN.search(_texts(card)):
        raise DeclarationError(
            "the model card has letters that nobody sees",
            why=f"U+{ord(found[0]):04X} can make a text look like another",
            fix="take them out",
            field="card",
        )
    return card


def sign_card(card: Card, name: str, version: str, digest: str, *keys: PrivateKey) -> bytes:
    """Return the content of ``card.json``: the card about one version, signed.

    Args:
        card: What is said.
        name: The model's name.
        version: Its version.
        digest: Its digest, ``sha256:<hex>``.
        *keys: Who says so; the one who validated it must be among them.
    """
    stated = _Stated(model=_Model(name=name, version=version, digest=digest), card=card)
    return sign(PAYLOAD_TYPE, msgspec.json.encode(stated), *keys).to_bytes()


def read_card(artefact: Artefact, trust: Trust | None = None) -> tuple[Card, Sequence[TrustedKey]] | None:
    """Return the card of an artefact and who has signed it; ``None`` if there is no card.

    Args:
        artefact: The version.
        trust: Whose word counts; without it, whoever wrote it is believed, and nobody is named.

    Raises:
        Distrusted: It is about another model, cannot be read, or nobody trusted has signed it.
    """
    if CARD not in artefact.statements:
        return None
    what = f"the card of {artefact.title}"
    signed = opened(Envelope.read(artefact.statements[CARD]), trust, payload_type=PAYLOAD_TYPE, what=what)
    stated = parse(signed.payload, _Stated, what)
    if stated.model.digest != artefact.digest:
        raise Distrusted(
            f"{what} is about something else",
            why=f"it was made for {stated.model.name} version {stated.model.version}",
            fix=f"write it again: steward models card {artefact.name} --version {artefact.version} --file FILE",
        )
    return stated.card, signed.keys


def publishable(artefact: Artefact, trust: Trust | None = None) -> tuple[str, ...]:
    """Return what is missing before a version may be published, a sentence each; nothing if it may be.

    With a trust, the version must be signed, and its card by whoever validated it, who is neither the author nor the
    one that has signed the version.

    Args:
        artefact: The version, with its statements.
        trust: Whose signatures count.
    """
    try:
        signer = None if trust is None else signer_of(artefact, trust)
        found = read_card(artefact, trust)
    except Distrusted as error:
        return (str(error),)
    if found is None:
        return (f"it has no card; steward models card {artefact.name} --version {artefact.version} --file FILE",)
    card, signers = found
    missing = [f"its card does not tell: {part}" for part in card.missing]
    if (validation := card.validation) is not UNSET:
        if _same(validation.by, card.author):
            missing.append(f"{validation.by} has validated their own work; somebody else must")
        if not validation.accepted:
            missing.append(f"{validation.by} has not accepted it: {validation.finding}")
        if signer is not None:
            missing += _unsigned(validation, signers, signer)
    return tuple(missing)


def _unsigned(validation: Validation, signers: Sequence[TrustedKey], signer: TrustedKey) -> list[str]:
    validators = [each for each in signers if each.name == validation.by]
    if not validators:
        names = ", ".join(each.name for each in signers)
        return [f"its card says that {validation.by} validated it, and is signed by {names} only"]
    if all(each.key.id == signer.key.id for each in validators):
        return [f"{signer.name} has signed both the version and its validation; another person's key must sign one"]
    return []


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _texts(card: Card) -> str:
    validation = card.validation
    found = () if validation is UNSET else (validation.by, validation.finding)
    named = [text for each in card.metrics for text in (each.name, each.segment)]
    own = (card.purpose, card.data, card.owner, card.author)
    return "\n".join((*own, *card.out_of_scope, *card.limits, *named, *found)).replace("\r\n", "\n")
