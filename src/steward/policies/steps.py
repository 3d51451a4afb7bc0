"""The steps of a policy as they were understood: tables, expressions, and ways that fork."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from steward.policies.tree import Expression, Literal

CHOICE: Final = "choice"
REASON: Final = "reason"
HIDDEN: Final = "_row"
"""Names that begin with this are the engine's: they carry which row was hit."""


@dataclass(frozen=True, slots=True)
class Test:
    """One filled cell of a row: the column that it is in, and what it asks.

    Example:
        >>> from steward.policies.syntax import read_cell
        >>> Test(0, "> 5", read_cell("> 5")).text
        '> 5'
    """

    column: int
    text: str
    asks: Expression


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Example:
        >>> Row("small", "", (), {"choice": Literal("pay")}, {"choice": "'pay'"}).constant
        {'choice': 'pay'}
    """

    id: str
    description: str
    tests: tuple[Test, ...]
    outputs: Mapping[str, Expression]
    texts: Mapping[str, str]

    @property
    def constant(self) -> dict[str, object] | None:
        """What it writes, if that never differs."""
        values: dict[str, object] = {p: out.value for p, out in self.outputs.items() if isinstance(out, Literal)}
        return values if len(values) == len(self.outputs) else None


@dataclass(frozen=True, slots=True)
class Column:
    """An input column: the text of what is tested, what that is, and its heading; no subject where cells stand alone.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> Column("amount_eur", read_expression("amount_eur"), "Amount").name
        'Amount'
    """

    text: str
    subject: Expression | None
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table, numbered in the order in which tables are met.

    Example:
        >>> Table("t", "Refunds", 0, False, False, (), (), ()).name
        'Refunds'
    """

    id: str
    name: str
    number: int
    collect: bool
    passes: bool
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assign:
    """An expression node: what each name stands for.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> Assign("p", "Limits", True, {"limit": read_expression("500")}, {"limit": "500"}).texts
        {'limit': '500'}
    """

    id: str
    name: str
    passes: bool
    values: Mapping[str, Expression]
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """A way out of a switch; without a condition it is always taken.

    Example:
        >>> Way("rush", "", None, ()).asks is None
        True
    """

    id: str
    text: str
    asks: Expression | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Fork:
    """A switch: the first way that is open is taken.

    Example:
        >>> Fork("s", "Kind", (Way("all", "", None, ()),)).ways[0].id
        'all'
    """

    id: str
    name: str
    ways: tuple[Way, ...]


Step = Table | Assign | Fork


def written_by(step: Step) -> tuple[str, ...]:
    """Return the paths that a step writes."""
    if isinstance(step, Table):
        return step.writes
    return tuple(step.values) if isinstance(step, Assign) else ()


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Return every step, those behind a fork after it."""
    for step in steps:
        yield step
        if isinstance(step, Fork):
            for way in step.ways:
                yield from walk(way.steps)
