"""Snapshots of online features: versioned, checked on the way back, free of code."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from steward.errors import Conflict, IntegrityError
from steward.features.tiles import TrackState
from steward.wire import UNREADABLE

SNAPSHOT_VERSION = 2


class KeySnapshot(Struct, array_like=True, forbid_unknown_fields=True):
    """One key: its newest ``known_at``, its ids with the part of time they are of, its tracks.

    Example:
        >>> KeySnapshot(0, {"a": 0}, []).ids
        {'a': 0}
    """

    now: int
    ids: dict[str, int]
    tracks: list[TrackState]


class StreamSnapshot(Struct, array_like=True, forbid_unknown_fields=True):
    """One stream: how many events came too late, and its keys.

    Example:
        >>> StreamSnapshot(3, {}).too_late
        3
    """

    too_late: int
    keys: dict[str, KeySnapshot]


class _Sealed(Struct, array_like=True, forbid_unknown_fields=True):
    version: int
    fingerprint: str
    sha256: bytes
    body: bytes


def sealed(streams: dict[str, StreamSnapshot], fingerprint: str) -> bytes:
    """Return the streams as bytes, with the windows' fingerprint and a digest."""
    body = msgspec.msgpack.encode(streams)
    return msgspec.msgpack.encode(_Sealed(SNAPSHOT_VERSION, fingerprint, hashlib.sha256(body).digest(), body))


def opened(data: bytes, fingerprint: str) -> dict[str, StreamSnapshot]:
    """Return the streams of a snapshot.

    Raises:
        Conflict: ``snapshot-outdated``: it is of other windows or of another version of Steward.
        IntegrityError: The bytes are not a snapshot, or were changed.
    """
    try:
        outer = msgspec.msgpack.decode(data, type=_Sealed)
        if hashlib.sha256(outer.body).digest() != outer.sha256:
            raise IntegrityError("the snapshot's bytes were changed", fix="rebuild the features from the events")
        if (outer.version, outer.fingerprint) != (SNAPSHOT_VERSION, fingerprint):
            raise Conflict(
                "the snapshot is of other windows than those declared now",
                why=f"it has version {outer.version} and windows {outer.fingerprint[:12]}, "
                f"not {SNAPSHOT_VERSION} and {fingerprint[:12]}",
                fix="rebuild the features from the events",
                code="snapshot-outdated",
            )
        return msgspec.msgpack.decode(outer.body, type=dict[str, StreamSnapshot])
    except UNREADABLE as error:
        raise IntegrityError(
            f"not a snapshot of features: {error}", fix="rebuild the features from the events"
        ) from error
