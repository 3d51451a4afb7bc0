"""A season of calls: few enough, made from what was known, and right where the forecast is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from steward.cases.grid.data.generator import synthetic_region
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import DAY
from steward.cases.grid.response.calls import day_peaks, forecast_of, highest_days, highest_so_far, perfect, play
from steward.cases.grid.response.learning import Learned, learn
from steward.cases.grid.response.top_days import Season
from steward.errors import ContractError

BEGIN, FIRST = date(2023, 1, 1), date(2024, 1, 1)
SEASON = Season(FIRST, FIRST + 60 * DAY, top=5, calls=7)


@pytest.fixture(scope="module")
def region() -> History:
    made = synthetic_region("Australia/Melbourne", BEGIN, 440)
    columns = {"load_mw": made.columns["load_mw"], "temperature_c": made.columns["temperature_c"]}
    return replace(made, columns=columns)


@pytest.fixture(scope="module")
def learned(region: History) -> Learned:
    return learn(region, BEGIN, FIRST, with_weather=False)


def test_no_more_days_are_called_than_may_be(region: History, learned: Learned) -> None:
    peaks_mw = day_peaks(region, FIRST, SEASON.until)
    called = play(learned.climate, SEASON, peaks_mw, forecast_of(region, learned))
    assert 0 < len(called.days) <= SEASON.calls
    assert called.highest == highest_days(peaks_mw, SEASON.top)
    none = play(learned.climate, replace(SEASON, calls=0), peaks_mw, forecast_of(region, learned))
    assert none.days == ()


def test_whoever_knows_each_peak_meets_more_of_them(region: History, learned: Learned) -> None:
    peaks_mw = day_peaks(region, FIRST, SEASON.until)
    blind = play(learned.climate, SEASON, peaks_mw, forecast_of(region, learned))
    assert play(learned.climate, SEASON, peaks_mw, perfect(peaks_mw)).hits >= max(blind.hits, 3)


def test_what_was_not_known_at_noon_changes_no_call(region: History, learned: Learned) -> None:
    day = FIRST + 30 * DAY
    noon = region.index(region.local.plan_at(day))
    changed = {name: np.concatenate((values[:noon], values[noon:] * 3.0)) for name, values in region.columns.items()}
    before, after = (forecast_of(each, learned)(day).values for each in (region, replace(region, columns=changed)))
    assert before.tobytes() == after.tobytes()
    peaks_mw = day_peaks(region, FIRST, SEASON.until)
    later = {each: peak * (9.0 if each >= day - DAY else 1.0) for each, peak in peaks_mw.items()}
    assert highest_so_far(peaks_mw, day, SEASON) == highest_so_far(later, day, SEASON)


def test_too_short_a_past_is_refused(region: History) -> None:
    with pytest.raises(ContractError):
        learn(region, BEGIN, BEGIN + 30 * DAY, with_weather=False)
    with pytest.raises(ContractError):
        Season(FIRST, FIRST + DAY)
