"""Bearer tokens (JWT, RFC 7519) of any OpenID Connect provider, verified with joserfc; what is not proved is a no."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from steward import wire
from steward.access.addresses import check_url
from steward.access.identity import Assignment, Identity, Kind
from steward.access.jwks import FetchKeys, Jwks
from steward.clock import EPOCH, Clock
from steward.errors import ContractError, DeclarationError, Denied

if TYPE_CHECKING:
    from steward.access.jwks import PublicKey

MAX_TOKEN_BYTES: Final = 8_192
ALGORITHMS: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
    "Ed25519": "OKP",
}
"""The algorithms that can be chosen, each with the only kind of key it goes with. None of them has a shared secret."""
_MAX_SUBJECT_LETTERS = 128
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class Issuer(Struct, frozen=True, kw_only=True):
    """An authority whose tokens are believed.

    Args:
        name: A short name for the ledger: lower-case letters and digits.
        issuer: The ``iss`` claim, exactly.
        audience: What stands for this server in the ``aud`` claim.
        jwks_url: Where its keys are: ``https``, or ``http`` on this machine.
        algorithms: The only ones taken, whatever a token says of itself.
        leeway: How far its clock may be off.
        longest: Tokens that live longer are refused.
        roles_claim: The claim that lists a caller's roles or groups; without it only enrolled subjects are let in.
        roles: What each value of ``roles_claim`` stands for here.
        teams_claim: The claim that lists a caller's teams.
        kind: What those are whom it vouches for.

    Raises:
        DeclarationError: An algorithm is not one of :data:`ALGORITHMS`, or a name or address does not fit.

    Example:
        >>> Issuer(name="corp", issuer="https://id.example", audience="steward", jwks_url="https://id.example/jwks",
        ...        algorithms=("HS256",))
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: the algorithm 'HS256' is not taken. Next: choose from ...
    """

    name: str
    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256", "ES256", "Ed25519")
    leeway: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(hours=24)
    roles_claim: str | None = None
    roles: Mapping[str, tuple[Assignment, ...]] = {}
    teams_claim: str | None = None
    kind: Kind = Kind.PERSON

    def __post_init__(self) -> None:
        """Refuse what could not be checked."""
        wrong = [algorithm for algorithm in self.algorithms if algorithm not in ALGORITHMS]
        if wrong or not self.algorithms:
            what = f"the algorithm {wrong[0]!r} is not taken" if wrong else "no algorithm is taken"
            raise DeclarationError(what, fix=f"choose from {', '.join(ALGORITHMS)}", field="algorithms")
        if not (self.name.isascii() and self.name.isalnum() and self.name.islower()):
            raise DeclarationError(f"{self.name!r} cannot name an issuer", fix="use a-z and 0-9", field="name")
        if not self.issuer or not self.audience:
            raise DeclarationError("an issuer needs its iss and our aud", field="issuer")
        check_url(self.jwks_url)
        if not timedelta(0) <= self.leeway <= timedelta(minutes=5):
            raise DeclarationError(f"a leeway of {self.leeway} is too long", fix="at most 5 minutes", field="leeway")


class Vouched(Struct, frozen=True, kw_only=True):
    """What a verified token says, and the ``identity`` that its claims alone would make.

    Example:
        >>> anna = Identity(id="corp:anna", kind=Kind.PERSON, display="anna", credential="token:corp")
        >>> Vouched(subject="token:corp:anna", identity=anna, starts=EPOCH, ends=EPOCH, mapped=False).subject
        'token:corp:anna'
    """

    subject: str
    identity: Identity
    starts: datetime
    ends: datetime
    mapped: bool


class _Known(NamedTuple):
    """A token whose signature held with the key ``kid`` of its issuer's keys as of ``version``."""

    vouched: Vouched
    issuer: Issuer
    kid: str
    version: int


