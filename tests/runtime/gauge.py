"""Two calibrated decisions for the tests: a number with groups, and a label that may abstain."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.runtime.world import World

from steward import (
    Calibration,
    Choice,
    Decision,
    Economics,
    Event,
    Feature,
    Features,
    Model,
    Pipeline,
    Prediction,
    Risk,
    hours,
)
from steward.models.engines.linear import LinearFile, Term
from steward.models.manifest import Task
from steward.models.registry import FolderRegistry
from steward.runtime.runtime import Runtime


class Reading(Event):
    meter: str
    region: str
    told_mw: float


class Metered(Event):
    meter: str
    load_mw: float | None = None


def told(features: Features) -> float:
    return features.number("told_mw")


def hold_unknown(features: Features, prediction: Prediction[float]) -> Choice[str]:
    if prediction.interval is None:
        return Choice("hold", reasons=("nothing is known yet",))
    wide = prediction.interval.high - prediction.interval.low > 60
    return Choice("hold" if wide else "run", reasons=("the width of the interval",))


GAUGE: Decision[Any, Any, Any] = Decision(
    name="grid.gauge",
    owner="grid",
    purpose="Run or hold",
    risk=Risk.LOW,
    event=Reading,
    features=(Feature("told_mw"), Feature("region")),
    predict=Pipeline(told),
    policy=hold_unknown,
    economics=Economics(
        outcome=Metered,
        key=("meter",),
        within=hours(1),
        unit="EUR",
        value=lambda features, choice, outcome: 0.0,
        baseline=lambda features, outcome: 0.0,
    ),
    calibration=Calibration(truth=lambda outcome: outcome.load_mw, group="region", groups=2),
)


class Payment(Event):
    order: str
    amount: float


class Settled(Event):
    order: str
    was_fraud: bool


def release_sure(features: Features, prediction: Prediction[float]) -> Choice[str]:
    if prediction.abstains:
        return Choice("hold", reasons=("the model abstains",))
    assert prediction.labels is not None
    return Choice("refuse" if prediction.labels[0] == "fraud" else "release", reasons=("the one label left",))


FRAUD: Decision[Any, Any, Any] = Decision(
    name="pay.fraud",
    owner="payments",
    purpose="Release, refuse or hold",
    risk=Risk.LOW,
    event=Payment,
    features=(Feature("amount"),),
    predict=Model("fraud"),
    policy=release_sure,
    economics=Economics(
        outcome=Settled,
        key=("order",),
        within=hours(1),
        unit="EUR",
        value=lambda features, choice, outcome: 0.0,
        baseline=lambda features, outcome: 0.0,
    ),
    calibration=Calibration(
        truth=lambda outcome: "fraud" if outcome.was_fraud else "legit", labels=("legit", "fraud"), level=0.8
    ),
)


def register_fraud(world: World, *, task: Task = "binary", coefficient: float = 1.0) -> None:
    file = LinearFile(intercept=0.0, terms=(Term("amount", coefficient=coefficient, mean=0.0, missing=0.0),))
    FolderRegistry(world.folder / "models").register(
        "fraud",
        kind="linear",
        files={"model.json": file.to_bytes()},
        inputs=("amount",),
        task=task,
        clock=world.clock,
    )


async def measured(
    world: World, count: int, *, start: int = 0, spread: float = 10.0, regions: str = "NS", learns: bool = True
) -> list[Any]:
    """Decide and observe some readings, one after the other, and learn from each; return the records."""
    drawn, records, runtime = Random(start), [], world.runtime
    for n in range(start, start + count):
        region = regions[n % len(regions)]
        reading = Reading(meter=f"m{n}", region=region, told_mw=100.0 + n)
        records.append((await runtime.decide("grid.gauge", reading)).record)
        error = drawn.gauss(0, spread * (3 if region == "S" else 1))
        await runtime.observe("grid.gauge", Metered(meter=f"m{n}", load_mw=100.0 + n + error), outcome_id=f"o{n}")
        if learns:
            await runtime.calibrations.step()
    return records


def state(runtime: Runtime) -> dict[str, Any]:
    """Return all that was learnt, to be compared."""
    return {row.group or "*": row.tracker for row in runtime.calibrations.rows("grid.gauge")}
