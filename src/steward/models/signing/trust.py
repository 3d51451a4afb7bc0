"""Whom to trust: a folder of public keys, and what was revoked since.

``<name>.pem`` holds the public key of whoever is called ``<name>``; ``revoked.json`` tells which keys and which
digests are good no more, when and why. The folder is read anew each time, so that revoking takes effect at once.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from steward.errors import DeclarationError, Distrusted, EngineError
from steward.models.signing.keys import MAX_PEM_BYTES, PublicKey

REVOKED: Final = "revoked.json"
MAX_KEYS: Final = 256
_MAX_REVOKED_BYTES: Final = 4 << 20
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,63}")
_KEY_ID = r"^[0-9a-f]{64}$"
_DIGEST = r"^sha256:[0-9a-f]{64}$"


class Revoked(Struct, frozen=True, forbid_unknown_fields=True):
    """Since when something is good no more, and why.

    Example:
        >>> from datetime import UTC
        >>> Revoked(datetime(2026, 3, 1, tzinfo=UTC), "the laptop was stolen").reason
        'the laptop was stolen'
    """

    at: Annotated[datetime, Meta(tz=True)]
    reason: Annotated[str, Meta(min_length=1)]


class Revocations(Struct, frozen=True, forbid_unknown_fields=True):
    """What ``revoked.json`` holds: keys by their ids, artefacts by their digests.

    Example:
        >>> Revocations().keys
        {}
    """

    keys: dict[Annotated[str, Meta(pattern=_KEY_ID)], Revoked] = {}
    digests: dict[Annotated[str, Meta(pattern=_DIGEST)], Revoked] = {}


class TrustedKey(NamedTuple):
    """A key and the name of its file, which says whose it is.

    Example:
        >>> from steward.models.signing.keys import PrivateKey
        >>> TrustedKey("anna", PrivateKey.of_seed(bytes(32)).public).name
        'anna'
    """

    name: str
    key: PublicKey


@dataclass(frozen=True)
class Trust:
    """The keys that are believed, and what was revoked.

    Args:
        keys: Each key by its id, revoked ones too.
        revoked: What is good no more.

    Example:
        >>> from steward.models.signing.keys import PrivateKey
        >>> anna = PrivateKey.of_seed(bytes(32))
        >>> trust = Trust.of(anna=anna.public)
        >>> trust.keys[anna.id].name, trust.revoked.keys
        ('anna', {})
    """

    keys: Mapping[str, TrustedKey]
    revoked: Revocations = field(default_factory=Revocations)

    @classmethod
    def of(cls, **keys: PublicKey) -> Trust:
        """Trust these keys, by whose they are."""
        return cls({key.id: TrustedKey(name, key) for name, key in keys.items()})

    @classmethod
    def read(cls, folder: Path) -> Trust:
        """Read the folder as it is now.

        Raises:
            DeclarationError: There is no such folder, everybody may write to it, or a file in it is not a public key.
            EngineError: It cannot be read.
        """
        try:
            _refuse_open(folder)
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".pem")
            if len(paths) > MAX_KEYS:
                raise DeclarationError(f"{folder} holds more than {MAX_KEYS} keys", fix="trust fewer", field="trust")
            keys = [TrustedKey(check_owner(path.stem), _public(path)) for path in paths]
            return cls({each.key.id: each for each in keys}, _read_revoked(folder / REVOKED))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DeclarationError(
                f"there is no folder {folder} of trusted keys",
                why="the setting trust names it, so nothing can be believed without it",
                fix="steward models keys trust NAME FILE makes it, or set trust to nothing to work without signatures",
                field="trust",
            ) from error
        except OSError as error:
            raise EngineError(f"the trusted keys in {folder} cannot be read", why=str(error)) from error

    def require(self, digest: str, what: str) -> None:
        """Refuse an artefact that was revoked by its digest; ``what`` names it.

        Raises:
            Distrusted: It was.
        """
        if found := self.revoked.digests.get(digest):
            raise Distrusted(
                f"{what} was revoked on {found.at:%Y-%m-%d}",
                why=found.reason,
                fix="use another version; what was revoked stays so",
            )


def trust_key(folder: Path, name: str, key: PublicKey) -> Path:
    """Add a public key to a folder of trusted ones; ``name`` says whose it is.

    Raises:
        DeclarationError: The name cannot name a file.
        EngineError: The folder is not writable.
    """
    path = folder / f"{check_owner(name)}.pem"
    _replace(path, key.to_pem())
    return path


def revoke(folder: Path, what: str, *, reason: str, at: datetime) -> Revocations:
    """Revoke a key by its id, or an artefact by its ``sha256:`` digest, from now on; it cannot be undone here.

    Raises:
        DeclarationError: ``what`` is neither, or the reason is empty.
        EngineError: The folder is not writable.
    """
    now = _read_revoked(folder / REVOKED)
    field_name = "digests" if what.startswith("sha256:") else "keys"
    content = {**msgspec.to_builtins(now)}
    entry = msgspec.to_builtins(Revoked(at, reason.strip()))
    content[field_name] = {what: entry, **content[field_name]}  # who was revoked before keeps the first reason
    try:
        made = msgspec.convert(content, Revocations)
    except msgspec.ValidationError as error:
        raise DeclarationError(
            f"{what!r} cannot be revoked",
            why=str(error),
            fix="give a key's id of 64 hex digits or sha256:<64 hex digits>, and a reason",
            field="revoke",
        ) from error
    _replace(folder / REVOKED, msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    return made


def check_owner(name: str) -> str:
    """Return ``name``, if it can name the owner of a key.

    Raises:
        DeclarationError: It cannot: lower-case letters and digits, joined by one of ``. _ -``.
    """
    if not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{name!r} cannot name a key's owner",
            fix="use lower-case letters and digits, joined by . _ or -",
            field="name",
        )
    return name


def _public(path: Path) -> PublicKey:
    _refuse_open(path)
    try:
        return PublicKey.from_pem(_head(path, MAX_PEM_BYTES))
    except DeclarationError as error:
        raise DeclarationError(f"{path}: {error.what}", why=error.why, fix=error.fix, field="trust") from error


def _read_revoked(path: Path) -> Revocations:
    try:
        _refuse_open(path)
        return msgspec.json.decode(_head(path, _MAX_REVOKED_BYTES), type=Revocations)
    except FileNotFoundError:
        return Revocations()
    except msgspec.MsgspecError as error:  # to go on without it would trust what was revoked
        raise EngineError(f"{path} cannot be read", why=str(error), fix="restore it from a copy") from error


def _head(path: Path, most_bytes: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most_bytes)


def _refuse_open(path: Path) -> None:
    if (mode := stat.S_IMODE(path.stat().st_mode)) & stat.S_IWOTH:
        raise DeclarationError(
            f"{path} decides whom to trust, and everybody may write to it",
            why=f"its mode is {mode:04o}",
            fix=f"chmod o-w {path}",
            field="trust",
        )


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise EngineError(f"{path} cannot be written", why=str(error), fix="check the folder's permissions") from error
