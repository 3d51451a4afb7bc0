from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tests.models.vouching import key_of

from steward.errors import Conflict, DeclarationError, Denied, EngineError, NotFound, StewardError
from steward.models.signing.keys import Kind, PrivateKey, PublicKey

KINDS: tuple[Kind, ...] = ("ed25519", "p256")


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b""
) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_and_signs_the_same(tmp_path: Path, kind: Kind) -> None:
    made = PrivateKey.new(kind)
    made.write(tmp_path / "keys" / "anna.key")
    read = PrivateKey.read(tmp_path / "keys" / "anna.key")
    assert (read.id, read.public.kind) == (made.id, kind)
    assert made.public.holds(read.sign(b"five"), b"five")
    assert PublicKey.from_pem(made.public.to_pem()).id == made.id


@pytest.mark.parametrize("kind", KINDS)
def test_another_content_signature_or_key_does_not_hold(kind: Kind) -> None:
    key, other = key_of("anna", kind), key_of("eve", kind)
    signature = key.sign(b"five")
    assert key.public.holds(signature, b"five")
    assert not key.public.holds(signature, b"six")
    assert not key.public.holds(signature[:-1] + bytes([signature[-1] ^ 1]), b"five")
    assert not key.public.holds(b"", b"five")
    assert not other.public.holds(signature, b"five")
    assert not key_of("anna", "p256" if kind == "ed25519" else "ed25519").public.holds(signature, b"five")


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        key_of("anna").write(tmp_path / "anna.key")
    finally:
        os.umask(old)
    assert (tmp_path / "anna.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o601, 0o777])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "anna.key"
    key_of("anna").write(path)
    path.chmod(mode)
    with pytest.raises(Denied, match=rf"open to others. Why: its mode is {mode:04o}.*Next: chmod 600"):
        PrivateKey.read(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "anna.key"
    key_of("anna").write(path)
    os.chown(path, 4711, 4711)
    with pytest.raises(Denied, match="somebody else's"):
        PrivateKey.read(path)


def test_links_and_pipes_are_no_keys(tmp_path: Path) -> None:
    key_of("anna").write(tmp_path / "anna.key")
    (tmp_path / "link.key").symlink_to(tmp_path / "anna.key")
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    with pytest.raises(Denied, match="cannot be read"):
        PrivateKey.read(tmp_path / "link.key")
    with pytest.raises(Denied, match="not a regular file"):
        PrivateKey.read(tmp_path / "pipe.key")
    with pytest.raises(NotFound, match="keys new NAME"):
        PrivateKey.read(tmp_path / "none.key")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    key_of("anna").write(tmp_path / "anna.key")
    with pytest.raises(Conflict):
        key_of("ben").write(tmp_path / "anna.key")
    assert PrivateKey.read(tmp_path / "anna.key").id == key_of("anna").id
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="cannot be written"):
        key_of("ben").write(tmp_path / "file" / "ben.key")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key"),
        (pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), "it has a password"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "cannot verify models"),
        (pem(rsa.generate_private_key(65537, 2048)), "cannot sign models"),
    ],
)
def test_what_is_no_key_of_ours_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "anna.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(DeclarationError, match=says):
        PrivateKey.read(path)


def test_public_keys_are_read_strictly() -> None:
    with pytest.raises(DeclarationError, match="private key, where a public one belongs"):
        PublicKey.from_pem(pem(ed25519.Ed25519PrivateKey.generate()))
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    for content in (b"", b"anna", other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        with pytest.raises(DeclarationError):
            PublicKey.from_pem(content)


def test_a_key_shows_nothing_of_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = key_of("anna")
    secret = (b"anna".ljust(32)).hex()
    key.write(tmp_path / "anna.key")
    text = (tmp_path / "anna.key").read_text().splitlines()[1]
    logging.getLogger("steward").warning("signing with %s, %r, %s", key, key, vars(key).keys())
    assert key.id[:12] in caplog.text
    assert secret not in caplog.text
    assert text not in f"{caplog.text}{key!r}{key}{[key]}"
    with pytest.raises(StewardError, match="not copied"):
        pickle.dumps(key)
    (tmp_path / "bad.key").write_text((tmp_path / "anna.key").read_text().replace("PRIVATE", "PRIVAT"))
    (tmp_path / "bad.key").chmod(0o600)
    with pytest.raises(DeclarationError) as caught:
        PrivateKey.read(tmp_path / "bad.key")
    assert text not in str(caught.value)
    assert caught.value.__cause__ is None
