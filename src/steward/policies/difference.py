"""What differs between two versions of a policy, row by row and in words: what the second person agrees to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from steward.policies.policy import Policy
from steward.policies.steps import Assign, Fork, Row, Step, Table
from steward.policies.wording import conditions


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        kind: ``added``, ``removed``, ``changed`` or ``moved``.
        where: The node, and the row or name in it.
        told: What it is, in words.

    Example:
        >>> Change("changed", "Limits/limit_eur", "500 becomes 400").kind
        'changed'
    """

    kind: str
    where: str
    told: str


def difference(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Return what is different in the new one.

    Example:
        >>> from steward.policies.demo import REFUNDS
        >>> strict = Policy.read(REFUNDS.replace(b'"500"', b'"400"'))
        >>> difference(Policy.read(REFUNDS), strict)
        (Change(kind='changed', where='Limits/limit_eur', told='500 becomes 400'),)
    """
    before, after = {s.id: s for s in old.walk()}, {s.id: s for s in new.walk()}
    found: list[Change] = []
    for id in dict.fromkeys((*before, *after)):
        found += _step(before.get(id), after.get(id))
    if old.domains != new.domains:
        for name in sorted(set(old.domains) | set(new.domains)):
            if old.domains.get(name) != new.domains.get(name):
                found.append(Change("changed", f"inputs/{name}", "what may come in is another"))
    if not found and old.digest != new.digest:
        found.append(Change("changed", "graph", "names, headings or the way between the nodes"))
    return tuple(found)


def _step(old: Step | None, new: Step | None) -> Iterator[Change]:
    if old is None or new is None or type(old) is not type(new):
        if old is not None:
            yield Change("removed", old.name, f"the whole {_kind(old)}")
        if new is not None:
            yield Change("added", new.name, f"a whole {_kind(new)}")
        return
    if isinstance(old, Assign) and isinstance(new, Assign):
        yield from _texts(new.name, old.texts, new.texts)
    elif isinstance(old, Fork) and isinstance(new, Fork):
        yield from _texts(new.name, {w.id: w.text for w in old.ways}, {w.id: w.text for w in new.ways})
    elif isinstance(old, Table) and isinstance(new, Table):
        yield from _table(old, new)


def _kind(step: Step) -> str:
    return "table" if isinstance(step, Table) else "switch" if isinstance(step, Fork) else "expression"


def _texts(where: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield Change("removed", f"{where}/{name}", old[name] or "always")
        elif name not in old:
            yield Change("added", f"{where}/{name}", new[name] or "always")
        elif old[name] != new[name]:
            yield Change("changed", f"{where}/{name}", f"{old[name] or 'always'} becomes {new[name] or 'always'}")


def _table(old: Table, new: Table) -> Iterator[Change]:
    if old.collect != new.collect or old.passes != new.passes:
        yield Change("changed", new.name, "how rows are hit, or what is passed through")
    before, after = {row.id: row for row in old.rows}, {row.id: row for row in new.rows}
    for id in dict.fromkeys((*before, *after)):
        if id not in after:
            yield Change("removed", f"{new.name}/{id}", _in_full(old, before[id]))
        elif id not in before:
            yield Change("added", f"{new.name}/{id}", _in_full(new, after[id]))
        elif changes := list(_row(old, before[id], new, after[id])):
            yield Change("changed", f"{new.name}/{id}", "; ".join(changes))
    kept, order = [i for i in before if i in after], [i for i in after if i in before]
    if kept != order:
        moved = [id for at, id in enumerate(order) if kept[at] != id]
        yield Change("moved", f"{new.name}/{moved[0]}", f"the order of rows is now {', '.join(order)}")


def _row(old_table: Table, old: Row, new_table: Table, new: Row) -> Iterator[str]:
    if _tests(old_table, old) != _tests(new_table, new):
        yield f"{conditions(old_table.columns, old)} becomes {conditions(new_table.columns, new)}"
    for path in dict.fromkeys((*old.texts, *new.texts)):
        if old.texts.get(path) != new.texts.get(path):
            yield f"{path} {old.texts.get(path, 'nothing')} becomes {new.texts.get(path, 'nothing')}"
    if old.description != new.description:
        yield f"described as {new.description!r}"


def _tests(table: Table, row: Row) -> list[tuple[str, str]]:
    return [(table.columns[test.column].text, test.text) for test in row.tests]


def _in_full(table: Table, row: Row) -> str:
    written = ", ".join(f"{path} = {text}" for path, text in row.texts.items())
    return f"{conditions(table.columns, row)}: {written or 'nothing'}"
