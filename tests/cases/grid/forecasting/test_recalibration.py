"""Recalibration: weeks of virtual time, each with a retrained model; a worse one is not let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from steward import Choice, Decision, Economics, Event, Feature, Features, Model, Prediction, Risk, days
from steward.cases.grid.forecasting.recalibration import Party, Recalibration, Step
from steward.clock import VirtualClock
from steward.entries import Launched, Promoted
from steward.ledger.memory import MemoryLedger
from steward.models.artefact import CARD, PROVENANCE
from steward.models.engines.linear import LinearFile, Term
from steward.models.manifest import Trained
from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.card import Card, Metric, Validation, publishable
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import Trust, trust_key
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.testing.faults import FaultyLedger

NAME, MODEL = "grid.price-tomorrow", "price-tomorrow"
START = datetime(2018, 1, 1, 12, tzinfo=UTC)
AUTHOR = Party("price-desk", PrivateKey.of_seed(bytes(32)))
REVIEWER = Party("model-risk", PrivateKey.of_seed(bytes(31) + b"r"))
HOURS = (3, 9, 15, 21)


class Hour(Event):
    id: str
    latest_eur_mwh: float


class Settled(Event):
    id: str
    eur_mwh: float


def as_forecast(features: Features, prediction: Prediction[float]) -> Choice[float]:
    return Choice(round(prediction.value, 3), reasons=("as forecast",))


def closeness(features: Features, choice: float, outcome: Settled) -> float:
    return -abs(choice - outcome.eur_mwh)


def as_before(features: Features, outcome: Settled) -> float:
    return -abs(features.number("latest_eur_mwh") - outcome.eur_mwh)


DECISION: Decision[Hour, float, float] = Decision(
    name=NAME,
    owner="grid-operations",
    purpose="Say what the next hour will cost",
    risk=Risk.LOW,
    event=Hour,
    features=(Feature("latest_eur_mwh"),),
    predict=Model(MODEL, inputs=("latest_eur_mwh",)),
    policy=as_forecast,
    economics=Economics(outcome=Settled, key=("id",), within=days(1), value=closeness, baseline=as_before, unit="EUR"),
)


class World:
    """Prices that follow the latest one by a rule which changes; a model of two numbers is trained on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.memory = folder, VirtualClock(START, seed=2), MemoryLedger()
        self.registry, self.trust = FolderRegistry(folder / "models"), folder / "trust"
        self._chance, self._seen = np.random.default_rng(4), [(40.0, 40.0), (60.0, 60.0), (50.0, 50.0)]
        self.planted_eur_mwh, self.is_accepted = 0.0, True
        self.settings = Settings(ledger="memory://", registry=str(folder / "models"))
        self.train(START)

    def govern(self) -> None:
        """Let only signed models decide; the first needs its card, too."""
        for party in (AUTHOR, REVIEWER):
            trust_key(self.trust, party.name, party.key.public)
        self.settings = replace(self.settings, mode="governed", trust=str(self.trust))

    def train(self, at: datetime) -> tuple[Registered, Card]:
        latest, then = np.array(self._seen[-56:]).T
        slope, level = np.polyfit(latest, then, 1)
        file = LinearFile(
            intercept=float(level) + self.planted_eur_mwh,
            terms=(Term("latest_eur_mwh", coefficient=float(slope), mean=50.0, missing=50.0),),
        )
        trained = Trained(since=START - timedelta(days=1), until=at, rows=len(then), data="sha256:" + "d" * 64)
        made = self.registry.register(
            MODEL, kind="linear", files={"model.json": file.to_bytes()}, inputs=("latest_eur_mwh",),
            task="regression", clock=self.clock, trained=trained,
        )  # fmt: skip
        mae = float(np.abs(level + slope * latest - then).mean())
        card = Card(
            purpose="Forecast the next hour's price.", data="The hours so far.", limits=("No negative prices.",),
            metrics=(Metric(name="mae", value=mae), Metric(name="mae", value=mae, segment="day")),
            owner="grid-operations", author=AUTHOR.name,
        )  # fmt: skip
        return made, card

    def review(self, made: Registered, card: Card) -> Validation:
        finding = f"{made.name} {made.version}: the held-out weeks agree"
        return Validation(by=REVIEWER.name, at=self.clock.now(), finding=finding, accepted=self.is_accepted)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Runtime, Recalibration]]:
        ledger = FaultyLedger(self.memory, keep_open=True)
        async with await Runtime.open([DECISION], settings=self.settings, clock=self.clock, ledger=ledger) as runtime:
            yield runtime, Recalibration(
                runtime, NAME, self.registry, train=self.train, review=self.review,
                author=AUTHOR, reviewer=REVIEWER, clock=self.clock,
            )  # fmt: skip

    async def play(self, runtime: Runtime, recalibration: Recalibration, days: int) -> list[Step]:
        """Let days pass, each with some decisions and their outcomes; return what the recalibration did."""
        did: list[Step] = []
        for _ in range(days):
            for hour in HOURS:
                await self._hour(runtime, hour)
            self.clock.set(self.clock.now().replace(hour=23))
            await runtime.advance()
            if (step := await recalibration.step()) is not Step.WAITED:
                did.append(step)
            self.clock.set((self.clock.now() + timedelta(days=1)).replace(hour=0))
        return did

    async def _hour(self, runtime: Runtime, hour: int) -> None:
        self.clock.set(self.clock.now().replace(hour=hour))
        latest = float(self._chance.uniform(20, 80))
        then = 30 + 0.5 * latest + float(self._chance.normal())
        name = self.clock.now().isoformat()
        await runtime.decide(NAME, Hour(id=name, latest_eur_mwh=latest))
        await runtime.advance()  # the shadow says its part
        await runtime.observe(NAME, Settled(id=name, eur_mwh=then), outcome_id=name)
        self._seen.append((latest, then))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.clock.set(START.replace(hour=0) + timedelta(days=1))
    return world


