"""What a registered model is, as one strict JSON file; its SHA-256 is the model's digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from steward.errors import DeclarationError, IntegrityError
from steward.models.checked import Checked

FORMAT: Literal["steward.model/1"] = "steward.model/1"
MANIFEST = "manifest.json"
MAX_VERSION = 1_000_000_000
Task = Literal["regression", "binary", "multiclass", "policy", "calibrator", "chat", "value"]
OCTETS: Literal["application/octet-stream"] = "application/octet-stream"
_MEDIA_TYPES: Mapping[str, str] = {
    "csv": "text/csv",
    "jdm": "application/json",
    "json": "application/json",
    "md": "text/markdown",
    "onnx": "application/onnx",
    "py": "text/x-python",
    "safetensors": "application/vnd.safetensors",
    "skops": "application/zip",
    "txt": "text/plain",
    "ubj": "application/ubjson",
    "yaml": "application/yaml",
}
"""By the last part of a file's name; what the content really is, the format's own engine proves."""
_OF_ROWS = frozenset({"regression", "binary", "multiclass"})
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,127}")
_FILE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?=[A-Za-z0-9])){0,127}")
_Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
_MediaType = Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]{0,99}$")]


class FileFacts(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"size_bytes": "bytes"}):
    """A file of the artefact: the SHA-256 of its bytes, how many they are, and of which media type.

    Example:
        >>> facts = FileFacts.of(b"abc", name="notes.txt")
        >>> facts.size_bytes, facts.media_type
        (3, 'text/plain')
    """

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Meta(ge=0)]
    media_type: _MediaType = OCTETS

    @classmethod
    def of(cls, content: bytes, name: str = "") -> FileFacts:
        """Return the facts of ``content``; the media type is told by the end of the file's ``name``."""
        media_type = _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), OCTETS)
        return cls(sha256(content).hexdigest(), len(content), media_type)


class Trained(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """What a model was trained on.

    Attributes:
        since: The first time in the training data, aware.
        until: The last time in it, aware.
        rows: How many rows it had.
        data: ``sha256:`` of the training data.

    Example:
        >>> from datetime import UTC
        >>> first, last = datetime(2017, 1, 1, tzinfo=UTC), datetime(2017, 12, 31, tzinfo=UTC)
        >>> Trained(since=first, until=last, rows=8736, data="sha256:" + 64 * "0").rows
        8736
    """

    since: Annotated[datetime, Meta(tz=True)]
    until: Annotated[datetime, Meta(tz=True)]
    rows: Annotated[int, Meta(ge=0)]
    data: _Digest


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that is known of a registered model; stored as ``manifest.json`` beside its files.

    Attributes:
        format: The format of this file, ``steward.model/1``.
        name: The model's name.
        version: Its version: 1, 2, 3 ... under this name.
        kind: The engine that answers from its files, as ``lightgbm`` or ``linear``.
        task: ``regression``, ``binary`` (the answer is a probability), ``multiclass`` (one for each output),
            ``value``; or what is no model of rows: ``policy``, ``calibrator``, ``chat``.
        inputs: Names of the input columns, in order; what is no model of rows may have none.
        files: Name of each file, and its facts.
        created_at: When it was registered, aware.
        metrics: Figures of its training, by name.
        trained: What it was trained on.
        outputs: The labels of the classes that a ``multiclass`` model tells apart, in the order of its answers.
        checked: What was found at its registration: the engine, its exactness and its speed.

    Example:
        >>> from datetime import UTC
        >>> made = datetime(2026, 1, 1, tzinfo=UTC)
        >>> files = {"model.json": FileFacts.of(b"{}")}
        >>> manifest = Manifest(name="load", version=1, kind="linear", task="regression", inputs=("hour",),
        ...                     files=files, created_at=made)
        >>> decode(encode(manifest)) == manifest
        True
        >>> digest_of(encode(manifest))[:15]
        'sha256:aaeed946'
    """

    format: Literal["steward.model/1"] = msgspec.field(default_factory=lambda: FORMAT)
    name: str
    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    kind: str
    task: Task
    inputs: tuple[str, ...]
    files: Mapping[str, FileFacts]
    created_at: Annotated[datetime, Meta(tz=True)]
    metrics: Mapping[str, float] = {}
    trained: Trained | UnsetType = UNSET
    outputs: tuple[str, ...] = ()
    checked: Checked | UnsetType = UNSET

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.files:
            raise ValueError("a model needs at least one file")
        for file in self.files:
            if not _FILE.fullmatch(file) or file.lower() == MANIFEST:
                raise ValueError(f"{file!r} cannot name a model's file")
        least = 1 if self.task in _OF_ROWS else 0
        if len(self.inputs) < least or not _distinct(self.inputs):
            raise ValueError(f"inputs must be distinct names, at least {least}, got {list(self.inputs)}")
        least = 2 if self.task == "multiclass" else 0
        if len(self.outputs) < least or not _distinct(self.outputs):
            raise ValueError(f"outputs must be distinct labels, at least {least}, got {list(self.outputs)}")

    def same_content(self, other: Manifest) -> bool:
        """Whether both are the same but for their version, and when and how fast they were found at registration."""
        mine = {"version": self.version, "created_at": self.created_at, "checked": self.checked}
        return msgspec.structs.replace(other, **mine) == self


def _distinct(names: tuple[str, ...]) -> bool:
    return all(names) and len(set(names)) == len(names)


def check_name(name: str) -> None:
    """Refuse a name that is not lower-case letters and digits with single ``.``, ``_``, ``-`` between them.

    Raises:
        ValueError: It is not; such a name could leave the registry's folder, or differ from another by case only.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a model: lower-case letters and digits, joined by one of . _ -")


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON, the bytes that are stored and hashed."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def digest_of(content: bytes) -> str:
    """Return ``sha256:<hex>`` of a manifest's bytes: the model's digest."""
    return "sha256:" + sha256(content).hexdigest()


def decode(content: bytes) -> Manifest:
    """Read a manifest strictly.

    Raises:
        IntegrityError: A field is missing, unknown or out of its range.
    """
    try:
        return _decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise IntegrityError(
            "a model's manifest cannot be read", why=str(error), fix="register the model again from its source"
        ) from error


def declared(name: str, **facts: object) -> Manifest:
    """Make a manifest from what a developer gave (``None`` is not given), with the checks of when it is read back.

    Raises:
        DeclarationError: A name, an input, a metric or a date is not valid; the message names it.
    """
    try:
        given = {field: value for field, value in facts.items() if value is not None}
        return _decoder.decode(msgspec.json.encode({"format": FORMAT, "name": name, **given}))
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise DeclarationError(
            f"model {name!r} cannot be registered", why=str(error), fix="correct the argument that is named"
        ) from error


_decoder = msgspec.json.Decoder(Manifest)
