"""The expressions of a policy: the part of the ZEN language that is exact, pure and known to every engine.

A cell of a table is a test of the column's value (``> 5``, ``[1..5)``, ``'gold', 'silver'``); everywhere else stands a
whole expression. Both are read as ZEN reads them, to one kind of tree. What is not in the subset is refused here, so
that an expression that was read means the same to the engine, to a replay in columns and to the static check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from steward.errors import DeclarationError
from steward.policies.tree import (
    Binary,
    Call,
    Conditional,
    Expression,
    Interval,
    Literal,
    Name,
    Options,
    Subject,
    Unary,
    Within,
)

MAX_LETTERS: Final = 1_000
MAX_DEPTH: Final = 24
MOST: Final = 10**15
"""Numbers lie within this, so that a float holds each of them and arithmetic never leaves the engine's decimals."""
_DIGITS: Final = 15


FUNCTIONS: Final = {"abs": 1, "date": 1, "len": 1, "min": 0, "max": 0, "startsWith": 2, "endsWith": 2, "contains": 2}
"""Name and number of arguments; 0 stands for one list of any length."""
COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_SAYS_TRUE_OR_FALSE: Final = frozenset({"startsWith", "endsWith", "contains"})
_PRECEDENCE: Final = {
    **{"or": 10, "and": 15, "in": 20, "not in": 20, "+": 30, "-": 30, "*": 60, "/": 60, "??": 80},
    **dict.fromkeys(COMPARISONS, 20),
}
_NOT: Final = 50
_MINUS: Final = 200
_WORDS: Final = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)|(?P<text>'[^'\n]*'|\"[^\"\n]*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>==|!=|<=|>=|\.\.|\?\?|[$<>+\-*/(),\[\]?:.]))"
)
_PATH_OR_TEXT: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[A-Za-z_][A-Za-z0-9_]*(?:\s*\.(?!\.)\s*[A-Za-z_][A-Za-z0-9_]*)*")


def read_expression(text: str) -> Expression:
    """Read a whole expression.

    Raises:
        DeclarationError: It is not in the subset; the message says what is not, and where.
    """
    reader = _Reader(text, in_cell=False)
    made = reader.expression(0)
    reader.end()
    return made


def read_cell(text: str) -> Expression:
    """Read a cell of a table: tests of the column's value, joined by ``,``, ``or`` and ``and`` from left to right.

    Raises:
        DeclarationError: It is not in the subset.
    """
    reader = _Reader(text, in_cell=True)
    made = reader.test()
    while (join := reader.now) in (",", "or", "and"):
        reader.step()
        made = Binary("and" if join == "and" else "or", made, reader.test())
    reader.end()
    return made


def with_values(text: str, texts: Mapping[str, str]) -> str:
    """Return an expression's text with names replaced by the texts of what they stand for.

    Example:
        >>> with_values("(50..limit_eur] and != 'limit_eur'", {"limit_eur": "500"})
        "(50..500] and != 'limit_eur'"
    """

    def put(found: re.Match[str]) -> str:
        return texts.get(found[0], found[0])

    return _PATH_OR_TEXT.sub(put, text)


