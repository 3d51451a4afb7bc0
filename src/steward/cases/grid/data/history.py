"""History from a file: CSV, CSV.gz or Parquet, put on one regular grid of instants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.errors import ContractError

Floats = NDArray[np.float64]
_LONGEST_FILE = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where history comes from, and what its columns mean.

    Args:
        path: A ``.csv``, ``.csv.gz`` or ``.parquet`` file with one row an interval.
        time_column: Holds the START of the interval. Times with an offset or ``Z`` are absolute, others local to
            ``zone``; an hour that comes twice when clocks go back is taken in the order of the file.
        zone: The IANA name of the zone whose days the market trades.
        price_column: EUR/MWh, published a day ahead; empty where only load is of interest.
        load_column: MW, known when the interval is over.
        temperature_column: Degrees Celsius, known when the interval is over.
        known_day_ahead: Columns whose values for a day are known at noon of the day before.

    Example:
        >>> Source(path=Path("es.csv"), time_column="t", zone="Europe/Madrid", price_column="p").columns
        ('p',)
    """

    path: Path
    time_column: str
    zone: str
    price_column: str = ""
    load_column: str | None = None
    temperature_column: str | None = None
    known_day_ahead: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of values it names, each once."""
        named = (self.price_column, self.load_column, self.temperature_column, *self.known_day_ahead)
        return tuple(dict.fromkeys(name for name in named if name))


@dataclass(frozen=True)
class Found:
    """Something noticed in the data, for the person who runs the case.

    Attributes:
        code: Stable, for programs.
        level: ``alert`` if figures made from this data may mislead; ``note`` if it was dealt with.
        message: What, where and how much.

    Example:
        >>> Found("gaps", "note", "36 of 35064 hours have no load_mw").code
        'gaps'
    """

    code: str
    level: Literal["alert", "note"]
    message: str


@dataclass(frozen=True)
class History:
    """Columns on a regular grid of instants; a missing value is NaN.

    Attributes:
        local: The zone whose days count.
        start: The first instant, in UTC.
        step: The time between two rows.
        columns: The values by name, all of one length.
        found: What reading noticed.

    Example:
        >>> start = datetime(2018, 1, 1, tzinfo=UTC)
        >>> half_hourly = History(LocalDays("UTC"), start, HOUR / 2, {"load_mw": np.array([10.0, 20.0, 30.0, np.nan])})
        >>> half_hourly.hourly().columns["load_mw"].tolist()
        [15.0, 30.0]
    """

    local: LocalDays
    start: datetime
    step: timedelta
    columns: Mapping[str, Floats]
    found: tuple[Found, ...] = ()

    @property
    def rows(self) -> int:
        """How many instants it covers."""
        return len(next(iter(self.columns.values())))

    @property
    def end(self) -> datetime:
        """The end of the last interval."""
        return self.start + self.rows * self.step

    def index(self, at: datetime) -> int:
        """Return the row that starts at an instant; it may lie outside."""
        return (at - self.start) // self.step

    def between(self, name: str, start: datetime, end: datetime) -> Floats:
        """Return a column's values from ``start`` to before ``end``; NaN where it does not reach."""
        first, last = self.index(start), self.index(end)
        cut = self.columns[name][max(first, 0) : max(last, 0)]
        before, after = min(max(-first, 0), last - first), max(last - max(first, self.rows), 0)
        return np.concatenate((np.full(before, np.nan), cut, np.full(after, np.nan))) if before or after else cut

    def filled(self, name: str) -> Floats:
        """Return a column with its gaps bridged in a straight line: for settlement, never for forecasts."""
        values = self.columns[name]
        there = np.isfinite(values)
        if there.all():
            return values
        if not there.any():
            raise ContractError(f"column {name!r} has no values", field=name)
        at = np.arange(values.size)
        return np.interp(at, at[there], values[there])

    def days(self, first: date, until: date) -> list[date]:
        """Return the local days from ``first`` to before ``until`` that it covers whole."""
        count = max((until - first).days, 0)
        span = (first + timedelta(days=n) for n in range(count))
        return [
            d for d in span if self.start <= self.local.start(d) and self.local.start(d + timedelta(days=1)) <= self.end
        ]

    def hourly(self) -> History:
        """Return the means of each hour of the local clock.

        Raises:
            ContractError: An hour is not a whole number of steps.
        """
        if self.step == HOUR:
            return self
        each, rest = divmod(HOUR, self.step)
        if rest or not each:
            raise ContractError(
                f"the rows are {self.step} apart, but decisions are hourly",
                fix="give hourly or finer data",
                field="data",
            )
        skip = -(self.start - self.local.start(self.local.day_of(self.start))) % HOUR // self.step
        whole = (self.rows - skip) // each * each
        columns = {name: mean(v[skip : skip + whole].reshape(-1, each), axis=1) for name, v in self.columns.items()}
        return replace(self, start=self.start + skip * self.step, step=HOUR, columns=columns)


