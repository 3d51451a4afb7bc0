"""The process that answers from one scikit-learn model: reads rows, writes answers, and can do nothing else.

Each message is its length (8 bytes, little-endian) and that many bytes. The first is the model; then each is a table of
float64 rows, answered by a byte for how it went (0 if well) and the table of answers, or what went wrong.
"""

from __future__ import annotations

import os
from functools import partial
from typing import IO, Any

import numpy as np

FINE, FAILED, REFUSED = b"\0", b"\1", b"\2"
_STDOUT = 1


def serve(given: IO[bytes], task: str, width: str) -> bytes:
    """Answer until nothing more comes.

    Args:
        given: Where messages come from.
        task: What the model answers.
        width: How many inputs a row has.
    """
    ask = None
    while (message := receive(given)) is not None:
        try:
            if ask is None:
                ask = _load(message, task)
                told = FINE
            else:
                told = FINE + ask(np.frombuffer(message).reshape(-1, int(width))).tobytes()
        except Exception as error:
            told = (FAILED if ask else REFUSED) + f"{type(error).__name__}: {error}"[:2000].encode()
        _send(told)
    return b""


def _load(content: bytes, task: str) -> Any:
    from skops.io import loads  # noqa: PLC0415 - only this process needs it

    estimator = loads(content, trusted=[])
    return partial(_ask, getattr(estimator, "predict" if task == "regression" else "predict_proba"))


def _ask(method: Any, rows: Any) -> Any:
    """Return the answers; NaN for a row that lacks a value, where the model knows no missing values."""
    try:
        return np.ascontiguousarray(method(rows), dtype=np.float64)
    except ValueError:
        lacking = np.isnan(rows).any(axis=1)
        if not lacking.any():
            raise
    filled = np.ascontiguousarray(method(np.where(lacking[:, None], 0.0, rows)), dtype=np.float64)
    filled[lacking] = np.nan
    return filled


def receive(source: IO[bytes]) -> bytes | None:
    """Return the next message, or nothing at the end.

    Example:
        >>> from io import BytesIO
        >>> receive(BytesIO(framed(b"abc"))), receive(BytesIO())
        (b'abc', None)
    """
    size = source.read(8)
    if len(size) < 8:
        return None
    length = int.from_bytes(size, "little")
    content = source.read(length)
    return content if len(content) == length else None


def framed(content: bytes) -> bytes:
    """Return a message with its length before it."""
    return len(content).to_bytes(8, "little") + content


def _send(content: bytes) -> None:
    left = memoryview(framed(content))
    while left:
        left = left[os.write(_STDOUT, left) :]
