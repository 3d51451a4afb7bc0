"""A batch's folder: what every process that runs paths must know, and the paths that are finished."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.scenarios.path import PathResult, Paths
from steward.errors import Conflict, IntegrityError, NotFound

_JOB, _HISTORY, _MODELS, _FINISHED = "job.json", "history.npz", "models", "paths.jsonl"
_DAY = timedelta(days=1)
_encode = msgspec.json.Encoder().encode
_decode_result = msgspec.json.Decoder(PathResult).decode


class Job(Struct, frozen=True, kw_only=True):
    """What makes a path what it is, but for its number; as plain data.

    Attributes:
        zone: The history's zone.
        start: The history's first hour.
        columns: What its columns mean.
        train_until: The models have seen what was before.
        first: The first local day of each path.
        days: How many.
        battery: Its limits.
        seed: Of all draws.
        block_days: The mean length of a block.

    Example:
        >>> sorted(Job.__struct_fields__)[:3]
        ['battery', 'block_days', 'columns']
    """

    zone: str
    start: datetime
    columns: Columns
    train_until: date
    first: date
    days: int
    battery: Battery
    seed: int
    block_days: float


@dataclass(frozen=True)
class Folder:
    """Where a batch lives; it may be killed at any time and goes on from here.

    Args:
        path: An existing folder.

    Example:
        >>> import tempfile
        >>> list(Folder(Path(tempfile.mkdtemp())).finished())
        []
    """

    path: Path

    @property
    def models(self) -> Path:
        """Where the trained models are."""
        return self.path / _MODELS

    def begin(self, job: Job, history: History) -> bool:
        """Keep what the paths need; return whether it was kept already.

        The models must be there: what is found here is complete.

        Raises:
            Conflict: Another batch lives here.
        """
        known = self._job()
        if known is not None:
            if known != job:
                raise Conflict(
                    f"another batch lives in {self.path}",
                    why="its paths would be mixed with new ones",
                    fix="choose another folder, or the same history, battery and seed",
                )
            return True
        np.savez(self.path / _HISTORY, **history.columns)  # type: ignore[arg-type]  # its stub takes a flag by this way
        self._write(_JOB, _encode(job))
        return False

    def holds(self) -> bool:
        """Tell whether a batch has begun here."""
        return (self.path / _JOB).exists()

    def paths(self) -> Paths:
        """Return what runs paths.

        Raises:
            NotFound: No batch has begun here.
        """
        job = self._job()
        if job is None:
            raise NotFound(f"no batch has begun in {self.path}", fix="begin one: scenarios.run(options)")
        with np.load(self.path / _HISTORY) as stored:
            history = History(LocalDays(job.zone), job.start, HOUR, {name: stored[name] for name in stored.files})
        return Paths(
            history=history,
            columns=job.columns,
            train_until=job.train_until,
            calendar=[job.first + number * _DAY for number in range(job.days)],
            battery=job.battery,
            seed=job.seed,
            models=self.models,
            block_days=job.block_days,
        )

    def finished(self) -> Iterator[PathResult]:
        """Return the paths that are finished; a line that was torn as the process died is none.

        Raises:
            IntegrityError: A line in the middle cannot be read.
        """
        lines = (self.path / _FINISHED).read_bytes().split(b"\n") if (self.path / _FINISHED).exists() else [b""]
        for number, line in enumerate(lines[:-1], 1):
            try:
                yield _decode_result(line)
            except msgspec.DecodeError as error:
                raise IntegrityError(f"line {number} of {self.path / _FINISHED} is no path", why=str(error)) from error

    def mend(self) -> None:
        """Cut a torn line off, so that the next one begins where a line begins."""
        file = self.path / _FINISHED
        if file.exists() and not (said := file.read_bytes()).endswith(b"\n"):
            os.truncate(file, said.rfind(b"\n") + 1)

    def keep(self, result: PathResult) -> None:
        """Keep a finished path; it is durable before this returns."""
        with (self.path / _FINISHED).open("ab") as file:
            file.write(_encode(result) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _job(self) -> Job | None:
        return msgspec.json.decode((self.path / _JOB).read_bytes(), type=Job) if self.holds() else None

    def _write(self, name: str, data: bytes) -> None:
        beside = self.path / f"{name}.new"
        beside.write_bytes(data)
        beside.replace(self.path / name)
