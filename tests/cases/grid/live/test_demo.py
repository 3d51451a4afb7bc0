from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from tests.cases.grid.dispatch.test_backtest import write

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import synthetic_region
from steward.cases.grid.data.history import Source
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.live import demo, pace
from steward.cases.grid.live import view as demo_view
from steward.cases.grid.live.demo import DemoOptions, play
from steward.cases.grid.live.state import DemoState
from steward.cases.grid.live.view import LiveView, PlainView
from steward.ledger.verify import verify_store

AT_MOST = timedelta(seconds=40)
"""When a demo that would not end by itself is ended, so that its test fails and does not hang."""


class Watching(PlainView):
    """A view that answers each question over HTTP, if it is given a way to, and keeps what it saw."""

    def __init__(self, verb: str | None = None) -> None:
        super().__init__()
        self.told: list[str] = []
        self.drawn = 0
        self._verb = verb
        self._asked: set[object] = set()
        self._live = LiveView()
        self.answers: list[asyncio.Task[httpx.Response]] = []

    def tell(self, text: str) -> None:
        self.told.append(text)

    def refresh(self, state: DemoState) -> None:
        super().refresh(state)
        if self.drawn % 10 == 0 or state.question is not None:
            self._live.refresh(state)
        self.drawn += 1
        if state.question is not None and self._verb and state.question.row.decision_id not in self._asked:
            self._asked.add(state.question.row.decision_id)
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
    quick = {"hours_per_s": 1e6, "answer_s": 0.05, "port": 0, "warm_days": 0, "by_wire": False}
    given: dict[str, Any] = {**quick, "folder": folder, "view": view}
    return DemoOptions(**{**given, **changed})


async def test_it_plays_asks_and_ends_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    view = Watching()
    result = await play(options(tmp_path, view, answer_s=0.1))
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
    assert "The plant is in this process." in printed
    assert "verify --all" in printed
    assert verify_store(tmp_path / ".steward" / "steward.db").ok


async def test_a_person_answers_over_http_while_it_runs(tmp_path: Path) -> None:
    view = Watching("approve")
    result = await play(options(tmp_path, view, answer_s=5.0, run_for=timedelta(seconds=30)))
    assert {(await answer).status_code for answer in view.answers} == {200}
    assert result["answers"] == {"approved": len(view.answers)}
    assert "  = approved by anna" in view.told


async def test_its_time_is_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = options(tmp_path, Watching(), run_for=timedelta(seconds=0.2), hours_per_s=20.0, by_wire=None)
    result = await play(short)
    assert 0 < int(str(result["decisions"])) < 71
    assert "The plant speaks OPC UA at opc.tcp://127.0.0.1:" in capsys.readouterr().out


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


class Visitor(Watching):
    """Somebody who opens the console before the first hour, looks at the first question, and answers it."""

    def __init__(self) -> None:
        super().__init__()
        self.looking: asyncio.Task[None] | None = None
        self.leaving = asyncio.Event()
        self.lefts: list[timedelta] = []

    def arrive(self, port: int) -> None:
        self.looking = asyncio.ensure_future(self._look(f"http://127.0.0.1:{port}"))

    def refresh(self, state: DemoState) -> None:
        super().refresh(state)
        if state.question is not None and state.question.is_live and not self.answers:
            self.lefts.append(state.question.left)
            if len(self.lefts) == 30:
                run = state.question.row.decision_id
                self.answers.append(asyncio.ensure_future(self._answer(f"{state.url}/v1/approvals/{run}/approve")))
        elif self.lefts and state.question is None:
            self.leaving.set()

    async def _look(self, url: str) -> None:
        async with httpx.AsyncClient() as client, client.stream("GET", f"{url}/events?show=grid-title") as stream:
            assert stream.status_code == 200
            await self.leaving.wait()


async def test_whoever_looks_at_the_console_has_the_time_of_a_real_clock(tmp_path: Path) -> None:
    view = Visitor()
    result = await play(options(tmp_path, view, ready=view.arrive, hours_per_s=30.0, answer_s=0.2, run_for=AT_MOST))
    assert view.looking is not None
    await view.looking
    assert [(await answer).status_code for answer in view.answers] == [200]
    answers = result["answers"]
    assert isinstance(answers, dict)
    assert answers["approved"] == 1
    # Thirty looks, 10 ms apart: of the ten minutes only real seconds are gone, where without a visitor all would be.
    assert view.lefts == sorted(view.lefts, reverse=True)
    assert timedelta(minutes=9) < view.lefts[-1] < timedelta(minutes=10)
    assert "in real time, as somebody looks at the console" in "\n".join(view.told)
    # Once the visitor has left, clocks run fast again.
    assert answers.get("expired", 0) == int(str(result["asked"])) - 1


