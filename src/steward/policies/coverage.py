"""What a table forgets: gaps that no row fits, rows that are never reached, rows that contradict each other.

Exact for tests that hold one value against constants (comparisons, intervals, lists, null): each input is cut into the
pieces within which no test changes its answer, and every combination of pieces is looked at, alike ones at once. What
cannot be analysed so is said, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from steward.policies.domains import Domain
from steward.policies.interpret import NoValue, Value, value_of
from steward.policies.kinds import Kind
from steward.policies.policy import Policy
from steward.policies.steps import Table, Test
from steward.policies.syntax import COMPARISONS
from steward.policies.tree import Binary, Expression, Literal, Name, Options, Subject, Unary, Within, inside, names
from steward.policies.wording import said

_MOST_STATES: Final = 200_000
_MOST_PAIRS: Final = 1_500
_SHOWN: Final = 5
_OTHER: Final = "(another text)"


@dataclass(frozen=True)
class Finding:
    """One thing that the check found in a table.

    Attributes:
        kind: ``gap``, ``unreachable``, ``conflict`` or ``not-analysed``.
        table: The table's name.
        told: What it is, in a sentence.
        rows: The rows concerned.

    Example:
        >>> Finding("gap", "Refunds", "no row fits Amount above 500").is_wrong
        True
    """

    kind: str
    table: str
    told: str
    rows: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether the policy should not be published with it."""
        return self.kind in ("gap", "unreachable")


@dataclass(frozen=True)
class _Piece:
    value: Value
    label: str


def check(policy: Policy) -> tuple[Finding, ...]:
    """Return what is wrong, or cannot be told, in the tables of a policy.

    Example:
        >>> from steward.policies.demo import REFUNDS
        >>> check(Policy.read(REFUNDS))
        ()
    """
    return tuple(finding for table in policy.tables for finding in _Check(policy, table).findings())


