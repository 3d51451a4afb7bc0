"""The engine of policies: GoRules ZEN, asked by key, with the hit row as a column of its answer.

ZEN compiles what its loader holds once; what is handed to it as a decision object it compiles again on each call, and a
loader that is a function of Python too. So each policy has one engine with one key, made when it is bound and shared by
all calls. A trace would tell the hit row for twice the time; a hidden column that writes the row's number tells the
same for less than a microsecond.

Values go in as JSON text: a float from Python objects is cut to 15 digits there, so that ``0.30000000000000004`` would
be 0.3; as text it is what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from steward.errors import EngineError, StewardError
from steward.policies import jdm
from steward.policies.policy import Policy
from steward.policies.steps import CHOICE, HIDDEN, REASON, Assign, Fork, Step, Table, written_by
from steward.policies.syntax import with_values

_KEY: Final = "policy"
Ask = Callable[[bytes], Any]
"""Takes the inputs as JSON and gives what the last node wrote, with the hit rows."""


def ask_of(policy: Policy) -> Ask:
    """Return the policy, compiled.

    Raises:
        EngineError: ``zen-engine`` is not installed, or refuses the policy.
    """
    try:
        import zen  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise EngineError(
            "policies as data need zen-engine", why=str(error), fix="pip install 'steward-aios[rules]'"
        ) from error
    try:
        engine = zen.ZenEngine({"loader": {"type": "static", "content": {_KEY: numbered(policy)}}})
    except Exception as error:
        raise EngineError("the policy cannot be compiled", why=_first_line(error), code="policy-engine") from error
    evaluate = engine.evaluate

    def ask(values: bytes) -> Any:
        try:
            return evaluate(_KEY, values)["result"]
        except Exception as error:  # the engine raises nothing more exact
            raise StewardError(
                "the policy could not be evaluated",
                why=_first_line(error),
                fix="an expression met a missing value: give it one with ??, or require the input in the schema",
                code="policy-failed",
                field="policy",
            ) from error

    return ask


def numbered(policy: Policy) -> dict[str, Any]:
    """Return the policy as the engine gets it: each table writes which of its rows was hit, and passes on earlier ones.

    The schemas are left out: inputs are checked before they come here.
    """
    plain: dict[str, Any] = msgspec.to_builtins(policy.document)
    _fold(policy, plain)
    earlier: dict[str, Sequence[int]] = {}
    _note(policy.steps, (), earlier)
    steps = {step.id: step for step in policy.walk()}
    for node in plain["nodes"]:
        node.setdefault("name", node["id"])
        step = steps.get(node["id"])
        if isinstance(step, Table):
            _number_rows(node["content"], step, earlier[step.id])
        elif isinstance(step, Assign) and not step.passes:
            kept = [{"id": _hidden(n), "key": _hidden(n), "value": _hidden(n)} for n in earlier[step.id]]
            node["content"]["expressions"] = [*node["content"]["expressions"], *kept]
        elif isinstance(step, Fork):
            for statement in node["content"]["statements"]:
                statement.setdefault("condition", "")
        elif step is None:
            node["content"] = {}
    return plain


def _fold(policy: Policy, plain: dict[str, Any]) -> None:
    """Write the values of a first node of parameters where their names stand: thresholds as data cost nothing."""
    first = policy.steps[0]
    if not isinstance(first, Assign) or not first.passes or len(policy.steps) == 1:
        return
    written = {path for step in policy.walk() if step is not first for path in written_by(step)}
    if set(policy.parameters) != set(first.values) or {*written, CHOICE, REASON} & set(first.values):
        return
    plain["nodes"] = [node for node in plain["nodes"] if node["id"] != first.id]
    source = next(edge["sourceId"] for edge in plain["edges"] if edge["targetId"] == first.id)
    plain["edges"] = [edge for edge in plain["edges"] if edge["targetId"] != first.id]
    for edge in plain["edges"]:
        if edge["sourceId"] == first.id:
            edge["sourceId"] = source
    for node in plain["nodes"]:
        content = node.get("content", {})
        for row in content.get("rules", ()):
            row.update({key: with_values(cell, first.texts) for key, cell in row.items() if not key.startswith("_")})
        for where, key in (("inputs", "field"), ("expressions", "value"), ("statements", "condition")):
            for each in content.get(where, ()):
                each[key] = with_values(each.get(key, ""), first.texts)


def _note(steps: tuple[Step, ...], before: tuple[int, ...], earlier: dict[str, Sequence[int]]) -> None:
    """Note for each step which tables were met before it."""
    for step in steps:
        earlier[step.id] = before
        if isinstance(step, Table):
            before = (*before, step.number)
        elif not isinstance(step, Assign):
            for way in step.ways:
                _note(way.steps, before, earlier)


def _number_rows(content: dict[str, Any], table: Table, before: Sequence[int]) -> None:
    kept = () if table.passes else before
    columns = [_hidden(number) for number in (table.number, *kept)]
    content["outputs"] = [*content["outputs"], *({"id": name, "field": name, "name": name} for name in columns)]
    content["rules"] = [
        {**row, columns[0]: str(at), **{name: name for name in columns[1:]}} for at, row in enumerate(content["rules"])
    ]


def _hidden(table: int) -> str:
    return f"{HIDDEN}{table}"


def rows_hit(policy: Policy, written: Mapping[str, Any]) -> list[tuple[Table, int]]:
    """Return each table that a row of was hit, and which one, in order; the engine's columns are taken out."""
    found = []
    for table in policy.tables:
        at = written.get(_hidden(table.number))
        if at is not None:
            found.append((table, int(at)))
    return found


def _first_line(error: Exception) -> str:
    """Return what the engine says, without the addresses of its stack."""
    return str(error).split("\n")[0][: jdm.MAX_NODES * 4]