def mean(values: Floats, axis: int | None = None) -> Floats:
    """Return the mean of the values that are there, NaN where there is none, without a warning."""
    there = np.isfinite(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def read_history(source: Source) -> History:
    """Read a file and put its rows on a regular grid.

    Rows that come twice are counted and the first is kept; missing instants become NaN; local times that do not exist
    are dropped. All of it is in ``found``.

    Raises:
        ContractError: The file cannot be read, a column is missing or not numeric, times cannot be read, or there is
            no regular step.
    """
    table = _table(source)
    local = LocalDays(source.zone)
    found: list[Found] = []
    instants, kept = _instants(table[source.time_column], local, found)
    order = _in_order(instants, found)
    seconds, rows = instants[order], kept[order]
    step_s = _step(seconds, source)
    held = step_s // 3600 if step_s > 3600 and step_s % 3600 == 0 else 1
    grid_s = step_s // held
    if held > 1:
        found.append(Found("held", "note", f"rows are {held} hours apart; each holds for its {held} hours"))
    places, off = np.divmod(seconds - seconds[0], grid_s)
    if off.any():
        found.append(
            Found("off-grid", "alert", f"{int((off > 0).sum())} rows lie off the grid of {grid_s} s; left out")
        )
    size, on = int(places[-1]) + held, off == 0
    columns, present = {}, np.zeros(size, dtype=bool)
    for hold in range(held - 1, -1, -1):
        present[places[on] + hold] = True
    for name in source.columns:
        values, columns[name] = _numbers(table[name], name)[rows], np.full(size, np.nan)
        for hold in range(held - 1, -1, -1):
            columns[name][places[on] + hold] = values[on]
    found += _gaps(columns, size - int(present.sum()), timedelta(seconds=grid_s))
    start = datetime.fromtimestamp(int(seconds[0]), UTC)
    return History(local, start, timedelta(seconds=grid_s), columns, tuple(found))


def _in_order(instants: NDArray[np.int64], found: list[Found]) -> NDArray[np.int64]:
    """Return the rows by time, the first of each instant."""
    backwards = int((np.diff(instants) < 0).sum())
    if backwards:
        found.append(Found("unordered", "alert", f"time goes backwards at {backwards} rows; sorted"))
    order = np.argsort(instants, kind="stable")
    first = np.concatenate(([True], np.diff(instants[order]) > 0))
    if not first.all():
        found.append(Found("duplicates", "alert", f"{int((~first).sum())} rows repeat an instant; the first is kept"))
    return np.asarray(order[first])


def _table(source: Source) -> Mapping[str, Sequence[Any]]:
    import polars  # noqa: PLC0415 - an extra, loaded when a file is read

    if not source.path.is_file():
        raise ContractError(
            f"there is no file {source.path}", fix="give the path of a CSV, CSV.gz or Parquet file", field="data"
        )
    needed = (source.time_column, *source.columns)
    try:
        if source.path.suffix == ".parquet":
            frame = polars.read_parquet(source.path)
        else:
            frame = polars.read_csv(source.path, infer_schema_length=0)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise ContractError(f"{source.path.name} cannot be read", why=str(error), field="data") from error
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise ContractError(
            f"{source.path.name} has no column {missing[0]!r}",
            fix=f"choose from {', '.join(frame.columns)}",
            field="data",
        )
    if not 2 <= len(frame) <= _LONGEST_FILE:
        raise ContractError(f"{source.path.name} has {len(frame)} rows; 2 to {_LONGEST_FILE} can be used", field="data")
    return {name: frame[name].to_list() for name in needed}


def _instants(raw: Sequence[Any], local: LocalDays, found: list[Found]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each row's Unix second and which rows were kept."""
    tz, seen = local.tz, Counter[datetime]()
    seconds, kept, unreal = [], [], 0
    for row, value in enumerate(raw):
        at = _datetime(value, row)
        if at.tzinfo is None:
            seen[at] += 1
            at = at.replace(tzinfo=tz, fold=1 if seen[at] > 1 else 0)
            if at.astimezone(UTC).astimezone(tz).replace(tzinfo=None) != at.replace(tzinfo=None):
                unreal += 1
                continue
        seconds.append(int(at.timestamp()))
        kept.append(row)
    if unreal:
        found.append(Found("unreal-times", "note", f"{unreal} local times do not exist in {local.zone}; left out"))
    return np.array(seconds, dtype=np.int64), np.array(kept, dtype=np.int64)


def _datetime(value: Any, row: int) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"row {row + 1}: {value!r} is not a time", fix="write times as in ISO 8601: 2018-03-25T01:00Z", field="time"
        ) from error


def _step(seconds: NDArray[np.int64], source: Source) -> int:
    apart = Counter(np.diff(seconds)[np.diff(seconds) > 0].tolist())
    if not apart:
        raise ContractError(f"{source.path.name} has no two different times", field="time")
    step_s, times = apart.most_common(1)[0]
    if times * 2 < sum(apart.values()):
        raise ContractError(
            f"{source.path.name} has no regular step",
            why=f"the commonest, {step_s} s, holds for {times} rows only",
            field="time",
        )
    return int(step_s)


def _numbers(raw: Iterable[Any], name: str) -> Floats:
    try:
        values = np.array([np.nan if value is None or value == "" else float(value) for value in raw])
    except (TypeError, ValueError) as error:
        raise ContractError(f"column {name!r} is not numeric", why=str(error), field=name) from error
    if np.isinf(values).any():
        raise ContractError(f"column {name!r} holds infinities", field=name)
    return values


def _gaps(columns: Mapping[str, Floats], absent: int, step: timedelta) -> Iterable[Found]:
    rows = len(next(iter(columns.values())))
    if absent:
        level: Literal["alert", "note"] = "alert" if absent > rows // 100 else "note"
        yield Found("gaps", level, f"{absent} of {rows} intervals of {step} are absent")
    for name, values in columns.items():
        missing = int(np.isnan(values).sum()) - absent
        if missing > 0:
            level = "alert" if missing > rows // 50 else "note"
            yield Found("missing", level, f"{missing} of {rows} values of {name} are missing")
