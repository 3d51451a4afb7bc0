"""Request headers that mean something to a decision, parsed as their standards say."""

from __future__ import annotations

import re

from steward.errors import ContractError

KEY_MAX_LENGTH = 128
"""The longest idempotency key, in characters."""

_QUOTED = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_ESCAPE = re.compile(rb'\\(["\\])')
_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+\-.^_`|~:/=]+")
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_ZEROS = (b"0" * 32, b"0" * 16)


def idempotency_key(value: bytes) -> str:
    """Return the key of an ``Idempotency-Key`` header: a quoted string (RFC 9651) or, as many send it, a bare token.

    Raises:
        ContractError: It is neither, or longer than 128 characters (``code`` is ``idempotency-key-malformed``).

    Example:
        >>> idempotency_key(b'"order-17"') == idempotency_key(b"order-17") == "order-17"
        True
    """
    text = value.strip(b" \t")
    if quoted := _QUOTED.fullmatch(text):
        text = _ESCAPE.sub(rb"\1", quoted[1])
    elif not _TOKEN.fullmatch(text):
        text = b""
    if not 0 < len(text) <= KEY_MAX_LENGTH:
        raise ContractError(
            "the header Idempotency-Key is not a key",
            fix=f'send 1 to {KEY_MAX_LENGTH} visible ASCII characters in quotes: Idempotency-Key: "order-17"',
            code="idempotency-key-malformed",
            field="Idempotency-Key",
        )
    return text.decode("ascii")


def prefers_async(value: bytes) -> bool:
    """Tell whether a ``Prefer`` header (RFC 7240) asks for ``respond-async``.

    Example:
        >>> prefers_async(b"wait=10, respond-async"), prefers_async(b"return=minimal")
        (True, False)
    """
    preferences = value.lower().split(b",")
    return any(preference.partition(b";")[0].strip() == b"respond-async" for preference in preferences)


def trace_id(value: bytes) -> str | None:
    """Return the trace id of a W3C ``traceparent`` header, or ``None`` if it is not valid (it is then ignored).

    Example:
        >>> trace_id(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace, parent, more = match.groups()
    if version == b"ff" or (version == b"00" and more) or trace == _ZEROS[0] or parent == _ZEROS[1]:
        return None
    return trace.decode("ascii")


def host_name(value: bytes) -> str:
    """Return the lower-case name in a ``Host`` header, without its port.

    Example:
        >>> host_name(b"LocalHost:8700"), host_name(b"[::1]:8700")
        ('localhost', '[::1]')
    """
    text = value.decode("latin-1").lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0]
