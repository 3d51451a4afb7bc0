"""Registered models by themselves, in the Open Inference Protocol: our own engine asks our own server."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import nan
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.peers import peer
from tests.serving.v2_peer import INPUTS

from steward.api.server import Server
from steward.clock import SystemClock
from steward.models.engines.linear import LinearFile, Term
from steward.models.registry import FolderRegistry
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.serving.endpoints import Endpoint
from steward.serving.oip import OpenInference, Wanted
from steward.serving.port import Served
from steward.testing.conformance.serving import ServingConformance

SUM = LinearFile(
    intercept=0.0,
    terms=tuple(
        Term(name, coefficient=by, mean=0.0, missing=7.0) for name, by in zip(INPUTS, (1.0, 2.0, -1.0), strict=True)
    ),
)
ROWS = {"name": "rows", "shape": [2, 3], "datatype": "FP64", "data": [1, 2, 3, 0.1, 0.2, 0.3]}

TRITON = """
import json
import sys
import numpy as np
import tritonclient.http as client

url, binary = sys.argv[1], sys.argv[2] == "binary"
with client.InferenceServerClient(url) as server:
    assert server.is_server_live() and server.is_server_ready() and server.is_model_ready("sum", "1")
    facts = server.get_model_metadata("sum")
    rows = np.array([[1.0, 2.0, 3.0], [0.1, 0.2, 0.3]])
    asked = client.InferInput(facts["inputs"][0]["name"], rows.shape, facts["inputs"][0]["datatype"])
    asked.set_data_from_numpy(rows, binary_data=binary)
    wanted = client.InferRequestedOutput("predict", binary_data=binary)
    answer = server.infer("sum", [asked], outputs=[wanted], request_id="r-7")
    try:
        server.infer("other", [asked])
    except client.InferenceServerException as error:
        refused = error.message()
    told = answer.get_response()
    print(json.dumps([answer.as_numpy("predict").tolist(), told["id"], told["model_version"], refused]))
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    models = FolderRegistry(tmp_path / "models")
    models.register(
        "sum", kind="linear", files={"model.json": SUM.to_bytes()}, inputs=INPUTS, task="regression",
        clock=SystemClock(),
    )  # fmt: skip
    settings = Settings(root=tmp_path, ledger="memory://", registry="models", data_dir="data")
    async with await Runtime.open([], settings=settings) as runtime:
        server = await Server.start(runtime, "127.0.0.1", 0)
        yield server
        await server.stop()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as opened:
        yield opened


class TestOurEngineAtOurServer(ServingConformance):
    @pytest.fixture(autouse=True)
    def _server(self, server: Server) -> None:
        self.url = f"http://127.0.0.1:{server.port}"

    async def open(self) -> Served[Any]:
        wanted = Wanted(name="sum", inputs=INPUTS, task="regression", probes=((1.0, 2.0, 4.0),), answers=((1.0,),))
        return OpenInference("steward", Endpoint(url=f"oip+{self.url}"), wanted)

    @asynccontextmanager
    async def hanging(self, engine: Served[Any]) -> AsyncIterator[None]:
        # Our own server shares our loop; what hangs is the way there.
        caller: Any = vars(engine)["_caller"]
        send = caller._connections.send

        async def never(*args: Any, within_s: float, **named: Any) -> Any:
            async with asyncio.timeout(within_s):
                await asyncio.Event().wait()

        caller._connections.send = never
        try:
            yield
        finally:
            caller._connections.send = send

    @asynccontextmanager
    async def failing(self, engine: Served[Any]) -> AsyncIterator[None]:
        caller: Any = vars(engine)["_caller"]
        caller.prefix = "/nowhere"
        try:
            yield
        finally:
            caller.prefix = ""

    async def test_what_is_missing_is_sent_in_binary(self) -> None:
        engine = await self.open()
        assert await self.ask(engine, [[nan, 2.0, 3.0]]) == [7.0 + 4.0 - 3.0]
        await engine.close()


