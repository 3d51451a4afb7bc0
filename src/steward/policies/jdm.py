"""The document of a policy: the strict part of GoRules' JSON Decision Model, in one canonical form.

Decision tables, expressions, switches, one input and one output. What runs code or calls out (functions, HTTP, custom
nodes, other decisions) is refused by name before anything is signed. The canonical form has sorted keys, no
insignificant space, no empty cell and no place on the drawing board: moving a box makes no new policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from steward import wire
from steward.errors import ContractError, DeclarationError

MAX_BYTES: Final = 1 << 20
MAX_NODES: Final = 64
MAX_COLUMNS: Final = 64
MAX_ROWS: Final = 5_000
KIND: Final = "jdm"
"""The kind of artefact that a policy is registered as."""
FILE: Final = "policy.json"
"""The name of its one file."""

_Nothing = Literal[""] | None


class Column(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A column of a table: of an input the expression that is tested, of an output the path that is written.

    Example:
        >>> Column(id="a", field="amount_eur", name="Amount").field
        'amount_eur'
    """

    id: str
    field: str = ""
    name: str = ""


class Table(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """A decision table: its rows have an ``_id``, maybe a ``_description``, and a cell for each column's id.

    Example:
        >>> Table(hit_policy="first", inputs=(), outputs=(Column("o", "choice"),), rules=({"_id": "r"},)).rules
        ({'_id': 'r'},)
    """

    hit_policy: Literal["first", "collect"]
    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]
    rules: tuple[dict[str, str], ...]
    pass_through: bool = False
    input_field: _Nothing = None
    output_path: _Nothing = None
    execution_mode: Literal["single"] = "single"


