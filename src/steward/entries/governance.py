"""The entries that concern no single decision's run: the stop switch and breakers. Releases: :mod:`.releases`."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from steward.entries.later import Later

_EXAMPLE: Final = MappingProxyType(
    {"decision_id": UUID(int=1), "decision": "pay.release", "at": datetime(2026, 1, 1, tzinfo=UTC)}
)
"""What the examples below have in common."""


class Stopped(Later, frozen=True, kw_only=True, tag="stopped", forbid_unknown_fields=True):
    """From now on nothing new is dispatched for ``decision``; ``*`` is every decision.

    Example:
        >>> Stopped(**{**_EXAMPLE, "decision": "*"}, by="ana", reason="smoke in the hall").decision
        '*'
    """

    reason: str


class Resuming(Later, frozen=True, kw_only=True, tag="resuming", forbid_unknown_fields=True):
    """The first of two people wants a stop to be lifted.

    Example:
        >>> Resuming(**_EXAMPLE, by="ana", reason="all clear").by
        'ana'
    """

    reason: str


class Resumed(Later, frozen=True, kw_only=True, tag="resumed", forbid_unknown_fields=True):
    """The second of two people lifted a stop; ``first`` is the other one.

    Example:
        >>> Resumed(**_EXAMPLE, by="bo", first="ana", reason="all clear").first
        'ana'
    """

    first: str
    reason: str


class Tripped(Later, frozen=True, kw_only=True, tag="tripped", forbid_unknown_fields=True):
    """The breaker of ``destination`` opened after ``failures`` failures in a row; calls to it are held back.

    Example:
        >>> Tripped(**{**_EXAMPLE, "decision": "*"}, destination="plant", failures=5, reason="timed out").failures
        5
    """

    destination: str
    failures: int
    reason: str


class Restored(Later, frozen=True, kw_only=True, tag="restored", forbid_unknown_fields=True):
    """A probe found ``destination`` well again; its breaker is closed.

    Example:
        >>> Restored(**{**_EXAMPLE, "decision": "*"}, destination="plant").destination
        'plant'
    """

    destination: str
