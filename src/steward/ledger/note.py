"""Signed notes and tree heads as C2SP writes them: `signed-note`, `tlog-checkpoint`, with Ed25519.

A note is text, an empty line, and signature lines ``— <name> <base64(key id ‖ signature)>``. Keys are in the
encoding of Go's ``golang.org/x/mod/sumdb/note``, so that notes can be made and opened with common tools.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from steward.errors import IntegrityError

_ED25519 = b"\x01"
_SECRET_PREFIX = "PRIVATE+KEY+"  # noqa: S105 - the encoding's marker, not a secret


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _check_name(name: str) -> str:
    if not name or "+" in name or any(letter.isspace() for letter in name):
        raise IntegrityError(f"{name!r} cannot name a signing key", why="it is empty or has a space or a plus")
    return name


def _parse_key(text: str) -> tuple[str, bytes, bytes]:
    """Split ``<name>+<hex id>+<base64(algorithm ‖ key)>``."""
    try:
        name, hex_id, encoded = text.strip().split("+", 2)
        key_id, key = bytes.fromhex(hex_id), b64decode(encoded, validate=True)
    except (ValueError, Base64Error) as error:
        raise IntegrityError("a signing key cannot be read", why=str(error)) from error
    if len(key) != 33 or key[:1] != _ED25519:
        raise IntegrityError("a signing key cannot be read", why="it is not an Ed25519 key")
    return _check_name(name), key_id, key[1:]


class Verifier:
    r"""Opens notes of one key.

    Args:
        vkey: The public key, ``<name>+<hex id>+<base64>``.

    Raises:
        IntegrityError: The key is not in this encoding, or its id does not fit.

    Example:
        >>> signer = Signer.of_seed("steward.example/ledger", bytes(32))
        >>> Verifier(signer.vkey).open(signer.sign("five\n"))
        'five\n'
    """

    def __init__(self, vkey: str) -> None:
        self.name, self._id, public = _parse_key(vkey)
        if self._id != _key_id(self.name, public):
            raise IntegrityError("a public key's id does not fit its key", fix="copy the whole key again")
        self._public = Ed25519PublicKey.from_public_bytes(public)
        self.vkey = vkey.strip()

    def open(self, note: str) -> str:
        """Return the note's text.

        Raises:
            IntegrityError: It is not a note, or this key did not sign it.
        """
        text, gap, signatures = note.rpartition("\n\n")
        if not gap or not signatures.endswith("\n"):
            raise IntegrityError("this is not a signed note", why="it has no signature lines")
        text += "\n"
        prefix = f"— {self.name} "
        for line in signatures[:-1].split("\n"):
            if line.startswith(prefix):
                try:
                    signature = b64decode(line[len(prefix) :], validate=True)
                    if b64encode(signature).decode() != line[len(prefix) :]:
                        raise ValueError("its base64 has bits that mean nothing")
                    if signature[:4] != self._id:
                        continue
                    self._public.verify(signature[4:], text.encode())
                except (Base64Error, ValueError, InvalidSignature) as error:
                    raise IntegrityError(
                        f"the signature of {self.name} does not hold", why="the note or its signature was changed"
                    ) from error
                return text
        raise IntegrityError(f"the note is not signed by {self.name}")


class Signer:
    """Signs notes with an Ed25519 key.

    Args:
        skey: The private key, ``PRIVATE+KEY+<name>+<hex id>+<base64>``.

    Raises:
        IntegrityError: The key is not in this encoding, or its id does not fit.

    Example:
        >>> Signer.of_seed("steward.example/ledger", bytes(32)).vkey[:31]
        'steward.example/ledger+315922d4'
    """

    def __init__(self, skey: str) -> None:
        if not skey.startswith(_SECRET_PREFIX):
            raise IntegrityError("this is not a private signing key", why=f"it does not start with {_SECRET_PREFIX}")
        self.name, self._id, seed = _parse_key(skey.removeprefix(_SECRET_PREFIX))
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        if self._id != _key_id(self.name, public):
            raise IntegrityError("a private key's id does not fit its key", fix="restore the key file from a backup")
        self.skey = skey.strip()
        self.vkey = f"{self.name}+{self._id.hex()}+{b64encode(_ED25519 + public).decode()}"

    @classmethod
    def of_seed(cls, name: str, seed: bytes) -> Signer:
        """Make the key that belongs to 32 secret bytes; ``name`` has no space and no plus."""
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        key_id = _key_id(_check_name(name), public).hex()
        return cls(f"{_SECRET_PREFIX}{name}+{key_id}+{b64encode(_ED25519 + seed).decode()}")

    @classmethod
    def generate(cls, name: str) -> Signer:
        """Make a new key from the operating system's randomness."""
        return cls.of_seed(name, Ed25519PrivateKey.generate().private_bytes_raw())

    def sign(self, text: str) -> str:
        """Return ``text`` (which must end in a newline) as a signed note."""
        if not text.endswith("\n"):
            raise IntegrityError("a note's text must end in a newline")
        signature = b64encode(self._id + self._private.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    r"""Return a tree head as C2SP tlog-checkpoint writes it.

    Example:
        >>> checkpoint_text("steward.example/ledger", 0, bytes(3))
        'steward.example/ledger\n0\nAAAA\n'
    """
    return f"{origin}\n{size}\n{b64encode(root).decode()}\n"


def parse_checkpoint(text: str) -> tuple[str, int, bytes]:
    """Return origin, size and root of a tree head; lines after these three are extensions.

    Raises:
        IntegrityError: It is not a tree head.
    """
    lines = text.split("\n")
    try:
        origin, digits, encoded = lines[:3]
        root = b64decode(encoded, validate=True)
    except (ValueError, Base64Error) as error:
        raise IntegrityError("a checkpoint cannot be read", why=str(error)) from error
    if not digits.isascii() or not digits.isdigit() or str(int(digits)) != digits or len(root) != 32 or not origin:
        raise IntegrityError("a checkpoint cannot be read", why=f"size {digits!r} or root {encoded!r} is malformed")
    return origin, int(digits), root