class Assignment(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of an expression node.

    Example:
        >>> Assignment(id="1", key="limit_eur", value="500").key
        'limit_eur'
    """

    id: str
    key: str
    value: str


class Assignments(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """An expression node: names for constants (thresholds, limits, budgets) and computed values.

    Example:
        >>> Assignments(expressions=(Assignment("1", "limit_eur", "500"),)).pass_through
        False
    """

    expressions: tuple[Assignment, ...]
    pass_through: bool = False
    input_field: _Nothing = None
    output_path: _Nothing = None
    execution_mode: Literal["single"] = "single"


class Statement(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """A way out of a switch, and when it is taken; an empty condition is always.

    Example:
        >>> Statement(id="s", condition="amount_eur > 100").is_default
        False
    """

    id: str
    condition: str = ""
    is_default: bool = False


class Switch(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """A switch: the first statement that holds is taken.

    Example:
        >>> Switch(statements=(Statement("s"),)).hit_policy
        'first'
    """

    statements: tuple[Statement, ...]
    hit_policy: Literal["first"] = "first"


class Schema(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an input or output node says: for the input, a JSON schema of what comes in, as text.

    Example:
        >>> Schema().schema
        ''
    """

    schema: str | None = ""


class _Node(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"):
    id: str
    name: str = ""


class InputNode(_Node, frozen=True, kw_only=True, tag="inputNode"):
    """Where the inputs come in.

    Example:
        >>> InputNode(id="in").content.schema
        ''
    """

    content: Schema = Schema()


class OutputNode(_Node, frozen=True, kw_only=True, tag="outputNode"):
    """Where the choice comes out.

    Example:
        >>> OutputNode(id="out").id
        'out'
    """

    content: Schema = Schema()


class TableNode(_Node, frozen=True, kw_only=True, tag="decisionTableNode"):
    """A node with a decision table.

    Example:
        >>> TableNode(id="t", content=Table(hit_policy="first", inputs=(), outputs=(), rules=())).content.hit_policy
        'first'
    """

    content: Table


class ExpressionNode(_Node, frozen=True, kw_only=True, tag="expressionNode"):
    """A node with expressions.

    Example:
        >>> ExpressionNode(id="x", content=Assignments(expressions=())).content.expressions
        ()
    """

    content: Assignments


class SwitchNode(_Node, frozen=True, kw_only=True, tag="switchNode"):
    """A node where the way forks.

    Example:
        >>> SwitchNode(id="s", content=Switch(statements=(Statement("a"),))).content.statements[0].id
        'a'
    """

    content: Switch


Node = InputNode | OutputNode | TableNode | ExpressionNode | SwitchNode


class Edge(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """The way from a node to the next; out of a switch, for one of its statements.

    Example:
        >>> Edge(id="e", source_id="in", target_id="t").target_id
        't'
    """

    id: str
    source_id: str
    target_id: str
    source_handle: str | None = None
    target_handle: str | None = None
    type: Literal["edge"] = "edge"


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """A whole policy as it is written.

    Example:
        >>> read(b'{"nodes": [], "edges": []}')
        Document(nodes=(), edges=(), content_type='application/vnd.gorules.decision')
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    content_type: Literal["application/vnd.gorules.decision"] = "application/vnd.gorules.decision"


_DRAWN: Final = frozenset(
    {"position", "positionAbsolute", "measured", "width", "height", "selected", "dragging", "$graph"}
)
_REFUSED: Final = {
    "functionNode": "it runs code that nobody can check or replay; write it as expressions, or as a skill",
    "customNode": "its meaning is in a program, not in the policy; compute it as a feature",
    "decisionNode": "it calls another decision; put its tables into this graph",
    "requestNode": "it calls out over the network; read it as a feature",
    "httpNode": "it calls out over the network; read it as a feature",
}
_decode = msgspec.json.Decoder(Document).decode


def read(data: bytes) -> Document:
    """Read a policy strictly; ids are put in order and what is only drawn is dropped.

    Args:
        data: JSON, at most 1 MiB.

    Raises:
        DeclarationError: It is no policy of the subset; the message says what is not, and why.
    """
    try:
        raw = wire.decode(data, max_bytes=MAX_BYTES)
    except ContractError as error:
        raise refused("the policy is not strict JSON", str(error), error.field or "$") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("nodes"), list):
        raise refused("the policy is not a JSON Decision Model", "it is an object with nodes and edges", "nodes")
    for number, node in enumerate(raw["nodes"]):
        if isinstance(node, dict):
            raw["nodes"][number] = _undrawn(node)
    try:
        document = _decode(msgspec.json.encode(raw))
    except msgspec.MsgspecError as error:
        raise refused("the policy is not of the strict subset", str(error), "nodes") from error
    _check_bounds(document)
    return _ordered(document)


def refused(what: str, why: str, field: str) -> DeclarationError:
    """Return the error for a policy that cannot be used."""
    return DeclarationError(what, why=why, fix="mend the policy; see docs/policies.md", code="policy", field=field)


def canonical(document: Document) -> bytes:
    """Return the one form of a policy that is registered, hashed and signed.

    Example:
        >>> canonical(read(b'{"edges": [], "nodes": [{"id": "in", "type": "inputNode", "position": {"x": 1}}]}'))
        b'{"edges":[],"nodes":[{"content":{},"id":"in","type":"inputNode"}]}'
    """
    return msgspec.json.encode(document, order="sorted")


def digest(document: Document) -> str:
    """Return ``sha256:`` of the canonical form.

    Example:
        >>> digest(read(b'{"nodes": [], "edges": []}'))[:15]
        'sha256:57501e5c'
    """
    return "sha256:" + sha256(canonical(document)).hexdigest()


def _undrawn(node: Mapping[str, Any]) -> dict[str, Any]:
    kind = node.get("type")
    if kind in _REFUSED:
        raise refused(f"node {node.get('name') or node.get('id')!r} is a {kind}", _REFUSED[kind], "nodes")
    known = {"inputNode", "outputNode", "decisionTableNode", "expressionNode", "switchNode"}
    if kind not in known:
        why = "a policy has tables, expressions and switches between one input and one output"
        raise refused(f"node {node.get('name') or node.get('id')!r} is of the unknown type {kind!r}", why, "nodes")
    return {key: value for key, value in node.items() if key not in _DRAWN}


def _check_bounds(document: Document) -> None:
    tables = [node.content for node in document.nodes if isinstance(node, TableNode)]
    for what, found, most in (
        ("nodes", len(document.nodes), MAX_NODES),
        ("edges", len(document.edges), MAX_NODES * 4),
        ("rows", sum(len(table.rules) for table in tables), MAX_ROWS),
        ("columns", max((len(table.inputs) + len(table.outputs) for table in tables), default=0), MAX_COLUMNS),
    ):
        if found > most:
            raise refused(f"the policy has {found} {what}", f"at most {most} are taken", what)


def _ordered(document: Document) -> Document:
    nodes = tuple(sorted((_tidy(node) for node in document.nodes), key=lambda node: node.id))
    edges = tuple(sorted(document.edges, key=lambda edge: edge.id))
    for what, ids in (("nodes", [node.id for node in nodes]), ("edges", [edge.id for edge in edges])):
        if twice := next((each for each in ids if ids.count(each) > 1), None):
            raise refused(f"two {what} have the id {twice!r}", "an id names one thing", what)
    return Document(nodes=nodes, edges=edges)


def _tidy(node: Node) -> Node:
    """Return a node with its cells trimmed, empty cells left out and its schema as canonical JSON."""
    if isinstance(node, TableNode):
        rules = tuple({key: cell.strip() for key, cell in row.items() if cell.strip()} for row in node.content.rules)
        return msgspec.structs.replace(node, content=msgspec.structs.replace(node.content, rules=rules))
    if isinstance(node, InputNode | OutputNode):
        text = (node.content.schema or "").strip()
        if text:
            try:
                text = msgspec.json.encode(wire.decode(text.encode()), order="sorted").decode()
            except ContractError as error:
                raise refused(f"the schema of node {node.id!r} is not JSON", str(error), "schema") from error
        return msgspec.structs.replace(node, content=Schema(text))
    return node
