from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.battery import Battery
from steward.cases.grid.dispatch.skills import DispatchPlan
from steward.cases.grid.screen.recorded import Hour
from steward.cases.grid.screen.sources import sources_of
from steward.records import Status

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


def hour(place: int, energy_mwh: float, price_eur_mwh: float, wear_eur_mwh: float = 0.0) -> Hour:
    return Hour(
        run=UUID(int=place),
        at=MIDNIGHT + timedelta(hours=place),
        day_start=MIDNIGHT,
        status=Status.ACTED,
        proposed_mw=energy_mwh,
        in_force_mw=energy_mwh,
        soc_mwh=0.0,
        battery=Battery(wear_eur_mwh=wear_eur_mwh),
        plan=DispatchPlan(power_mw=(), price_eur_mwh=(), expected_eur=0.0),
        reasons=(),
        metered_mwh=energy_mwh,
        price_eur_mwh=price_eur_mwh,
    )


def test_a_cycle_is_told_in_its_parts() -> None:
    sources = sources_of([hour(0, -10.0, 20.0, 2.0), hour(1, -10.0, 40.0, 2.0), hour(2, 9.0, 90.0, 2.0)])
    assert (sources.spread_eur, sources.lost_eur, sources.wear_eur) == (9 * 60.0, 11 * 30.0, 58.0)
    assert sources.total_eur == 9 * 90.0 - 600.0 - 58.0


def test_what_was_never_bought_in_this_time_is_all_spread() -> None:
    sources = sources_of([hour(0, 5.0, 80.0)])
    assert (sources.spread_eur, sources.lost_eur) == (400.0, 0.0)


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-500, 3000)), max_size=30), st.floats(0, 20))
def test_the_parts_make_the_whole(hours: list[tuple[float, float]], wear: float) -> None:
    sources = sources_of([hour(n, energy, price, wear) for n, (energy, price) in enumerate(hours)])
    whole = sum(energy * price - wear * abs(energy) for energy, price in hours)
    assert sources.spread_eur - sources.lost_eur - sources.wear_eur == pytest.approx(whole, abs=0.02)
    assert sources.total_eur == pytest.approx(whole, abs=0.02)
