"""What an expression is for given values, in exact decimals: the language's meaning in plain words.

The engine decides; this says what it will say, for constants, for the static check, and as a yardstick in the tests.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Final

from steward.policies.tree import Binary, Call, Conditional, Expression, Interval, Literal, Name, Subject, Unary, Within

Value = Decimal | str | bool | tuple[object, ...] | None
_EXACT: Final = Context(prec=28)
_ORDER: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d|T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?")


class NoValue(Exception):
    """An expression has no value: something in it is missing. The cell that holds it does not hold.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> try:
        ...     value_of(read_expression("x < 5"), {"x": None})
        ... except NoValue as error:
        ...     print(error)
        a value is missing
    """


def value_of(expression: Expression, values: Mapping[str, Value], subject: Value = None) -> Value:
    """Return the value of an expression.

    Args:
        expression: What is asked.
        values: Each name's value; one that is not there is missing.
        subject: What ``$`` stands for.

    Raises:
        NoValue: What it needs is missing.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> value_of(read_expression("amount * 0.1 <= 0.3"), {"amount": Decimal(3)})
        True
    """
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Name):
        return values.get(expression.path)
    if isinstance(expression, Subject):
        return subject
    return _WAYS[type(expression)](expression, values, subject)


def _number(expression: Expression, values: Mapping[str, Value], subject: Value) -> Decimal:
    found = value_of(expression, values, subject)
    if not isinstance(found, Decimal):
        raise NoValue("a value is missing")
    return found


def _flag(expression: Expression, values: Mapping[str, Value], subject: Value) -> bool:
    found = value_of(expression, values, subject)
    if not isinstance(found, bool):
        raise NoValue("a value is missing")
    return found


def _unary(expression: Unary, values: Mapping[str, Value], subject: Value) -> Value:
    if expression.operator == "not":
        return not _flag(expression.inner, values, subject)
    return -_number(expression.inner, values, subject)


def _binary(expression: Binary, values: Mapping[str, Value], subject: Value) -> Value:
    sign, left, right = expression.operator, expression.left, expression.right
    if sign in ("and", "or"):
        first = _flag(left, values, subject)
        return first if first is (sign == "or") else value_of(right, values, subject)
    if sign == "??":
        found = value_of(left, values, subject)
        return value_of(right, values, subject) if found is None else found
    if sign in ("==", "!="):
        return (value_of(left, values, subject) == value_of(right, values, subject)) is (sign == "==")
    a, b = _number(left, values, subject), _number(right, values, subject)
    if sign in _ORDER:
        return _ORDER[sign](a, b)
    if sign == "/":
        return _EXACT.divide(a, b) if b else None
    return {"+": _EXACT.add, "-": _EXACT.subtract, "*": _EXACT.multiply}[sign](a, b)


def _within(expression: Within, values: Mapping[str, Value], subject: Value) -> Value:
    among = expression.among
    if isinstance(among, Interval):
        found = _number(expression.value, values, subject)
        low, high = _number(among.low, values, subject), _number(among.high, values, subject)
        above = low <= found if among.low_closed else low < found
        below = found <= high if among.high_closed else found < high
        return (above and below) is not expression.negated
    value = value_of(expression.value, values, subject)
    return any(value == each.value for each in among.values) is not expression.negated


def _conditional(expression: Conditional, values: Mapping[str, Value], subject: Value) -> Value:
    chosen = expression.then if _flag(expression.test, values, subject) else expression.other
    return value_of(chosen, values, subject)


def _call(expression: Call, values: Mapping[str, Value], subject: Value) -> Value:
    function = expression.function
    if function in ("abs", "min", "max"):
        numbers = [_number(argument, values, subject) for argument in expression.arguments]
        return {"abs": lambda: abs(numbers[0]), "min": lambda: min(numbers), "max": lambda: max(numbers)}[function]()
    found = [value_of(argument, values, subject) for argument in expression.arguments]
    if any(each is None for each in found):
        raise NoValue("a value is missing")
    if function == "date":
        return seconds_of(str(found[0]))
    if function == "len":
        assert isinstance(found[0], tuple)
        return Decimal(len(found[0]))
    held, part = found
    assert isinstance(held, str | tuple)
    if function == "contains":
        return part in held
    assert isinstance(held, str)
    return held.startswith(str(part)) if function == "startsWith" else held.endswith(str(part))


def seconds_of(text: str) -> Decimal:
    """Return the seconds since 1970 (UTC) of a day, or of a time with its offset.

    Raises:
        NoValue: It is neither.

    Example:
        >>> seconds_of("2026-01-01"), seconds_of("2026-01-01T01:00:00+01:00")
        (Decimal('1767225600'), Decimal('1767225600'))
    """
    if not _DATE.fullmatch(text):
        raise NoValue(f"{text!r} is not a date")
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise NoValue(f"{text!r} is not a date") from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return Decimal(int(when.timestamp() // 1))


_WAYS: Final[Mapping[type, Callable[..., Value]]] = {
    Unary: _unary,
    Binary: _binary,
    Within: _within,
    Conditional: _conditional,
    Call: _call,
}
