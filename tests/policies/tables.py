"""Random policies and inputs: every form of the subset, near and at its thresholds, with values missing."""

from __future__ import annotations

import json
from random import Random
from typing import Any

NUMBERS = ("a", "b", "limit")
TEXTS = ("s", "t")
FLAGS = ("f",)
GRID = (0.0, 0.1, 0.2, 0.3, 0.30000000000000004, 1.0, 2.1, 0.7, 3.0, 5.0, 10.0, 49.99, 50.0, 50.01, 1e-9, 12345.678)
WORDS = ("gold", "silver", "new", "", "é it")


class Maker:
    """Makes policies and inputs from one seed."""

    def __init__(self, seed: int) -> None:
        self.pick = Random(seed)

    def number(self) -> str:
        return self.pick.choice(["0", "0.1", "0.2", "0.3", "1", "2.1", "3", "5", "50", "49.99", "1e2", "10.5"])

    def signed(self) -> str:
        return self.pick.choice(["", "", "-"]) + self.number()

    def text(self) -> str:
        return self.pick.choice(["'gold'", '"silver"', "'new'", "'x'", "''"])

    def numeric(self, depth: int = 2) -> str:
        kind = self.pick.randrange(9 if depth else 3)
        if kind == 0:
            return self.number()
        if kind < 4:
            return self.pick.choice(NUMBERS)
        if kind == 4:
            function = self.pick.choice(["min", "max"])
            return f"{function}([{self.numeric(depth - 1)}, {self.numeric(depth - 1)}])"
        if kind == 5:
            return self.pick.choice([f"abs({self.numeric(depth - 1)})", f"-{self.pick.choice(NUMBERS)}"])
        if kind == 6:
            return f"({self.numeric(depth - 1)} ?? {self.number()})"
        if kind == 7 and self.pick.random() < 0.3:
            return f"({self.flag(depth - 1)} ? {self.numeric(depth - 1)} : {self.numeric(depth - 1)})"
        return f"{self.numeric(depth - 1)} {self.pick.choice('+-*/')} {self.numeric(depth - 1)}"

    def flag(self, depth: int = 2) -> str:
        kind = self.pick.randrange(10 if depth > 0 else 7)
        sign = self.pick.choice(["<", "<=", ">", ">=", "==", "!="])
        if kind < 2:
            return f"{self.numeric(depth)} {sign} {self.numeric(max(depth - 1, 0))}"
        if kind == 2:
            return f"{self.pick.choice(TEXTS)} {self.pick.choice(['==', '!='])} {self.text()}"
        if kind == 3:
            return f"{self.pick.choice(TEXTS)} {self.pick.choice(['in', 'not in'])} [{self.text()}, {self.text()}]"
        if kind == 4:
            return f"{self.pick.choice(NUMBERS)} {self.pick.choice(['in', 'not in'])} {self.interval()}"
        if kind == 5:
            return f"{self.pick.choice((*NUMBERS, *TEXTS, *FLAGS))} {self.pick.choice(['==', '!='])} null"
        if kind == 6:
            function = self.pick.choice(["startsWith", "endsWith", "contains"])
            return self.pick.choice(["f", f"{function}({self.pick.choice(TEXTS)}, {self.text()})"])
        if kind == 7:
            return f"not ({self.flag(depth - 1)})"
        return f"({self.flag(depth - 1)}) {self.pick.choice(['and', 'or'])} ({self.flag(depth - 1)})"

    def interval(self) -> str:
        low, high = sorted([self.number(), self.number()], key=float)
        return f"{self.pick.choice('[(')}{low}..{self.pick.choice([high, high, 'limit'])}{self.pick.choice('])')}"

    def numeric_cell(self) -> str:
        sign = self.pick.choice(["<", "<=", ">", ">=", "==", "!="])
        one = [
            f"{sign} {self.pick.choice([self.signed(), 'limit', 'b * 2'])}",
            self.signed(),
            self.interval(),
            f"not in {self.interval()}",
            f"in [{self.number()}, {self.number()}]",
            f"[{self.number()}, null]",
            "null",
            "$ * 0.1 <= 0.3",
            f"not ($ > {self.number()})",
        ]
        return self._joined(one)

    def text_cell(self) -> str:
        return self._joined(
            [
                self.text(),
                self.text(),
                f"!= {self.text()}",
                f"not in [{self.text()}, {self.text()}]",
                f"startsWith($, {self.text()})",
                "null",
                "== t",
            ]
        )

    def _joined(self, one: list[str]) -> str:
        if self.pick.random() < 0.25:
            return ""
        cell = self.pick.choice(one)
        while self.pick.random() < 0.3:
            cell += self.pick.choice([", ", " and ", " or "]) + self.pick.choice(one)
        return cell

    def table(self, name: str, out: str, *, rows: int, hit: str, passes: bool) -> dict[str, Any]:
        computed = self.pick.random() < 0.3
        inputs = [
            {"id": "i1", "name": "A", "field": self.pick.choice(["a", "b", "a + b", "a - b"])},
            {"id": "i2", "name": "S", "field": "s"},
            {"id": "i3", "name": "free"},
            {"id": "i4", "name": "F", "field": "f"},
        ]
        rules = []
        for at in range(rows):
            value = self.numeric(1) if computed and self.pick.random() < 0.4 else f"{at}"
            row = {
                "_id": f"r{at}",
                "i1": self.numeric_cell(),
                "i2": self.text_cell(),
                "i3": self.flag() if self.pick.random() < 0.2 else "",
                "i4": self.pick.choice(["", "", "true", "false", "null"]),
                "o": value,
            }
            rules.append(row)
        if self.pick.random() < 0.5:
            rules.append({"_id": "rest", "o": "99"})
        content = {
            "hitPolicy": hit,
            "inputs": inputs,
            "outputs": [{"id": "o", "name": "O", "field": out}],
            "rules": rules,
            "passThrough": passes,
        }
        return {"id": name, "type": "decisionTableNode", "name": name, "content": content}

    def policy(self) -> bytes:
        """Return a policy of one of several shapes."""
        shape, rows = self.pick.randrange(5), self.pick.choice([3, 5, 8, 12])
        last = self.table("t", "choice", rows=rows, hit="collect" if shape == 1 else "first", passes=shape == 2)
        nodes = [last]
        ways: list[tuple[str, str, str | None]] = [("in", "t", None), ("t", "out", None)]
        if shape == 3:
            computed = {"id": "x", "key": "limit", "value": self.numeric(2)}
            content = {"expressions": [computed], "passThrough": True}
            nodes.append({"id": "e", "type": "expressionNode", "name": "e", "content": content})
            ways = [("in", "e", None), ("e", "t", None), ("t", "out", None)]
        if shape == 4:
            nodes.append(self.table("u", "choice", rows=3, hit="first", passes=False))
            nodes.append(self.table("v", "limit", rows=3, hit="first", passes=True))
            statements = [
                {"id": "w1", "condition": self.flag()},
                {"id": "w2", "condition": self.pick.choice(["", "f"])},
            ]
            nodes.append({"id": "s", "type": "switchNode", "name": "s", "content": {"statements": statements}})
            ways = [("in", "v", None), ("v", "s", None), ("s", "t", "w1"), ("s", "u", "w2")]
            ways += [("t", "out", None), ("u", "out", None)]
        kinds = dict.fromkeys(NUMBERS, "number") | dict.fromkeys(TEXTS, "string") | dict.fromkeys(FLAGS, "boolean")
        schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in kinds.items()}}
        nodes += [
            {"id": "in", "type": "inputNode", "content": {"schema": json.dumps(schema)}},
            {"id": "out", "type": "outputNode"},
        ]
        edges = [
            {"id": f"e{at}", "sourceId": one, "targetId": other, **({"sourceHandle": handle} if handle else {})}
            for at, (one, other, handle) in enumerate(ways)
        ]
        return json.dumps({"nodes": nodes, "edges": edges}).encode()

    def inputs(self, count: int) -> dict[str, list[Any]]:
        """Return columns of inputs, many of them at a threshold, some missing."""

        def value() -> float | None:
            chance = self.pick.random()
            if chance < 0.1:
                return None
            if chance < 0.7:
                return self.pick.choice((1, 1, -1)) * self.pick.choice(GRID)
            return self.pick.choice([self.pick.uniform(-5, 60), round(self.pick.uniform(0, 5), 1), 1e14, -1e-16])

        texts = (*WORDS, None)
        made: dict[str, list[Any]] = {name: [value() for _ in range(count)] for name in NUMBERS}
        made |= {name: [self.pick.choice(texts) for _ in range(count)] for name in TEXTS}
        return made | {name: [self.pick.choice((True, False, None)) for _ in range(count)] for name in FLAGS}
