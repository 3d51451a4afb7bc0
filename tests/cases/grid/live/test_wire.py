"""The demo's plant is heard and told over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.world import Conditions, FieldPlant
from steward.cases.grid.live import wire as wires
from steward.cases.grid.live.wire import Wire, wired
from steward.cases.grid.streams import Setpoint
from steward.clock import SystemClock
from steward.errors import EngineError

NOON = datetime(2018, 7, 1, 12, tzinfo=UTC)
SOC = Point("region.battery", "soc_mwh")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[FieldPlant, Wire]]:
    plant = FieldPlant(
        Layout("region"),
        LocalDays("Europe/Madrid"),
        Battery(),
        conditions=lambda at: Conditions(60.0, 30.0, 40.0),
        start=NOON,
        step=timedelta(minutes=1),
    )
    async with wired(plant, folder, Battery(), SystemClock()) as wire:
        yield plant, wire


async def test_an_hour_is_ordered_lived_and_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as (plant, wire):
        assert wire.address.startswith("opc.tcp://127.0.0.1:")
        await wire.say()
        assert wire.remote.due(NOON).soc_mwh == 0.0
        await wire.remote.take_control(NOON, key="run-1/control")
        receipt = await wire.remote.take(Setpoint(power_mw=-10.0), at=NOON, key="run-1")
        assert plant.standing(NOON) == receipt
        plant.run_hour(NOON, price_eur_mwh=30.0)
        await wire.say()
        heard = wire.remote.last(SOC)
        assert heard is not None
        assert heard.source_time == NOON + HOUR
        assert heard.value == pytest.approx(plant.state.soc_mwh)
        assert wire.remote.due(NOON + HOUR).soc_mwh == heard.value

        async def silent(readings: object) -> None:
            return None

        monkeypatch.setattr(wires, "_HEARD_WITHIN_S", 0.05)
        monkeypatch.setattr(wire._voices, "publish", lambda: silent(()))
        plant.run_hour(NOON + HOUR, price_eur_mwh=30.0)
        with pytest.raises(EngineError, match="was not heard"):
            await wire.say()
