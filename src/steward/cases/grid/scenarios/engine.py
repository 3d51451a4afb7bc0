"""The port of what runs the paths of a batch, and how its engine is named in settings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from steward.cases.grid.scenarios.path import PathResult
from steward.decision.lane import Lane
from steward.errors import DeclarationError, EngineError


class Engine(Protocol):
    """Runs paths of the batch that lives in a folder, each once, in any order, on whatever it has."""

    def run(self, folder: Path, numbers: Sequence[int], *, lane: Lane) -> AsyncGenerator[PathResult, None]:
        """Yield the result of each path as soon as it is finished; whoever stops to listen stops the work.

        Args:
            folder: Where the batch lives.
            numbers: The paths to run.
            lane: How urgent it is; what is not urgent gives way to everything else on its machine.

        Raises:
            EngineError: A path cannot be finished.
        """
        ...


def engine_of(url: str) -> Engine:
    """Return the engine that a URL names.

    ``inline://`` runs one path after the other in this process, ``processes://N`` in N processes of this machine.

    Raises:
        DeclarationError: No engine has such a URL.
        EngineError: The engine is not part of this installation.

    Example:
        >>> engine_of("processes://2").count
        2
    """
    from steward.cases.grid.scenarios.inline import Inline  # noqa: PLC0415 - engines are loaded when chosen
    from steward.cases.grid.scenarios.processes import Processes  # noqa: PLC0415

    parts = urlsplit(url)
    if parts.scheme == "inline":
        return Inline()
    if parts.scheme == "processes" and parts.netloc.isdecimal() and int(parts.netloc) > 0:
        return Processes(int(parts.netloc))
    if parts.scheme == "ray":
        raise EngineError(
            "paths cannot be run on Ray yet",
            why="an engine for it would fill this same port, and there is none in this release",
            fix="choose processes://N",
            code="engine.missing",
        )
    raise DeclarationError(f"no engine is named {url!r}", fix="choose inline:// or processes://2", field="engine")
