"""What a command writes: data to stdout, talk to stderr; colour only where somebody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from steward.errors import StewardError

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_WIDTH = 200


def as_json(value: Any) -> None:
    """Write ``value`` to stdout as one line of JSON."""
    text = value if isinstance(value, bytes) else msgspec.json.encode(value)
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell the user something on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def line(text: str) -> None:
    """Write a line of data to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


_LONG: Final = 8


def short(value: object) -> str:
    """Write a value for a table's cell: text as it is, anything else as JSON, long lists by their ends.

    The whole of it is what ``--json`` writes.

    Example:
        >>> short("hold"), short({"power_mw": 4.0})
        ('hold', '{"power_mw":4.0}')
        >>> short({"load_mw": [float(hour) for hour in range(24)]})
        '{"load_mw":[0.0,1.0,2.0,"... 18 more ...",21.0,22.0,23.0]}'
    """
    return value if isinstance(value, str) else msgspec.json.encode(_abridged(value)).decode()


def _abridged(value: object) -> object:
    if isinstance(value, dict):
        return {name: _abridged(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [_abridged(part) for part in value]
        return parts if len(parts) <= _LONG else [*parts[:3], f"... {len(parts) - 6} more ...", *parts[-3:]]
    return value


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Write a table to stdout.

    Args:
        columns: The headings.
        rows: One text for each column.
        right: Columns of numbers, which are aligned at their right.
    """
    from rich.table import Table  # noqa: PLC0415 - half of the start-up time of commands that need it not
    from rich.text import Text  # noqa: PLC0415

    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    _console(sys.stdout).print(made)


def error(problem: StewardError, *, as_data: bool) -> None:
    """Tell what happened, why, and what to do next; as JSON if ``as_data``."""
    if as_data:
        told = {"code": problem.code, "what": problem.what, "why": problem.why, "next": problem.fix}
        if problem.field:
            told["field"] = problem.field
        say(msgspec.json.encode({"error": told}).decode())
        return
    say(f"Error: {problem.what}")
    if problem.why:
        say(f"  why:  {problem.why}")
    if problem.fix:
        say(f"  next: {problem.fix}")


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far long work is, on stderr, where somebody looks; told the stage, what is done and the total."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=_console(sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far one piece of long work is; told what is done and the total."""
    with stages() as advance:
        yield lambda done, total: advance(what, done, total)


def _console(stream: Any) -> Console:
    from rich.console import Console  # noqa: PLC0415 - as above

    return Console(file=stream, width=None if stream.isatty() else _PLAIN_WIDTH, soft_wrap=False, highlight=False)
