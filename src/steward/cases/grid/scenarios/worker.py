"""The process that runs paths: ``python -m steward.cases.grid.scenarios.worker FOLDER [nice]``.

It reads the number of a path from each line of its standard input, and answers with a line of JSON: the result, or why
there is none. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from steward.cases.grid.scenarios.job import Folder
from steward.cases.grid.scenarios.path import PathResult
from steward.errors import StewardError
from steward.runtime.audit_process import give_way


class Done(Struct, frozen=True, tag="done"):
    """A path is finished.

    Example:
        >>> Done.__struct_fields__
        ('result',)
    """

    result: PathResult


class Failed(Struct, frozen=True, tag="failed"):
    """A path cannot be finished, and why.

    Example:
        >>> Failed("the model is gone").what
        'the model is gone'
    """

    what: str


decode_line = msgspec.json.Decoder(Done | Failed).decode


def main(folder: str, manner: str = "") -> None:
    """Answer every line."""
    if manner == "nice":
        give_way()
    paths = Folder(Path(folder)).paths()
    for line in sys.stdin:
        try:
            said: Done | Failed = Done(asyncio.run(paths.run(int(line))))
        except StewardError as error:
            said = Failed(str(error))
        with suppress(BrokenPipeError):  # nobody listens any more; the input ends, too
            sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
