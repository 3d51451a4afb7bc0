"""The keys that models are signed with: Ed25519 or ECDSA on P-256, in PEM files.

A key's id is the SHA-256 of its public half as PEM, which is what OpenSSF model-signing writes into its bundles, so
one key has one name in both. A private key lives in a file that only its owner can read, and never in a log.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from steward.errors import Conflict, DeclarationError, Denied, EngineError, NotFound, StewardError

Kind = Literal["ed25519", "p256"]
MAX_PEM_BYTES: Final = 4096
_ECDSA: Final = ECDSA(hashes.SHA256())
_KINDS: Final = "an Ed25519 key, or one on the curve P-256"


class PublicKey:
    """The half of a key that everybody may have; it tells whether the other half has signed.

    Args:
        key: An Ed25519 key, or one on the curve P-256.

    Raises:
        DeclarationError: It is of another kind.

    Example:
        >>> key = PrivateKey.of_seed(bytes(32))
        >>> key.public.holds(key.sign(b"five"), b"five"), key.public.holds(key.sign(b"five"), b"six")
        (True, False)
        >>> key.public.kind, key.public.id[:12]
        ('ed25519', 'c38bd1e7d660')
    """

    def __init__(self, key: object) -> None:
        if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey) or not _is_known(key):
            raise DeclarationError("this public key cannot verify models", fix=f"use {_KINDS}", field="key")
        self._key = key
        self.kind: Kind = "ed25519" if isinstance(key, Ed25519PublicKey) else "p256"
        self.id = sha256(self.to_pem()).hexdigest()

    @classmethod
    def from_pem(cls, content: bytes) -> PublicKey:
        """Read a public key.

        Raises:
            DeclarationError: It is not one in PEM, or of another kind; a private key is refused by name.
        """
        if b"PRIVATE KEY" in content:
            raise DeclarationError(
                "this is a private key, where a public one belongs",
                why="whoever can read it can sign in its owner's name",
                fix="take it away, make a new key, and revoke this one if others could read it",
                field="key",
            )
        try:
            return cls(load_pem_public_key(content))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise DeclarationError(
                "a public key cannot be read",
                why=str(error).split("\n")[0][:200],
                fix=f"use {_KINDS}, as PEM",
                field="key",
            ) from error

    def to_pem(self) -> bytes:
        """Return it as PEM (SubjectPublicKeyInfo)."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def holds(self, signature: bytes, content: bytes) -> bool:
        """Whether ``signature`` is this key's over ``content``."""
        try:
            if isinstance(self._key, Ed25519PublicKey):
                self._key.verify(signature, content)
            else:
                self._key.verify(signature, content, _ECDSA)
        except InvalidSignature:
            return False
        return True

    def __repr__(self) -> str:
        return f"PublicKey({self.kind} {self.id[:12]})"


class PrivateKey:
    """The half of a key that signs; it shows nothing of itself but its id.

    Args:
        key: An Ed25519 key, or one on the curve P-256.

    Raises:
        DeclarationError: It is of another kind.

    Example:
        >>> PrivateKey.of_seed(bytes(32))
        PrivateKey(ed25519 c38bd1e7d660)
    """

    def __init__(self, key: object) -> None:
        if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
            raise DeclarationError("this private key cannot sign models", fix=f"use {_KINDS}", field="key")
        self.__key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def new(cls, kind: Kind = "ed25519") -> PrivateKey:
        """Make a key from the operating system's randomness; ``p256`` where other tools must verify too."""
        return cls(Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(SECP256R1()))

    @classmethod
    def of_seed(cls, seed: bytes) -> PrivateKey:
        """Make the Ed25519 key that belongs to 32 secret bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def read(cls, path: Path) -> PrivateKey:
        """Read the key in a file that is its owner's alone.

        Raises:
            NotFound: There is no such file.
            Denied: Others can read or change the file, or it is somebody else's.
            DeclarationError: It is not a private key in PEM without a password, or of another kind.
        """
        content = _read_own(path)
        try:
            return cls(load_pem_private_key(content, password=None))
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # the cause could quote the key: leave it out
            raise DeclarationError(
                f"{path} is not a private key that can sign models",
                why="it has a password" if isinstance(error, TypeError) else "",
                fix=f"use {_KINDS}, as PEM without a password",
                field="key",
            ) from None

    def write(self, path: Path) -> None:
        """Write the key to a new file of mode 0600, durable on return.

        Raises:
            Conflict: There is a file already; a key is never overwritten.
            EngineError: The disk is full or not writable.
        """
        content = self.__key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if isinstance(error, FileExistsError) and error.filename == str(path):
                raise Conflict(f"there is a key in {path} already", fix="choose another name", field="name") from error
            raise EngineError(f"the key cannot be written to {path}", why=str(error), fix="check the folder") from error

    def sign(self, content: bytes) -> bytes:
        """Return the signature over ``content``: 64 bytes of Ed25519, or ECDSA with SHA-256 in DER."""
        key = self.__key
        return key.sign(content) if isinstance(key, Ed25519PrivateKey) else key.sign(content, _ECDSA)

    @property
    def id(self) -> str:
        """The key's id, the same as its public half's."""
        return self.public.id

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.kind} {self.id[:12]})"

    def __reduce__(self) -> str:
        raise StewardError("a private key is not copied into files", fix="write() it to one of its own")


def _is_known(key: Ed25519PublicKey | EllipticCurvePublicKey) -> bool:
    return isinstance(key, Ed25519PublicKey) or isinstance(key.curve, SECP256R1)


def _read_own(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        fix = "steward models keys new NAME makes one"
        raise NotFound(f"there is no key in {path}", fix=fix, field="key") from error
    except OSError as error:
        raise Denied(f"the key in {path} cannot be read", why=str(error), fix="use a file of your own") from error
    with open(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise Denied(f"{path} is not a regular file", fix="use a file of your own", field="key")
        if facts.st_uid not in {os.geteuid(), 0}:
            raise Denied(f"the key in {path} is somebody else's", fix="sign with a key of your own", field="key")
        if (mode := stat.S_IMODE(facts.st_mode)) & 0o077:
            raise Denied(
                f"the key in {path} is open to others",
                why=f"its mode is {mode:04o}; whoever reads it can sign in its owner's name",
                fix=f"chmod 600 {path}, or make a new key and revoke this one if others could read it",
                field="key",
            )
        return file.read(MAX_PEM_BYTES)
