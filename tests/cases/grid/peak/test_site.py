from __future__ import annotations

from datetime import UTC, datetime

import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.peak.site import HALF_HOUR, MeteredSite
from steward.cases.grid.streams import Setpoint
from steward.errors import Conflict, EngineError

NOON = datetime(2014, 1, 31, 12, tzinfo=UTC)
FULL = Setpoint(power_mw=10.0)


@pytest.fixture
def site() -> MeteredSite:
    return MeteredSite("vic", LocalDays("UTC"), Battery())


def test_a_set_point_holds_for_its_interval_only(site: MeteredSite) -> None:
    site.take(FULL, at=NOON, key="a")
    assert [site.meter(NOON + n * HALF_HOUR, load_mw=500.0).net_mw for n in range(2)] == [490.0, 500.0]


def test_a_key_counts_once_and_is_found_again(site: MeteredSite) -> None:
    first = site.take(FULL, at=NOON, key="a")
    assert site.take(Setpoint(power_mw=-5.0), at=NOON, key="a") == first == site.read_back(NOON, key="a")
    assert site.read_back(NOON, key="b") is None


def test_what_is_taken_back_is_held(site: MeteredSite) -> None:
    site.take(FULL, at=NOON, key="a")
    site.forget(NOON, key="a")
    assert site.meter(NOON, load_mw=500.0).net_mw == 500.0
    with pytest.raises(Conflict):
        site.forget(NOON, key="a")


def test_an_interval_that_is_over_takes_nothing(site: MeteredSite) -> None:
    site.meter(NOON, load_mw=500.0)
    with pytest.raises(EngineError, match="is over"):
        site.take(FULL, at=NOON, key="late")


def test_a_month_starts_anew_but_its_store_does_not(site: MeteredSite) -> None:
    site.take(FULL, at=NOON, key="a")
    site.meter(NOON, load_mw=500.0)
    evening = site.standing(NOON + HALF_HOUR)
    assert (evening.paid_mw, evening.state.withdrawn_mwh > 5) == (490.0, True)
    february = site.standing(datetime(2014, 2, 1, tzinfo=UTC))
    assert (february.paid_mw, february.state.withdrawn_mwh) == (0.0, 0.0)
    assert february.state.soc_mwh == evening.state.soc_mwh < 40.0


def test_the_battery_does_no_more_than_it_can(site: MeteredSite) -> None:
    assert site.take(Setpoint(power_mw=25.0), at=NOON, key="a").detail == {"power_mw": "10"}
    assert site.due(NOON).soc_mwh == 40.0
