"""Secrets: how they are made, written, stored and compared.

A secret has 256 random bits. There is no list of likely ones to try, so one SHA-256 with a salt keeps it as safe at
rest as a slow hash would, and a request does not wait for it. Passwords, which people choose, would need a slow hash;
there are none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from steward.errors import StewardError

SCHEME: Final = "stw"
"""What every token of Steward begins with, so that scanners for leaked secrets can know it."""
SECRET_BYTES: Final = 32
Random = Callable[[], bytes]
"""Gives 32 fresh random bytes that nobody can guess; a seeded one makes a simulation repeatable."""

_PREFIX_LETTERS = 12
_TOKEN = re.compile(r"stw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def random_bytes() -> bytes:
    """Return 32 bytes from the operating system's generator for keys."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only when a secret is made

    return AESGCM.generate_key(bit_length=SECRET_BYTES * 8)


class Secret:
    """A secret that shows itself only when told to.

    Example:
        >>> secret = Secret("stw_0123456789ab_hunter2")
        >>> print(secret, [secret], f"{secret}")
        **** [Secret(****)] ****
        >>> secret.reveal()
        'stw_0123456789ab_hunter2'
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the secret itself: to show it once to whom it is for, or to send it."""
        return self.__text

    def __repr__(self) -> str:
        return "Secret(****)"

    def __str__(self) -> str:
        return "****"

    def __reduce__(self) -> str:
        raise StewardError("a secret is not copied into files", fix="reveal() it to whom it is for")


class Sealed(Struct, frozen=True):
    """What is stored of a secret: ``digest`` = SHA-256 of ``salt`` and secret.

    Example:
        >>> Sealed.of("hunter2", bytes(16)).opens("hunter2"), Sealed.of("hunter2", bytes(16)).opens("hunter3")
        (True, False)
    """

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, secret: str, salt: bytes) -> Sealed:
        """Seal a secret."""
        return cls(salt, hashlib.sha256(salt + secret.encode()).digest())

    def opens(self, secret: str) -> bool:
        """Tell whether ``secret`` is the one, in a time that does not depend on how much of it is right."""
        return hmac.compare_digest(hashlib.sha256(self.salt + secret.encode()).digest(), self.digest)


NOBODYS: Final = Sealed(bytes(16), bytes(32))
"""Opened by no secret: what an unknown prefix is compared with, so that it takes as long as a known one."""


class Token(Struct, frozen=True):
    """A token that is new: its public ``prefix``, the ``secret`` to hand over, and what is kept of it.

    Example:
        >>> token = new_token()
        >>> token.sealed.opens(split(token.secret.reveal())[1])
        True
    """

    prefix: str
    secret: Secret
    sealed: Sealed


def new_token(random: Random = random_bytes) -> Token:
    """Make a token ``stw_<prefix>_<secret>``.

    Example:
        >>> new_token(lambda: bytes(32)).secret.reveal()
        'stw_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    """
    prefix = random().hex()[:_PREFIX_LETTERS]
    text = new_text(random)
    return Token(prefix, Secret(f"{SCHEME}_{prefix}_{text}"), Sealed.of(text, random()[:16]))


def new_text(random: Random = random_bytes) -> str:
    """Return 256 random bits as 43 letters that need no quoting in headers and cookies."""
    return base64.urlsafe_b64encode(random()).rstrip(b"=").decode("ascii")


def split(token: str) -> tuple[str, str] | None:
    """Return the prefix and the secret of a token, or ``None`` if it is not one.

    Example:
        >>> split("stw_0123456789ab_" + 43 * "x")[0], split("Bearer stw_x")
        ('0123456789ab', None)
    """
    match = _TOKEN.fullmatch(token)
    return None if match is None else (match[1], match[2])


def fingerprint(text: str) -> bytes | None:
    """Return the SHA-256 under which a session's id is kept, or ``None`` if it cannot be one.

    Example:
        >>> fingerprint(43 * "x").hex()[:8], fingerprint("x")
        ('cc0b1c2c', None)
    """
    return hashlib.sha256(text.encode()).digest() if _SECRET.fullmatch(text) else None
