"""The Open Inference Protocol against a real MLServer."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from math import nan
from pathlib import Path
from typing import Any

import pytest
from tests.peers import free_port, peer
from tests.serving.real import running

from steward.errors import EngineError
from steward.serving.endpoints import Endpoint
from steward.serving.oip import OpenInference, Wanted
from steward.serving.port import Answered, Served
from steward.testing.conformance.serving import ServingConformance

pytestmark = pytest.mark.peers
WANTED = Wanted(name="sum", inputs=("a", "b", "c"), task="regression", probes=((1.0, 2.0, 4.0),), answers=((1.0,),))

MODEL = '''
from mlserver import MLModel, types



class Sum(MLModel):
    """``a + 2 b - c``, in float64."""

    async def load(self) -> bool:
        return True

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        [rows] = payload.inputs
        count, width = rows.shape
        if width != 3:
            raise ValueError("three numbers a row")
        values = list(rows.data)
        answers = [values[n] + 2 * values[n + 1] - values[n + 2] for n in range(0, 3 * count, 3)]
        output = types.ResponseOutput(name="predict", shape=[count, 1], datatype="FP64", data=answers)
        return types.InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
'''


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Run MLServer with one model; yield its address and its process group."""
    python = str(peer("mlserver"))
    folder = tmp_path_factory.mktemp("mlserver")
    port, grpc, metrics = free_port(), free_port(), free_port()
    (folder / "settings.json").write_text(
        json.dumps(
            {"host": "127.0.0.1", "http_port": port, "grpc_port": grpc, "metrics_port": metrics, "parallel_workers": 0}
        )
    )
    (folder / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "sum",
                "implementation": "mlserver_model.Sum",
                "parameters": {"version": "v3"},
                "inputs": [{"name": "rows", "datatype": "FP64", "shape": [-1, 3]}],
            }
        )
    )
    (folder / "mlserver_model.py").write_text(MODEL)
    ready = f"http://127.0.0.1:{port}/v2/models/sum/ready"
    command = [str(Path(python).with_name("mlserver")), "start", str(folder)]
    with running(command, ready, folder / "log", environ={"PYTHONPATH": str(folder)}) as process:
        yield f"http://127.0.0.1:{port}", process.pid


class TestMLServer(ServingConformance):
    @pytest.fixture(autouse=True)
    def _server(self, mlserver: tuple[str, int]) -> None:
        self.url, self.group = mlserver

    async def open(self) -> Served[Any]:
        return OpenInference("mlserver", Endpoint(url=f"oip+{self.url}", version="v3"), WANTED)

    @asynccontextmanager
    async def hanging(self, engine: Served[Any]) -> AsyncIterator[None]:
        os.killpg(self.group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.group, signal.SIGCONT)

    @asynccontextmanager
    async def failing(self, engine: Served[Any]) -> AsyncIterator[None]:
        caller: Any = vars(engine)["_caller"]
        caller.prefix = "/nowhere"
        try:
            yield
        finally:
            caller.prefix = ""


async def test_what_json_cannot_say_is_refused_and_the_rest_is_answered(mlserver: tuple[str, int]) -> None:
    engine = OpenInference("mlserver", Endpoint(url=f"oip+{mlserver[0]}"), WANTED)
    told = await engine.answer([[0.1, 0.2, 0.3], [nan, 1.0, 1.0]], within_s=10)
    assert isinstance(told[0], Answered)
    assert told[0].value == 0.1 + 2 * 0.2 - 0.3, "bit for bit"
    assert isinstance(told[1], EngineError)
    assert told[1].code == "nan-not-sendable"
    await engine.close()


@pytest.mark.parametrize(("more", "code"), [({"model": "other"}, "refused-404"), ({"version": "v9"}, "refused-404")])
async def test_what_it_does_not_have(mlserver: tuple[str, int], more: dict[str, str], code: str) -> None:
    engine = OpenInference("mlserver", Endpoint(url=f"oip+{mlserver[0]}", **more), WANTED)  # type: ignore[arg-type]  # texts only
    with pytest.raises(EngineError) as raised:
        await engine.answer([[0.1, 0.2, 0.3]], within_s=10)
    assert (raised.value.code, raised.value.retryable) == (code, False)
    await engine.close()
