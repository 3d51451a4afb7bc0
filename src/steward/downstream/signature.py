"""Signatures of webhooks, as Standard Webhooks 1.0.0 has them: HMAC-SHA256 over ``id.timestamp.body``.

See https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. Receivers have libraries
for it in ten languages. Several secrets give several signatures, so that they can be rotated without a gap.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Protocol

from steward.errors import DeclarationError, EngineError

_PREFIX: Final = "whsec_"
_MIN_KEY_BYTES: Final = 24
_MAX_KEY_BYTES: Final = 64


class Reveals(Protocol):
    """Holds a secret, and shows it only when told to (:class:`steward.access.tokens.Secret`)."""

    def reveal(self) -> str:
        """Return the secret itself."""
        ...


@dataclass(frozen=True)
class FromEnvironment:
    """A secret that is read from the environment when it is needed, so that no declaration holds it.

    Example:
        >>> FromEnvironment("PLANT_WEBHOOK_SECRET")
        FromEnvironment(variable='PLANT_WEBHOOK_SECRET')
    """

    variable: str

    def reveal(self) -> str:
        """Return the variable's value.

        Raises:
            EngineError: It is not set; it may be after a restart, or on another machine.
        """
        if not (value := os.environ.get(self.variable, "")):
            raise EngineError(
                f"the environment has no {self.variable}",
                why="a webhook is signed with it",
                fix=f"start the process with {self.variable}=whsec_…",
                code="no-secret",
            )
        return value


def key_of(secret: Reveals) -> bytes:
    """Return the key in a secret of the form ``whsec_<base64>``.

    Raises:
        DeclarationError: It is none, or has fewer than 24 or more than 64 bytes.
    """
    try:
        key = b64decode(secret.reveal().removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""  # what was wrong with it is not told, as the error would show parts of it
    if not _MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES:
        raise DeclarationError(
            "the secret of a webhook is no key",
            why=f"it is whsec_ and {_MIN_KEY_BYTES} to {_MAX_KEY_BYTES} random bytes in base64",
            fix="make one: python -c 'import secrets, base64; "
            'print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\'',
            field="secret",
        )
    return key


def sign(secrets: Sequence[Reveals], message_id: str, at: datetime, body: bytes) -> list[tuple[str, str]]:
    """Return the three headers of a signed webhook.

    Args:
        secrets: Those in force: one, or the new and the old while they are exchanged.
        message_id: Equal for every try of one message; without full stops, as these separate what is signed.
        at: When this try is made; aware.
        body: Exactly what is sent.

    Raises:
        DeclarationError: A secret is no key, or the id holds a full stop.

    Example:
        >>> from steward.access.tokens import Secret
        >>> secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        >>> at = datetime.fromisoformat("2021-02-25T15:02:10Z")
        >>> sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')[2]
        ('webhook-signature', 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
    """
    if "." in message_id or not secrets:
        raise DeclarationError("a webhook needs a secret, and an id without full stops", field="secret")
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [b64encode(hmac.digest(key_of(secret), signed, sha256)).decode() for secret in secrets]
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", " ".join(f"v1,{each}" for each in signatures)),
    ]
