"""A small server of the v2 protocol with one model: the sum of ``a + 2 b - c``."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

from tests.serving.peer import Asked, Reply, said

INPUTS = ("a", "b", "c")
MATRIX = ({"name": "rows", "datatype": "FP64", "shape": [-1, 3]},)
COLUMNS = tuple({"name": name, "datatype": "FP64", "shape": [-1, 1]} for name in INPUTS)


def total(row: tuple[float, ...]) -> float:
    return row[0] + 2 * row[1] - row[2]


@dataclass
class SumServer:
    """Answers as a good server does, or with ``spoiled`` in the place of an inference."""

    inputs: tuple[dict[str, Any], ...] = MATRIX
    extensions: tuple[str, ...] = ()
    spoiled: Reply | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    version: str | None = "1"
    add: float = 0.0

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/v2":
            return said({"name": "sums", "version": "1", "extensions": self.extensions})
        if asked.method == "GET":
            return said({"name": "sum", "platform": "", "inputs": self.inputs, "outputs": []})
        if self.spoiled is not None:
            return self.spoiled
        length = asked.headers.get("inference-header-content-length")
        head = json.loads(asked.body[: int(length)] if length else asked.body)
        rest = asked.body[int(length) :] if length else b""
        columns: list[list[float]] = []
        for tensor in head["inputs"]:
            count = tensor["shape"][0] * (tensor["shape"] + [1])[1]
            if length:
                columns.append(list(struct.unpack_from(f"<{count}d", rest)))
                rest = rest[8 * count :]
            else:
                columns.append(tensor["data"])
        flat = columns[0] if len(columns) == 1 else [value for row in zip(*columns, strict=True) for value in row]
        answers = [total(tuple(flat[n : n + 3])) + self.add for n in range(0, len(flat), 3)]
        outputs = self.outputs or [{"name": "predict", "datatype": "FP64", "shape": [len(answers), 1], "data": answers}]
        if not length:
            return said({"model_name": "sum", "model_version": self.version, "outputs": outputs})
        raw = struct.pack(f"<{len(answers)}d", *answers)
        tensor = {
            "name": "predict", "datatype": "FP64", "shape": [len(answers)],
            "parameters": {"binary_data_size": len(raw)},
        }  # fmt: skip
        body = json.dumps({"model_name": "sum", "outputs": [tensor]}).encode()
        return Reply(200, body + raw, [("inference-header-content-length", str(len(body)))])