class _Check:
    def __init__(self, policy: Policy, table: Table) -> None:
        self._policy, self._table = policy, table
        self._constants: Mapping[str, Value] = policy.parameters  # type: ignore[assignment]  # literals, all of them
        self._axes: dict[str, list[tuple[int, Test]]] = {}
        self._unclear: dict[int, str] = {}
        for at, row in enumerate(table.rows):
            for test in row.tests:
                axis = self._axis(test)
                if axis is None:
                    self._unclear[at] = test.text
                else:
                    self._axes.setdefault(axis, []).append((at, test))
        self._full = (1 << len(table.rows)) - 1
        self._certain = self._full & ~sum(1 << at for at in self._unclear)
        self._groups = [(axis, self._grouped(axis, tests)) for axis, tests in self._axes.items()]

    def findings(self) -> Iterator[Finding]:
        table = self._table
        for at, text in self._unclear.items():
            told = f"row {table.rows[at].id!r} asks {text!r}, which is not one value held against constants"
            yield Finding("not-analysed", table.name, told, (table.rows[at].id,))
        ends = self._ends()
        if ends is None:
            told = "the table has too many combinations to look at; split it, or declare fewer values in the schema"
            yield Finding("not-analysed", table.name, told)
        else:
            if not table.passes:
                for region in self._gaps():
                    yield Finding("gap", table.name, f"no row fits {region}")
            if not table.collect:
                yield from self._unreached(ends)
        if not table.collect:
            yield from self._conflicts()

    def _axis(self, test: Test) -> str | None:
        """Return what a test is about; ``None`` where it is not one value held against constants."""
        column = self._table.columns[test.column]
        about = names(test.asks) - set(self._constants)
        if column.subject is None:
            if len(about) != 1 or not self._is_plain(test.asks, Name(next(iter(about)))):
                return None
            return next(iter(about))
        return column.text if not about and self._is_plain(test.asks, Subject()) else None

    def _is_plain(self, asks: Expression, about: Expression) -> bool:
        if isinstance(asks, Unary) and asks.operator == "not":
            return self._is_plain(asks.inner, about)
        if isinstance(asks, Binary) and asks.operator in ("and", "or"):
            return self._is_plain(asks.left, about) and self._is_plain(asks.right, about)
        if isinstance(asks, Binary) and asks.operator in COMPARISONS:
            sides = (asks.left, asks.right)
            return any(one == about and self._is_constant(other) for one, other in (sides, sides[::-1]))
        if isinstance(asks, Within) and asks.value == about:
            among = asks.among
            return isinstance(among, Options) or (self._is_constant(among.low) and self._is_constant(among.high))
        return asks == about

    def _is_constant(self, expression: Expression) -> bool:
        return names(expression) <= set(self._constants) and not any(isinstance(e, Subject) for e in inside(expression))

    def _grouped(self, axis: str, tests: list[tuple[int, Test]]) -> dict[int, list[str]]:
        """Return which rows hold for each piece of an axis, and the pieces in words, alike ones together."""
        groups: dict[int, list[str]] = {}
        for piece in self._pieces(axis, tests):
            mask = self._full
            for at, test in tests:
                if not self._holds(test, axis, piece.value):
                    mask &= ~(1 << at)
            groups.setdefault(mask, []).append(piece.label)
        return groups

    def _holds(self, test: Test, axis: str, value: Value) -> bool:
        try:
            return value_of(test.asks, {**self._constants, axis: value}, value) is True
        except NoValue:
            return False

    def _pieces(self, axis: str, tests: list[tuple[int, Test]]) -> list[_Piece]:
        domain = self._domain(axis, tests)
        held = {value for _, test in tests for value in self._held_against(test.asks)}
        if domain.values is not None:
            pieces = [_Piece(value, f"is {said(value)}") for value in domain.values]
        elif domain.kind is Kind.NUMBER:
            points = held | {bound for bound in (domain.low, domain.high) if bound is not None}
            pieces = list(_numbers(sorted(p for p in points if isinstance(p, Decimal)), domain))
        elif domain.kind is Kind.FLAG:
            pieces = [_Piece(value, f"is {said(value)}") for value in (True, False)]
        else:
            texts = sorted(value for value in held if isinstance(value, str))
            pieces = [_Piece(value, f"is {said(value)}") for value in texts] + [_Piece(_OTHER, "is any other text")]
        return [*pieces, _Piece(None, "is missing")] if domain.may_miss else pieces

    def _domain(self, axis: str, tests: list[tuple[int, Test]]) -> Domain:
        if axis in self._policy.domains:
            return self._policy.domains[axis]
        if (written := self._written(axis)) is not None:
            return written
        kind = self._policy.kinds.get(axis, Kind.UNKNOWN)
        if kind is Kind.UNKNOWN:  # a column of something computed
            held = [value for _, test in tests for value in self._held_against(test.asks)]
            kind = Kind.NUMBER if any(isinstance(value, Decimal) for value in held) else Kind.TEXT
        return Domain(kind=kind)

    def _written(self, axis: str) -> Domain | None:
        """Return the values that an earlier table may have written, if all of them are constants."""
        values: dict[Decimal | str | bool, None] = {}
        writers = [table for table in self._policy.tables if axis in table.writes and table.number < self._table.number]
        for table in writers:
            for row in table.rows:
                out = row.outputs.get(axis, Literal(None))
                if not isinstance(out, Literal):
                    return None
                if out.value is not None:
                    values[out.value] = None
        sure = bool(writers) and all(table.rows and not table.rows[-1].tests for table in writers)
        kind = self._policy.kinds.get(axis, Kind.UNKNOWN)
        return Domain(kind=kind, values=tuple(values), may_miss=not sure) if writers else None

    def _held_against(self, asks: Expression) -> set[Value]:
        found: set[Value] = set()
        for part in inside(asks):
            if self._is_constant(part):
                try:
                    found.add(value_of(part, self._constants))
                except NoValue:
                    continue
        return found

    def _ends(self) -> set[int] | None:
        """Return every set of rows that fits somewhere; ``None`` if there are too many."""
        states = {self._full}
        for _, groups in self._groups:
            states = {state & mask for state in states for mask in groups}
            if len(states) > _MOST_STATES:
                return None
        return states

    def _gaps(self) -> Iterator[str]:
        self._leading: dict[tuple[int, int], bool] = {}
        if self._leads_to_gap(0, self._full):
            for at, region in enumerate(self._regions(0, self._full, ())):
                if at == _SHOWN:
                    yield "more than is listed here"
                    return
                yield region

    def _leads_to_gap(self, axis: int, mask: int) -> bool:
        if mask & self._certain == 0:
            return True
        if axis == len(self._groups):
            return False
        if (axis, mask) not in self._leading:
            self._leading[axis, mask] = any(self._leads_to_gap(axis + 1, mask & each) for each in self._groups[axis][1])
        return self._leading[axis, mask]

    def _regions(self, axis: int, mask: int, told: tuple[str, ...]) -> Iterator[str]:
        if mask & self._certain == 0:
            yield " and ".join(told) or "anything at all"
            return
        name, groups = self._groups[axis]
        for each, labels in groups.items():
            if self._leads_to_gap(axis + 1, mask & each):
                part = () if len(groups) == 1 else (f"{self._called(name)} {' or '.join(labels)}",)
                yield from self._regions(axis + 1, mask & each, (*told, *part))

    def _called(self, axis: str) -> str:
        return next((column.name for column in self._table.columns if column.text == axis), axis)

    def _unreached(self, ends: set[int]) -> Iterator[Finding]:
        reached = 0
        for mask in ends:
            certain = mask & self._certain
            first = certain & -certain
            reached |= first | (mask & ~self._certain & ((first - 1) if first else self._full))
        for at, row in enumerate(self._table.rows):
            if not reached >> at & 1:
                told = f"row {row.id!r} is never reached: rows before it take all that it fits, or it fits nothing"
                yield Finding("unreachable", self._table.name, told, (row.id,))

    def _conflicts(self) -> Iterator[Finding]:
        rows = self._table.rows
        if len(rows) > _MOST_PAIRS:
            yield Finding("not-analysed", self._table.name, f"conflicts among more than {_MOST_PAIRS} rows")
            return
        for later in range(len(rows)):
            for earlier in range(later):
                if rows[earlier].texts != rows[later].texts and self._cross(earlier, later):
                    both = f"rows {rows[earlier].id!r} and {rows[later].id!r} both fit in part"
                    told = f"{both} and write different things; the first one wins"
                    yield Finding("conflict", self._table.name, told, (rows[earlier].id, rows[later].id))

    def _cross(self, one: int, other: int) -> bool:
        """Tell whether two rows overlap and neither is an exception within the other."""
        if one in self._unclear or other in self._unclear:
            return False
        first_within = second_within = True
        for _, groups in self._groups:
            first = {mask for mask in groups if mask >> one & 1}
            second = {mask for mask in groups if mask >> other & 1}
            if not first & second:
                return False
            first_within, second_within = first_within and first <= second, second_within and second <= first
        return not first_within and not second_within


def _numbers(points: list[Decimal], domain: Domain) -> Iterator[_Piece]:
    """Return the points and what lies between them, as far as the domain has it."""
    if not points:
        yield _Piece(Decimal(0), "is any number")
        return
    yield from _inside_domain(_between(None, points[0], domain), f"below {said(points[0])}", domain)
    for low, high in zip(points, [*points[1:], None], strict=True):
        yield from _inside_domain(low, f"is {said(low)}", domain)
        label = f"above {said(low)}" if high is None else f"between {said(low)} and {said(high)}"
        yield from _inside_domain(_between(low, high, domain), label, domain)


def _between(low: Decimal | None, high: Decimal | None, domain: Domain) -> Decimal | None:
    if low is None:
        return None if high is None else (high - 1).to_integral_value() if domain.whole else high - 1
    if domain.whole:
        found = low.to_integral_value(rounding="ROUND_FLOOR") + 1
        return found if high is None or found < high else None
    return low + 1 if high is None else (low + high) / 2


def _inside_domain(value: Decimal | None, label: str, domain: Domain) -> Iterator[_Piece]:
    if value is not None and domain.holds(value):
        yield _Piece(value, label)
