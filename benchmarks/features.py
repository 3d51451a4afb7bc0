"""Ten window features: online (update and read each event) and over history, beside plain deques.

The peer is what one writes by hand: a deque of events for each window, values dropped at the old end, the
aggregate computed from what is left. It knows no late events, no duplicates and no history.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
import tracemalloc
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from benchmarks.report import Figure, report

from steward.clock import EPOCH
from steward.decision.contract import Event
from steward.decision.feature import hours, minutes
from steward.decision.stream import Stream, WindowFeature
from steward.features.history import EventTable, Spine, history
from steward.features.online import OnlineFeatures

START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = 100
Row = tuple["Reading", str, datetime, datetime]


class Reading(Event):
    """A meter's reading."""

    region: str
    load_mw: float


LOAD = Stream("grid.load", Reading, key="region")
WINDOWS: list[WindowFeature] = [
    LOAD.last("load_mw"),
    LOAD.lag("load_mw", by=hours(24)),
    LOAD.count(over=hours(1)),
    LOAD.sum("load_mw", over=hours(6)),
    LOAD.mean("load_mw", over=hours(1)),
    LOAD.mean("load_mw", over=hours(24)),
    LOAD.min("load_mw", over=hours(24)),
    LOAD.max("load_mw", over=hours(24)),
    LOAD.std("load_mw", over=hours(24)),
    LOAD.quantile("load_mw", 0.9, over=hours(24)),
]


def stream_of(count: int) -> list[Row]:
    """Return events of 100 keys, one a minute for each; 3 % late, 2 % sent twice; in the order they are known."""
    chance = random.Random(7)
    rows: list[Row] = []
    for n in range(count):
        known = START + timedelta(seconds=60 / KEYS * n)
        time = known - (minutes(50) * chance.random() if chance.random() < 0.03 else timedelta(0))
        event = Reading(region=f"r{n % KEYS}", load_mw=chance.gauss(25_000, 4_000))
        rows.append((event, f"meter/{n}", time, known))
        if n > KEYS and chance.random() < 0.02:
            again = rows[-1 - chance.randrange(KEYS)]
            rows.append((again[0], again[1], again[2], known))
    return rows


class Deques:
    """The plain way, for one key: a deque of (time, value) for each window."""

    LENGTHS = (hours(1), hours(6), hours(24))

    def __init__(self) -> None:
        """Start without events."""
        self.windows: list[deque[tuple[datetime, float]]] = [deque() for _ in self.LENGTHS]

    def step(self, at: datetime, value: float) -> list[Any]:
        """Add a value and compute the ten features."""
        for window, length in zip(self.windows, self.LENGTHS, strict=True):
            window.append((at, value))
            while window[0][0] <= at - length:
                window.popleft()
        hour, six, day = ([value for _, value in window] for window in self.windows)
        mean = sum(day) / len(day)
        return [
            value,
            day[0],
            len(hour),
            sum(six),
            sum(hour) / len(hour),
            mean,
            min(day),
            max(day),
            (sum((x - mean) ** 2 for x in day) / len(day)) ** 0.5,
            sorted(day)[int(0.9 * (len(day) - 1))],
        ]


def online(rows: list[Row], chunk: int) -> list[float]:
    """Tell online features each event and read all ten after it; return events a second of CPU, chunk by chunk."""
    features = OnlineFeatures(WINDOWS)
    observe, reader = features.observe, features.reader(WINDOWS)
    measured = []
    for begin in range(0, len(rows), chunk):
        part = rows[begin : begin + chunk]
        started = time.process_time()
        for event, id, event_time, known_at in part:
            observe("grid.load", event, id=id, event_time=event_time, known_at=known_at)
            reader(event, known_at)
        measured.append(len(part) / (time.process_time() - started))
    return measured


def online_values(rows: list[Row]) -> list[list[Any]]:
    """Return the values read after each event."""
    features = OnlineFeatures(WINDOWS)
    reader = features.reader(WINDOWS)
    values = []
    for event, id, event_time, known_at in rows:
        features.observe("grid.load", event, id=id, event_time=event_time, known_at=known_at)
        values.append(reader(event, known_at))
    return values


def peer(rows: list[Row]) -> float:
    """Run the plain way over the last 2,000 events, its windows filled; return events a second of CPU."""
    by_key = {f"r{n}": Deques() for n in range(KEYS)}

    def fill(row: Row) -> None:
        for window in by_key[row[0].region].windows:
            window.append((row[3], row[0].load_mw))

    filled = len(rows) - 2_000
    for row in rows[:filled]:
        fill(row)
    started = time.process_time()
    for event, _, _, known_at in rows[filled:]:
        by_key[event.region].step(known_at, event.load_mw)
    return 2_000 / (time.process_time() - started)


def kilobytes_per_key(rows: list[Row]) -> float:
    """Return the memory of online features a key, ids of two hours included."""
    gc.collect()
    tracemalloc.start()
    features = OnlineFeatures(WINDOWS)
    reader = features.reader(WINDOWS)
    for event, id, event_time, known_at in rows:
        features.observe("grid.load", event, id=id, event_time=event_time, known_at=known_at)
        reader(event, known_at)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / 1024 / KEYS


def over_history(rows: list[Row]) -> tuple[float, dict[str, list[Any]]]:
    """Compute the ten features for each event over columns; return rows a second of CPU, and the values."""
    micro = timedelta(microseconds=1)
    times = np.array([(row[2] - EPOCH) // micro for row in rows])
    known = np.array([(row[3] - EPOCH) // micro for row in rows])
    keys = [row[0].region for row in rows]
    load_mw = np.array([row[0].load_mw for row in rows])
    table = EventTable(LOAD, keys, times, known, [row[1] for row in rows], {"load_mw": load_mw})
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        columns = history(WINDOWS, [table], Spine({"region": keys}, known))
        best = min(best, time.process_time() - started)
    return len(rows) / best, {name: column.as_values() for name, column in columns.items()}


def main() -> None:
    """Measure and print."""
    rows = stream_of(200_000)
    # The state of the first day still grows; what counts is the second.
    settled = online(rows, 5_000)[len(rows) // 10_000 :]
    values = online_values(rows)
    deque_rate = peer(rows)
    history_rate, columns = over_history(rows)
    # History knows all of a row's instant; online a row in the middle of an instant knows the events before it.
    last_of_instant = [n for n in range(len(rows)) if n + 1 == len(rows) or rows[n + 1][3] > rows[n][3]]
    names = [window.name for window in WINDOWS]
    equal = sum(
        repr(values[n][place]) == repr(columns[name][n]) for n in last_of_instant for place, name in enumerate(names)
    )
    rate = statistics.median(settled)
    figures = [
        Figure("online_events_per_s", round(rate), "1/s", 100_000),
        Figure("online_us_per_event", round(1e6 / rate, 2), "us", 10, below=True),
        Figure("deque_events_per_s", round(deque_rate), "1/s"),
        Figure("times_deque", round(rate / deque_rate, 1), "x"),
        Figure("history_rows_per_s", round(history_rate), "1/s", 1_000_000),
        Figure("equality_pct", 100 * equal / (len(last_of_instant) * len(names)), "%", 100),
        Figure("memory_kb_per_key", round(kilobytes_per_key(rows), 1), "kB"),
    ]
    report(
        "features",
        figures,
        {
            "features": len(WINDOWS),
            "keys": KEYS,
            "events": len(rows),
            "compared": equal,
            "best_events_per_s": round(max(settled)),
        },
    )


if __name__ == "__main__":
    main()
