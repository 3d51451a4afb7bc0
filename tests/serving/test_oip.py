"""Models on servers of the Open Inference Protocol: against a scripted one; for a real one see test_mlserver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import nan
from pathlib import Path
from typing import Any

import pytest
from tests.serving.peer import Asked, Peer, Reply, peering, said
from tests.serving.v2_peer import COLUMNS, INPUTS, MATRIX, SumServer, total

from steward.errors import DeclarationError, EngineError
from steward.serving.endpoints import Endpoint
from steward.serving.oip import OpenInference, Wanted
from steward.serving.port import Answered, Served
from steward.testing.conformance.serving import ServingConformance

WANTED = Wanted(name="sum", inputs=INPUTS, task="regression")


async def open_engine(peer: Peer, wanted: Wanted = WANTED, **more: Any) -> OpenInference:
    return OpenInference("sums", Endpoint(url=f"oip+{peer.url}", **more), wanted)


class OverPeer(ServingConformance):
    server: SumServer

    @pytest.fixture(autouse=True)
    async def _peer(self, _server: None) -> AsyncIterator[None]:
        async with peering(self.server) as self.peer:
            yield

    async def open(self) -> Served[Any]:
        return await open_engine(self.peer)

    @asynccontextmanager
    async def hanging(self, engine: Served[Any]) -> AsyncIterator[None]:
        self.peer.go.clear()
        try:
            yield
        finally:
            self.peer.go.set()

    @asynccontextmanager
    async def failing(self, engine: Served[Any]) -> AsyncIterator[None]:
        self.server.spoiled = Reply(503)
        try:
            yield
        finally:
            self.server.spoiled = None


class TestMatrix(OverPeer):
    @pytest.fixture(autouse=True)
    def _server(self) -> None:
        self.server = SumServer()


class TestColumnsInBinary(OverPeer):
    @pytest.fixture(autouse=True)
    def _server(self) -> None:
        self.server = SumServer(inputs=COLUMNS, extensions=("binary_tensor_data",))


async def answers(engine: OpenInference, rows: list[list[float]]) -> list[object]:
    told = await engine.answer(rows, within_s=10)
    return [each.value if isinstance(each, Answered) else each.code for each in told]


@pytest.mark.parametrize("inputs", [MATRIX, COLUMNS, ()])
@pytest.mark.parametrize("extensions", [(), ("binary_tensor_data",)])
async def test_rows_arrive_in_every_layout(inputs: Any, extensions: tuple[str, ...]) -> None:
    async with peering(SumServer(inputs=inputs, extensions=extensions)) as peer:
        engine = await open_engine(peer)
        rows = [[1.0, 2.0, 3.0], [0.1, 1e300, -0.0]]
        assert await answers(engine, rows) == [total(tuple(row)) for row in rows]
        assert peer.connections == 1, "a connection is kept"
        await engine.close()


async def test_missing_values_go_in_binary_or_not_at_all() -> None:
    rows = [[1.0, 2.0, 3.0], [nan, 2.0, 3.0], [2.0, 2.0, 3.0]]
    async with peering(SumServer()) as peer:
        engine = await open_engine(peer)
        assert await answers(engine, rows) == [2.0, "nan-not-sendable", 3.0]
        assert await answers(engine, rows[1:2]) == ["nan-not-sendable"]
        await engine.close()
    async with peering(SumServer(extensions=("binary_tensor_data",))) as peer:
        engine = await open_engine(peer)
        told = await answers(engine, rows)
        assert told[::2] == [2.0, 3.0]
        assert told[1] != told[1], "NaN went there and came back"
        await engine.close()


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (SumServer(inputs=({"name": "x", "datatype": "FP64", "shape": [-1, 4]},)), "it takes x FP64"),
        (SumServer(inputs=({"name": "x", "datatype": "BYTES", "shape": [-1, 3]},)), "BYTES"),
        (SumServer(inputs=COLUMNS[:2]), "it takes a FP64"),
        (SumServer(add=0.01), "differ by up to 0.01"),
        (SumServer(outputs=[{"name": "p", "datatype": "FP64", "shape": [1, 2], "data": [0, 1]}]), "the shape"),
        (SumServer(outputs=[{"name": n, "datatype": "FP64", "shape": [1], "data": [0]} for n in "pq"]), "p, q"),
    ],
)
async def test_another_model_than_the_registered_is_refused(server: SumServer, why: str) -> None:
    wanted = Wanted(name="sum", inputs=INPUTS, task="regression", probes=((1.0, 2.0, 3.0),), answers=((2.0,),))
    async with peering(server) as peer:
        engine = await open_engine(peer, wanted)
        with pytest.raises(EngineError, match=why) as raised:
            await answers(engine, [[1.0, 2.0, 3.0]])
        assert raised.value.code == "oip-mismatch"
        assert not raised.value.retryable
        await engine.close()


async def test_a_version_is_asked_for_and_must_answer() -> None:
    async with peering(SumServer(version="2")) as peer:
        engine = await open_engine(peer, version="3", model="other")
        with pytest.raises(EngineError, match="version 3 was asked"):
            await answers(engine, [[1.0, 2.0, 3.0]])
        assert peer.asked[-1].path == "/v2/models/other/versions/3/infer"
        await engine.close()


@pytest.mark.parametrize(
    ("reply", "code", "retryable"),
    [
        (Reply(400), "refused-400", False),
        (Reply(404), "refused-404", False),
        (Reply(401), "refused-401", False),
        (Reply(429, headers=[("retry-after", "7")]), "refused-429", True),
        (Reply(500), "refused-500", True),
        (Reply(503), "refused-503", True),
        (Reply(302, headers=[("location", "http://169.254.169.254/")]), "refused-302", False),
        (Reply(200, b"{"), "answer-unreadable", True),
        (said({"model_name": "sum", "outputs": [{"name": "p", "datatype": "FP64", "shape": [1], "data": [None]}]}),
         "answer-unreadable", True),
        (said({"model_name": "sum", "outputs": [{"name": "p", "datatype": "FP64", "shape": [2], "data": [1]}]}),
         "answer-unreadable", True),
        (said({"model_name": "sum", "outputs": [{"name": "p", "datatype": "BYTES", "shape": [1], "data": ["1"]}]}),
         "answer-unreadable", True),
        (Reply(raw=b""), "cut-off", True),
        (Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), "answer-unreadable", True),
        (Reply(raw=b"SSH-2.0-OpenSSH_9\r\n\r\n"), "answer-unreadable", True),
    ],
)  # fmt: skip
async def test_every_failure_has_a_type(reply: Reply, code: str, retryable: bool) -> None:
    server = SumServer()
    async with peering(server) as peer:
        engine = await open_engine(peer)
        await answers(engine, [[1.0, 2.0, 3.0]])
        server.spoiled = reply
        with pytest.raises(EngineError) as raised:
            await answers(engine, [[1.0, 2.0, 3.0]])
        assert (raised.value.code, raised.value.retryable) in {(code, retryable), ("unreachable", True)}
        if reply.status == 429:
            assert raised.value.retry_after_s == 7
        server.spoiled = None
        assert await answers(engine, [[1.0, 2.0, 3.0]]) == [2.0]
        await engine.close()


async def test_nobody_there() -> None:
    async with peering(SumServer()) as peer:
        engine = await open_engine(peer)
    with pytest.raises(EngineError) as raised:
        await answers(engine, [[1.0, 2.0, 3.0]])
    assert raised.value.code == "unreachable"
    await engine.close()


async def test_the_token_is_sent_and_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    async with peering(SumServer()) as peer:
        engine = await open_engine(peer, token_file=str(tmp_path / "token"))
        await answers(engine, [[1.0, 2.0, 3.0]])
        assert {asked.headers["authorization"] for asked in peer.asked} == {"Bearer s3cret"}
        assert "s3cret" not in repr(engine)
        await engine.close()
    with pytest.raises(DeclarationError, match="token"):
        await open_engine(peer, token_file=str(tmp_path / "gone"))


async def test_a_name_may_not_lead_to_this_machine_unless_allowed() -> None:
    async with peering(SumServer()) as peer:
        url = f"oip+http://localhost:{peer.port}"
        engine = OpenInference("sums", Endpoint(url=url), WANTED)
        with pytest.raises(EngineError) as raised:
            await answers(engine, [[1.0, 2.0, 3.0]])
        assert raised.value.code == "address-denied"
        assert peer.connections == 0
        allowed = OpenInference("sums", Endpoint(url=url, allow=("127.0.0.0/8", "::1")), WANTED)
        assert await answers(allowed, [[1.0, 2.0, 3.0]]) == [2.0]
        await allowed.close()


async def test_classes_and_probabilities() -> None:
    def classify(asked: Asked) -> Reply:
        if asked.path == "/v2":
            return said({"name": "c"})
        if asked.method == "GET":
            return said({"name": "c", "inputs": MATRIX})
        outputs = [{"name": "p", "datatype": "FP32", "shape": [1, 2], "data": [[0.25, 0.75]]}]
        return said({"model_name": "c", "outputs": outputs})

    async with peering(classify) as peer:
        binary = await open_engine(peer, Wanted(name="c", inputs=INPUTS, task="binary"))
        assert await answers(binary, [[1.0, 2.0, 3.0]]) == [0.75]
        labels = Wanted(name="c", inputs=INPUTS, task="multiclass", outputs=("no", "yes"))
        multiclass = await open_engine(peer, labels)
        assert await answers(multiclass, [[1.0, 2.0, 3.0]]) == [(0.25, 0.75)]
        await binary.close()
        await multiclass.close()
