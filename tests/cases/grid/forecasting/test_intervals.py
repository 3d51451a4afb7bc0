"""Bands: they widen where errors are large, and hold their share by each hour even when the world changes."""

from __future__ import annotations

import numpy as np
import pytest

from steward.cases.grid.forecasting.intervals import Spread, Stretch
from steward.cases.grid.forecasting.quantiles import DEFAULT_LEVELS

CHANCE = np.random.default_rng(4)


def test_the_band_is_wide_where_errors_are_large() -> None:
    inputs = CHANCE.uniform(size=(365, 4, 1))
    errors = CHANCE.normal(size=(365, 4)) * np.exp(1.5 * inputs[..., 0])
    spread = Spread.trained(inputs, errors)
    band = spread.around(np.array([[[0.05]] * 4, [[0.95]] * 4]))
    width = band[..., -1] - band[..., 0]
    assert (width[1] > 1.7 * width[0]).all()
    assert (np.diff(band, axis=-1) >= 0.0).all()
    everywhere = spread.around(inputs)
    inside = (everywhere[..., 0] <= errors) & (errors <= everywhere[..., -1])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)


def test_each_slot_holds_its_share_though_errors_double() -> None:
    stretch, days = Stretch.for_slots(3), 900
    band = np.tile(np.quantile(CHANCE.normal(size=10_000), DEFAULT_LEVELS), (3, 1))
    held = []
    for day in range(days):
        given = stretch.over(band)
        errors = CHANCE.normal(size=3) * np.array([0.5, 1.0, 2.0]) * (2.0 if day > days / 2 else 1.0)
        held.append((given[:, 0] <= errors) & (errors <= given[:, -1]))
        stretch = stretch.after(errors, band, given)
    assert np.mean(held, axis=0) == pytest.approx([0.9] * 3, abs=0.02)
    assert np.mean(held[-200:], axis=0) == pytest.approx([0.9] * 3, abs=0.04)


def test_a_band_is_stretched_from_its_middle_and_never_turned_over() -> None:
    band = np.array([np.linspace(-1.0, 3.0, 19)])
    untouched = Stretch.for_slots(1).over(band)
    assert untouched == pytest.approx(band)
    stretch = Stretch.for_slots(1)
    for _ in range(400):  # always exactly in the middle
        stretch = stretch.after(np.array([1.0]), band, stretch.over(band))
    narrow = stretch.over(band)
    assert narrow[0, 9] == 1.0
    assert 0.0 <= narrow[0, -1] - narrow[0, 0] < 0.1
