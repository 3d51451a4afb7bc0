"""Durations in a declaration: always a ``timedelta``, never a bare number whose unit nobody sees."""

from __future__ import annotations

from datetime import timedelta

from steward.errors import DeclarationError


def check_duration(value: object, field: str) -> None:
    """Refuse what is no ``timedelta``.

    Raises:
        DeclarationError: It is a number or something else; ``error.field`` is ``field``.

    Example:
        >>> check_duration(600, "gate.within")
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: gate.within is 600, which is no duration. Next: pass seconds(...), ...
    """
    if not isinstance(value, timedelta):
        raise DeclarationError(
            f"{field} is {value!r}, which is no duration",
            fix="pass seconds(...), minutes(...), hours(...) or days(...)",
            field=field,
        )
