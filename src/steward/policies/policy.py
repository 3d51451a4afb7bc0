"""A policy as it was understood: its steps in the order in which they are taken, each expression read and checked.

The graph must be a tree: one way from the input through tables and expressions, forking only at switches, all ending at
one output. So nothing is merged, no branch waits for another, and what a name means can be told by looking back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from steward.errors import DeclarationError
from steward.policies import jdm
from steward.policies.domains import Domain, read_domains
from steward.policies.jdm import refused
from steward.policies.kinds import Kind, settle
from steward.policies.steps import CHOICE, HIDDEN, Assign, Column, Fork, Row, Step, Table, Test, Way, walk, written_by
from steward.policies.syntax import read_cell, read_expression
from steward.policies.tree import Expression, Literal, names

_N = TypeVar("_N")


@dataclass(frozen=True)
class Policy:
    """A policy, read and checked.

    Attributes:
        document: What it was read from.
        steps: What is done, in order.
        kinds: The kind of each name, as far as it can be told.
        inputs: The paths that must come in, in order of their names.
        domains: What its schema says of the inputs.
        tables: Its tables, by number.

    Example:
        >>> Policy.read(b'{"nodes": [], "edges": []}')
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: a policy has one input node. Why: this one has 0. Next: ...
    """

    document: jdm.Document
    steps: tuple[Step, ...]
    kinds: Mapping[str, Kind]
    inputs: tuple[str, ...]
    domains: Mapping[str, Domain]
    tables: tuple[Table, ...]
    _hash: str = field(repr=False, compare=False)

    @classmethod
    def read(cls, data: bytes) -> Policy:
        """Read a policy from JSON.

        Raises:
            DeclarationError: It is not in the strict subset; the message says what is not, and why.
        """
        document = jdm.read(data)
        found = _Understanding(document)
        steps = found.chain(found.first, _Scope())
        if unclear := sorted(name for name in found.inputs if found.kinds.get(name, Kind.UNKNOWN) is Kind.UNKNOWN):
            why = "declare it in the schema of the input node, so that another kind can be refused when it comes in"
            raise refused(f"nothing tells whether {unclear[0]!r} is a number, a text, a flag or a list", why, "schema")
        return cls(
            document=document,
            steps=steps,
            kinds=found.kinds,
            inputs=tuple(sorted(found.inputs)),
            domains=found.domains,
            tables=tuple(found.tables),
            _hash=jdm.digest(document),
        )

    @property
    def digest(self) -> str:
        """``sha256:`` of the canonical form."""
        return self._hash

    def canonical(self) -> bytes:
        """Return the canonical form: what is registered."""
        return jdm.canonical(self.document)

    @cached_property
    def parameters(self) -> Mapping[str, object]:
        """The thresholds, limits and budgets: names of expression nodes that stand for a constant."""
        nodes = [step for step in self.walk() if isinstance(step, Assign)]
        return {name: out.value for node in nodes for name, out in node.values.items() if isinstance(out, Literal)}

    @cached_property
    def writes_choice(self) -> bool:
        """Whether the choice is what is written to ``choice``; else it is an object of all that is written last."""
        return any(path.partition(".")[0] == CHOICE for step in self.walk() for path in written_by(step))

    def walk(self) -> Iterator[Step]:
        """Return every step, those behind a switch after it."""
        yield from walk(self.steps)


@dataclass(frozen=True)
class _Scope:
    """What can be read at a place: what was written before, and the inputs where nothing has held them back."""

    written: frozenset[str] = frozenset()
    is_open: bool = True
    held_by: str = ""

    def after(self, node: str, writes: frozenset[str], *, passes: bool) -> _Scope:
        if passes:
            return _Scope(self.written | writes, self.is_open, self.held_by)
        return _Scope(writes, False, node)


class _Understanding:
    """Goes through the graph once and reads what it meets."""

    def __init__(self, document: jdm.Document) -> None:
        self._nodes = {node.id: node for node in document.nodes}
        self._out: dict[str, list[jdm.Edge]] = {}
        into: dict[str, int] = {}
        for edge in document.edges:
            for end in (edge.source_id, edge.target_id):
                if end not in self._nodes:
                    raise refused(f"edge {edge.id!r} ends at {end!r}", "no node has that id", "edges")
            self._out.setdefault(edge.source_id, []).append(edge)
            into[edge.target_id] = into.get(edge.target_id, 0) + 1
        self.first = self._only(jdm.InputNode, "input")
        self._last = self._only(jdm.OutputNode, "output").id
        self._check_tree(into)
        self.domains = read_domains(self.first.content.schema or "")
        self.kinds = {name: domain.kind for name, domain in self.domains.items()}
        self.inputs: set[str] = set()
        self.tables: list[Table] = []
        self._place = ""

    def _only(self, kind: type[_N], what: str) -> _N:
        found = [node for node in self._nodes.values() if isinstance(node, kind)]
        if len(found) != 1:
            raise refused(f"a policy has one {what} node", f"this one has {len(found)}", "nodes")
        return found[0]

    def _check_tree(self, into: Mapping[str, int]) -> None:
        for name, node in self._nodes.items():
            ways_in = into.get(name, 0)
            if isinstance(node, jdm.InputNode) is not (ways_in == 0):
                raise refused(f"node {name!r} has {ways_in} edges into it", "only the input begins a way", "edges")
            if ways_in > 1 and name != self._last:
                why = "ways may only join at the output: give each branch its own node"
                raise refused(f"node {name!r} has {ways_in} edges into it", why, "edges")
            ways_out = len(self._out.get(name, ()))
            if (ways_out == 0) is not (name == self._last) or (ways_out > 1 and not isinstance(node, jdm.SwitchNode)):
                why = "every way ends at the output, and only a switch forks"
                raise refused(f"node {name!r} has {ways_out} edges out of it", why, "edges")

    def chain(self, node: jdm.Node, scope: _Scope) -> tuple[Step, ...]:
        """Return the steps behind a node."""
        if isinstance(node, jdm.SwitchNode):
            return (self._fork(node, scope),)
        behind = self._nodes[self._out[node.id][0].target_id]
        if isinstance(node, jdm.InputNode):
            return self.chain(behind, scope) if behind.id != self._last else self._nothing_chosen(node.id)
        assert isinstance(node, jdm.TableNode | jdm.ExpressionNode)
        step: Table | Assign
        step, scope = self._table(node, scope) if isinstance(node, jdm.TableNode) else self._assign(node, scope)
        if behind.id == self._last:
            return (step,)
        if isinstance(step, Table) and step.collect:
            why = "a list of rows can be chosen, not computed with: let a table that collects lead to the output"
            raise refused(f"something follows the table {step.name!r}", why, "nodes")
        return (step, *self.chain(behind, scope))

    def _nothing_chosen(self, node: str) -> tuple[Step, ...]:
        raise refused(f"a way leads from {node!r} to the output at once", "nothing is chosen on it", "edges")

    def _fork(self, node: jdm.SwitchNode, scope: _Scope) -> Fork:
        self._place = f"switch {node.name or node.id!r}"
        ways = []
        targets = {edge.source_handle: edge.target_id for edge in self._out[node.id]}
        known = {statement.id for statement in node.content.statements}
        if set(targets) != known or len(known) != len(self._out[node.id]) or len(node.content.statements) != len(known):
            why = "each statement has an id of its own and one edge that begins at it"
            raise refused(f"the switch {node.name or node.id!r} is not wired", why, "edges")
        for statement in node.content.statements:
            text = statement.condition.strip()
            asks = self._reads(read_expression, text, Kind.FLAG, scope) if text else None
            behind = self._nodes[targets[statement.id]]
            steps = self.chain(behind, scope) if behind.id != self._last else self._nothing_chosen(node.id)
            ways.append(Way(statement.id, text, asks, steps))
        return Fork(node.id, node.name or node.id, tuple(ways))

    def _assign(self, node: jdm.ExpressionNode, scope: _Scope) -> tuple[Assign, _Scope]:
        self._place = f"expression {node.name or node.id!r}"
        values: dict[str, Expression] = {}
        texts: dict[str, str] = {}
        for each in node.content.expressions:
            key, text = each.key.strip(), each.value.strip()
            if not key and not text:
                continue
            self._check_writes(key, values)
            values[key] = self._reads(read_expression, text, self.kinds.get(key, Kind.UNKNOWN), scope)
            texts[key] = text
            self._wrote(key, values[key])
        passes = node.content.pass_through
        step = Assign(node.id, node.name or node.id, passes, values, texts)
        return step, scope.after(step.name, frozenset(values), passes=passes)

    def _table(self, node: jdm.TableNode, scope: _Scope) -> tuple[Table, _Scope]:
        content, name = node.content, node.name or node.id
        self._place = f"table {name!r}"
        ids = [column.id for column in (*content.inputs, *content.outputs)]
        if len(set(ids)) != len(ids) or not all(ids):
            raise refused(f"two columns of table {name!r} have one id", "an id names one column", "inputs")
        columns = tuple(self._column(column, scope) for column in content.inputs)
        writes: dict[str, str] = {}
        for out in content.outputs:
            self._check_writes(out.field.strip(), writes.values())
            writes[out.id] = out.field.strip()
        table = Table(
            id=node.id,
            name=name,
            number=len(self.tables),
            collect=content.hit_policy == "collect",
            passes=content.pass_through,
            columns=columns,
            rows=tuple(self._rows(content, columns, writes, scope)),
            writes=tuple(writes.values()),
        )
        if table.collect and table.passes:
            raise refused(f"table {name!r} collects and passes through", "its rows are a list", "passThrough")
        self.tables.append(table)
        return table, scope.after(name, frozenset(writes.values()), passes=table.passes)

    def _column(self, column: jdm.Column, scope: _Scope) -> Column:
        text = column.field.strip()
        subject = self._reads(read_expression, text, Kind.UNKNOWN, scope) if text else None
        return Column(text, subject, column.name.strip() or text)

    def _rows(
        self, content: jdm.Table, columns: tuple[Column, ...], writes: Mapping[str, str], scope: _Scope
    ) -> Iterator[Row]:
        seen: set[str] = set()
        table, ids = self._place, [column.id for column in content.inputs]
        for number, row in enumerate(content.rules, 1):
            id = row.get("_id", "")
            if not id or id in seen:
                why = "every row has an _id of its own: it is the rule that records name"
                raise refused(f"row {number} of {table} has the _id {id!r}", why, "rules")
            seen.add(id)
            if unknown := sorted(set(row) - {"_id", "_description", *ids, *writes}):
                raise refused(f"row {id!r} of {table} has a cell for {unknown[0]!r}", "no column has that id", "rules")
            self._place = f"row {id!r} of {table}"
            tests = tuple(self._test(columns, at, row[key], scope) for at, key in enumerate(ids) if key in row)
            outputs = {}
            for key, path in writes.items():
                if key in row:
                    outputs[path] = self._reads(read_expression, row[key], self.kinds.get(path, Kind.UNKNOWN), scope)
                    self._wrote(path, outputs[path])
            texts = {path: row[key] for key, path in writes.items() if key in row}
            yield Row(id, row.get("_description", ""), tests, outputs, texts)
        self._place = table

    def _test(self, columns: tuple[Column, ...], at: int, text: str, scope: _Scope) -> Test:
        subject = columns[at].subject
        if subject is None:
            return Test(at, text, self._reads(read_expression, text, Kind.FLAG, scope))
        asks = self._reads(read_cell, text, Kind.FLAG, scope, subject)
        return Test(at, text, asks)

    def _reads(
        self,
        how: Callable[[str], Expression],
        text: str,
        wanted: Kind,
        scope: _Scope,
        subject: Expression | None = None,
    ) -> Expression:
        """Read an expression, find what its names are, and settle their kinds."""
        try:
            read = how(text)
            for path in names(read):
                self._check_seen(path, scope)
            settle(read, wanted, self.kinds, subject)
        except DeclarationError as error:
            if error.code == "policy":
                raise
            raise refused(f"{self._place} cannot be used", str(error), "nodes") from error
        return read

    def _check_seen(self, path: str, scope: _Scope) -> None:
        if path.startswith(HIDDEN):
            raise refused(f"{self._place} reads {path!r}", f"names with {HIDDEN} are the engine's", "nodes")
        if path in scope.written:
            return
        if not scope.is_open:
            why = f"{scope.held_by!r} stands before it and does not pass it on: switch on passThrough there"
            raise refused(f"{self._place} reads {path!r}", why, "nodes")
        self.inputs.add(path)

    def _check_writes(self, path: str, others: Iterable[str]) -> None:
        try:
            plain = names(read_expression(path)) == {path} and not path.startswith(HIDDEN)
        except DeclarationError:
            plain = False
        if not plain:
            why = "a name has letters, digits and _, and dots between"
            raise refused(f"{self._place} writes to {path!r}", why, "field")
        for other in others:
            if f"{other}.".startswith(f"{path}.") or f"{path}.".startswith(f"{other}."):
                raise refused(f"{self._place} writes both {other!r} and {path!r}", "one would hide the other", "field")

    def _wrote(self, path: str, value: Expression) -> None:
        kind = settle(value, Kind.UNKNOWN, self.kinds)
        if self.kinds.get(path, Kind.UNKNOWN) is Kind.UNKNOWN:
            self.kinds[path] = kind
