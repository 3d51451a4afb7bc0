from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from tests.cases.grid.test_backtest import write

from steward.cases.grid import demo, demo_view
from steward.cases.grid.demo import DemoOptions, play
from steward.cases.grid.demo_state import DemoState
from steward.cases.grid.demo_view import LiveView, PlainView
from steward.cases.grid.generator import synthetic_region
from steward.cases.grid.history import Source
from steward.ledger.verify import verify_store


class Watching(PlainView):
    """A view that answers the first question over HTTP and keeps what it saw."""

    def __init__(self, verb: str | None = None) -> None:
        super().__init__()
        self.told: list[str] = []
        self.drawn = 0
        self._verb, self._asked = verb, False
        self._live = LiveView()
        self.answers: list[asyncio.Task[httpx.Response]] = []

    def tell(self, text: str) -> None:
        self.told.append(text)

    def refresh(self, state: DemoState) -> None:
        super().refresh(state)
        if self.drawn % 10 == 0 or state.question is not None:
            self._live.refresh(state)
        self.drawn += 1
        if state.question is not None and self._verb and not self._asked:
            self._asked = True
            url = f"{state.url}/v1/approvals/{state.question.row.decision_id}/{self._verb}"
            self.answers.append(asyncio.ensure_future(self._answer(url)))

    def __enter__(self) -> Self:
        return self

    async def _answer(self, url: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.post(url, json={"by": "anna", "reason": "I looked"})


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_ROUNDS", 20)
    monkeypatch.setattr(demo, "_TRAINED_DAYS", 90)
    monkeypatch.setattr(demo, "_DAYS", 93)
    monkeypatch.setattr(demo, "_FRAME_S", 0.01)
    monkeypatch.setattr(demo, "_NOT_ASKED", 0.2)  # so few days ask more often


def options(folder: Path, view: demo_view.View, **changed: Any) -> DemoOptions:
    quick = {"hours_per_s": 1e6, "answer_s": 0.05, "port": 0, "warm_days": 0}
    given: dict[str, Any] = {**quick, "folder": folder, "view": view}
    return DemoOptions(**{**given, **changed})


async def test_it_plays_asks_and_ends_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    view = Watching()
    result = await play(options(tmp_path, view, answer_s=0.4))
    assert result["decisions"] == 71  # the clock changes on the first day
    assert result["asked"] >= 1  # type: ignore[operator]  # plain data
    assert result["answers"] == {"expired": result["asked"]}
    told = "\n".join(view.told)
    assert re.search(r"\? grid-desk is asked: \d+\.\d\d EUR are at stake", told)
    assert "duty-manager is asked too" in told
    assert f"steward -C {tmp_path} approve" in told
    assert re.search(r"after 2 days: saved -?[\d,]+ EUR .* best possible", told)
    printed = capsys.readouterr().out
    assert "Synthetic data" in printed
    assert "verify --all" in printed
    assert verify_store(tmp_path / ".steward" / "steward.db").ok


async def test_a_person_answers_over_http_while_it_runs(tmp_path: Path) -> None:
    view = Watching("approve")
    result = await play(options(tmp_path, view, answer_s=5.0, run_for=timedelta(seconds=30)))
    assert [(await answer).status_code for answer in view.answers] == [200]
    assert result["answers"]["approved"] == 1  # type: ignore[index]  # plain data
    assert "  = approved by anna" in view.told


async def test_its_time_is_limited(tmp_path: Path) -> None:
    result = await play(options(tmp_path, Watching(), run_for=timedelta(seconds=0.2), hours_per_s=20.0))
    assert 0 < int(str(result["decisions"])) < 71


async def test_it_plays_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    region = synthetic_region("Europe/Madrid", date(2024, 1, 1), 120)
    source = Source(
        path=write(region, tmp_path / "own.csv"),
        time_column="time",
        zone="Europe/Madrid",
        price_column="price_eur_mwh",
    )
    listening: list[int] = []
    slow = options(tmp_path, Watching(), source=source, run_for=timedelta(seconds=0.3), ready=listening.append)
    assert int(str((await play(slow))["decisions"])) > 0
    assert "Data of own.csv" in capsys.readouterr().out
    assert listening[0] > 0


async def test_a_taken_port_is_no_obstacle(tmp_path: Path) -> None:
    held = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with held:
        port = held.sockets[0].getsockname()[1]
        listening: list[int] = []
        taken = options(tmp_path, Watching(), port=port, ready=listening.append, run_for=timedelta(seconds=0.1))
        await play(taken)
    assert listening[0] not in (0, port)


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(demo_view.view(), PlainView)
    demo_view.view().tell("one line")
    assert capsys.readouterr().out == "one line\n"