class _Reader:
    """Reads tokens by precedence, as ZEN's own parser does; a cell knows ``and`` and ``or`` only at its top."""

    def __init__(self, text: str, *, in_cell: bool) -> None:
        if len(text) > MAX_LETTERS:
            raise DeclarationError(f"the expression {text[:40]!r}... has more than {MAX_LETTERS} letters")
        self._text, self._in_cell, self._depth = text, in_cell, 0
        self._tokens = list(self._cut(text.strip()))
        self._at = 0

    def _cut(self, text: str) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.refuse(f"{text[at : at + 12]!r} is not part of the language")
            at = found.end()
            kind = found.lastgroup or ""
            word = found[kind]
            yield ("word" if word in _WORDS else kind, word)

    def refuse(self, why: str) -> DeclarationError:
        return DeclarationError(f"the expression {self._text!r} cannot be used", why=why, code="policy-expression")

    @property
    def now(self) -> str:
        """The sign or word that comes next; ``""`` for a value or the end."""
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        return text if kind in ("sign", "word") else ""

    def step(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self.refuse("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def expect(self, sign: str) -> None:
        kind, text = self.step()
        if text != sign or kind != "sign":
            raise self.refuse(f"{sign!r} was expected, not {text!r}")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self.refuse(f"{self._tokens[self._at][1]!r} cannot stand there")

    def test(self) -> Expression:
        """Read one test of a cell, and say what it asks of the column's value."""
        if self.now in COMPARISONS:
            operator = self.step()[1]
            return Binary(operator, Subject(), self.expression(21))
        if self.now == "in" or (self.now == "not" and self._ahead() == "in"):
            return self._within(Subject())
        found = self._range_or_options(optional=True)
        if found is not None:
            return Within(Subject(), found)
        made = self.expression(0)
        if _is_test(made):
            return made
        alone = isinstance(made, Subject | Conditional) or (isinstance(made, Unary) and made.operator == "not")
        if alone or (isinstance(made, Binary) and made.operator == "??"):
            raise self.refuse("a cell compares the column's value, which is written $")
        return Binary("==", Subject(), made)

    def expression(self, lowest: int) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.refuse(f"it is nested deeper than {MAX_DEPTH}")
        left = self._prefix()
        while (operator := self._operator()) and _PRECEDENCE[operator] >= lowest:
            if operator in ("in", "not in"):
                left = self._within(left)
            else:
                self.step()
                left = Binary(operator, left, self.expression(_PRECEDENCE[operator] + 1))
        if lowest == 0 and self.now == "?":
            self.step()
            then = self.expression(0)
            self.expect(":")
            left = Conditional(left, then, self.expression(0))
        self._depth -= 1
        return left

    def _operator(self) -> str:
        operator = "not in" if self.now == "not" and self._ahead() == "in" else self.now
        if operator not in _PRECEDENCE or (self._in_cell and operator in ("and", "or")):
            return ""
        return operator

    def _ahead(self) -> str:
        return self._tokens[self._at + 1][1] if self._at + 1 < len(self._tokens) else ""

    def _within(self, value: Expression) -> Within:
        negated = self.step()[1] == "not"
        if negated:
            self.step()
        found = self._range_or_options(optional=False)
        assert found is not None
        return Within(value, found, negated)

    def _range_or_options(self, *, optional: bool) -> Interval | Options | None:
        """Read ``[1..5)`` or ``['a', 'b']``; where it is neither, step back if it is ``optional``."""
        start, opened = self._at, self.now
        if opened not in ("[", "("):
            if optional:
                return None
            raise self.refuse("after 'in' stands an interval or a list")
        self.step()
        if opened == "[" and self.now == "]":
            raise self.refuse("a list holds at least one value")
        low = self.expression(0)
        if self.now == "..":
            self.step()
            high = self.expression(0)
            closed = self.step()[1]
            if closed not in ("]", ")"):
                raise self.refuse("an interval ends with ] or )")
            return Interval(low, high, opened == "[", closed == "]")
        if opened == "(":
            if not optional:
                raise self.refuse("after 'in' stands an interval or a list")
            self._at = start
            return None
        values = [low]
        while self.now == ",":
            self.step()
            values.append(self.expression(0))
        self.expect("]")
        return Options(tuple(self._constant(value) for value in values))

    def _constant(self, value: Expression) -> Literal:
        if isinstance(value, Unary) and isinstance(value.inner, Literal) and isinstance(value.inner.value, Decimal):
            return Literal(-value.inner.value)
        if not isinstance(value, Literal):
            raise self.refuse("a list holds numbers, texts, true, false or null")
        return value

    def _prefix(self) -> Expression:  # noqa: PLR0911 - one way for each thing that may stand there
        if self.now == "not":
            self.step()
            return Unary("not", self.expression(_NOT))
        if self.now == "-":
            self.step()
            return Unary("-", self.expression(_MINUS))
        kind, text = self.step()
        if kind == "number":
            return self._number(text)
        if kind == "text":
            return Literal(text[1:-1])
        if text in ("true", "false", "null") and kind == "word":
            return Literal({"true": True, "false": False, "null": None}[text])
        if text == "$" and self._in_cell:
            return Subject()
        if text == "(":
            made = self.expression(0)
            self.expect(")")
            return made
        if kind == "name":
            return self._call(text) if self.now == "(" else self._name(text)
        raise self.refuse(f"{text!r} cannot stand there")

    def _number(self, text: str) -> Literal:
        value = Decimal(text)
        if len(value.normalize().as_tuple().digits) > _DIGITS or abs(value) > MOST or (0 < value < Decimal("1e-15")):
            raise self.refuse(f"numbers have at most {_DIGITS} digits and lie between 1e-15 and 1e15")
        return Literal(value)

    def _name(self, first: str) -> Name:
        path = [first]
        while self.now == ".":
            self.step()
            kind, text = self.step()
            if kind != "name":
                raise self.refuse(f"{text!r} is not the name of a field")
            path.append(text)
        return Name(".".join(path))

    def _call(self, function: str) -> Call:
        if function not in FUNCTIONS:
            raise self.refuse(f"the function {function!r} is not one of {', '.join(FUNCTIONS)}")
        self.expect("(")
        count = FUNCTIONS[function]
        if count == 0:
            self.expect("[")
        arguments = [self.expression(0)]
        while self.now == ",":
            self.step()
            arguments.append(self.expression(0))
        if count == 0:
            self.expect("]")
        self.expect(")")
        if count and len(arguments) != count:
            raise self.refuse(f"{function} takes {count} arguments")
        return Call(function, tuple(arguments))


def _is_test(expression: Expression) -> bool:
    """Tell whether an expression in a cell is a test by itself, rather than a value to compare with."""
    if isinstance(expression, Unary) and expression.operator == "not":
        return _is_test(expression.inner)
    if isinstance(expression, Binary):
        return expression.operator in COMPARISONS
    return isinstance(expression, Within) or (
        isinstance(expression, Call) and expression.function in _SAYS_TRUE_OR_FALSE
    )
