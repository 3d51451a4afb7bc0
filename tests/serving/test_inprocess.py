"""The engine on this machine: on the loop, in threads, in processes."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

import msgspec
import pytest

from steward.clock import VirtualClock
from steward.errors import DeclarationError, EngineError, IntegrityError
from steward.models.artefact import Artefact
from steward.models.engines.functions import FunctionModel
from steward.models.engines.linear import LinearFile, Term
from steward.models.manifest import FileFacts
from steward.models.registry import FolderRegistry
from steward.serving.inprocess import InProcess, Measured, Place, measure, overlap
from steward.serving.port import Served
from steward.serving.processes import Processes, Worker
from steward.testing.conformance.serving import ServingConformance

INPUTS = ("a", "b", "c")
LINEAR = LinearFile(
    intercept=1.0,
    terms=tuple(Term(name, coefficient=n + 0.1, mean=0.0, missing=0.5) for n, name in enumerate(INPUTS)),
)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    models = FolderRegistry(tmp_path_factory.mktemp("models"))
    models.register(
        "sum", kind="linear", files={"model.json": LINEAR.to_bytes()}, inputs=INPUTS, task="regression",
        clock=VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)),
    )  # fmt: skip
    return models.fetch("sum")


class Controlled:
    """A function whose calls can be made to wait or to fail."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.may_go.set()
        self.fails = False

    def __call__(self, a: float, b: float, c: float) -> float:
        self.may_go.wait(10)
        if self.fails:
            raise ArithmeticError("no")
        return a + 2 * b - c


class OfFunction(ServingConformance):
    place: ClassVar[Place]

    async def open(self) -> Served[Any]:
        self.function = Controlled()
        return await InProcess.open(FunctionModel("sum", self.function, INPUTS), place=self.place)

    @asynccontextmanager
    async def hanging(self, engine: Served[Any]) -> AsyncIterator[None]:
        self.function.may_go.clear()
        try:
            yield
        finally:
            self.function.may_go.set()

    @asynccontextmanager
    async def failing(self, engine: Served[Any]) -> AsyncIterator[None]:
        self.function.fails = True
        try:
            yield
        finally:
            self.function.fails = False


class TestThreads(OfFunction):
    place = Place.THREADS


class TestLoop(OfFunction):
    place = Place.LOOP

    @asynccontextmanager
    async def hanging(self, engine: Served[Any]) -> AsyncIterator[None]:
        yield

    @pytest.mark.xfail(reason="what runs on the loop's own thread cannot be interrupted", strict=True)
    async def test_deadline_is_kept(self) -> None:
        await super().test_deadline_is_kept()

    @pytest.mark.xfail(reason="it is answered before anybody could go away", strict=True)
    async def test_cancelled_question_leaves_nothing(self) -> None:
        await super().test_cancelled_question_leaves_nothing()


