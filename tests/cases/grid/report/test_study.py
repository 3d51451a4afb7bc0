"""The study and the report that is made of it: whole, honest about limits, and a file of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.local_days import DAY
from steward.cases.grid.dispatch.comparison import LIMIT
from steward.cases.grid.report import study as studied
from steward.cases.grid.report.document import document, figures
from steward.cases.grid.report.pictures import one_day
from steward.cases.grid.report.study import OURS, Study, StudyOptions, study
from steward.errors import ContractError

MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = date(2024, 2, 5)


@pytest.fixture(scope="module")
def region() -> Study:
    return study(StudyOptions(first=FIRST, until=FIRST + 21 * DAY))


def test_ours_earns_between_nothing_and_the_limit(region: Study) -> None:
    assert region.storage is not None
    ours, limit = (region.storage.comparison.standing(name) for name in (OURS, LIMIT))
    assert 0.0 < ours.eur < limit.eur
    assert region.storage.comparison.leaks == []


def test_the_store_is_carried_over_and_follows_the_powers(region: Study) -> None:
    assert region.storage is not None
    course, battery = region.storage.course, region.battery
    held = [region.storage.state_of_charge_mwh(day) for day in course.days]
    assert held[0][0] == 0.0
    assert min(map(min, held)) >= 0.0
    assert max(map(max, held)) <= battery.energy_mwh + 1e-9
    charged = course.powers_mw[0] < 0.0
    assert (np.diff(held[0])[charged[:-1]] > 0.0).all()
    with pytest.raises(ContractError):
        region.storage.state_of_charge_mwh(FIRST - DAY)


def test_peaks_are_cut_and_never_below_what_is_possible(region: Study) -> None:
    assert region.peaks is not None
    run, limit = region.peaks
    assert 0.0 < run.mean_monthly_cut_mw <= limit.mean_monthly_cut_mw + 1e-6


def test_calls_stay_within_their_number(region: Study) -> None:
    assert region.calls is not None
    assert len(region.calls.days) <= 15
    assert len(region.calls.highest) == 10
    assert set(region.calls.days) <= set(region.peaks_mw)


def test_each_hour_of_a_day_is_drawn(region: Study) -> None:
    day = one_day(region, FIRST + DAY)
    assert [panel.label.split(" (")[0] for panel in day.panels] == ["Load", "Price", "Dispatch", "State of charge"]
    for panel in day.panels:
        for series in panel.series:
            values = series.low if hasattr(series, "low") else series.values
            assert len(values) == len(day.x) == 24


class _Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        self.pictures += tag == "svg" and ("role", "img") in attrs


def test_the_report_loads_nothing_and_shows_the_limit(region: Study) -> None:
    page = document(region, made_at=MADE_AT)
    assert page == document(region, made_at=MADE_AT)
    parts = _Parts()
    parts.feed(page)
    assert (parts.links, parts.pictures) == ([], 4)
    assert "url(" not in page
    assert LIMIT in page
    assert "No figure of it is real" in page


def test_the_figures_have_the_limit_beside_them(region: Study) -> None:
    told = figures(region)
    assert [way["name"] for way in told["ways"]][-1] == LIMIT
    assert told["ways"][-1]["capture_pct"] == 100.0
    assert told["peak_cut_mw"][0] <= told["peak_cut_mw"][1] + 1e-9
    assert told["calls"]["highest"] == 10


def test_without_load_only_the_battery_is_told(region: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(COLUMNS, load=None, temperature=None)
    monkeypatch.setattr(studied, "_read", lambda options: (region.history, bare, "prices only", ("something is odd",)))
    found = study(StudyOptions(first=FIRST, until=FIRST + 2 * DAY))
    assert (found.loads, found.peaks, found.calls) == (None, None, None)
    page = document(found, made_at=MADE_AT)
    assert "something is odd" in page
    assert "Calling customers" not in page


@pytest.mark.parametrize(("first", "until"), [(date(2023, 3, 1), None), (FIRST, FIRST), (None, date(2030, 1, 1))])
def test_days_that_cannot_be_studied_are_refused(first: date | None, until: date | None) -> None:
    with pytest.raises(ContractError, match="cannot be studied"):
        study(StudyOptions(first=first, until=until))
