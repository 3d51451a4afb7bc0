"""One model's folder on disk: written at once and for good, and read with proof.

``<digest>/`` holds ``manifest.json`` and the files it names; the folder's name is the SHA-256 of the manifest,
and the manifest has the SHA-256 of each file. What is verified are the bytes that are handed on, read once.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from steward.errors import EngineError, IntegrityError
from steward.models.manifest import MANIFEST, Manifest, decode, digest_of

MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}
_REPLACE = "restore this folder from a copy, or remove it and register the model again"


def write(place: Path, draft: Path, content: bytes, files: Mapping[str, bytes]) -> bool:
    """Write a version to the folder ``place``, all or nothing, durable on return.

    Args:
        place: The version's folder; it must not exist yet.
        draft: A folder beside it, not there yet either, to write to before it is given its name.
        content: The manifest's bytes; it names the files.
        files: Their bytes.

    Returns:
        Whether it was written; ``False`` if somebody else took the place meanwhile.

    Raises:
        EngineError: The disk is full, not writable, or failed.
    """
    inner = draft / digest_of(content).replace(":", "-")
    try:
        inner.mkdir(parents=True)
        for name, data in {**files, MANIFEST: content}.items():
            _write_file(inner / name, data)
        for folder in (inner, draft):
            _sync_folder(folder)
        draft.rename(place)  # refuses a folder that is not empty: who is first has the version
        for folder in (place.parent, place.parent.parent):
            _sync_folder(folder)
    except OSError as error:
        if error.errno in _TAKEN and place.exists():
            return False
        raise EngineError(
            f"model {place.parent.name!r} could not be written to {place.parent}",
            retryable=error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO},
            why=str(error),
            fix="check the disk's space and the folder's permissions",
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def _write_file(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_manifest(place: Path) -> tuple[Manifest, str, Path]:
    """Return the manifest of the version at ``place``, its digest, and the folder of its files.

    Raises:
        IntegrityError: It is not the manifest that was registered at this place.
    """
    for folder in (place.parent, place):
        _require_folder(folder)
    inside = sorted(entry.name for entry in os.scandir(place))
    if len(inside) != 1 or not inside[0].startswith("sha256-"):
        raise _broken(place, f"it must hold one folder named by a digest, it holds {', '.join(inside) or 'nothing'}")
    folder = place / inside[0]
    _require_folder(folder)
    content = _read_file(folder / MANIFEST, MAX_MANIFEST_BYTES)
    digest = digest_of(content)
    if digest.replace(":", "-") != folder.name:
        raise _broken(folder, f"{MANIFEST} was changed: its digest is {digest}, the folder is named {folder.name}")
    manifest = decode(content)
    if (manifest.name, str(manifest.version)) != (place.parent.name, place.name):
        raise _broken(folder, f"it is version {manifest.version} of {manifest.name!r}, moved here from its place")
    return manifest, digest, folder


def read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return the bytes of each file of the manifest, each of them verified.

    Raises:
        IntegrityError: A file is missing, there is one too many, one is a link, or its bytes are others.
    """
    if extra := sorted({entry.name for entry in os.scandir(folder)} - {MANIFEST, *manifest.files}):
        raise _broken(folder, f"{', '.join(extra)} was not registered with it")
    files = {name: _read_file(folder / name, facts.size_bytes) for name, facts in manifest.files.items()}
    for name, facts in manifest.files.items():
        if sha256(files[name]).hexdigest() != facts.sha256:
            raise _broken(folder, f"{name} was changed: its SHA-256 is not the one in {MANIFEST}")
    return files


def _require_folder(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        raise _broken(path, "it must be a folder, and not a link")


def _read_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file once; the bytes returned are the ones that get verified."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not make it wait
    except FileNotFoundError as error:
        raise _broken(path.parent, f"{path.name} is missing") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _broken(path.parent, f"{path.name} is a link") from error
        raise EngineError(f"{path} cannot be read", why=str(error), fix="check the folder's permissions") from error
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _broken(path.parent, f"{path.name} is not a regular file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise _broken(path.parent, f"{path.name} is larger than {most_bytes} bytes")
    return content


def _broken(place: Path, why: str) -> IntegrityError:
    return IntegrityError(f"the model in {place} is not what was registered", why=why, fix=_REPLACE)
