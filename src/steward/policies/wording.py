"""A row in words: what a person reads as the reason of a choice, and in a list of differences."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from steward.policies.steps import Column, Row, Table
from steward.policies.tree import Binary, Call, Expression, Interval, Literal, Name, Options, Subject, Unary, Within

_COMPARED: Final = {"==": "is", "!=": "is not", "<": "below", "<=": "at most", ">": "above", ">=": "at least"}
_CALLED: Final = {"startsWith": "starts with", "endsWith": "ends with", "contains": "contains"}


def reason_of(table: Table, row: Row) -> str:
    """Return the sentence that says why a row was hit: its own description, else its conditions.

    Example:
        >>> from steward.policies.syntax import read_cell, read_expression
        >>> from steward.policies.steps import Test
        >>> amount = Column("amount_eur", read_expression("amount_eur"), "Amount")
        >>> small = Row("small", "", (Test(0, "<= 50", read_cell("<= 50")),), {}, {})
        >>> reason_of(Table("t", "Refunds", 0, False, False, (amount,), (small,), ()), small)
        'Refunds: Amount at most 50'
    """
    return f"{table.name}: {row.description or conditions(table.columns, row)}"


def conditions(columns: tuple[Column, ...], row: Row) -> str:
    """Return what a row asks, in words; "anything else" for one that asks nothing."""
    return " and ".join(in_words(columns[t.column].name, t.asks, t.text) for t in row.tests) or "anything else"


def in_words(name: str, asks: Expression, text: str) -> str:
    """Return a test in words, or as it is written where there are none.

    Args:
        name: What is tested, as people call it.
        asks: The test.
        text: How it is written.

    Example:
        >>> from steward.policies.syntax import read_cell
        >>> in_words("Amount", read_cell("(50..500]"), "(50..500]")
        'Amount above 50 and at most 500'
        >>> in_words("Segment", read_cell("'gold', 'silver'"), "'gold', 'silver'")
        'Segment is gold or silver'
    """
    if (equal := _equals(asks)) is not None:
        found = f"is {_either(equal)}"
    elif isinstance(asks, Within) and isinstance(asks.value, Subject):
        found = _within(asks)
    elif isinstance(asks, Binary) and asks.operator == "and":
        parts = [in_words("", side, "") for side in (asks.left, asks.right)]
        found = " and ".join(parts) if all(parts) else ""
    else:
        found = _compared(asks)
    if found:
        return f"{name} {found}".strip()
    return f"{name}: {text}" if name and text else text


def _within(asks: Within) -> str:
    if isinstance(asks.among, Options):
        return f"is {'not ' if asks.negated else ''}{_either([_said(each) for each in asks.among.values])}"
    return f"{'not ' if asks.negated else ''}{_between(asks.among)}"


def _compared(asks: Expression) -> str:
    if isinstance(asks, Binary) and asks.operator in _COMPARED and isinstance(asks.left, Subject):
        right = _said(asks.right)
        return f"{_COMPARED[asks.operator]} {right}" if right else ""
    if isinstance(asks, Call) and asks.function in _CALLED and isinstance(asks.arguments[0], Subject):
        right = _said(asks.arguments[1])
        return f"{_CALLED[asks.function]} {right}" if right else ""
    return ""


def _equals(asks: Expression) -> list[str] | None:
    """Return the values of ``'a', 'b'``, if that is what a test is."""
    if isinstance(asks, Binary) and asks.operator == "==" and isinstance(asks.left, Subject):
        return [right] if (right := _said(asks.right)) else None
    if isinstance(asks, Binary) and asks.operator == "or":
        first, second = _equals(asks.left), _equals(asks.right)
        return None if first is None or second is None else first + second
    return None


def _between(interval: Interval) -> str:
    least, most = "at least" if interval.low_closed else "above", "at most" if interval.high_closed else "below"
    return f"{least} {_said(interval.low)} and {most} {_said(interval.high)}"


def _either(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _said(value: Expression) -> str:
    """Return a value as people write it; ``""`` for what is computed."""
    if isinstance(value, Literal):
        return said(value.value)
    if isinstance(value, Name):
        return value.path
    if isinstance(value, Unary) and value.operator == "-" and isinstance(value.inner, Literal):
        return f"-{_said(value.inner)}"
    if isinstance(value, Call) and value.function == "date":
        return _said(value.arguments[0])
    return ""


def said(value: object) -> str:
    """Return a literal as people write it.

    Example:
        >>> said(Decimal("0.50")), said(True), said(None), said("")
        ('0.5', 'true', 'missing', "''")
    """
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value) or "''"