async def test_at_the_end_of_the_data_the_console_stays_for_whoever_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "approve_above_eur", lambda *of_the_market: 1e6)
    view = Visitor()

    def see_the_end(state: DemoState) -> None:
        PlainView.refresh(view, state)
        if state.is_over:
            view.leaving.set()

    view.refresh = see_the_end  # type: ignore[method-assign]  # this visitor only waits for the end
    await play(options(tmp_path, view, ready=view.arrive, run_for=AT_MOST, hours_per_s=60.0))
    assert view.leaving.is_set()
    assert any("all data was played" in text for text in view.told)


class Stopper(Watching):
    """Stops everything at the third decision, lets it stand for a while, and two people lift it."""

    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self.acts: list[asyncio.Task[None]] = []
        self.stopped_at: list[datetime] = []

    def refresh(self, state: DemoState) -> None:
        super().refresh(state)
        if state.decisions == 3 and not self.acts:
            self.acts.append(asyncio.ensure_future(self._act(state.url, "/v1/stops", "mara")))
        if state.is_stopped:
            self.stopped_at.append(state.now)
            if state.decisions == 6 and len(self.acts) == 1:
                self.acts.append(asyncio.ensure_future(self._act(state.url, "/v1/stops/resume", "mara", "ivo")))

    async def _act(self, url: str, path: str, *people: str) -> None:
        async with httpx.AsyncClient() as client:
            for by in people:
                sent = await client.post(url + path, json={"by": by, "reason": "a test", "decision": "*"})
                assert sent.status_code == 200, sent.text


async def test_while_it_is_stopped_hours_pass_slowly_and_the_battery_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "STOPPED_HOURS_PER_S", 8.0)
    view = Stopper()
    result = await play(options(tmp_path, view, hours_per_s=40.0, run_for=timedelta(seconds=20)))
    for act in view.acts:
        await act
    assert len(view.acts) == 2
    told = "\n".join(view.told)
    assert "! mara stopped *: a test" in told
    assert "! ivo wants it too: * goes on" in told
    assert int(str(result["decisions"])) > 8, "it goes on"
    with sqlite3.connect(tmp_path / ".steward" / "steward.db") as ledger:
        bodies = [json.loads(body) for (body,) in ledger.execute("SELECT body FROM entries ORDER BY idx")]
    stopped = next(body["at"] for body in bodies if body["kind"] == "stopped")
    resumed = next(body["at"] for body in bodies if body["kind"] == "resumed")
    during = {b["decision_id"] for b in bodies if b["kind"] == "decided" and stopped < b["decided_at"] < resumed}
    assert during, "decisions are still computed"
    outcomes = [b["outcome"]["energy_mwh"] for b in bodies if b["kind"] == "observed" and b["decision_id"] in during]
    assert outcomes
    assert set(outcomes) == {0.0}
    assert not [b for b in bodies if b["kind"] == "acted" and b["decision_id"] in during and b["at"] < resumed]


async def test_it_opens_with_days_already_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[int] = []
    view = Watching()
    result = await play(options(tmp_path, view, warm_days=2, ready=heard.append, run_for=timedelta(seconds=0.1)))
    assert heard
    assert int(str(result["decisions"])) >= 47  # of its two days, one is an hour short
    printed = capsys.readouterr().out
    assert "Playing the first 2 days, in which simulated-desk answers" in printed
    assert f"Open  http://127.0.0.1:{heard[0]}/" in printed
    answers = result["answers"]
    assert isinstance(answers, dict)
    assert answers.get("approved", 0) >= 1


def test_a_visitor_meets_a_question_at_least_every_other_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """At six hours a second, by the true prices: the dearest hours of the year that is played."""
    history = synthetic_region("Europe/Madrid", date(2024, 1, 1), 773)
    market, battery = Market.of(history, "price_eur_mwh"), Battery()
    first = date(2024, 1, 1) + timedelta(days=408)
    monkeypatch.undo()
    threshold_eur = demo.approve_above_eur(market, first, battery)
    days = [first + timedelta(days=n) for n in range(365)]
    asked = [n for n, day in enumerate(days) if battery.power_mw * market.day(day).max() > threshold_eur]
    assert max(b - a for a, b in pairwise([0, *asked, 365])) * 24 / 6.0 <= 120
    assert 60 <= len(asked) <= 180, "seldom enough to be worth a person"


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(demo_view.view(), PlainView)
    demo_view.view().tell("one line")
    assert capsys.readouterr().out == "one line\n"
