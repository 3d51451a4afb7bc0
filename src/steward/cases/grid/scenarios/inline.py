"""The engine that runs one path after the other, here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from steward.cases.grid.scenarios.job import Folder
from steward.cases.grid.scenarios.path import PathResult
from steward.decision.lane import Lane


class Inline:
    """Runs paths in this process; it is for tests and single looks, as it gives way to nobody.

    Example:
        >>> type(Inline().run(Path("batch"), [], lane=Lane.BATCH)).__name__
        'async_generator'
    """

    async def run(self, folder: Path, numbers: Sequence[int], *, lane: Lane) -> AsyncGenerator[PathResult, None]:
        """Yield one result after the other; see the port."""
        paths = Folder(folder).paths()
        for number in numbers:
            yield await paths.run(number)
