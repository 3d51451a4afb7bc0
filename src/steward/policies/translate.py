"""Expressions as columns of polars, with the engine's meaning: which rows hold, fail, or are too close to call.

The engine computes in decimals, columns in floats. A comparison of values as they came in is the same in both. Where
something was computed first, each value carries a bound of how far the float may be from the decimal; a comparison
within that bound is in doubt, and its row is asked of the engine itself. So both always agree, and doubt is rare.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import reduce
from typing import Any, Final

import polars as pl

from steward.policies.tree import Call, Conditional, Expression, Interval, Literal, Name, Subject, Unary, Within

_HALF_STEP: Final = 2.0**-51
"""More than a float may differ from the decimal that it stands for, and from the rounding of one operation."""
_LAST_PLACE: Final = 1e-27
_MOST: Final = 1e20
_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMPUTE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True)
class Told:
    """An expression as columns.

    Attributes:
        value: The value; null where it is missing.
        fails: Where it has none, so that its cell does not hold; ``None`` for nowhere.
        slack: How far a computed number may be off; ``None`` for one that came in as it is.
        is_null: Whether it is the literal null.
        is_list: Whether it holds lists of texts.

    Example:
        >>> Told(pl.lit(5.0)).slack is None
        True
    """

    value: pl.Expr
    fails: pl.Expr | None = None
    slack: pl.Expr | None = None
    is_null: bool = False
    is_list: bool = False


@dataclass
class Translator:
    """Translates the expressions of one policy and gathers where it is in doubt.

    What is computed becomes a column of the frame at once: an expression that stood for it would be written out, and
    worked out, as often as it is used.

    Args:
        frame: The inputs; columns of what was computed are added.

    Example:
        >>> from steward.policies.syntax import read_expression
        >>> translator = Translator(pl.DataFrame({"amount": [4.0, 6.0]}))
        >>> told = translator.tell(read_expression("amount > 5"), {"amount": Told(pl.col("amount"))})
        >>> translator.frame.select(told.value).to_series().to_list()
        [False, True]
    """

    frame: pl.DataFrame
    doubts: list[pl.Expr] = field(default_factory=list)
    _count: int = 0

    def kept(self, value: pl.Expr) -> pl.Expr:
        """Work a value out now, and return the column that holds it."""
        self._count += 1
        name = f"_steward_{self._count}"
        self.frame = self.frame.with_columns(value.alias(name))
        return pl.col(name)

    def doubt(self, where: pl.Expr) -> None:
        """Note where floats cannot tell."""
        self.doubts.append(self.kept(where.fill_null(value=False)))

    def tell(  # noqa: PLR0911 - one way for each kind of expression
        self, expression: Expression, known: Mapping[str, Told], subject: Told | None = None
    ) -> Told:
        """Return an expression as columns; names stand for ``known``, missing ones for null."""
        if isinstance(expression, Literal):
            return _literal(expression.value)
        if isinstance(expression, Name):
            return known.get(expression.path, _literal(None))
        if isinstance(expression, Subject):
            assert subject is not None
            return subject
        if isinstance(expression, Within):
            return self._within(expression, known, subject)
        if isinstance(expression, Conditional):
            return self._conditional(expression, known, subject)
        if isinstance(expression, Unary):
            return self._unary(expression, known, subject)
        if isinstance(expression, Call):
            return self._call(expression, known, subject)
        left = self.tell(expression.left, known, subject)
        right = self.tell(expression.right, known, subject)
        return self._binary(expression.operator, left, right)

    def holds(self, expression: Expression, known: Mapping[str, Told], subject: Told | None = None) -> pl.Expr:
        """Return where a test holds, never null."""
        told = self.tell(expression, known, subject)
        fails = _either(told.fails, None if subject is None else subject.fails)
        value = told.value.fill_null(value=False)
        return value if fails is None else value & ~fails

    def _unary(self, expression: Unary, known: Mapping[str, Told], subject: Told | None) -> Told:
        inner = self.tell(expression.inner, known, subject)
        value = self.kept(~inner.value if expression.operator == "not" else -inner.value)
        return Told(value, _either(inner.fails, _missing(inner)), inner.slack)

    def _binary(self, sign: str, left: Told, right: Told) -> Told:
        if sign in ("==", "!="):
            return self._equal(left, right, same=sign == "==")
        if sign in ("and", "or"):
            return _joined(left, right, stops=sign == "or")
        if sign == "??":
            return _first(left, right)
        fails = _either(left.fails, right.fails, _missing(left), _missing(right))
        if sign in _COMPARE:
            self._note(left, right)
            return Told(_COMPARE[sign](left.value, right.value), fails)
        return self._computed(sign, left, right, fails)

    def _equal(self, left: Told, right: Told, *, same: bool) -> Told:
        fails = _either(left.fails, right.fails)
        if left.is_null or right.is_null:
            value = (left if right.is_null else right).value.is_null()
        else:
            self._note(left, right)
            value = left.value.eq_missing(right.value)
        return Told(value if same else ~value, fails)

    def _computed(self, sign: str, left: Told, right: Told, fails: pl.Expr | None) -> Told:
        value = _COMPUTE[sign](left.value, right.value)
        one, two, a, b = _slack(left), _slack(right), left.value.abs(), right.value.abs()
        if sign == "/":
            if right.slack is not None:
                self.doubt((b <= two) & (two > 0))
            value = self.kept(pl.when(right.value == 0).then(None).otherwise(value))
            slack = (one + value.abs() * two) / pl.max_horizontal(b - two, pl.lit(1e-300))
        elif sign == "*":
            slack = a * two + b * one + one * two
        else:
            slack = one + two
        value = self.kept(value)
        self.doubt(value.abs() > _MOST)
        return Told(value, fails, self.kept(slack + value.abs() * _HALF_STEP + _LAST_PLACE))

    def _within(self, expression: Within, known: Mapping[str, Told], subject: Told | None) -> Told:
        asked, among = self.tell(expression.value, known, subject), expression.among
        if isinstance(among, Interval):
            low, high = self.tell(among.low, known, subject), self.tell(among.high, known, subject)
            fails = _either(*(each.fails for each in (asked, low, high)), *map(_missing, (asked, low, high)))
            for bound in (low, high):
                self._note(asked, bound)
            above = asked.value >= low.value if among.low_closed else asked.value > low.value
            value = above & (asked.value <= high.value if among.high_closed else asked.value < high.value)
        else:
            fails = asked.fails
            options = [_literal(each.value) for each in among.values]
            found = []
            for each in options:
                if not each.is_null and not asked.is_null:
                    self._note(asked, each)
                    found.append(asked.value.eq_missing(each.value))
                elif each.is_null:
                    found.append(asked.value.is_null())
            value = reduce(operator.or_, found) if found else pl.lit(value=False)
        return Told(~value if expression.negated else value, fails)

    def _conditional(self, expression: Conditional, known: Mapping[str, Told], subject: Told | None) -> Told:
        test, then, other = (
            self.tell(each, known, subject) for each in (expression.test, expression.then, expression.other)
        )
        holds = test.value.fill_null(value=False)
        inner = None
        if then.fails is not None or other.fails is not None:
            inner = pl.when(holds).then(_or_never(then.fails)).otherwise(_or_never(other.fails))
        value = self.kept(pl.when(holds).then(then.value).otherwise(other.value))
        slack = _picked(holds, then, other)
        fails = _either(test.fails, _missing(test), inner)
        return Told(value, fails, None if slack is None else self.kept(slack))

    def _call(self, expression: Call, known: Mapping[str, Told], subject: Told | None) -> Told:
        told = [self.tell(argument, known, subject) for argument in expression.arguments]
        fails = _either(*(each.fails for each in told), *map(_missing, told))
        first, function = told[0], expression.function
        if function in ("abs", "min", "max"):
            slacks = [_slack(each) for each in told if each.slack is not None]
            slack = reduce(operator.add, slacks) if slacks else None
            values = [each.value for each in told]
            pick = pl.min_horizontal if function == "min" else pl.max_horizontal
            value = self.kept(first.value.abs() if function == "abs" else pick(values))
            return Told(value, fails, slack if slack is None else self.kept(slack))
        if function == "len":
            return Told(first.value.list.len().cast(pl.Float64), fails)
        if function == "date":
            return self._date(first, fails)
        if function == "contains":
            return Told(_contains(first, told[1]), fails)
        texts = {"startsWith": first.value.str.starts_with, "endsWith": first.value.str.ends_with}
        return Told(texts[function](told[1].value), fails)

    def _date(self, text: Told, fails: pl.Expr | None) -> Told:
        """Read the two usual forms of a time; any other is in doubt, and the engine reads it."""
        day = text.value.str.to_datetime("%Y-%m-%d", strict=False, time_unit="us")
        time = text.value.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False, time_unit="us")
        usual = text.value.str.contains(r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?$").fill_null(value=True)
        found = pl.coalesce(day, time)
        self.doubt(~usual)
        seconds = (found.dt.epoch("us") // 1_000_000).cast(pl.Float64)
        return Told(seconds, _either(fails, found.is_null()))

    def _note(self, left: Told, right: Told) -> None:
        """Note where two numbers are too close to be told apart, if one of them was computed."""
        if left.slack is None and right.slack is None:
            return
        near = (left.value - right.value).abs() <= _slack(left) + _slack(right)
        self.doubt(near)


def _literal(value: Decimal | str | bool | None) -> Told:
    if value is None:
        return Told(pl.lit(None), is_null=True)
    return Told(pl.lit(float(value) if isinstance(value, Decimal) else value))


def _missing(told: Told) -> pl.Expr | None:
    return pl.lit(value=True) if told.is_null else told.value.is_null()


def _slack(told: Told) -> pl.Expr:
    return told.value.abs() * _HALF_STEP if told.slack is None else told.slack


def _either(*fails: pl.Expr | None) -> pl.Expr | None:
    found = [each for each in fails if each is not None]
    return reduce(operator.or_, found) if found else None


def _or_never(fails: pl.Expr | None) -> pl.Expr:
    return pl.lit(value=False) if fails is None else fails


def _joined(left: Told, right: Told, *, stops: bool) -> Told:
    """Return ``and`` or ``or``: the right side is looked at only where the left one does not settle it."""
    reached = ~left.value if stops else left.value
    fails = _either(left.fails, left.value.is_null())
    if right.fails is not None:
        fails = _either(fails, reached & right.fails)
    value = pl.when(reached).then(right.value).otherwise(pl.lit(value=stops))
    return Told(value, None if fails is None else fails.fill_null(value=True))


def _first(left: Told, right: Told) -> Told:
    if left.is_null:
        return replace(right, fails=_either(left.fails, right.fails))
    there = left.value.is_not_null()
    fails = left.fails if right.fails is None else _either(left.fails, ~there & right.fails)
    value = pl.when(there).then(left.value).otherwise(right.value)
    return Told(value, fails, _picked(there, left, right))


def _picked(holds: pl.Expr, then: Told, other: Told) -> pl.Expr | None:
    if then.slack is None and other.slack is None:
        return None
    return pl.when(holds).then(_slack(then)).otherwise(_slack(other))


def _contains(held: Told, part: Told) -> pl.Expr:
    return held.value.list.contains(part.value) if held.is_list else held.value.str.contains(part.value, literal=True)
