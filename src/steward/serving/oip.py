"""An engine: models on servers that speak the Open Inference Protocol v2 over HTTP (MLServer, KServe, Triton, Steward).

Before the first question it is found out what the server takes, and that it is the model that was registered: the same
inputs, and the same answers to some rows. Only then do answers carry the registered model's digest.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
import numpy as np
from msgspec import UNSET, Struct

from steward.errors import ContractError, EngineError
from steward.models.port import LoadedModel
from steward.records import ServingFacts
from steward.serving import v2
from steward.serving.caller import Caller
from steward.serving.endpoints import Endpoint
from steward.serving.inprocess import answered
from steward.serving.port import Answered, Row
from steward.serving.worker import matrix

T = TypeVar("T")
_PROBES: Final = 12
MISMATCH: Final = "oip-mismatch"
"""The code of an error that says that the server has another model than was registered."""
_FLOATS: Final = {"FP64": 1e-9, "FP32": 1e-4}
"""The datatypes of inputs that are sent, and how far answers to the same rows may lie apart."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What the server's model must be.

    Attributes:
        name: The registered name.
        inputs: Its inputs, in order.
        task: ``regression``, ``binary`` or ``multiclass``.
        outputs: The labels, of a multiclass model.
        probes: Rows that it is asked first.
        answers: What the registered model answers them with, ``(n, c)``; empty if nobody could say.

    Example:
        >>> Wanted(name="load", inputs=("hour",), task="regression").columns
        1
    """

    name: str
    inputs: tuple[str, ...]
    task: str
    outputs: tuple[str, ...] = ()
    probes: tuple[tuple[float, ...], ...] = ()
    answers: tuple[tuple[float, ...], ...] = ()

    @property
    def columns(self) -> int:
        """How many numbers a row is answered with."""
        return len(self.outputs) if self.task == "multiclass" else 1

    @classmethod
    def of(cls, model: LoadedModel) -> Wanted:
        """Return what a server's model must be to stand for a loaded one."""
        width = len(model.inputs)
        # Far from each other in every input, and the same each time; no NaN, as not every server can be sent one.
        rows = np.array(
            [[((7 * n + 3 * k) % 11 - 5) * 10.0 ** (n % 4 - 1) for k in range(width)] for n in range(_PROBES)]
        )
        return cls(
            name=model.name,
            inputs=tuple(model.inputs),
            task=model.task,
            outputs=tuple(getattr(model, "outputs", ())),
            probes=tuple(map(tuple, rows.tolist())),
            answers=tuple(map(tuple, matrix(model)(rows).tolist())),
        )


@dataclass(frozen=True)
class _Layout:
    """How the server wants rows: one tensor of them all, or one for each input."""

    datatype: str
    name: str = ""
    columns: tuple[v2.TensorFacts, ...] = ()
    binary: bool = False

    def tensors(self, rows: Any) -> tuple[tuple[v2.Tensor, ...], list[bytes]]:
        if not self.columns:
            parts = [v2.tensor(self.name, rows, self.datatype, binary=self.binary)]
        else:
            parts = []
            for number, column in enumerate(self.columns):
                values = rows[:, number : number + 1] if len(column.shape) > 1 else rows[:, number]
                parts.append(v2.tensor(column.name, values, column.datatype, binary=self.binary))
        return tuple(made for made, _ in parts), [raw for _, raw in parts]


