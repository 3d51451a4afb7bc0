"""The public keys of a token issuer (JWKS, RFC 7517): fetched when needed, cached, and never trusted for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from steward import wire
from steward.clock import Clock
from steward.errors import ContractError, EngineError

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    PublicKey = RSAKey | ECKey | OKPKey

MAX_JWKS_BYTES: Final = 256 * 1024
MIN_RSA_BITS: Final = 2_048
_MAX_KEYS = 100
_MAX_KID_LETTERS = 256
_KINDS = frozenset({"RSA", "EC", "OKP"})


class FetchKeys(Protocol):
    """Gets the text of a JWKS document from its URL."""

    async def __call__(self, url: str) -> bytes:
        """Return the document, at most ``MAX_JWKS_BYTES`` long.

        Raises:
            EngineError: It cannot be had now.
        """
        ...


class Jwks:
    """The keys behind one URL.

    Keys are looked up by their ``kid``. An unknown one asks for the document again, but not more often than every
    ``at_least``, so that made-up ones cannot turn the server against the issuer. If the issuer does not answer, the
    known keys are good until ``at_most`` after they were fetched; after that nothing is.

    Attributes:
        url: Where the document is.
        version: Grows whenever the keys change; what was checked with the keys before is to be checked again.

    Args:
        url: Where the document is.
        fetch: Gets it.
        clock: Says when it is old.
        fresh: After this time it is fetched again at its next use.
        at_least: The shortest time between two fetches.
        at_most: How long keys are believed.

    Example:
        >>> from steward.clock import SystemClock
        >>> async def fetch(url: str) -> bytes:
        ...     key = b'"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"'
        ...     return b'{"keys":[{"kid":"a",' + key + b'}]}'
        >>> asyncio.run(Jwks("https://id.example/jwks", fetch, SystemClock()).key("a")).key_type
        'OKP'
    """

    def __init__(
        self,
        url: str,
        fetch: FetchKeys,
        clock: Clock,
        *,
        fresh: timedelta = timedelta(minutes=10),
        at_least: timedelta = timedelta(seconds=30),
        at_most: timedelta = timedelta(hours=24),
    ) -> None:
        self.url = url
        self.version = 0
        self._fetch, self._clock = fetch, clock
        self._fresh, self._at_least, self._at_most = fresh, at_least, at_most
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._failure: Exception | None = None
        self._one_at_a_time = asyncio.Lock()

    async def key(self, kid: str) -> PublicKey | None:
        """Return the key named ``kid``; ``None`` if the issuer has no such key.

        Raises:
            EngineError: The keys are not known, or not any more, and the issuer does not answer.
        """
        # While somebody fetches, known keys do for the others; who asks for an unknown one waits for the answer too.
        fetching = self._one_at_a_time.locked()
        if (not fetching and self._is_due(kid)) or (fetching and kid not in self._keys):
            async with self._one_at_a_time:
                if self._is_due(kid):
                    await self._refresh()
        if not self._is_within(self._fetched_at, self._at_most):
            raise EngineError(
                f"the keys at {self.url} cannot be had",
                why="nothing is believed that cannot be checked",
                fix="make the issuer reachable from this server, or correct its URL",
                retryable=True,
                code="engine.jwks",
            ) from self._failure
        return self._keys.get(kid)

    def _is_due(self, kid: str) -> bool:
        if self._is_within(self._tried_at, self._at_least):
            return False
        return kid not in self._keys or not self._is_within(self._fetched_at, self._fresh)

    def _is_within(self, since: datetime | None, span: timedelta) -> bool:
        # A clock that was set back makes what was fetched "later" old, not fresh for ever.
        return since is not None and timedelta(0) <= self._clock.now() - since < span

    async def _refresh(self) -> None:
        self._tried_at = self._clock.now()
        try:
            # A task of its own: a request that is served without one may be who asks, and a timeout needs one.
            keys = keys_of(await asyncio.create_task(self._fetch(self.url)))
        except (EngineError, ContractError) as error:
            # What is known stays good until its time is over; then `key` raises, and says this.
            self._failure = error
            return
        self._fetched_at, self._failure = self._tried_at, None
        if keys.keys() != self._keys.keys() or any(
            keys[kid].thumbprint() != known.thumbprint() for kid, known in self._keys.items()
        ):
            self.version += 1
        self._keys = keys


def keys_of(document: bytes) -> dict[str, PublicKey]:
    """Return the keys for signatures in a JWKS document, by ``kid``; others are left out.

    Left out are secret (``oct``) keys, private parts, keys for encryption, without a ``kid``, or too weak.

    Raises:
        ContractError: It is no JWKS, or a ``kid`` stands for two keys.
    """
    parsed = wire.decode(document, max_bytes=MAX_JWKS_BYTES)
    listed = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
        raise ContractError("the document is no JWKS", fix=f"give an object with a list of at most {_MAX_KEYS} keys")
    keys: dict[str, PublicKey] = {}
    for each in listed:
        key = _key_of(each)
        if key is None:
            continue
        if each["kid"] in keys:
            raise ContractError("a kid of the JWKS stands for two keys", fix="name each key differently")
        keys[each["kid"]] = key
    return keys


def _key_of(listed: Any) -> PublicKey | None:
    from joserfc.errors import JoseError  # noqa: PLC0415 - only where tokens are verified
    from joserfc.jwk import import_key  # noqa: PLC0415 - as above

    if not isinstance(listed, dict) or listed.get("kty") not in _KINDS or listed.get("use", "sig") != "sig":
        return None
    kid = listed.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_LETTERS or "d" in listed:
        return None
    if "verify" not in listed.get("key_ops", ["verify"]):
        return None
    try:
        key: Any = import_key(listed)
        too_weak = listed["kty"] == "RSA" and key.public_key.key_size < MIN_RSA_BITS
    except (JoseError, ValueError, TypeError, KeyError):
        # One key that we cannot read, of a kind yet to come, must not take the others away.
        return None
    return None if too_weak else key
