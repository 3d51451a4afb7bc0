from __future__ import annotations

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.models.vouching import key_of

from steward.errors import Distrusted, IntegrityError
from steward.models.signing.dsse import (
    MAX_SIGNATURES,
    Envelope,
    Signature,
    cosign,
    opened,
    pae,
    sign,
    unverified,
    verify,
)
from steward.models.signing.trust import Revocations, Revoked, Trust

TEXT = "text/plain"
ANNA, BEN, EVE = key_of("anna"), key_of("ben", "p256"), key_of("eve")
TRUST = Trust.of(anna=ANNA.public, ben=BEN.public)


def test_what_is_signed_is_encoded_as_the_standard_says() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", b"") == "DSSEv1 2 é 0 ".encode()


@given(st.text(), st.binary(), st.text(), st.binary())
def test_no_two_contents_are_encoded_the_same(kind: str, payload: bytes, other: str, another: bytes) -> None:
    if (kind, payload) != (other, another):
        assert pae(kind, payload) != pae(other, another)


@given(st.binary(max_size=200))
def test_what_was_signed_comes_back(payload: bytes) -> None:
    envelope = Envelope.read(sign(TEXT, payload, ANNA).to_bytes())
    signed = verify(envelope, TRUST, payload_type=TEXT)
    assert (signed.payload, signed.key.name) == (payload, "anna")


def test_the_json_is_the_standards() -> None:
    told = json.loads(sign(TEXT, b"five", ANNA).to_bytes())
    assert told.keys() == {"payload", "payloadType", "signatures"}
    assert b64decode(told["payload"]) == b"five"
    assert told["signatures"][0].keys() == {"keyid", "sig"}
    assert told["signatures"][0]["keyid"] == ANNA.id


def test_another_program_verifies_what_we_signed_and_signs_what_we_verify() -> None:
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.exceptions import VerificationError

    for key in (ANNA, BEN):
        theirs = signer.SSlibKey.from_crypto(load_pem_public_key(key.public.to_pem()), keyid=key.id)
        envelope = dsse.Envelope.from_dict(json.loads(sign(TEXT, b"five", key).to_bytes()))
        assert envelope.verify([theirs], threshold=1)
        envelope.payload = b"six"
        with pytest.raises(VerificationError):
            envelope.verify([theirs], threshold=1)
    other = signer.CryptoSigner.generate_ecdsa()
    made = dsse.Envelope(b"five", TEXT, {})
    made.sign(other)
    from steward.models.signing.keys import PublicKey

    trust = Trust.of(other=PublicKey.from_pem(other.public_key.keyval["public"].encode()))
    told = made.to_dict()
    told["signatures"][0]["keyid"] = ""
    read = Envelope.read(json.dumps(told).encode())
    assert verify(read, trust, payload_type=TEXT).payload == b"five"


def test_unknown_fields_are_ignored_and_base64_for_urls_is_read() -> None:
    payload = b"\xfb\xff\xfe"
    told = json.loads(sign(TEXT, payload, ANNA).to_bytes())
    told |= {"extra": 1, "payload": urlsafe_b64encode(payload).decode()}
    assert "-" in told["payload"]
    assert verify(Envelope.read(json.dumps(told).encode()), TRUST, payload_type=TEXT).payload == payload


def changed(**fields: Any) -> Envelope:
    return replace(sign(TEXT, b"five", ANNA), **fields)


def signature(**fields: Any) -> Envelope:
    envelope = sign(TEXT, b"five", ANNA)
    return replace(envelope, signatures=(replace(envelope.signatures[0], **fields),))


