"""Whether a history can be trusted: checks of its seasons and units, besides what reading it found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from steward.cases.grid.data.history import Floats, Found, History, Source, mean

BREAK_RATIO = 1.3
"""Days up to the 12th against the others. Measured on the 70 columns of six real files, by whole file and by year: see
``docs/cases/grid.md``."""
_SHORTEST_DAYS = 250
_LAGS_DAYS = (1, 7)
_WILD = 3.0


def check(history: History, source: Source) -> tuple[Found, ...]:
    """Return everything noticed in a history: from reading it, its seasons, and its units."""
    own = (*_seasons(history), *_units(history, source))
    return (*history.found, *own)


def exchange_ratio(history: History, name: str) -> float | None:
    """Return how much rougher a column is up to the 12th of a month than after it.

    Where days and months are exchanged, a day up to the 12th really belongs to another month, so that it differs more
    from the day and from the week before it; other days are where they belong. Both differences are averaged within
    each group of days, and the ratios of the groups combined (geometric mean). About 1 is normal.

    Returns:
        The ratio, or ``None`` where it means nothing: less than 250 days, or a column that rarely changes.

    Example:
        >>> from datetime import UTC, datetime
        >>> from steward.cases.grid.data.local_days import HOUR, LocalDays
        >>> hour = np.arange(24.0 * 730)
        >>> load = 20 + np.sin(hour * 2 * np.pi / 8766) + np.sin(hour * np.pi / 12) + np.sin(hour**2)
        >>> history = History(LocalDays("UTC"), datetime(2018, 1, 1, tzinfo=UTC), HOUR, {"load_mw": load})
        >>> round(exchange_ratio(history, "load_mw"), 1)
        1.0
    """
    daily, days_of_month = _by_day(history, name)
    if len(daily) < _SHORTEST_DAYS:
        return None
    ratios = []
    for lag in _LAGS_DAYS:
        apart = mean(np.abs(daily[lag:] - daily[:-lag]), axis=1)
        early = days_of_month[lag:] <= 12
        late = ~early & (days_of_month[:-lag] > 12)
        known = np.isfinite(apart)
        # A few wild days (strikes, scarcity) must not decide: each day counts at most as some usual ones.
        apart = np.minimum(apart, _WILD * np.median(apart[known])) if known.any() else apart
        if not (known & early).any() or not (known & late).any() or np.median(apart[known & late]) <= 0:
            return None
        ratios.append(apart[known & early].mean() / apart[known & late].mean())
    return float(np.sqrt(np.prod(ratios)))


def _by_day(history: History, name: str) -> tuple[Floats, Floats]:
    each = round(timedelta(days=1) / history.step)
    first = history.local.start(history.local.day_of(history.start) + timedelta(days=1))
    values = history.columns[name][max(history.index(first), 0) :]
    daily = values[: len(values) // each * each].reshape(-1, each)
    # Clock changes move a day's edge by an hour; the middle of the day tells its date in every season.
    noon = first + timedelta(hours=12)
    days = [history.local.day_of(noon + timedelta(days=n)).day for n in range(len(daily))]
    return daily, np.array(days, dtype=np.float64)


def _seasons(history: History) -> Iterator[Found]:
    for name in history.columns:
        ratio = exchange_ratio(history, name)
        if ratio is not None and ratio > BREAK_RATIO:
            yield Found(
                "seasonality-break",
                "alert",
                f"{name} is {ratio:.2f} times as rough on days 1 to 12 of a month as on the others: "
                "days and months are probably exchanged in the time column; figures from this file would mislead",
            )


def _units(history: History, source: Source) -> Iterator[Found]:
    expected = [(source.price_column, -200.0, 1_000.0, "EUR/MWh"), (source.load_column, 1.0, 1e6, "MW")]
    expected.append((source.temperature_column, -40.0, 45.0, "degrees Celsius"))
    for name, low, high, unit in expected:
        if not name:
            continue
        values = history.columns[name]
        there = values[np.isfinite(values)]
        if there.size == 0:
            yield Found("empty", "alert", f"{name} has no values")
        elif not low <= float(np.median(there)) <= high:
            yield Found("unit", "alert", f"the median of {name} is {float(np.median(there)):g}: is it in {unit}?")
        elif name == source.load_column and float(there.min()) < 0:
            yield Found("unit", "alert", f"{name} falls to {float(there.min()):g}; a load is not negative")
