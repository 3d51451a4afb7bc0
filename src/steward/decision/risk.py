"""How much is at stake."""

from __future__ import annotations

from enum import StrEnum


class Risk(StrEnum):
    """How much harm a wrong decision can do.

    Example:
        >>> Risk.HIGH.value
        'high'
    """

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
