"""The files beside the database: the lock, the signing key and the checkpoint outside it."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from steward.errors import EngineError, IntegrityError
from steward.ledger.note import Signer


def failed(error: OSError, path: Path) -> EngineError:
    """Return the error to raise when a file beside the database cannot be used."""
    return EngineError(
        f"{path} cannot be used",
        why=str(error),
        fix="check that its folder exists, is writable and has space",
        retryable=True,
    )


def beside(path: Path, ending: str) -> Path:
    """Return the path of a companion file.

    Example:
        >>> beside(Path("data/ledger.db"), "key").as_posix()
        'data/ledger.db.key'
    """
    return path.with_name(f"{path.name}.{ending}")


class WriterLock:
    r"""Held by the one process that may write; the system lets go of it when that process dies.

    Args:
        path: The lock file; it keeps the holder's process id, for people.

    Raises:
        EngineError: Somebody else holds it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "ledger.db.lock"
        >>> lock = WriterLock(path)
        >>> path.read_text() == f"process {os.getpid()}\n"
        True
        >>> lock.release()
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise failed(error, path) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 200).decode(errors="replace").strip() or "another process"
            os.close(self._file)
            raise EngineError(
                "the ledger is already open for writing",
                why=f"{holder} holds {path}",
                fix="stop that process, or give this one a ledger of its own",
                retryable=True,
                code="engine.locked",
            ) from error
        try:
            os.ftruncate(self._file, 0)
            os.write(self._file, f"process {os.getpid()}\n".encode())
        except OSError as error:
            self.release()
            raise failed(error, path) from error

    def release(self) -> None:
        """Let go; calling it twice is fine."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def load_key(path: Path) -> Signer | None:
    """Return the signing key in ``path``, or ``None`` if there is no such file.

    Raises:
        EngineError: Others than its owner may read it, or it cannot be read.
        IntegrityError: It is not a signing key.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise EngineError(
                f"the signing key {path} is open to others",
                why=f"its mode is {mode:04o}; whoever reads it can forge checkpoints",
                fix=f"chmod 600 {path}, and think about who may have read it",
                code="engine.key-open",
            )
        return Signer(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(error, path) from error
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{path} is not a signing key", fix="restore it from a backup") from error


def make_key(path: Path, name: str) -> Signer:
    """Make a signing key and keep it in ``path`` (mode 0600), durably."""
    signer = Signer.generate(name)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w") as stream:
            stream.write(signer.skey + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        _sync_folder(path)
    except OSError as error:
        raise failed(error, path) from error
    return signer


def read_note(path: Path) -> str | None:
    """Return the checkpoint kept outside the database, or ``None`` if there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(error, path) from error
    except UnicodeDecodeError as error:
        raise IntegrityError(f"the checkpoint {path} cannot be read", fix="restore it from a backup") from error


def write_note(path: Path, note: str) -> None:
    """Replace the checkpoint outside the database at once and durably."""
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write(note)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
        _sync_folder(path)
    except OSError as error:
        raise failed(error, path) from error


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
