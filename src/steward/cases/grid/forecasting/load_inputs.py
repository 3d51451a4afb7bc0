"""What a load forecast is made from: the same rows in training and in service, by day and slot of the wall clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from steward.cases.grid.data.half_hours import by_slot
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import DAY
from steward.cases.grid.forecasting.calendars import Calendar
from steward.errors import ContractError

PAST_DAYS: Final = 28
"""How far back the inputs of a day reach."""
_SAME_TIME: Final = (2, 3, 7, 8, 14, 21)
_WHOLE_DAYS: Final = (2, 3, 7, 8, 14, 21, 28)
_BENDS_C: Final = (8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 32.0, 36.0)
"""Where the load's answer to temperature may bend: heating below, cooling above."""
_FEW_BENDS_C: Final = (12.0, 18.0, 24.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class LoadTask:
    """What is forecast, and from which columns, at noon of the day before.

    Attributes:
        load: MW, metered when an interval is over.
        temperature: Degrees Celsius, known when an interval is over.
        weather_ahead: Whether the temperature of the forecast day is known too: where the column holds forecasts.
        operator: Somebody else's forecast (MW) of the day, published before that noon, to be corrected.
        published: Other columns that are published before that noon for the whole day, such as expected wind and sun.
        ridge: How much the weights are held back; in units of one example.

    Example:
        >>> LoadTask(operator="load_forecast_tso_mw").columns
        ('load_mw', 'load_forecast_tso_mw')
    """

    load: str = "load_mw"
    temperature: str | None = None
    weather_ahead: bool = False
    operator: str | None = None
    published: tuple[str, ...] = ()
    ridge: float = 1.0

    @property
    def ahead(self) -> tuple[str, ...]:
        """The columns whose values for a day are known at noon of the day before."""
        named = (self.operator, self.temperature if self.weather_ahead else None, *self.published)
        return tuple(name for name in named if name)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column it reads."""
        return tuple(dict.fromkeys(name for name in (self.load, self.temperature, *self.ahead) if name))


@dataclass(frozen=True, eq=False)
class LoadRows:
    """Inputs and targets of days that follow each other.

    Attributes:
        days: The local days.
        inputs: Shape (days, slots, inputs); NaN where not all was known.
        base: Shape (days, slots): the logarithm of what the forecast starts from.
        target: Shape (days, slots): the logarithm of the true load, less ``base``; NaN where it is not known.

    Example:
        >>> from steward.cases.grid.data.generator import synthetic_region
        >>> rows = LoadRows.of(synthetic_region("Europe/Madrid", date(2024, 1, 1), 40), LoadTask())
        >>> rows.inputs.shape[:2], bool(np.isfinite(rows.inputs[28:]).all())
        ((41, 24), True)
    """

    days: Sequence[date]
    inputs: Floats
    base: Floats
    target: Floats

    @classmethod
    def of(cls, history: History, task: LoadTask) -> LoadRows:
        """Return the rows of every day of a history, and of the one or two after it that can be forecast from it."""
        missing = [name for name in task.columns if name not in history.columns]
        if missing:
            raise ContractError(f"the history has no column {missing[0]!r}", field="data")
        first = history.local.day_of(history.start)
        last = history.local.day_of(history.end + 0.5 * DAY)
        days = [first + n * DAY for n in range((last - first).days + 1)]
        load = by_slot(history, task.load, days)
        truth = np.log(np.where(load > 0, load, np.nan))
        known = _bridged(truth)
        base, parts = np.zeros_like(truth), [_loads(known)]
        if task.temperature:
            weather = by_slot(history, task.temperature, days)
            parts.append(_weather_of_the_past(_bridged(weather)))
            if task.weather_ahead:
                parts.append(_weather(_bridged(weather)))
        if task.operator:
            published = by_slot(history, task.operator, days)
            base = _bridged(np.log(np.where(published > 0, published, np.nan)))
            parts += [_loads(known - base), _against(base, known)]
        parts += [_published(_bridged(by_slot(history, name, days))) for name in task.published]
        calendar = Calendar.of(history.local).inputs(days)
        slots = truth.shape[1]
        inputs = np.concatenate((*parts, _each(calendar, slots)), axis=-1)
        return cls(days, inputs, base, truth - base)


def _loads(load: Floats) -> Floats:
    """Return what the days before say: the same time, whole days, the morning before until noon."""
    slots = load.shape[1]
    morning = _before(load, 1)[:, : slots // 2 : max(slots // 24, 1)]
    means = np.stack([_before(load, n).mean(axis=1) for n in _WHOLE_DAYS], axis=-1)
    same = np.stack([_before(load, n) for n in _SAME_TIME], axis=-1)
    return np.concatenate((same, _each(morning, slots), _each(means, slots)), axis=-1)


def _against(base: Floats, load: Floats) -> Floats:
    """Return how another's forecast of the day lies against the week before."""
    return np.stack((base - _before(load, 7), base - _before(base, 7)), axis=-1)


def _published(values: Floats) -> Floats:
    """Return what is published for the day, beside what was for days before it."""
    slots = values.shape[1]
    means = np.stack([values.mean(axis=1), _before(values, 1).mean(axis=1)], axis=-1)
    same = np.stack([values, *(_before(values, n) for n in (1, 2, 7))], axis=-1)
    return np.concatenate((same, _each(means, slots)), axis=-1)


def _weather_of_the_past(degrees: Floats) -> Floats:
    slots = degrees.shape[1]
    morning = _before(degrees, 1)[:, : slots // 2]
    level, latest = morning.mean(axis=1, keepdims=True), morning[:, -1:]
    parts = (_bent(level, _FEW_BENDS_C), _bent(latest, _FEW_BENDS_C))
    flat = np.repeat(np.concatenate(parts, axis=-1), slots, axis=1)
    same = (_before(degrees, 2), _before(_fading(degrees, 0.5), 2), _before(_fading(degrees, 2.0), 2))
    return np.concatenate((flat, *(_bent(each, _FEW_BENDS_C) for each in same)), axis=-1)


def _weather(degrees: Floats) -> Floats:
    """Return what the temperature of the day itself says, and of the hours and days that led to it."""
    slots = degrees.shape[1]
    high, low = degrees.max(axis=1, keepdims=True), degrees.min(axis=1, keepdims=True)
    ends = np.concatenate((_bent(high, (20.0, 25.0, 30.0, 35.0)), _bent(low, (10.0, 15.0, 20.0))), axis=-1)
    led = [_bent(_fading(degrees, days), _BENDS_C) for days in (1 / 8, 1 / 2)]
    lately = _bent(_fading(degrees, 2.0), _FEW_BENDS_C)
    return np.concatenate((_bent(degrees, _BENDS_C), *led, lately, np.repeat(ends, slots, axis=1)), axis=-1)


def _before(values: Floats, days: int) -> Floats:
    """Return what was on the same slot some days before; NaN before the first."""
    return np.concatenate((np.full_like(values[:days], np.nan), values[:-days]))


def _bridged(values: Floats) -> Floats:
    """Return values whose gaps are filled with those of the week before, which was known then."""
    filled = values.copy()
    for day in range(7, len(filled)):
        gap = np.isnan(filled[day])
        filled[day, gap] = filled[day - 7, gap]
    return filled


def _bent(degrees: Floats, bends: tuple[float, ...]) -> Floats:
    """Return temperatures and how far they lie above each bend: the basis of a line that bends there."""
    return np.stack((degrees, *(np.maximum(degrees - bend, 0.0) for bend in bends)), axis=-1)


def _fading(values: Floats, half_life_days: float) -> Floats:
    """Return running means of what was so far, in which the past fades."""
    slots = values.shape[1]
    keep = 0.5 ** (1 / (half_life_days * slots))
    mean, found = np.nan, np.empty(values.size)
    for place, value in enumerate(values.ravel().tolist()):
        mean = value if math.isnan(mean) else value + keep * (mean - value)
        found[place] = mean
    return found.reshape(values.shape)


def _each(rows: Floats, slots: int) -> Floats:
    """Return a day's inputs for each of its slots."""
    return np.repeat(rows[:, None, :], slots, axis=1)