class BearerTokens:
    """Verifies tokens; good ones are remembered until they end or the issuer's keys change.

    Args:
        issuers: Whom to believe.
        fetch: Gets their keys.
        clock: Says what has expired.
        most: How many good tokens are remembered.

    Example:
        >>> import asyncio
        >>> from steward.clock import SystemClock
        >>> async def fetch(url: str) -> bytes:
        ...     return b'{"keys":[]}'
        >>> tokens = BearerTokens([], fetch, SystemClock())
        >>> asyncio.run(tokens.verify("eyJhbGciOiJub25lIn0.e30."))
        Traceback (most recent call last):
        ...
        steward.errors.Denied: the token is not valid. Why: its algorithm is not taken
    """

    def __init__(self, issuers: Iterable[Issuer], fetch: FetchKeys, clock: Clock, *, most: int = 10_000) -> None:
        self._clock, self._most = clock, most
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._jwks = {issuer.issuer: Jwks(issuer.jwks_url, fetch, clock) for issuer in self._issuers.values()}
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def verify(self, token: str) -> Vouched:
        """Return what a token says.

        Raises:
            Denied: It is not valid; ``code`` is ``unauthenticated``, and ``field`` says why, for the ledger.
            EngineError: The issuer's keys cannot be had.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None or not await self._is_signed_still(known):
            self._known.pop(digest, None)
            known = self._known[digest] = await self._verify(token)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        vouched, issuer = known.vouched, known.issuer
        now = self._clock.now()
        if not vouched.starts <= now + issuer.leeway or now >= vouched.ends + issuer.leeway:
            self._known.pop(digest, None)
            raise _no("expired", "it has expired, or is not valid yet")
        return vouched

    async def _is_signed_still(self, known: _Known) -> bool:
        # Asking for the key also fetches new ones when these are old: a key taken back ends what it has signed.
        jwks = self._jwks[known.issuer.issuer]
        return await jwks.key(known.kid) is not None and jwks.version == known.version

    async def _verify(self, token: str) -> _Known:
        header, claimed = _parts(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise _no("algorithm", "its algorithm is not taken")
        if "crit" in header or str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise _no("type", "its header asks for what is not understood")
        name = claimed.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise _no("issuer", "nobody here believes its issuer")
        if algorithm not in issuer.algorithms:
            raise _no("algorithm", "its algorithm is not taken")
        if not isinstance(kid, str):
            raise _no("kid", "it does not name its key")
        jwks = self._jwks[issuer.issuer]
        key = await jwks.key(kid)
        if key is None or not _fits(key, algorithm):
            raise _no("kid", "its issuer has no such key")
        claims = _claims(token, key, algorithm)
        return _Known(self._vouched(claims, issuer), issuer, kid, jwks.version)

    def _vouched(self, claims: Mapping[str, Any], issuer: Issuer) -> Vouched:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != issuer.issuer or issuer.audience not in audiences:
            raise _no("audience", "it is for somebody else")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_LETTERS or not subject.isprintable():
            raise _no("subject", "it does not say for whom it was made")
        ends = _time(claims, "exp")
        if ends is None:
            raise _no("expired", "it does not say when it expires")
        now = self._clock.now()
        issued = _time(claims, "iat") or EPOCH
        if issued > now + issuer.leeway or ends - now > issuer.longest + issuer.leeway:
            raise _no("expired", "it was made in the future, or lives too long")
        mapped = issuer.roles_claim is not None
        identity = Identity(
            id=f"{issuer.name}:{subject}",
            kind=issuer.kind,
            display=_display(claims, subject),
            teams=frozenset(_texts(claims, issuer.teams_claim)),
            roles=tuple(a for value in _texts(claims, issuer.roles_claim) for a in issuer.roles.get(value, ())),
            credential=f"token:{issuer.name}",
        )
        return Vouched(
            subject=f"token:{identity.id}",
            identity=identity,
            starts=_time(claims, "nbf") or EPOCH,
            ends=ends,
            mapped=mapped,
        )


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims, of which nothing is proved yet."""
    if len(token) > MAX_TOKEN_BYTES or token.count(".") != 2 or not token.isascii():
        raise _no("malformed", "it is no JWT, or too long")
    header, payload, _ = token.split(".")
    return _object(_bytes(header)), _object(_bytes(payload))


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _no("malformed", "a part of it is not base64") from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = wire.decode(data, max_bytes=MAX_TOKEN_BYTES)
    except ContractError as error:
        raise _no("malformed", "a part of it is not strict JSON") from error
    if not isinstance(value, dict):
        raise _no("malformed", "a part of it is not a JSON object")
    return value


def _fits(key: PublicKey, algorithm: str) -> bool:
    """Tell whether a key is of the algorithm's kind, and, if it names an algorithm, of this one."""
    return key.key_type == ALGORITHMS[algorithm] and key.alg in (None, algorithm)


def _claims(token: str, key: PublicKey, algorithm: str) -> dict[str, Any]:
    """Return the claims, proved by the signature."""
    from joserfc import jws  # noqa: PLC0415 - only where tokens are verified
    from joserfc.errors import JoseError  # noqa: PLC0415 - as above

    try:
        proved = jws.deserialize_compact(token, key, algorithms=[algorithm])
    except (JoseError, ValueError) as error:
        raise _no("signature", "its signature does not hold") from error
    return _object(proved.payload)


def _time(claims: Mapping[str, Any], name: str) -> datetime | None:
    seconds = claims.get(name)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e11:
        raise _no("malformed", f"its {name} is no time")
    return EPOCH + timedelta(seconds=seconds)


def _texts(claims: Mapping[str, Any], name: str | None) -> list[str]:
    values = claims.get(name) if name is not None else None
    listed = values if isinstance(values, list) else [values]
    return [value for value in listed if isinstance(value, str)]


def _display(claims: Mapping[str, Any], subject: str) -> str:
    name = claims.get("name")
    return name if isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() else subject


def _no(reason: str, why: str) -> Denied:
    return Denied("the token is not valid", why=why, code="unauthenticated", field=f"token.{reason}")
