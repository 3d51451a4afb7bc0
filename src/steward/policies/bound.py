"""A policy that decides: compiled, with its rows in words, and every choice of the declared type."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from steward.decision.choice import Choice
from steward.decision.feature import Features
from steward.errors import DeclarationError, StewardError
from steward.policies.engine import Ask, ask_of, rows_hit
from steward.policies.inputs import FROM_PREDICTION, reader
from steward.policies.policy import Policy
from steward.policies.steps import CHOICE, HIDDEN, REASON, Fork, Row, Step, Table
from steward.policies.wording import reason_of
from steward.records import Prediction

_encode: Final = msgspec.json.Encoder().encode


class Bound:
    """A policy as data, ready to decide: what ``policy=`` of a decision becomes when it is prepared.

    Args:
        policy: What was read.
        choices: The type of the choice; ``None`` leaves it as plain data.
        digest: What records call the policy's hash; by default the policy's own digest.
        name: What people call it.

    Raises:
        DeclarationError: A row writes what is no choice of that type.
        EngineError: The engine is not installed.
    """

    def __init__(self, policy: Policy, choices: Any = None, *, digest: str = "", name: str = "") -> None:
        self.policy, self.choices = policy, choices
        self.digest, self.name = digest or policy.digest, name
        self._ask: Ask = ask_of(policy)
        self._reasons = {table.number: [reason_of(table, row) for row in table.rows] for table in policy.tables}
        self._read = reader(policy)
        self._only = policy.tables[0] if len(policy.tables) == 1 and isinstance(policy.steps[-1], Table) else None
        self._names = {path.partition(".")[0] for end in ends_of(policy.steps) for path in end} - {REASON}
        self._always = self._constants()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features that it reads."""
        first = dict.fromkeys(path.partition(".")[0] for path in self.policy.inputs)
        return tuple(name for name in first if name not in FROM_PREDICTION)

    def __call__(self, features: Features, prediction: Prediction[Any]) -> Choice[Any]:
        """Return the choice; raise ``StewardError`` if no row fits, or a value cannot be one of its inputs."""
        written = self._ask(_encode(self._read(features, prediction)))
        if isinstance(written, list):
            return self._collected(written)
        found = rows_hit(self.policy, written)
        if found:
            table, at = found[-1]
            if (always := self._always.get((table.number, at))) is not None and len(found) == 1:
                return always
        return self._chosen(written, found)

    def _chosen(self, written: Mapping[str, Any], found: list[tuple[Table, int]]) -> Choice[Any]:
        if self.policy.tables and not found:
            raise _no_rule(self.name)
        value, told = self._value(written)
        reasons = [self._reasons[table.number][at] for table, at in found] or [f"{self.name or 'policy'}: computed"]
        return Choice(value, reasons=(*told, *reasons), rule=self._rule(found))

    def _rule(self, found: list[tuple[Table, int]]) -> str | None:
        many = len(self.policy.tables) > 1
        rules = [f"{table.name}/{table.rows[at].id}" if many else table.rows[at].id for table, at in found]
        return " > ".join(rules) or None

    def _collected(self, written: list[Mapping[str, Any]]) -> Choice[Any]:
        """Return the list of what every fitting row wrote."""
        found = [hit for each in written for hit in rows_hit(self.policy, each)[-1:]]
        if not found:
            raise _no_rule(self.name)
        plain = [self._plain(each) for each in written]
        reasons = [self._reasons[table.number][at] for table, at in found]
        return Choice(self._typed(plain), reasons=tuple(reasons), rule=", ".join(t.rows[at].id for t, at in found))

    def _value(self, written: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
        """Return the choice of what was written, and the reason that came with it."""
        told = written.get(REASON)
        return self._typed(self._plain(written)), (told,) if isinstance(told, str) and told else ()

    def _plain(self, written: Mapping[str, Any]) -> Any:
        """Return ``choice`` where the policy writes one, else an object of all that its last node writes."""
        if not self.policy.writes_choice:
            # what a table passed through is what it was given, and no part of its choice
            return {name: value for name, value in written.items() if name in self._names}
        if (value := written.get(CHOICE)) is None:
            raise StewardError(
                "the policy wrote no choice",
                why="the row that was hit leaves it empty, or what it computes has no value",
                fix="fill the cell of the choice",
                code="policy-choice",
                field="policy",
            )
        return value

    def _typed(self, value: Any) -> Any:
        if self.choices is None:
            return value
        try:
            return msgspec.convert(value, self.choices, strict=True, dec_hook=_read_other)
        except (msgspec.ValidationError, ValueError) as error:
            raise StewardError(
                f"the policy wrote {value!r}, which is no {getattr(self.choices, '__name__', self.choices)}",
                why=str(error),
                fix="let each row write a whole choice of the declared type",
                code="policy-choice",
                field="policy",
            ) from error

    def _constants(self) -> dict[tuple[int, int], Choice[Any]]:
        """Return the choices of rows that always write the same, made and checked once."""
        table = self._only
        if table is None:
            return {}
        made = {}
        for at, row in enumerate(table.rows):
            constant = row.constant
            if constant is None:
                continue
            choice = self._try(table, at, row, constant)
            if choice is not None and not table.collect and not table.passes and _is_immutable(choice.value):
                made[table.number, at] = choice
        return made

    def _try(self, table: Table, at: int, row: Row, constant: Mapping[str, object]) -> Choice[Any] | None:
        written = nested({path: _as_json(value) for path, value in constant.items() if value is not None})
        try:
            if table.collect:
                self._collected([{**written, f"{HIDDEN}{table.number}": at}])
                return None
            return self._chosen(written, [(table, at)])
        except StewardError as error:
            raise DeclarationError(
                f"row {row.id!r} of table {table.name!r} writes no choice: {error.what}",
                why=error.why,
                fix=error.fix,
                code="policy-choice",
                field="policy",
            ) from error


def nested(paths: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted paths as objects in each other.

    Example:
        >>> nested({"choice.power_mw": 4.0, "choice.price_eur": 30.0})
        {'choice': {'power_mw': 4.0, 'price_eur': 30.0}}
    """
    made: dict[str, Any] = {}
    for path, value in paths.items():
        at = made
        *way, last = path.split(".")
        for name in way:
            at = at.setdefault(name, {})
        at[last] = value
    return made


def _no_rule(name: str) -> StewardError:
    return StewardError(
        f"no row of the policy {name!r} fits" if name else "no row of the policy fits",
        fix="add a last row that asks nothing; steward policy check finds every gap",
        code="policy-no-rule",
        field="policy",
    )


def ends_of(steps: tuple[Step, ...]) -> list[tuple[str, ...]]:
    """Return what the last node of each way writes."""
    last = steps[-1]
    if isinstance(last, Fork):
        return [each for way in last.ways for each in ends_of(way.steps)]
    return [last.writes if isinstance(last, Table) else tuple(last.values)]


def _as_json(value: object) -> object:
    return (int(value) if value == value.to_integral_value() else float(value)) if isinstance(value, Decimal) else value


def _is_immutable(value: object) -> bool:
    """Tell whether one object can be every choice: what has a hash of its values does not change."""
    if isinstance(value, msgspec.Struct) and not type(value).__struct_config__.frozen:
        return False
    try:
        hash(value)
    except TypeError:
        return False
    return isinstance(value, Hashable)


def _read_other(kind: type[Any], value: Any) -> Any:
    """Read what msgspec does not know: pydantic models."""
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value, strict=True)
    raise TypeError(f"a {kind.__name__} cannot be written by a policy")
