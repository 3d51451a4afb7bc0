"""A decision's page says how its interval was made, and how well those before it have held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.console.world import NOON, Company, Metered, dispatch, register_model

from steward import Calibration
from steward.api.app import create_app
from steward.clock import VirtualClock
from steward.console.console import Console
from steward.console.why import promised
from steward.records import CalibrationFacts, Record
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


def saved(outcome: Metered) -> float:
    return outcome.saved_eur


async def test_a_page_tells_what_an_interval_rests_on(tmp_path: Path) -> None:
    clock = VirtualClock(NOON, seed=7)
    runtime = await Runtime.open(
        [replace(dispatch, calibration=Calibration(truth=saved))],
        settings=Settings(root=tmp_path, ledger="memory://"),
        clock=clock,
        registry=register_model(tmp_path, clock),
    )
    company = Company(runtime, clock, create_app(runtime, rooms=[Console()]))
    async with runtime, company.client() as browser:
        first = await company.dispatch()
        page = (await browser.get(f"/decisions/{first}")).text
        assert "90\xa0% promised, too few outcomes yet" in page
        runs = [await company.dispatch(price_eur=61.0 + n) for n in range(11)]
        for number, run in enumerate(runs):
            await company.meter(10.0 * number, run)
        held = await company.dispatch()
        await company.meter(0.0, held)
        last = await company.dispatch()
        page = (await browser.get(f"/decisions/{last}")).text
        assert "90\xa0% promised, by the first outcomes; 100.0\xa0% of 1 have held" in page
        assert "so that 90 % sure is right 9 times in 10" in page
        assert "<dt>interval</dt>" in page


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("borrowed", "99.5\xa0% promised, by the outcomes of the model before; group north"),
        ("pi", "99.5\xa0% promised, by all outcomes, the latest most; group north"),
    ],
)
async def test_each_method_has_its_words(company: Company, method: str, words: str) -> None:
    import msgspec

    facts = msgspec.convert({"method": method, "level": 0.995, "n": 0, "learnt": 0, "group": "north"}, CalibrationFacts)
    record: Record = (await company.runtime.run(await company.dispatch())).record
    assert promised(msgspec.structs.replace(record, calibration=facts)) == words
    assert promised(record) == ""