class TestProcesses(ServingConformance):
    @pytest.fixture(autouse=True)
    def _of(self, artefact: Artefact) -> None:
        self.artefact = artefact

    async def open(self) -> Served[Any]:
        model = FunctionModel("sum", Controlled(), INPUTS)
        return await InProcess.open(model, artefact=self.artefact, place=Place.PROCESSES, workers=1)

    @asynccontextmanager
    async def hanging(self, engine: Served[Any]) -> AsyncIterator[None]:
        pid = pids(engine)[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @asynccontextmanager
    async def failing(self, engine: Served[Any]) -> AsyncIterator[None]:
        os.kill(pids(engine)[0], signal.SIGKILL)
        yield


def pids(engine: object) -> list[int]:
    release = cast("Any", engine)._release
    workers: list[Any] = cast("Processes", release.__self__)._idle
    return [worker._process.pid for worker in workers]


async def test_a_dead_worker_is_replaced_and_only_its_batch_fails(artefact: Artefact) -> None:
    model = FunctionModel("sum", Controlled(), INPUTS)
    engine = await InProcess.open(model, artefact=artefact, place=Place.PROCESSES, workers=1)
    first = pids(engine)
    os.kill(first[0], signal.SIGKILL)
    with pytest.raises(EngineError) as raised:
        await engine.answer([[1.0, 2.0, 3.0]], within_s=20)
    assert raised.value.code == "worker-crashed"
    assert raised.value.retryable
    assert len(await engine.answer([[1.0, 2.0, 3.0]], within_s=20)) == 1
    assert pids(engine) != first
    await engine.close()


async def test_a_crash_is_no_fault_of_those_who_asked_together(artefact: Artefact) -> None:
    model = FunctionModel("sum", Controlled(), INPUTS)
    engine = await InProcess.open(model, artefact=artefact, place=Place.PROCESSES, workers=1)
    os.kill(pids(engine)[0], signal.SIGKILL)
    answers = await asyncio.gather(*(engine.answer([[n, 0.0, 0.0]], within_s=20) for n in (1.0, 2.0)))
    assert len(answers) == 2, "the batch that met the dead worker is asked again, one by one, of a new one"
    await engine.close()


async def test_a_stuck_worker_is_replaced(artefact: Artefact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.serving.processes.PATIENCE_S", 0.05)
    model = FunctionModel("sum", Controlled(), INPUTS)
    engine = await InProcess.open(model, artefact=artefact, place=Place.PROCESSES, workers=1)
    [stuck] = pids(engine)
    os.kill(stuck, signal.SIGSTOP)
    with pytest.raises(EngineError):
        await engine.answer([[1.0, 2.0, 3.0]], within_s=0.05)
    assert len(await engine.answer([[1.0, 2.0, 3.0]], within_s=20)) == 1
    assert pids(engine) != [stuck]
    with pytest.raises(ProcessLookupError):
        os.kill(stuck, 0)
    await engine.close()


async def test_processes_answer_what_the_model_answers(artefact: Artefact) -> None:
    from steward.models.loading import engine as engine_of

    loaded = engine_of("linear")(artefact.manifest, artefact.digest, artefact.files)
    engine = await InProcess.open(loaded, artefact=artefact, place=Place.PROCESSES, workers=1)
    rows = [[0.1, float("nan"), 7.3], [1e300, 2.0, -0.0]]
    answers = [cast("Any", answer).value for answer in await engine.answer(rows, within_s=20)]
    assert answers == [loaded.predict_one(row) for row in rows]
    await engine.close()


async def test_a_worker_verifies_the_bytes_again(artefact: Artefact) -> None:
    from dataclasses import replace

    other = LinearFile(intercept=2.0, terms=LINEAR.terms).to_bytes()
    with pytest.raises(IntegrityError):
        await Worker.start(replace(artefact, files={"model.json": other}))
    facts = {"model.json": FileFacts.of(other, "model.json")}
    manifest = msgspec.structs.replace(artefact.manifest, files=facts)
    with pytest.raises(IntegrityError):
        await Worker.start(replace(artefact, files={"model.json": other}, manifest=manifest))


async def test_processes_need_an_artefact() -> None:
    with pytest.raises(DeclarationError, match="registry"):
        await InProcess.open(FunctionModel("sum", Controlled(), INPUTS), place=Place.PROCESSES)


async def test_a_fast_model_stays_on_the_loop() -> None:
    engine = await InProcess.open(FunctionModel("twice", lambda x: 2 * x))
    assert engine.place is Place.LOOP
    await engine.close()


@pytest.mark.parametrize(
    ("one_us", "overlap_", "place"),
    [(3.0, 1.0, Place.LOOP), (200.0, 1.0, Place.LOOP), (201.0, 1.9, Place.THREADS), (9e3, 1.1, Place.PROCESSES)],
)
def test_the_place_follows_from_what_was_measured(one_us: float, overlap_: float, place: Place) -> None:
    assert Measured(one_us, overlap_).place is place


def test_what_holds_the_lock_is_noticed() -> None:
    assert overlap(lambda: sum(range(20_000))) < 1.25


def test_a_slow_model_is_measured() -> None:
    slow = FunctionModel("slow", lambda x: float(sum(range(50_000))))
    assert measure(slow).one_us > 200
