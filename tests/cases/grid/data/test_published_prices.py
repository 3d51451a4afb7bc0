from __future__ import annotations

from datetime import date

from tests.cases.grid.conftest import SHARED, shared_file

from steward.cases.grid.data.published_prices import MARKETS, PEERS


def test_every_day_has_24_hours_also_where_the_clock_changes() -> None:
    shared_file("epf_be_hourly")
    history = MARKETS["be"].read(SHARED)
    assert history.found == () or all(one.code == "missing" for one in history.found)
    assert {history.local.hours(day) for day in (date(2016, 3, 27), date(2016, 10, 30))} == {24}
    assert len(history.days(MARKETS["be"].first, MARKETS["be"].until)) == 728
    assert history.local.country == "BE"
    assert not set(PEERS) & set(MARKETS["be"].ahead)
