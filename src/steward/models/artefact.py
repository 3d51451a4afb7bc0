"""A registered thing, read whole and verified: its manifest, its files, and the statements made about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from steward.models.manifest import Manifest

SIGNATURE: Final = "signature.json"
PROVENANCE: Final = "provenance.json"
CARD: Final = "card.json"
STATEMENTS: Final = (SIGNATURE, PROVENANCE, CARD)
"""The files that may stand beside a version's folder, in ``statements/``; each is replaced as a whole."""


@dataclass(frozen=True)
class Registered:
    """A version in the registry.

    Example:
        >>> from datetime import UTC, datetime
        >>> from steward.models.manifest import FileFacts, declared, digest_of, encode
        >>> manifest = declared("load", version=3, kind="linear", task="regression", inputs=("hour",),
        ...                     files={"model.json": FileFacts.of(b"{}")}, created_at=datetime(2026, 1, 1, tzinfo=UTC))
        >>> Registered("load", "3", digest_of(encode(manifest)), Path("models/load/3"), manifest).digest[:15]
        'sha256:c4f8babd'
    """

    name: str
    version: str
    digest: str
    path: Path
    manifest: Manifest


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A version of a model, policy or calibrator, with the very bytes that were verified.

    Attributes:
        name: Its name in the registry.
        version: Its version, a number as text.
        digest: ``sha256:`` of its manifest, which names the digest of each file.
        path: Its folder.
        manifest: What it says of itself.
        files: Each file's name and bytes.
        statements: What stands beside it, as it was read: ``signature.json``, ``provenance.json``, ``card.json``.
        signed_by: The id of the trusted key that has signed it; ``""`` if no trust is set.

    Example:
        >>> from datetime import UTC, datetime
        >>> from steward.models.manifest import FileFacts
        >>> made = Manifest(name="load", version=1, kind="linear", task="regression", inputs=("hour",),
        ...                 files={"model.json": FileFacts.of(b"{}")}, created_at=datetime(2026, 1, 1, tzinfo=UTC))
        >>> Artefact(name="load", version="1", digest="sha256:00", path=Path("models/load/1"), manifest=made,
        ...          files={"model.json": b"{}"}).signed_by
        ''
    """

    name: str
    version: str
    digest: str
    path: Path
    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)
    statements: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    signed_by: str = ""

    @property
    def title(self) -> str:
        """What errors and statements call it."""
        return f"model {self.name!r} version {self.version}"
