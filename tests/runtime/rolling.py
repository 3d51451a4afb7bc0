"""A decision with a model in several versions, and a runtime over it, for the tests of releases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steward import Choice, Decision, Economics, Event, Feature, Features, Model, Prediction, Risk, hours
from steward.clock import Clock, VirtualClock
from steward.ledger.memory import MemoryLedger
from steward.models.engines.linear import LinearFile, Term
from steward.models.registry import FolderRegistry
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.testing.faults import FaultyLedger

NAME = "pay.release"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Payment(Event):
    who: str
    amount_eur: float


class Paid(Event):
    who: str
    kept_eur: float


def by_score(features: Features, prediction: Prediction[float]) -> Choice[str]:
    return Choice("pay" if prediction.value < 100 else "hold", reasons=(f"score {prediction.value}",))


def never(features: Features, prediction: Prediction[float]) -> Choice[str]:
    return Choice("hold", reasons=("never",))


def kept(features: Features, choice: str, outcome: Paid) -> float:
    return outcome.kept_eur if choice == "pay" else 0.0


def nothing(features: Features, outcome: Paid) -> float:
    return 0.0


def hoped(features: Features, prediction: Prediction[float], choice: str) -> float:
    return 2.0 if choice == "pay" else 0.0


PAY: Decision[Payment, float, str] = Decision(
    name=NAME,
    owner="payments",
    purpose="Release or hold a payment",
    risk=Risk.MEDIUM,
    event=Payment,
    features=(Feature("amount_eur"),),
    predict=Model("score", inputs=("amount_eur",), version="1"),
    policy=by_score,
    economics=Economics(
        outcome=Paid, key=("who",), within=hours(2), value=kept, baseline=nothing, expected=hoped, unit="EUR"
    ),
)
CAUTIOUS = replace(PAY, policy=never)


def register(registry: FolderRegistry, *slopes: float) -> None:
    """Register versions 1, 2, … of the model: the amount times a slope."""
    clock = VirtualClock(NOON)
    for slope in slopes:
        file = LinearFile(intercept=0.0, terms=(Term("amount_eur", coefficient=slope, mean=0.0, missing=0.0),))
        files = {"model.json": file.to_bytes()}
        registry.register("score", kind="linear", files=files, inputs=("amount_eur",), task="regression", clock=clock)


@dataclass
class House:
    """A runtime that can be opened again over what was written.

    With version 1 an amount of 60 EUR is paid, with version 2 it is held, with version 3 paid again.
    """

    folder: Path
    clock: Clock

    def __post_init__(self) -> None:
        self.registry = FolderRegistry(self.folder / "models")
        register(self.registry, 1.0, 2.0, 0.5)
        self.memory = MemoryLedger()
        self.settings = Settings(ledger="memory://", registry=str(self.folder / "models"))
        self.decisions: Sequence[Decision[Any, Any, Any]] = [PAY]
        self.challengers: Sequence[Decision[Any, Any, Any]] = ()

    @asynccontextmanager
    async def opened(self, **changes: Any) -> AsyncIterator[Runtime]:
        settings = replace(self.settings, **changes)
        runtime = await Runtime.open(
            self.decisions,
            settings=settings,
            clock=self.clock,
            ledger=FaultyLedger(self.memory, keep_open=True),
            challengers=self.challengers,
        )
        async with runtime:
            yield runtime


async def version(runtime: Runtime, number: str) -> Any:
    """Make a version of the model ready."""
    return await runtime.lineups.vary(NAME, {"score": number})


async def decided(runtime: Runtime, who: str = "ana", amount_eur: float = 60.0) -> Any:
    return (await runtime.decide(NAME, Payment(who=who, amount_eur=amount_eur))).record
