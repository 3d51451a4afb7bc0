"""What a decision brings along: how its own types are written and read, and how its own code may fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from steward.entries import Body
from steward.errors import StewardError
from steward.ledger.port import Draft


def _other(value: Any) -> object:
    """Encode what JSON does not know: pydantic models and numpy scalars."""
    for method in ("model_dump", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(
        f"a {type(value).__name__} cannot be written to the ledger; use a struct, a dataclass or plain data"
    )


encode = msgspec.json.Encoder(enc_hook=_other).encode
"""Encode an entry's body; raises ``TypeError`` for what is neither plain data nor a struct, dataclass or model."""


def draft(body: Body, key: str | None = None) -> Draft:
    """Return a body as an entry to be appended.

    Example:
        >>> from datetime import UTC, datetime
        >>> from uuid import UUID
        >>> from steward.entries import Expired
        >>> at = datetime(2026, 1, 1, tzinfo=UTC)
        >>> draft(Expired(decision_id=UUID(int=1), decision="pay.release", at=at, choice="hold"), "answer:1").kind
        'expired'
    """
    return Draft(str(type(body).__struct_config__.tag), body.decision_id, encode(body), key)


def read_as(kind: Any, stored: object) -> Any:
    """Return what was stored, as a decision's own type; raises ``msgspec.ValidationError`` or ``TypeError``.

    Example:
        >>> read_as(tuple[int, ...], [1, 2])
        (1, 2)
    """
    if isinstance(kind, type) and isinstance(stored, kind):
        return stored
    return msgspec.json.decode(encode(stored), type=kind, dec_hook=_read_other)


def _read_other(kind: type[Any], stored: object) -> object:
    if hasattr(kind, "model_validate_json"):
        return kind.model_validate_json(encode(stored))
    if hasattr(kind, "item"):
        return kind(stored)
    raise TypeError(f"a {kind.__name__} cannot be read from the ledger")


@contextmanager
def own_code(name: str) -> Iterator[None]:
    """Say which of a decision's own functions failed, if one does with an error that is not meant for the caller.

    Example:
        >>> with own_code("gate.impact"):
        ...     1 / 0
        Traceback (most recent call last):
            ...
        steward.errors.StewardError: gate.impact failed: ZeroDivisionError: division by zero. Next: mend the ...
    """
    try:
        yield
    except StewardError:
        raise
    except Exception as error:
        raise StewardError(
            f"{name} failed: {type(error).__name__}: {error}", fix="mend the decision's code", code="gate-failed"
        ) from error
