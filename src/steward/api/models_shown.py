"""What the API answers about registered models, as structs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from steward.models.manifest import Manifest
from steward.models.signing.card import Card


class ModelShown(Struct, frozen=True, kw_only=True):
    """A model that is registered: its versions, the oldest first, and the decisions that use it."""

    name: str
    versions: Sequence[str]
    used_by: Sequence[str]


class VersionShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a model.

    Attributes:
        name: The model's name.
        version: A number as text.
        digest: ``sha256:`` of its manifest, which names the digest of each file.
        kind: The engine that answers from it.
        task: What it answers.
        created_at: When it was registered.
        broken: Why it cannot be used: what is stored is not what was registered.
    """

    name: str
    version: str
    digest: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    task: str | UnsetType = UNSET
    created_at: datetime | UnsetType = UNSET
    broken: str | UnsetType = UNSET


class ModelDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of a version.

    Attributes:
        name: The model's name.
        version: A number as text.
        digest: ``sha256:`` of its manifest.
        manifest: What it says of itself.
        statements: What is stated beside it: ``signature.json``, ``provenance.json``, ``card.json``.
        card: The model's card.
        signed_by: The id of the trusted key that has signed it.
        missing: What is missing before it may be published, a sentence each.
    """

    name: str
    version: str
    digest: str
    manifest: Manifest
    statements: Sequence[str]
    card: Card | UnsetType = UNSET
    signed_by: str = ""
    missing: Sequence[str]
