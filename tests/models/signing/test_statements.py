from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from tests.models.vouching import key_of

from steward.errors import Distrusted
from steward.models.signing.dsse import IN_TOTO, sign
from steward.models.signing.keys import Kind
from steward.models.signing.statements import sign_files, verify_files
from steward.models.signing.trust import Trust

DIGESTS = {"manifest.json": "a" * 64, "model.txt": "b" * 64}
ANNA = key_of("anna")
TRUST = Trust.of(anna=ANNA.public, ben=key_of("ben", "p256").public)


def bundle(digests: Mapping[str, str] = DIGESTS, **changes: Any) -> bytes:
    return changed(sign_files("load/1", digests, ANNA), **changes)


def changed(content: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(content), **changes}).encode()


def restated(**changes: Any) -> bytes:
    """Return a bundle that anna has really signed, over a statement that is changed; ``a__b`` is a path."""
    made = json.loads(bundle())
    statement = json.loads(b64decode(made["dsseEnvelope"]["payload"]))
    for path, value in changes.items():
        *way, last = path.split("__")
        place = statement
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[last if isinstance(place, dict) else int(last)] = value
    made["dsseEnvelope"] = msgspec.to_builtins(sign(IN_TOTO, json.dumps(statement).encode(), ANNA))
    return json.dumps(made).encode()


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_signature_holds_for_exactly_these_files(kind: Kind) -> None:
    key = key_of("carla", kind)
    trust = Trust.of(carla=key.public)
    made = sign_files("load/1", DIGESTS, key)
    assert verify_files(made, DIGESTS, trust).name == "carla"
    for other, says in [
        ({**DIGESTS, "model.txt": "c" * 64}, "carla signed other bytes of model.txt"),
        ({**DIGESTS, "extra.txt": "c" * 64}, "carla signed other files: extra.txt is not among them"),
        ({**DIGESTS, ".hidden": "c" * 64}, "carla signed other files: .hidden is not among them"),
        ({"manifest.json": "a" * 64}, "model.txt, which carla signed, is missing"),
        ({"manifest.json": "a" * 64, "model.bin": "b" * 64}, "model.bin is not among them"),
        ({"manifest.json": "b" * 64, "model.txt": "a" * 64}, "other bytes of manifest.json"),
        ({}, "manifest.json, which carla signed, is missing"),
    ]:
        with pytest.raises(Distrusted, match=re.escape(says)):
            verify_files(made, other, trust)


def test_the_shape_is_the_one_of_model_signing() -> None:
    told = json.loads(bundle())
    assert told["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert told["verificationMaterial"] == {"publicKey": {"hint": ANNA.id}, "tlogEntries": []}
    assert json.loads(b64decode(told["dsseEnvelope"]["payload"])) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {
                "name": "load/1",
                "digest": {"sha256": "e2d80f78d79027556d6619a1400605abbdca6bb6eb24e0831e33ecd5466fa5f6"},
            }
        ],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [
                {"name": "manifest.json", "digest": "a" * 64, "algorithm": "sha256"},
                {"name": "model.txt", "digest": "b" * 64, "algorithm": "sha256"},
            ],
        },
    }


MATERIAL = {"publicKey": {"hint": key_of("ben", "p256").id}, "tlogEntries": []}
SERIALIZED = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
SHARDS = {**SERIALIZED, "method": "shards", "shard_size": 1000}
TWICE = [{"name": "model.txt", "digest": "b" * 64, "algorithm": "sha256"}] * 2
FOREIGN: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"signed by anna", "cannot be read"),
    "no bundle": (sign(IN_TOTO, b"{}", ANNA).to_bytes(), "cannot be read"),
    "another bundle": (bundle(mediaType="application/vnd.dev.sigstore.bundle.v0.1+json"), "v0.1"),
    "two keys": (bundle(verificationMaterial=MATERIAL), "names two keys"),
    "a certificate": (bundle(verificationMaterial={"certificate": {"rawBytes": ""}}), "cannot be read"),
    "another payload type": (
        bundle(dsseEnvelope=msgspec.to_builtins(sign("application/json", b"{}", ANNA))),
        "signed as something else",
    ),
    "an older statement": (restated(_type="https://in-toto.io/Statement/v0.1"), "cannot be read"),
    "an older predicate": (restated(predicateType="https://model_signing/Digests/v0.1"), "cannot be read"),
    "a provenance": (restated(predicateType="https://slsa.dev/provenance/v1"), "cannot be read"),
    "shards": (restated(predicate__serialization=SHARDS), "anna signed shards by sha256"),
    "blake3": (restated(predicate__serialization={**SERIALIZED, "hash_type": "blake3"}), "signed files by blake3"),
    "a blake2 digest": (restated(predicate__resources__1__algorithm="blake2"), "only files by sha256 are read"),
    "a file twice": (restated(predicate__resources=TWICE), "anna signed a file twice"),
    "another subject": (restated(subject__0__digest={"sha256": "c" * 64}), "its subject is not the digest"),
    "no subject": (restated(subject=[]), "its subject is not the digest"),
    "two subjects": (restated(subject=[{"name": "a", "digest": {}}, {"name": "b", "digest": {}}]), "its subject"),
    "no files": (restated(predicate__resources=[]), "manifest.json is not among them"),
    "a digest that is none": (restated(predicate__resources__1__digest="zz"), "other bytes of model.txt"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_signed_for_something_else_is_refused(what: str) -> None:
    content, says = FOREIGN[what]
    with pytest.raises(Distrusted, match=says) as caught:
        verify_files(content, DIGESTS, TRUST, "model 'load' version 1")
    assert "model 'load' version 1" in caught.value.what
    assert caught.value.why
    assert "sign" in caught.value.fix


def test_a_file_that_was_left_out_on_purpose_is_missed() -> None:
    left_out = restated(
        predicate__serialization={**SERIALIZED, "ignore_paths": ["model.txt"]},
        predicate__resources=[{"name": "manifest.json", "digest": "a" * 64, "algorithm": "sha256"}],
    )
    with pytest.raises(Distrusted, match=r"model\.txt is not among them"):
        verify_files(left_out, DIGESTS, TRUST)


def test_fields_that_the_standard_may_gain_are_ignored() -> None:
    assert verify_files(restated(predicate__steward={"more": 1}), DIGESTS, TRUST).name == "anna"
