from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.forecasting import forecast
from steward.cases.grid.forecasting.training import LOAD, LOAD_MODEL, PRICE, PRICE_MODEL, Columns, train
from steward.clock import VirtualClock
from steward.errors import ContractError
from steward.models.manifest import Trained
from steward.models.registry import FolderRegistry

UNTIL = date(2024, 3, 1)
CLOCK = VirtualClock(datetime(2024, 3, 1, tzinfo=UTC))


def registry_in(folder: Path) -> FolderRegistry:
    return FolderRegistry(folder / ".steward" / "models")


def error(region: History, column: str, day: date, guess: Floats) -> float:
    truth = region.between(column, region.local.start(day), region.local.start(day + timedelta(days=1)))
    return float(np.abs(guess - truth).mean())


def test_models_forecast_days_they_have_not_seen_better_than_last_week(region: History, trained_folder: Path) -> None:
    load, price = (registry_in(trained_folder).load(name) for name in (LOAD_MODEL, PRICE_MODEL))
    days = [UNTIL + timedelta(days=n) for n in range(28)]
    model, naive = np.zeros(2), np.zeros(2)
    for day in days:
        known = COLUMNS.known(region, day)
        week_ago = day - timedelta(days=7)
        model += (
            error(region, "load_mw", day, forecast.loads(known, load)),
            error(region, "price_eur_mwh", day, forecast.prices(known, price)),
        )
        naive += (
            error(region, "load_mw", day, known.loads([week_ago])[0]),
            error(region, "price_eur_mwh", day, known.prices([week_ago])[0]),
        )
    assert model[0] < 0.9 * naive[0]
    assert model[1] < 0.6 * naive[1]


def test_each_recipe_learns_its_own_truth_however_it_is_changed(region: History, trained_folder: Path) -> None:
    # A price model that had learned loads would answer in tens of thousands.
    model = registry_in(trained_folder).load(PRICE_MODEL)
    assert np.abs(forecast.prices(COLUMNS.known(region, UNTIL), model)).max() < 500


def test_training_again_gives_the_same_version(region: History, trained_folder: Path) -> None:
    registry = registry_in(trained_folder)
    again = train(replace(PRICE, rounds=60), region, COLUMNS, until=UNTIL, registry=registry, clock=CLOCK)
    assert again.version == "1"
    assert registry.versions(PRICE_MODEL) == ("1",)


def test_nothing_from_the_first_tested_day_on_is_learned(region: History, tmp_path: Path) -> None:
    start = region.index(region.local.start(UNTIL))
    spoiled = {name: np.concatenate((values[:start], values[start:] * -3)) for name, values in region.columns.items()}
    quick = replace(PRICE, rounds=3)
    honest, other = (
        train(quick, history, COLUMNS, until=UNTIL, registry=registry_in(tmp_path), clock=CLOCK)
        for history in (region, replace(region, columns=spoiled))
    )
    assert honest.digest == other.digest


def test_the_manifest_says_what_was_learned_from(region: History, trained_folder: Path) -> None:
    # The load of the day before is not known whole when the first plan is fixed; its prices are.
    for name, until in ((LOAD_MODEL, UNTIL - timedelta(days=1)), (PRICE_MODEL, UNTIL)):
        trained = registry_in(trained_folder).show(name).manifest.trained
        assert isinstance(trained, Trained)
        assert trained.until == region.local.start(until)
        assert trained.since == region.local.start(date(2023, 10, 17))
        assert trained.rows == (until - date(2023, 10, 17)).days * 24


def test_too_little_history_is_refused(region: History, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="14 days before 2023-11-01 are too few"):
        train(LOAD, region, COLUMNS, until=date(2023, 11, 1), registry=registry_in(tmp_path), clock=CLOCK)


def test_a_load_model_needs_load(region: History, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="load column"):
        train(LOAD, region, Columns("price_eur_mwh"), until=UNTIL, registry=registry_in(tmp_path), clock=CLOCK)


def test_columns_that_would_share_a_topic_are_refused() -> None:
    with pytest.raises(ContractError, match="share the topic 'wind-mw'"):
        Columns("eur", ahead=("wind_mw", "Wind [MW]"))