@pytest.mark.peers
@pytest.mark.parametrize("form", ["json", "binary"])
async def test_a_foreign_client_is_understood(server: Server, form: str) -> None:
    command = [str(peer("mlserver")), "-c", TRITON, f"127.0.0.1:{server.port}", form]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    answers, given, version, refused = json.loads(out)
    assert answers == [1.0 + 4.0 - 3.0, 0.1 + 0.4 - 0.3]
    assert (given, version) == ("r-7", "1")
    assert "no model" in refused


async def test_what_it_is(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2")).json()["extensions"] == ["binary_tensor_data"]
    assert (await client.get("/v2/health/live")).status_code == 200
    assert (await client.get("/v2/health/ready")).status_code == 200
    facts = (await client.get("/v2/models/sum/versions/1")).json()
    assert facts == {
        "name": "sum",
        "platform": "steward",
        "versions": ["1"],
        "inputs": [{"name": "rows", "datatype": "FP64", "shape": [-1, 3]}],
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
    }


async def test_columns_are_taken_by_name(client: httpx.AsyncClient) -> None:
    columns = [
        {"name": name, "shape": [2, 1], "datatype": "FP32", "data": [[value], [2 * value]]}
        for name, value in zip(reversed(INPUTS), (3, 2, 1), strict=True)
    ]
    answer = await client.post("/v2/models/sum/infer", json={"inputs": columns})
    assert answer.json()["outputs"][0]["data"] == [2.0, 4.0]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/models/other/infer", {"inputs": [ROWS]}, 404),
        ("/v2/models/sum/versions/9/infer", {"inputs": [ROWS]}, 404),
        ("/v2/models/sum/infer", {"inputs": [{**ROWS, "shape": [3, 2]}]}, 422),
        ("/v2/models/sum/infer", {"inputs": [{**ROWS, "shape": [2, 4]}]}, 422),
        ("/v2/models/sum/infer", {"inputs": [{**ROWS, "shape": [-2, 3]}]}, 422),
        ("/v2/models/sum/infer", {"inputs": [{**ROWS, "shape": [2**40, 2**40]}]}, 422),
        ("/v2/models/sum/infer", {"inputs": [{**ROWS, "datatype": "BYTES"}]}, 422),
        ("/v2/models/sum/infer", {"inputs": [{**ROWS, "data": [1, 2, 3, None, 5, 6]}]}, 422),
        ("/v2/models/sum/infer", {"inputs": [{**ROWS, "data": ["1", 2, 3, 4, 5, 6]}]}, 422),
        ("/v2/models/sum/infer", {"inputs": [ROWS, ROWS]}, 422),
        ("/v2/models/sum/infer", {"inputs": []}, 422),
        ("/v2/models/sum/infer", {"inputs": [ROWS], "outputs": [{"name": "other"}]}, 422),
        ("/v2/models/sum/infer", {}, 422),
    ],
)
async def test_errors_are_told_as_the_protocol_does(
    client: httpx.AsyncClient, path: str, body: dict[str, object], status: int
) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


async def test_lengths_that_lie_are_refused(client: httpx.AsyncClient) -> None:
    tensor = {"name": "rows", "shape": [1, 3], "datatype": "FP64", "parameters": {"binary_data_size": 24}}
    head, raw = json.dumps({"inputs": [tensor]}).encode(), struct.pack("<3d", 1, 2, 3)
    for length, body in [
        (len(head), head + raw[:-1]),
        (len(head), head + raw + b"x"),
        (10**9, head + raw),
        ("x", head),
    ]:
        sent = {"inference-header-content-length": str(length)}
        answer = await client.post("/v2/models/sum/infer", content=body, headers=sent)
        assert answer.status_code == 422, body
    sent = {"inference-header-content-length": str(len(head))}
    assert (await client.post("/v2/models/sum/infer", content=head + raw, headers=sent)).json()["outputs"][0][
        "data"
    ] == [2.0]
