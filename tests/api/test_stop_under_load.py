"""The stop switch of a real server that has more to do than it can: it is answered, and then nothing is dispatched."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
from tests.api.conftest import DECIDE, REFUND, refund

from steward import Action, Call, Receipt
from steward.api.server import Server
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


class Plant:
    """Counts what it is told to do."""

    def __init__(self) -> None:
        self.told, self.answers, self.news = 0, Counter[int](), asyncio.Event()

    async def do(self, choice: str, call: Call) -> Receipt:
        self.told += 1
        self.news.set()
        await asyncio.sleep(0)
        return Receipt(reference=call.key)

    def answered(self, status: int) -> None:
        self.answers[status] += 1
        self.news.set()

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():
            self.news.clear()
            await self.news.wait()


async def test_nothing_is_dispatched_once_the_stop_is_answered(tmp_path: Path) -> None:
    plant = Plant()
    answers = plant.answers
    decision = replace(refund, action=Action(do=plant.do), gate=None)
    # So few may wait that most of the load is refused: the stop must be answered all the same.
    settings = Settings(ledger=f"sqlite:////{tmp_path}/steward.db", max_waiting=8)
    async with await Runtime.open([decision], settings=settings) as runtime:
        runtime.start()
        server = await Server.start(runtime, "127.0.0.1", 0)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=60, limits=limits) as client:
            over = asyncio.Event()

            async def load() -> None:
                while not over.is_set():
                    plant.answered((await client.post(DECIDE, json=REFUND)).status_code)

            workers = [asyncio.create_task(load()) for _ in range(24)]
            await plant.until(lambda: plant.told >= 20 and answers.keys() - {200})
            stopped = await client.post("/v1/stops", json={"by": "ana", "reason": "smoke"})
            assert stopped.status_code == 200
            told, decided = plant.told, answers[200]
            await plant.until(lambda: answers[200] >= decided + 50)
            assert plant.told == told
            over.set()
            await asyncio.gather(*workers)
            assert set(answers) <= {200, 429, 503}
            for by in ("ana", "bo"):
                assert (await client.post("/v1/stops/resume", json={"by": by, "reason": "clear"})).status_code == 200
            await plant.until(lambda: plant.told >= answers[200])
        await server.stop()