OF_OTHER = sign("text/html", b"five", ANNA)
REFUSED: dict[str, tuple[Envelope, str]] = {
    "another payload": (changed(payload=b64encode(b"six").decode()), "content or the signature was changed"),
    "another type": (OF_OTHER, "its payload type is 'text/html', not 'text/plain'"),
    "its type renamed": (replace(OF_OTHER, payload_type=TEXT), "content or the signature was changed"),
    "no signature": (changed(signatures=()), "it has 0 signatures"),
    "too many signatures": (changed(signatures=(Signature("AAAA"),) * (MAX_SIGNATURES + 1)), "it has 17 signatures"),
    "nobody trusted": (sign(TEXT, b"five", EVE), f"the key {EVE.id[:12]} is not trusted"),
    "anothers name": (
        replace(sign(TEXT, b"five", EVE), signatures=(signature().signatures[0],), payload=b64encode(b"sin").decode()),
        "not the key's of anna",
    ),
    "eve signs as anna": (
        changed(signatures=(replace(sign(TEXT, b"five", EVE).signatures[0], keyid=ANNA.id),)),
        "not the key's of anna",
    ),
    "eve signs unnamed": (
        changed(signatures=(replace(sign(TEXT, b"five", EVE).signatures[0], keyid=""),)),
        "no trusted key has made the signature",
    ),
    "an empty signature": (signature(sig=""), "not the key's of anna"),
    "no base64": (signature(sig="????"), "base64"),
    "base64 cut off": (changed(payload="Zml2Z"), "base64"),
    "base64 with loose bits": (changed(payload="Zml2ZR=="), "bits that mean nothing"),
    "base64 with a line": (changed(payload="Zml2ZQ==\n"), "base64"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_does_not_hold_is_refused(how: str) -> None:
    envelope, says = REFUSED[how]
    with pytest.raises(Distrusted, match=says) as caught:
        verify(envelope, TRUST, payload_type=TEXT, what="the test's text")
    assert caught.value.code == "model-distrusted"
    assert isinstance(caught.value, IntegrityError)
    assert "the test's text" in caught.value.what
    assert caught.value.fix


def test_a_signature_without_a_name_is_tried_with_each_key() -> None:
    made = sign(TEXT, b"five", BEN)
    unnamed = replace(made, signatures=(Signature(made.signatures[0].sig),))
    assert verify(unnamed, TRUST, payload_type=TEXT).key.name == "ben"
    assert verify(unnamed, TRUST, payload_type=TEXT, hint=BEN.id).key.name == "ben"
    with pytest.raises(Distrusted, match="not the key's of anna"):
        verify(unnamed, TRUST, payload_type=TEXT, hint=ANNA.id)


@pytest.mark.parametrize("named", [True, False])
def test_a_revoked_key_counts_no_more(named: bool) -> None:
    gone = Revoked(datetime(2026, 3, 1, tzinfo=UTC), "the laptop was stolen")
    trust = Trust(TRUST.keys, Revocations(keys={ANNA.id: gone}))
    envelope = sign(TEXT, b"five", ANNA) if named else signature(keyid="")
    with pytest.raises(Distrusted, match="the key of anna was revoked on 2026-03-01: the laptop was stolen"):
        verify(envelope, trust, payload_type=TEXT)
    both = cosign(envelope, BEN)
    assert [each.name for each in verify(both, trust, payload_type=TEXT).keys] == ["ben"]


def test_several_may_sign_and_each_counts_once() -> None:
    both = cosign(cosign(sign(TEXT, b"five", ANNA), BEN), BEN)
    assert [each.name for each in verify(both, TRUST, payload_type=TEXT).keys] == ["anna", "ben"]
    assert len(both.signatures) == 2
    twice = replace(both, signatures=(*both.signatures, both.signatures[0]))
    assert [each.name for each in verify(twice, TRUST, payload_type=TEXT).keys] == ["anna", "ben"]
    one_wrong = replace(both, signatures=(replace(both.signatures[0], sig="AAAA"), both.signatures[1]))
    assert verify(one_wrong, TRUST, payload_type=TEXT).key.name == "ben"


def test_without_a_trust_it_is_believed_and_nobody_is_named() -> None:
    envelope = sign(TEXT, b"five", EVE)
    assert opened(envelope, None, payload_type=TEXT, what="it").keys == ()
    assert unverified(envelope, payload_type=TEXT, what="it") == b"five"
    with pytest.raises(Distrusted, match="signed as something else"):
        opened(envelope, None, payload_type="text/html", what="it")
    with pytest.raises(Distrusted):
        opened(envelope, TRUST, payload_type=TEXT, what="it")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff{}",
        b'{"payload": "", "payloadType": "a"}',
        b'{"payload": "", "payload": "", "payloadType": "a", "signatures": []}',
        b'{"payload": 1, "payloadType": "a", "signatures": []}',
        b'{"payload": "", "payloadType": "a", "signatures": {"sig": ""}}',
        b"[" * 100_000,
        b" " * (9 << 20),
    ],
)
def test_what_is_no_envelope_is_refused(content: bytes) -> None:
    with pytest.raises(Distrusted, match="cannot be read"):
        Envelope.read(content)
