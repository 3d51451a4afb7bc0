"""A policy over a whole frame of features: what a replay asks, a million decisions a second on one core.

The same policy as columns of polars. It answers what the engine answers, row by row: the choice, the rule, or why there
is none. Rows in which a computed number is too close to a threshold for floats to tell are asked of the engine itself.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from itertools import compress
from typing import Any, Final

import polars as pl

from steward.decision.feature import Features
from steward.errors import DeclarationError, StewardError
from steward.policies.bound import Bound, ends_of, nested
from steward.policies.domains import Domain
from steward.policies.inputs import NEXT_TO_ZERO
from steward.policies.kinds import Kind
from steward.policies.policy import Policy
from steward.policies.steps import CHOICE, REASON, Assign, Fork, Step, Table
from steward.policies.syntax import MOST
from steward.policies.translate import Told, Translator
from steward.records import Prediction

_TYPES: Final = {
    Kind.NUMBER: pl.Float64(),
    Kind.TEXT: pl.String(),
    Kind.FLAG: pl.Boolean(),
    Kind.LIST: pl.List(pl.String()),
}
_AT: Final = "_at"


@dataclass(frozen=True)
class _Answer:
    """What a way through the policy comes to: the hit row of each table, what can be read, and where it failed."""

    hits: tuple[tuple[Table, pl.Expr], ...]
    known: Mapping[str, Told]
    choice: pl.Expr | None = None
    rule: pl.Expr | None = None
    fails: pl.Expr | None = None


def choose(policy: Policy, frame: pl.DataFrame, *, ask_in_doubt: bool = True) -> pl.DataFrame:
    """Return the choices of a policy for each row of a frame.

    Args:
        policy: The policy.
        frame: A column for each of ``policy.inputs``, by its path (``amount_eur``, ``prediction``, ``interval.low``);
            null is a missing value, further columns are left alone.
        ask_in_doubt: Whether rows that floats cannot settle are asked of the engine; else ``error`` says ``in-doubt``.

    Returns:
        As many rows: ``choice`` (a struct where it has several fields), ``rule``, and ``error``: the code of the error
        with which the policy would have refused, null where it chose.

    Raises:
        DeclarationError: A column is missing or of another kind.

    Example:
        >>> from steward.policies.demo import REFUNDS
        >>> past = pl.DataFrame({"amount_eur": [20.0, 900.0], "prediction": [0.05, 0.9], "segment": ["new", "gold"]})
        >>> choose(Policy.read(REFUNDS), past).rows()
        [('pay', 'small', None), ('refuse', 'risky', None)]
    """
    known, wrong = _inputs(policy, frame)
    translator = Translator(frame)
    answer = _Walk(policy, translator).chain(policy.steps, known)
    doubt = reduce(operator.or_, translator.doubts) if translator.doubts else pl.lit(value=False)
    assert answer.choice is not None
    assert answer.rule is not None
    chosen = answer.rule.is_not_null()
    failed = pl.lit(value=False) if answer.fails is None else answer.fails
    error = (
        pl.when(wrong)
        .then(pl.lit("policy-input"))
        .when(failed)
        .then(pl.lit("policy-failed"))
        .when(~chosen)
        .then(pl.lit("policy-no-rule"))
        .when(_is_empty(policy, answer.choice))
        .then(pl.lit("policy-choice"))
    )
    columns = [answer.choice.alias(CHOICE), answer.rule.alias("rule"), error.alias("error")]
    made = translator.frame.select(*columns, (doubt.fill_null(value=True) & ~wrong).alias("doubt"))
    made = made.with_columns(
        pl.when(pl.col("error").is_null()).then(pl.col(name)).alias(name) for name in (CHOICE, "rule")
    )
    found = made.drop("doubt")
    return _asked(policy, frame, found, made["doubt"], ask=ask_in_doubt) if made["doubt"].any() else found


def _is_empty(policy: Policy, choice: pl.Expr) -> pl.Expr:
    """Return where nothing, or nothing in one row of many, was written to ``choice``."""
    if not policy.writes_choice:
        return pl.lit(value=False)
    if any(table.collect for table in policy.tables):
        return choice.list.contains(None, nulls_equal=True)
    return choice.is_null()


def _inputs(policy: Policy, frame: pl.DataFrame) -> tuple[dict[str, Told], pl.Expr]:
    """Return the inputs as columns, and where one of them is not allowed."""
    known: dict[str, Told] = {}
    wrong = [pl.lit(value=False)]
    for path in policy.inputs:
        kind, domain = policy.kinds[path], policy.domains.get(path)
        if path not in frame.columns:
            raise DeclarationError(f"the frame has no column {path!r}", fix="add the policy's input", field=path)
        value = pl.col(path)
        if frame[path].dtype == pl.Null:
            value = value.cast(_TYPES[kind])
        elif not _is_of(frame[path].dtype, kind):
            raise DeclarationError(f"the column {path!r} is {frame[path].dtype}, not a {kind}", field=path)
        if kind is Kind.NUMBER:
            value = value.cast(pl.Float64)
            # NaN is beyond every bound for the reader of single decisions; in polars it is the greatest number
            wrong.append(~value.is_between(-MOST, MOST))
            value = pl.when(value.abs() < NEXT_TO_ZERO).then(0.0).otherwise(value)
        if domain is not None:
            wrong += _outside(value, domain)
        known[path] = Told(value, is_list=kind is Kind.LIST)
    return known, reduce(operator.or_, (each.fill_null(value=False) for each in wrong))


def _outside(value: pl.Expr, domain: Domain) -> list[pl.Expr]:
    """Return where a value is not in its domain."""
    wrong = [] if domain.may_miss else [value.is_null()]
    if domain.values is not None:
        wrong.append(~value.is_in([float(each) if isinstance(each, Decimal) else each for each in domain.values]))
    if domain.whole:
        wrong.append(value != value.round())
    if domain.low is not None:
        wrong.append(value <= float(domain.low) if domain.low_open else value < float(domain.low))
    if domain.high is not None:
        wrong.append(value >= float(domain.high) if domain.high_open else value > float(domain.high))
    return wrong


def _is_of(dtype: pl.DataType, kind: Kind) -> bool:
    if kind is Kind.NUMBER:
        return dtype.is_numeric()
    if kind is Kind.TEXT:
        return dtype in (pl.String, pl.Categorical, pl.Enum)
    return dtype == pl.Boolean if kind is Kind.FLAG else isinstance(dtype, pl.List)


class _Walk:
    """Goes through the steps of a policy and says what each comes to."""

    def __init__(self, policy: Policy, translator: Translator) -> None:
        self._many = len(policy.tables) > 1
        self._tell = translator
        self._fields = _fields(policy)
        self._choice_alone = policy.writes_choice

    def chain(
        self, steps: tuple[Step, ...], known: Mapping[str, Told], hits: tuple[tuple[Table, pl.Expr], ...] = ()
    ) -> _Answer:
        fails: pl.Expr | None = None
        for step in steps:
            if isinstance(step, Fork):
                return self._fork(step, known, hits, fails)
            if isinstance(step, Assign):
                told = {path: self._tell.tell(each, known) for path, each in step.values.items()}
                for path, each in told.items():
                    fails = _or(fails, None if each.fails is None else self._tell.kept(each.fails))
                    told[path] = replace(each, value=self._tell.kept(each.value), fails=None)
                known = {**known, **told} if step.passes else told
            elif step.collect:
                return self._collect(step, known, fails)
            else:
                hit, known = self._table(step, known)
                hits = (*hits, (step, hit))
        return _Answer(hits, known, self._choice(known), self._rule(hits), fails)

    def _table(self, table: Table, known: Mapping[str, Told]) -> tuple[pl.Expr, Mapping[str, Told]]:
        outputs = [{path: self._tell.tell(each, known) for path, each in row.outputs.items()} for row in table.rows]
        hit: Any = pl
        for at, holds in enumerate(self._rows(table, known, outputs)):
            hit = hit.when(holds).then(pl.lit(at, dtype=pl.UInt16))
        hit = self._tell.kept(pl.lit(None, dtype=pl.UInt16) if hit is pl else hit.otherwise(None))
        written = {path: self._written(path, hit, outputs, known if table.passes else {}) for path in table.writes}
        return hit, {**known, **written} if table.passes else written

    def _rows(self, table: Table, known: Mapping[str, Told], outputs: list[dict[str, Told]]) -> list[pl.Expr]:
        """Return where each row holds; one whose output cannot be computed does not, as in the engine."""
        subjects = [None if c.subject is None else self._tell.tell(c.subject, known) for c in table.columns]
        found = []
        for row, written in zip(table.rows, outputs, strict=True):
            tests = [self._tell.holds(test.asks, known, subjects[test.column]) for test in row.tests]
            tests += [~each.fails for each in written.values() if each.fails is not None]
            found.append(self._tell.kept(reduce(operator.and_, tests, pl.lit(value=True))))
        return found

    def _written(self, path: str, hit: pl.Expr, outputs: list[dict[str, Told]], before: Mapping[str, Told]) -> Told:
        """Return what a table writes to a path: of the hit row, else what was there before."""
        earlier = before.get(path, Told(pl.lit(None)))
        told = [row.get(path, earlier) for row in outputs]
        value = _by_row(hit, [each.value for each in told], earlier.value)
        slack = None
        if any(each.slack is not None for each in (*told, earlier)):
            nothing = pl.lit(0.0)
            slacks = [nothing if each.slack is None else each.slack for each in told]
            slack = _by_row(hit, slacks, nothing if earlier.slack is None else earlier.slack)
            slack = self._tell.kept(slack)
        return Told(self._tell.kept(value), slack=slack, is_list=any(each.is_list for each in told))

    def _fork(
        self, fork: Fork, known: Mapping[str, Told], hits: tuple[tuple[Table, pl.Expr], ...], fails: pl.Expr | None
    ) -> _Answer:
        choice, rule, fail = pl.lit(None), pl.lit(None, dtype=pl.String), pl.lit(value=False)
        for way in reversed(fork.ways):
            holds = pl.lit(value=True) if way.asks is None else self._tell.holds(way.asks, known)
            answer = self.chain(way.steps, known, hits)
            choice = pl.when(holds).then(answer.choice).otherwise(choice)
            rule = pl.when(holds).then(answer.rule).otherwise(rule)
            own = pl.lit(value=False) if answer.fails is None else answer.fails
            fail = pl.when(holds).then(own).otherwise(fail)
        return _Answer((), {}, choice, rule, _or(fails, fail))

    def _collect(self, table: Table, known: Mapping[str, Told], fails: pl.Expr | None) -> _Answer:
        outputs = [{path: self._tell.tell(each, known) for path, each in row.outputs.items()} for row in table.rows]
        holds = self._rows(table, known, outputs)
        names = [row.id for row in table.rows]
        fitting = self._tell.frame.select(each.alias(str(at)) for at, each in enumerate(holds)).rows()
        nothing = Told(pl.lit(None))
        kept = [
            self._tell.kept(self._choice({path: told.get(path, nothing) for path in table.writes})) for told in outputs
        ]
        values = self._tell.frame.select(kept)
        chosen = [list(compress(row, fit)) for row, fit in zip(values.rows(), fitting, strict=True)]
        rules = [", ".join(compress(names, fit)) or None for fit in fitting]
        self._tell.frame = self._tell.frame.with_columns(
            pl.Series("_steward_list", chosen, dtype=pl.List(_widest(values.dtypes))),
            pl.Series("_steward_rule", rules, dtype=pl.String),
        )
        return _Answer((), {}, pl.col("_steward_list"), pl.col("_steward_rule"), fails)

    def _choice(self, known: Mapping[str, Told]) -> pl.Expr:
        """Return the choice as one column: what was written to ``choice``, else a struct of all that was written."""
        if not self._choice_alone:
            return _struct({path: known[path].value for path in self._fields if path in known})
        inner = {path: told for path, told in known.items() if path.startswith(f"{CHOICE}.")}
        if not inner:
            return known[CHOICE].value if CHOICE in known else pl.lit(None)
        made = _struct({path.removeprefix(f"{CHOICE}."): told.value for path, told in inner.items()})
        return pl.when(pl.any_horizontal(told.value.is_not_null() for told in inner.values())).then(made)

    def _rule(self, hits: tuple[tuple[Table, pl.Expr], ...]) -> pl.Expr:
        if not hits:
            return pl.lit("")
        names = [
            hit.replace_strict(
                {at: f"{table.name}/{row.id}" if self._many else row.id for at, row in enumerate(table.rows)},
                default=None,
                return_dtype=pl.String,
            )
            for table, hit in hits
        ]
        if len(names) == 1:
            return names[0]
        joined = pl.concat_str(names, separator=" > ", ignore_nulls=True)
        return pl.when(joined != "" if hits[-1][0].passes else names[-1].is_not_null()).then(joined)


def _widest(types: Sequence[pl.DataType]) -> pl.DataType:
    """Return the one type of what rows write; those that write nothing have none."""
    return next((each for each in types if each != pl.Null), pl.Null())


def _fields(policy: Policy) -> tuple[str, ...]:
    """Return what the last nodes write, which is the choice where nothing is written to ``choice``."""
    written = dict.fromkeys(path for end in ends_of(policy.steps) for path in end)
    return tuple(path for path in written if path != REASON)


def _by_row(hit: pl.Expr, values: list[pl.Expr], otherwise: pl.Expr) -> pl.Expr:
    made: Any = pl
    for at, value in enumerate(values):
        made = made.when(hit == at).then(value)
    return otherwise if made is pl else made.otherwise(otherwise)


def _struct(values: Mapping[str, pl.Expr]) -> pl.Expr:
    """Return values by dotted paths as structs in each other."""
    plain = [value.alias(path) for path, value in values.items() if "." not in path]
    firsts = dict.fromkeys(path.partition(".")[0] for path in values if "." in path)
    for first in firsts:
        inner = {path.partition(".")[2]: value for path, value in values.items() if path.startswith(f"{first}.")}
        plain.append(_struct(inner).alias(first))
    return pl.struct(plain)


def _or(one: pl.Expr | None, other: pl.Expr | None) -> pl.Expr | None:
    return other if one is None else one if other is None else one | other


def _asked(policy: Policy, frame: pl.DataFrame, found: pl.DataFrame, doubt: pl.Series, *, ask: bool) -> pl.DataFrame:
    """Return the answers with those in doubt as the engine gives them."""
    places = doubt.arg_true()
    if not ask:
        told = [{CHOICE: None, "rule": None, "error": "in-doubt"}] * len(places)
    else:
        bound = Bound(policy)
        told = [_ask(bound, row) for row in frame[places].select(policy.inputs).iter_rows(named=True)]
    asked = pl.DataFrame(told, schema=found.schema, strict=False).with_columns(places.alias(_AT).cast(pl.UInt32))
    left = found.with_row_index(_AT).filter(~doubt)
    return pl.concat([left, asked.select(left.columns)]).sort(_AT).drop(_AT)


def _ask(bound: Bound, row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        choice = bound(Features(nested(row)), Prediction(value=None))
    except StewardError as error:
        return {CHOICE: None, "rule": None, "error": error.code}
    return {CHOICE: choice.value, "rule": choice.rule or "", "error": None}
