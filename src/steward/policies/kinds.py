"""Which kind of value each name of a policy has: told by its schema, or by what it is compared with.

The engine itself takes a text where a number is meant for a test that does not hold, and goes on to the next row; here
that is an error, found when a policy is read, or when a value of another kind comes in.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from steward.errors import DeclarationError
from steward.policies.tree import Binary, Call, Conditional, Expression, Interval, Literal, Name, Subject, Unary, Within


class Kind(StrEnum):
    """What a value is.

    Example:
        >>> kind_of_value(Decimal("1.5"))
        <Kind.NUMBER: 'number'>
    """

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    LIST = "list"
    UNKNOWN = "unknown"


_ARITHMETIC: Final = frozenset("+-*/")
_ORDER: Final = frozenset({"<", "<=", ">", ">="})
_TAKES: Final = {"abs": Kind.NUMBER, "min": Kind.NUMBER, "max": Kind.NUMBER, "date": Kind.TEXT, "len": Kind.LIST}
_GIVES: Final = {"startsWith": Kind.FLAG, "endsWith": Kind.FLAG, "contains": Kind.FLAG}

Known = MutableMapping[str, Kind]


def kind_of_value(value: object) -> Kind:
    """Return the kind of a literal; null may be of any."""
    if isinstance(value, bool):
        return Kind.FLAG
    if isinstance(value, Decimal | int | float):
        return Kind.NUMBER
    return Kind.TEXT if isinstance(value, str) else Kind.UNKNOWN


def settle(expression: Expression, wanted: Kind, known: Known, subject: Expression | None = None) -> Kind:
    """Return the kind of an expression and note in ``known`` what that says of the names in it.

    Args:
        expression: What is looked at.
        wanted: What it must be where it stands, if that is known.
        known: The kind of each name so far.
        subject: What ``$`` stands for.

    Raises:
        DeclarationError: A value of one kind stands where another is needed.
    """
    if isinstance(expression, Subject):
        assert subject is not None
        return settle(subject, wanted, known)
    if isinstance(expression, Name):
        found = known.get(expression.path, Kind.UNKNOWN)
        if found is Kind.UNKNOWN and wanted is not Kind.UNKNOWN:
            known[expression.path] = found = wanted
        return _fits(found, wanted, expression.path)
    if isinstance(expression, Literal):
        return _fits(kind_of_value(expression.value), wanted, repr(expression.value))
    return _fits(_settle_parts(expression, wanted, known, subject), wanted, type(expression).__name__.lower())


def _settle_parts(expression: Expression, wanted: Kind, known: Known, subject: Expression | None) -> Kind:
    if isinstance(expression, Unary):
        return settle(expression.inner, Kind.FLAG if expression.operator == "not" else Kind.NUMBER, known, subject)
    if isinstance(expression, Binary):
        return _settle_binary(expression, wanted, known, subject)
    if isinstance(expression, Within):
        return _settle_within(expression, known, subject)
    if isinstance(expression, Conditional):
        settle(expression.test, Kind.FLAG, known, subject)
        return _alike(expression.then, expression.other, wanted, known, subject)
    assert isinstance(expression, Call)
    return _settle_call(expression, known, subject)


def _settle_binary(expression: Binary, wanted: Kind, known: Known, subject: Expression | None) -> Kind:
    operator, left, right = expression.operator, expression.left, expression.right
    if operator in ("==", "!="):
        _alike(left, right, Kind.UNKNOWN, known, subject)
        return Kind.FLAG
    if operator == "??":
        return _alike(left, right, wanted, known, subject)
    sides = Kind.FLAG if operator in ("and", "or") else Kind.NUMBER
    for side in (left, right):
        settle(side, sides, known, subject)
    return Kind.NUMBER if operator in _ARITHMETIC else Kind.FLAG


def _settle_within(expression: Within, known: Known, subject: Expression | None) -> Kind:
    if isinstance(expression.among, Interval):
        for side in (expression.value, expression.among.low, expression.among.high):
            settle(side, Kind.NUMBER, known, subject)
        return Kind.FLAG
    kinds = {kind_of_value(each.value) for each in expression.among.values} - {Kind.UNKNOWN}
    if len(kinds) > 1:
        raise DeclarationError(f"one list holds {' and '.join(sorted(kinds))}", code="policy-kind")
    settle(expression.value, next(iter(kinds), Kind.UNKNOWN), known, subject)
    return Kind.FLAG


def _settle_call(expression: Call, known: Known, subject: Expression | None) -> Kind:
    function, arguments = expression.function, expression.arguments
    if function == "contains":
        held = settle(arguments[0], Kind.UNKNOWN, known, subject)
        if held not in (Kind.LIST, Kind.TEXT, Kind.UNKNOWN):
            raise DeclarationError(f"contains looks into a text or list, not a {held}", code="policy-kind")
        settle(arguments[1], Kind.TEXT, known, subject)
    elif function in _GIVES:
        for argument in arguments:
            settle(argument, Kind.TEXT, known, subject)
    else:
        for argument in arguments:
            settle(argument, _TAKES[function], known, subject)
    return _GIVES.get(function, Kind.NUMBER)


def _alike(left: Expression, right: Expression, wanted: Kind, known: Known, subject: Expression | None) -> Kind:
    """Settle two sides that must be of one kind, each by what the other says."""
    first = settle(left, wanted, known, subject)
    second = settle(right, first if first is not Kind.UNKNOWN else wanted, known, subject)
    if first is Kind.UNKNOWN and second is not Kind.UNKNOWN:
        first = settle(left, second, known, subject)
    return first


def _fits(found: Kind, wanted: Kind, what: str) -> Kind:
    if Kind.UNKNOWN in (found, wanted) or found is wanted:
        return wanted if found is Kind.UNKNOWN else found
    raise DeclarationError(
        f"{what} is a {found} where a {wanted} is needed",
        fix="compare values of one kind only, or declare the input in the schema of the input node",
        code="policy-kind",
    )