class OpenInference:
    """A model on a server.

    Args:
        name: The endpoint's name.
        endpoint: What the file says of it.
        wanted: What the model must be.
        caller: Calls it; the server is looked at before the first question.

    Raises:
        DeclarationError: The endpoint's address or token does not fit.
    """

    def __init__(self, name: str, endpoint: Endpoint, wanted: Wanted, caller: Caller | None = None) -> None:
        self.name = name
        self._endpoint, self._wanted, self._caller = endpoint, wanted, caller or Caller(name, endpoint)
        self._facts = ServingFacts(endpoint=name, region=endpoint.region or UNSET)
        remote = quote(endpoint.model or wanted.name, safe="")
        version = f"/versions/{quote(endpoint.version, safe='')}" if endpoint.version else ""
        self._path = f"/v2/models/{remote}{version}"
        self._layout: _Layout | None = None
        self._looking = asyncio.Lock()

    @property
    def load(self) -> float:
        """The share of the endpoint's places that is taken."""
        return self._caller.under_way / self._endpoint.at_once

    async def answer(self, questions: Sequence[Row], *, within_s: float) -> Sequence[Answered | EngineError]:
        """Answer rows; see :class:`steward.serving.port.Served`."""
        if not questions:
            return []
        width = len(self._wanted.inputs)
        if any(len(row) != width for row in questions):
            raise EngineError(f"a row to {self._wanted.name!r} holds {width} numbers", code="wrong-width")
        time = asyncio.get_running_loop().time
        until = time() + within_s
        layout = self._layout or await self._look(until)
        sendable = questions if layout.binary else [row for row in questions if all(map(math.isfinite, row))]
        answers = iter(answered(await self._infer(layout, sendable, until - time()), self._facts) if sendable else [])
        if len(sendable) == len(questions):
            return list(answers)
        return [next(answers) if all(map(math.isfinite, row)) else _not_sendable(self.name) for row in questions]

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    async def _infer(self, layout: _Layout, rows: Sequence[Row], within_s: float) -> Any:
        tensors, blobs = layout.tensors(np.array(rows, np.float64))
        parameters = {"binary_data_output": True} if layout.binary else {}
        body, headers = v2.packed(v2.InferenceRequest(inputs=tensors, parameters=parameters), blobs)
        answer = await self._caller.call("POST", f"{self._path}/infer", body, headers, within_s=within_s)
        header_length = answer.headers.get(v2.HEADER_LENGTH)
        return self._read(lambda: self._outputs(*v2.split(answer.body, header_length), len(rows)))

    def _outputs(self, head: bytes, rest: bytes, count: int) -> Any:
        response = msgspec.json.decode(head, type=v2.InferenceResponse)
        asked = self._endpoint.version
        if asked and response.model_version not in (asked, None):
            raise _mismatch(self.name, f"version {asked} was asked, {response.model_version} has answered")
        found = v2.arrays(response.outputs, rest)
        name = self._endpoint.output or (next(iter(found)) if len(found) == 1 else "")
        if name not in found:
            raise _mismatch(self.name, f"its outputs are {', '.join(found)}; name the one that answers: output=")
        array = found[name].astype(np.float64)
        if self._wanted.task == "binary" and array.shape == (count, 2):
            array = array[:, 1:]  # the probability of the second class, as scikit-learn orders them
        columns = self._wanted.columns
        if array.shape not in ((count, columns), (count,) if columns == 1 else ()):
            raise _mismatch(self.name, f"it answered {count} rows with the shape {list(array.shape)}")
        return array.reshape(count, columns)

    def _read(self, reading: Callable[[], T]) -> T:
        try:
            return reading()
        except (ContractError, msgspec.MsgspecError) as error:
            raise EngineError(
                f"what {self.name} answered cannot be read", why=str(error), retryable=True, code="answer-unreadable"
            ) from error

    async def _look(self, until: float) -> _Layout:
        """Find out, once, what the server takes, and whether it is the registered model."""
        time = asyncio.get_running_loop().time
        async with self._looking:
            if self._layout is None:
                binary = self._endpoint.binary or v2.BINARY in (await self._server(until - time())).extensions
                answer = await self._caller.call("GET", self._path, b"", within_s=until - time())
                facts = self._read(lambda: msgspec.json.decode(answer.body, type=v2.ModelFacts))
                layout = self._layout_of(facts.inputs or (), binary=binary)
                await self._probe(layout, until - time())
                self._layout = layout
        return self._layout

    async def _server(self, within_s: float) -> v2.ServerFacts:
        answer = await self._caller.call("GET", "/v2", b"", within_s=within_s)
        return self._read(lambda: msgspec.json.decode(answer.body, type=v2.ServerFacts))

    def _layout_of(self, inputs: Sequence[v2.TensorFacts], *, binary: bool) -> _Layout:
        names = self._wanted.inputs
        for each in inputs:
            if each.datatype not in _FLOATS:
                raise _mismatch(self.name, f"its input {each.name!r} takes {each.datatype}, not FP64 or FP32")
        if not inputs:  # it does not say: then rows in one tensor, as every server takes them
            return _Layout("FP64", "input", binary=binary)
        if len(inputs) == 1 and inputs[0].shape[-1:] in ((-1,), (len(names),)) and len(inputs[0].shape) == 2:
            return _Layout(inputs[0].datatype, inputs[0].name, binary=binary)
        if {each.name for each in inputs} == set(names):
            known = {each.name: each for each in inputs}
            least = min((each.datatype for each in inputs), key=lambda datatype: datatype == "FP64")
            return _Layout(least, columns=tuple(known[name] for name in names), binary=binary)
        told = ", ".join(f"{each.name} {each.datatype}{list(each.shape)}" for each in inputs)
        raise _mismatch(self.name, f"it takes {told}; registered are {', '.join(names)}")

    async def _probe(self, layout: _Layout, within_s: float) -> None:
        wanted = self._wanted
        if not wanted.answers:
            return
        got = await self._infer(layout, wanted.probes, within_s)
        allowed = _FLOATS[layout.datatype]
        if not np.allclose(got, np.array(wanted.answers), rtol=allowed, atol=allowed, equal_nan=True):
            far = float(np.max(np.abs(got - np.array(wanted.answers))))
            raise _mismatch(self.name, f"its answers to the same rows differ by up to {far:g}")


def _not_sendable(name: str) -> EngineError:
    return EngineError(
        f"a missing value cannot be sent to {name}",
        why="JSON has no NaN, and it does not take the binary extension",
        fix="fill what is missing, or serve the model where NaN can be sent",
        code="nan-not-sendable",
    )


def _mismatch(name: str, why: str) -> EngineError:
    return EngineError(
        f"{name} does not serve the model that was registered", why=why, fix="deploy the same one there", code=MISMATCH
    )
