"""Signed envelopes as DSSE 1.0 writes them (Dead Simple Signing Envelope), around any payload.

The signature covers the payload's type and its bytes as they are, so nothing is parsed before it is verified. A
``keyid`` only says which key to try first.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from steward.errors import ContractError, Distrusted
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import Trust, TrustedKey
from steward.wire import check_bounds, check_keys

IN_TOTO: Final = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES: Final = 8 << 20
MAX_SIGNATURES: Final = 16
T = TypeVar("T")
_AGAIN: Final = "sign it again, with steward models sign"


class Signature(Struct, frozen=True):
    """One signature: its bytes in base64, and the id of the key that may have made it.

    Example:
        >>> Signature(sig="MEUC").keyid
        ''
    """

    sig: str
    keyid: str = ""


class Envelope(Struct, frozen=True, rename="camel"):
    """A payload, what it is, and who has signed it.

    Attributes:
        payload: Its bytes in base64.
        payload_type: What it is: a media type, or a URI.
        signatures: At least one.

    Example:
        >>> key = PrivateKey.of_seed(bytes(32))
        >>> envelope = sign("text/plain", b"five", key)
        >>> envelope.payload, envelope.signatures[0].keyid == key.id
        ('Zml2ZQ==', True)
        >>> Envelope.read(envelope.to_bytes()) == envelope
        True
    """

    payload: str
    payload_type: str
    signatures: tuple[Signature, ...]

    @classmethod
    def read(cls, content: bytes) -> Envelope:
        """Read an envelope; unknown fields are ignored, as the standard asks.

        Raises:
            Distrusted: It is not one.
        """
        return parse(content, cls, "a signed envelope")

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self) + b"\n"


@dataclass(frozen=True)
class Signed:
    """What was signed, and by whom.

    Attributes:
        payload: The very bytes that the signatures cover.
        keys: The trusted keys that have signed them, each once; at least one if a trust was asked.

    Example:
        >>> key = PrivateKey.of_seed(bytes(32))
        >>> signed = verify(sign("text/plain", b"five", key), Trust.of(anna=key.public), payload_type="text/plain")
        >>> signed.payload, signed.key.name
        (b'five', 'anna')
    """

    payload: bytes
    keys: tuple[TrustedKey, ...]

    @property
    def key(self) -> TrustedKey:
        """The first trusted key that has signed it."""
        return self.keys[0]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: the pre-authentication encoding of type and payload.

    Example:
        >>> pae("http://example.com/HelloWorld", b"hello world")
        b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b" ".join((b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload))


def sign(payload_type: str, payload: bytes, *keys: PrivateKey) -> Envelope:
    """Put a payload into an envelope that these keys have signed."""
    signed = pae(payload_type, payload)
    signatures = tuple(Signature(b64encode(key.sign(signed)).decode(), key.id) for key in keys)
    return Envelope(b64encode(payload).decode(), payload_type, signatures)


def cosign(envelope: Envelope, key: PrivateKey) -> Envelope:
    """Add a signature; one by the same key is replaced.

    Raises:
        Distrusted: The envelope's payload is not base64.
    """
    others = tuple(each for each in envelope.signatures if each.keyid != key.id)
    made = sign(envelope.payload_type, _decoded(envelope.payload, "payload"), key)
    return msgspec.structs.replace(envelope, signatures=(*others, *made.signatures))


def verify(envelope: Envelope, trust: Trust, *, payload_type: str, hint: str = "", what: str = "") -> Signed:
    """Return the payload, if a key that is trusted and not revoked has signed it.

    Args:
        envelope: What was received; nobody need have looked at it.
        trust: Whose signatures count.
        payload_type: What the payload must be.
        hint: The id of the key to try where a signature names none.
        what: Names it in errors.

    Raises:
        Distrusted: It is of another type, or no signature of it counts.
    """
    what = what or f"the {payload_type}"
    payload = unverified(envelope, payload_type=payload_type, what=what)
    if not 0 < len(envelope.signatures) <= MAX_SIGNATURES:
        why = f"it has {len(envelope.signatures)} signatures, and 1 to {MAX_SIGNATURES} are read"
        raise Distrusted(f"{what} cannot be verified", why=why, fix=_AGAIN)
    signed = pae(payload_type, payload)
    found = [_signer(each, signed, trust, hint, what) for each in envelope.signatures]
    good = {key.key.id: key for key in found if isinstance(key, TrustedKey)}
    if not good:
        raise Distrusted(
            f"{what} is not signed by anybody who is trusted",
            why="; ".join(dict.fromkeys(str(each) for each in found)),
            fix="let somebody who is trusted sign it, or add the public key to the folder that the setting trust names",
        )
    return Signed(payload, tuple(good.values()))


def unverified(envelope: Envelope, *, payload_type: str, what: str) -> bytes:
    """Return the payload without asking who has signed it, where no trust is set.

    Raises:
        Distrusted: It is of another type.
    """
    if envelope.payload_type != payload_type:
        raise Distrusted(
            f"{what} is signed as something else",
            why=f"its payload type is {envelope.payload_type[:100]!r}, not {payload_type!r}",
            fix=_AGAIN,
        )
    return _decoded(envelope.payload, what)


def opened(envelope: Envelope, trust: Trust | None, *, payload_type: str, what: str) -> Signed:
    """Verify an envelope if there is a trust; without one, believe it, and name nobody.

    Raises:
        Distrusted: It is of another type, or nobody trusted has signed it.
    """
    if trust is not None:
        return verify(envelope, trust, payload_type=payload_type, what=what)
    return Signed(unverified(envelope, payload_type=payload_type, what=what), ())


def parse(content: bytes, kind: type[T], what: str) -> T:
    """Read JSON that nobody has vouched for yet: bounded, each key once, of this shape.

    Raises:
        Distrusted: It is not that.
    """
    try:
        check_bounds(content, max_bytes=MAX_ENVELOPE_BYTES)
        check_keys(content)
        return msgspec.json.decode(content, type=kind)
    except (ContractError, msgspec.MsgspecError, ValueError) as error:
        why = error.what if isinstance(error, ContractError) else str(error)
        raise Distrusted(f"{what} cannot be read", why=why, fix=_AGAIN) from error


def _signer(signature: Signature, signed: bytes, trust: Trust, hint: str, what: str) -> TrustedKey | str:
    """Return the trusted key that made a signature, or why there is none."""
    content = _decoded(signature.sig, what)
    named = signature.keyid or hint
    if named and named not in trust.keys:
        return f"the key {named[:12]} is not trusted"
    candidates: Sequence[TrustedKey] = [trust.keys[named]] if named else list(trust.keys.values())
    for each in candidates:
        if each.key.holds(content, signed):
            revoked = trust.revoked.keys.get(each.key.id)
            if revoked is None:
                return each
            return f"the key of {each.name} was revoked on {revoked.at:%Y-%m-%d}: {revoked.reason}"
    if named:
        return f"the signature is not the key's of {candidates[0].name}: the content or the signature was changed"
    return "no trusted key has made the signature"


def _decoded(text: str, what: str) -> bytes:
    """Decode base64, the usual alphabet or the one for URLs: the standard allows both."""
    plain = text.replace("-", "+").replace("_", "/")
    try:
        content = b64decode(plain, validate=True)
        if b64encode(content).decode() != plain:
            raise ValueError("it has bits that mean nothing")
    except (Base64Error, ValueError) as error:
        raise Distrusted(f"{what} cannot be read", why=f"its base64 does not hold: {error}", fix=_AGAIN) from error
    return content
