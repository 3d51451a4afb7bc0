"""Lanes: what goes first where not everything can."""

from __future__ import annotations

from enum import IntEnum


class Lane(IntEnum):
    """How urgent something is; the smaller goes first, and is refused last.

    Example:
        >>> min(Lane.BATCH, Lane.EMERGENCY, Lane.NORMAL).name
        'EMERGENCY'
    """

    EMERGENCY = 0
    NORMAL = 1
    BATCH = 2
