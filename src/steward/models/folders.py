"""One model's folder on disk: written at once and for good, and read with proof.

``<digest>/`` holds ``manifest.json`` and the files it names; the folder's name is the SHA-256 of the manifest,
and the manifest has the SHA-256 of each file. What is verified are the bytes that are handed on, read once.
``statements/`` stands beside it, with what was stated since: each a file that is replaced as a whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from steward.errors import EngineError, IntegrityError
from steward.models.artefact import STATEMENTS
from steward.models.manifest import MANIFEST, Manifest, decode, digest_of

MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30
MAX_STATEMENT_BYTES = 4 << 20
BESIDE = "statements"
Pieces = bytes | Iterable[bytes]
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}
_REPLACE = "restore this folder from a copy, or remove it and register the model again"


def write(
    place: Path,
    draft: Path,
    content: bytes,
    files: Mapping[str, Pieces],
    statements: Mapping[str, bytes] | None = None,
) -> bool:
    """Write a version to the folder ``place``, all or nothing, durable on return.

    Args:
        place: The version's folder; it must not exist yet.
        draft: A folder beside it, not there yet either, to write to before it is given its name.
        content: The manifest's bytes; it names the files.
        files: Their bytes, whole or in pieces.
        statements: What is stated about it from the start, by the statements' files.

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
        _sync_folder(inner)
        if statements:
            (draft / BESIDE).mkdir()
            for name, data in statements.items():
                _write_file(draft / BESIDE / name, data)
            _sync_folder(draft / BESIDE)
        _sync_folder(draft)
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


def replace_statement(place: Path, fresh: Path, name: str, content: bytes) -> None:
    """Put a statement beside the version at ``place``, in the place of the former one, whole and durable on return.

    Args:
        place: The version's folder.
        fresh: A file outside of it, not there yet, to write to first.
        name: The statement's file.
        content: Its bytes.

    Raises:
        EngineError: The disk is full, not writable, or failed.
    """
    folder = place / BESIDE
    try:
        folder.mkdir(exist_ok=True)
        _require_folder(folder)
        _write_file(fresh, content)
        fresh.replace(folder / name)
        for each in (folder, place):
            _sync_folder(each)
    except OSError as error:
        raise EngineError(
            f"{name} could not be written to {folder}",
            retryable=error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO},
            why=str(error),
            fix="check the disk's space and the folder's permissions",
        ) from error
    finally:
        fresh.unlink(missing_ok=True)


def proven(manifest: Manifest, files: Mapping[str, Pieces]) -> dict[str, Pieces]:
    """Return the files so that they can be read once, failing at the end of one that is not the manifest's.

    Raises:
        IntegrityError: There is one too few or too many; while one is read: it is another.
    """
    if set(files) != set(manifest.files):
        raise _foreign(manifest, f"its files are not those that {MANIFEST} names")
    return {name: _proven(manifest, name, pieces) for name, pieces in files.items()}


def _proven(manifest: Manifest, name: str, pieces: Pieces) -> Iterator[bytes]:
    facts, seen, size_bytes = manifest.files[name], sha256(), 0
    for piece in (pieces,) if isinstance(pieces, bytes) else pieces:
        seen.update(piece)
        size_bytes += len(piece)
        if size_bytes > facts.size_bytes:
            break
        yield piece
    if (seen.hexdigest(), size_bytes) != (facts.sha256, facts.size_bytes):
        raise _foreign(manifest, f"{name} is not the file whose SHA-256 is in {MANIFEST}")


def _foreign(manifest: Manifest, why: str) -> IntegrityError:
    what = f"version {manifest.version} of {manifest.name!r} cannot be taken in"
    return IntegrityError(what, why=why, fix="export it again from where it was registered")


def _write_file(path: Path, content: Pieces) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "wb") as file:
        for piece in (content,) if isinstance(content, bytes) else content:
            file.write(piece)
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
    inside = sorted(entry.name for entry in os.scandir(place) if entry.name != BESIDE)
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


def read_statements(place: Path) -> dict[str, bytes]:
    """Return what is stated beside the version at ``place``: the bytes as they are, for others to verify.

    Raises:
        IntegrityError: There is something else among the statements, a link, or something far too large.
    """
    folder = place / BESIDE
    if not folder.is_symlink() and not folder.exists():
        return {}
    _require_folder(folder)
    names = sorted(entry.name for entry in os.scandir(folder))
    if extra := [name for name in names if name not in STATEMENTS]:
        raise _broken(folder, f"{', '.join(extra)} is no statement: {', '.join(STATEMENTS)} are")
    return {name: _read_file(folder / name, MAX_STATEMENT_BYTES) for name in names}


def _require_folder(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        raise _broken(path, "it must be a folder, and not a link")


def _read_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file once; the bytes returned are the ones that get verified."""
    with open_file(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise _broken(path.parent, f"{path.name} is larger than {most_bytes} bytes")
    return content


def open_file(path: Path) -> BinaryIO:
    """Open a file of a registered model for reading.

    Raises:
        IntegrityError: It is missing, a link, or not a regular file.
        EngineError: It cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not make it wait
    except FileNotFoundError as error:
        raise _broken(path.parent, f"{path.name} is missing") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _broken(path.parent, f"{path.name} is a link") from error
        raise EngineError(f"{path} cannot be read", why=str(error), fix="check the folder's permissions") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _broken(path.parent, f"{path.name} is not a regular file")
    return open(handle, "rb")


def _broken(place: Path, why: str) -> IntegrityError:
    return IntegrityError(f"the model in {place} is not what was registered", why=why, fix=_REPLACE)
