"""The tree of an expression: what it is made of, once it was read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, text, truth value, or ``None`` for null.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> read_expression("12.5")
        Literal(value=Decimal('12.5'))
    """

    value: Decimal | str | bool | None


@dataclass(frozen=True, slots=True)
class Name:
    """An input or an earlier output, by its dotted path.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> read_expression("interval.low")
        Name(path='interval.low')
    """

    path: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The value of the column that a cell tests.

    Example:
        >>> from steward.policies.syntax import read_cell
        >>> read_cell("5")
        Binary(operator='==', left=Subject(), right=Literal(value=Decimal('5')))
    """


@dataclass(frozen=True, slots=True)
class Unary:
    """``not`` or ``-``.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> read_expression("-x").operator
        '-'
    """

    operator: str
    inner: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """``+ - * /``, a comparison, ``and``, ``or`` or ``??``.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> read_expression("amount * 2 > 5").operator
        '>'
    """

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers between two bounds, each of which may belong to it.

    Example:
        >>> from steward.policies.syntax import read_cell
        >>> read_cell("[0..10)").among.high_closed
        False
    """

    low: Expression
    high: Expression
    low_closed: bool
    high_closed: bool


@dataclass(frozen=True, slots=True)
class Options:
    """A list of literals.

    Example:
        >>> from steward.policies.syntax import read_cell
        >>> len(read_cell("in ['gold', 'silver']").among.values)
        2
    """

    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """Whether a value is in an interval or among options.

    Example:
        >>> from steward.policies.syntax import read_cell
        >>> read_cell("not in ['gold']").negated
        True
    """

    value: Expression
    among: Interval | Options
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Conditional:
    """``test ? then : other``.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> read_expression("rush ? 2 : 1").then
        Literal(value=Decimal('2'))
    """

    test: Expression
    then: Expression
    other: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """One of a few pure functions.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> read_expression("min([power_mw, 4])").function
        'min'
    """

    function: str
    arguments: tuple[Expression, ...]


Expression = Literal | Name | Subject | Unary | Binary | Within | Conditional | Call


def inside(expression: Expression) -> Iterator[Expression]:
    """Return an expression and every expression in it."""
    yield expression
    for part in _parts(expression):
        yield from inside(part)


def names(expression: Expression) -> frozenset[str]:
    """Return the paths that an expression reads.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> sorted(names(read_expression("amount > limit and not vip")))
        ['amount', 'limit', 'vip']
    """
    return frozenset(part.path for part in inside(expression) if isinstance(part, Name))


def _parts(expression: Expression) -> Iterator[Expression]:
    for each in fields(expression):
        value = getattr(expression, each.name)
        if isinstance(value, Interval):
            yield from (value.low, value.high)
        elif isinstance(value, Options):
            yield from value.values
        elif isinstance(value, tuple):
            yield from value
        elif hasattr(value, "__dataclass_fields__"):
            yield value
