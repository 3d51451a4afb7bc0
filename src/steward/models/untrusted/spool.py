"""Where an upload is kept until it is known what it is: on disk, up to a quota, in a file that has no name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from steward.errors import ContractError, EngineError
from steward.models.sandbox.limited import Limits
from steward.models.untrusted.archive import CHUNK_BYTES


def limits_for(size_bytes: int) -> Limits:
    """Return what reading an upload may use: what any model needs, and more for a large one.

    Example:
        >>> limits_for(100 << 20).cpu_s
        160
    """
    mib = size_bytes >> 20
    return Limits(memory_bytes=(3 << 30) + 10 * size_bytes, cpu_s=60 + mib, wall_s=120 + 4 * mib)


class Spool:
    """An upload on its way to disk: a file without a name, gone when it is closed or the process ends.

    Args:
        file: The file.
        quota_bytes: The most that is taken.

    Example:
        >>> with spool(Path("/tmp"), quota_bytes=10) as upload:
        ...     upload.write(b"tree")
        ...     upload.size_bytes
        4
    """

    def __init__(self, file: IO[bytes], quota_bytes: int) -> None:
        self.file, self.quota_bytes, self.size_bytes = file, quota_bytes, 0

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            ContractError: It is more than the quota (``code`` is ``model-too-large``).
            EngineError: The disk is full or failed.
        """
        self.size_bytes += len(piece)
        self.require(self.size_bytes)
        try:
            self.file.write(piece)
        except OSError as error:
            raise EngineError("an upload cannot be written", retryable=True, why=str(error)) from error

    def require(self, size_bytes: int) -> None:
        """Refuse what would be larger than the quota; see :func:`check_quota`."""
        check_quota(size_bytes, self.quota_bytes)


def check_quota(size_bytes: int, quota_bytes: int) -> None:
    """Refuse what is larger than the quota.

    Raises:
        ContractError: It is (``code`` is ``model-too-large``).
    """
    if size_bytes > quota_bytes:
        raise ContractError(
            f"the model is larger than {quota_bytes} bytes",
            fix="make it smaller, or raise the setting max_model_bytes",
            code="model-too-large",
        )


@contextmanager
def spool(folder: Path, *, quota_bytes: int) -> Iterator[Spool]:
    """Open a spool on the disk of ``folder``, or of the nearest one above it that is there.

    Raises:
        EngineError: It cannot be written to.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    try:
        file = tempfile.TemporaryFile(dir=there)  # noqa: SIM115 - closed below
    except OSError as error:
        raise EngineError(f"an upload cannot be kept in {there}", why=str(error)) from error
    with file:
        yield Spool(file, quota_bytes)


def copy(source: IO[bytes], upload: Spool) -> None:
    """Copy a file of any size, a pipe too, to a spool.

    Raises:
        ContractError: It is more than the quota.
        EngineError: The disk failed.
    """
    while piece := source.read(CHUNK_BYTES):
        upload.write(piece)
