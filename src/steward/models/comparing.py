"""What differs between two versions of models: only that, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from steward.models.manifest import Manifest
from steward.models.signing.card import Card
from steward.models.signing.provenance import Provenance

_OF_ITSELF: Final = {"name", "version", "format", "created_at", "inputs", "files"}
"""What always differs, or is told in a shorter way."""


class Side(Struct, frozen=True, kw_only=True):
    """A version to be compared: its manifest, and what was stated beside it.

    Example:
        >>> from steward.models.untrusted.intake import draft
        >>> Side(manifest=draft("load", kind="linear", task="regression", inputs=["hour"])).card is None
        True
    """

    manifest: Manifest
    card: Card | None = None
    provenance: Provenance | None = None


def differences(one: Side, other: Side) -> Mapping[str, tuple[Any, Any]]:
    """Return each field that differs, with both values; ``None`` where a side does not have it.

    Inputs are told as those that only one side has, files by their sizes.

    Args:
        one: The first version.
        other: The second.

    Example:
        >>> from steward.models.untrusted.intake import draft
        >>> old = draft("load", kind="linear", task="regression", inputs=["hour"], metrics={"mae": 2.5})
        >>> new = draft("load", kind="linear", task="regression", inputs=["hour", "day"], metrics={"mae": 2.0})
        >>> differences(Side(manifest=old), Side(manifest=new))
        {'inputs': (None, ['day']), 'metrics.mae': (2.5, 2.0)}
    """
    mine, theirs = dict(_facts(one)), dict(_facts(other))
    found: dict[str, tuple[Any, Any]] = dict(_inputs(one.manifest.inputs, other.manifest.inputs))
    found |= _files(one.manifest, other.manifest)
    for field in [*mine, *(field for field in theirs if field not in mine)]:
        if mine.get(field) != theirs.get(field):
            found[field] = (mine.get(field), theirs.get(field))
    return found


def _inputs(mine: tuple[str, ...], theirs: tuple[str, ...]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    only_mine, only_theirs = [n for n in mine if n not in theirs], [n for n in theirs if n not in mine]
    if only_mine or only_theirs:
        yield "inputs", (only_mine or None, only_theirs or None)
    elif mine != theirs:
        yield "inputs' order", (list(mine), list(theirs))


def _files(mine: Manifest, theirs: Manifest) -> Mapping[str, tuple[Any, Any]]:
    return {
        f"files.{name}": (_size(mine, name), _size(theirs, name))
        for name in [*mine.files, *(name for name in theirs.files if name not in mine.files)]
        if mine.files.get(name) != theirs.files.get(name)
    }


def _size(manifest: Manifest, name: str) -> str | None:
    facts = manifest.files.get(name)
    return None if facts is None else f"{facts.size_bytes} bytes, sha256 {facts.sha256[:12]}"


def _facts(side: Side) -> Iterator[tuple[str, Any]]:
    plain = msgspec.to_builtins(side.manifest)
    yield from _flat({field: value for field, value in plain.items() if field not in _OF_ITSELF}, "")
    if side.card is not None:
        yield from _flat({"card": _by_name(msgspec.to_builtins(side.card))}, "")
    if side.provenance is not None:
        yield from _flat({"provenance": msgspec.to_builtins(side.provenance)}, "")


def _by_name(card: dict[str, Any]) -> dict[str, Any]:
    """Name the metrics of a card by what they measure and for whom, so that each is compared with its own."""
    metrics = card.pop("metrics", ())
    named = {f"{each.pop('name')} of {each.pop('segment', 'all')}": each for each in metrics}
    return {**card, "metrics": {name: facts for name, facts in named.items()}}


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else str(name))
    else:
        yield path, value