async def test_each_week_a_model_is_trained_tried_and_let_in(world: World) -> None:
    async with world.opened() as (runtime, recalibration):
        first = runtime.releases.live(NAME).champion
        assert await world.play(runtime, recalibration, 14) == [Step.BEGAN, Step.PROMOTED]
        [promoted] = [body for body in await runtime.releases.history(NAME) if isinstance(body, Promoted)]
        assert (promoted.by, promoted.release) == (REVIEWER.name, runtime.releases.live(NAME).champion)
        assert promoted.release != first
        record = (await runtime.decide(NAME, Hour(id="next", latest_eur_mwh=50.0))).record
        assert (record.model_version, record.release) == ("2", promoted.release)
        made = world.registry.read(MODEL, "2")
        assert {"signature.json", CARD, PROVENANCE} <= set(made.statements)


async def test_a_worse_model_is_withdrawn_and_the_next_good_one_let_in(world: World) -> None:
    async with world.opened() as (runtime, recalibration):
        await world.play(runtime, recalibration, 14)
        before = runtime.releases.live(NAME).champion
        world.planted_eur_mwh = 4.0
        assert await world.play(runtime, recalibration, 13) == [Step.BEGAN, Step.WITHDREW]
        assert (runtime.releases.live(NAME).champion, runtime.releases.live(NAME).rollout) == (before, None)
        last = (await runtime.releases.history(NAME))[-1]
        assert isinstance(last, Launched)
        assert (last.by, last.reason[:10]) == (REVIEWER.name, "it earned ")
        world.planted_eur_mwh = 0.0
        assert await world.play(runtime, recalibration, 8) == [Step.BEGAN, Step.PROMOTED]


async def test_what_the_reviewer_refuses_never_answers(world: World) -> None:
    world.is_accepted = False
    async with world.opened() as (runtime, recalibration):
        assert await world.play(runtime, recalibration, 15) == [Step.REFUSED, Step.REFUSED]
        assert runtime.releases.live(NAME).rollout is None


async def test_a_trial_outlives_a_restart(world: World) -> None:
    async with world.opened() as (runtime, recalibration):
        assert await world.play(runtime, recalibration, 10) == [Step.BEGAN]
    async with world.opened() as (runtime, recalibration):
        assert await world.play(runtime, recalibration, 4) == [Step.PROMOTED]


async def test_a_rollout_of_somebody_else_is_left_alone(world: World) -> None:
    world.planted_eur_mwh = 1.0
    async with world.opened() as (runtime, recalibration):
        made, _ = world.train(START)
        ready = await runtime.lineups.vary(NAME, {MODEL: made.version})
        await runtime.rollouts.start(ready, by="ana", reason="I want to see it", is_shadow=True)
        assert await world.play(runtime, recalibration, 16) == []
        rollout = runtime.releases.live(NAME).rollout
        assert rollout is not None
        assert rollout.started_by == "ana"


async def test_in_governed_mode_two_parties_sign_and_agree(world: World) -> None:
    world.govern()
    async with world.opened() as (runtime, recalibration):
        assert await recalibration.step() is Step.PROMOTED  # the first has nobody to be compared with
        assert await world.play(runtime, recalibration, 14) == [Step.BEGAN, Step.PROMOTED]
        known = runtime.releases.known(runtime.releases.live(NAME).champion)
        assert (known.by, known.approved_by) == (AUTHOR.name, REVIEWER.name)
        [*_, latest] = world.registry.versions(MODEL)
        assert publishable(world.registry.read(MODEL, latest), Trust.read(world.trust)) == ()
