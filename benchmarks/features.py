"""Ten window features: online (update and read each event) and over history, beside plain deques.

The peer is what one writes by hand: a deque of events for each window, values dropped at the old end, the
aggregate computed from what is left. It knows no late events, no duplicates and no history. Both run in turns, some
events of the one and some of the other, so that a busy machine slows both.

Quoted are 100 keys with an event a minute each; one key alone is told beside it. All times are of the CPU.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
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


def stream_of(count: int, keys: int = KEYS) -> list[Row]:
    """Return events of some keys, one a minute for each; 3 % late, 2 % sent twice; in the order they are known."""
    chance = random.Random(7)
    rows: list[Row] = []
    for n in range(count):
        known = START + timedelta(seconds=60 / keys * n)
        time = known - (minutes(50) * chance.random() if chance.random() < 0.03 else timedelta(0))
        event = Reading(region=f"r{n % keys}", load_mw=chance.gauss(25_000, 4_000))
        rows.append((event, f"meter/{n}", time, known))
        if n > keys and chance.random() < 0.02:
            again = rows[-1 - chance.randrange(keys)]
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


def online(rows: list[Row], chunk: int, peer: Peer | None = None) -> tuple[list[float], list[float]]:
    """Tell online features each event and read all ten after it, in turns with the peer.

    Returns the microseconds of CPU an event, chunk by chunk, of both.
    """
    features = OnlineFeatures(WINDOWS)
    observe, reader = features.observe, features.reader(WINDOWS)
    measured, peers = [], []
    for begin in range(0, len(rows), chunk):
        part = rows[begin : begin + chunk]
        started = time.process_time()
        for event, id, event_time, known_at in part:
            observe("grid.load", event, id=id, event_time=event_time, known_at=known_at)
            reader(event, known_at)
        measured.append(1e6 * (time.process_time() - started) / len(part))
        if peer is not None:
            peers.append(peer.run(part))
    return measured, peers


def online_values(rows: list[Row]) -> list[list[Any]]:
    """Return the values read after each event."""
    features = OnlineFeatures(WINDOWS)
    reader = features.reader(WINDOWS)
    values = []
    for event, id, event_time, known_at in rows:
        features.observe("grid.load", event, id=id, event_time=event_time, known_at=known_at)
        values.append(reader(event, known_at))
    return values


class Peer:
    """The plain way over the same events: of each part the last 20 are measured, the others only fill the deques."""

    def __init__(self) -> None:
        """Start without events."""
        self.by_key = {f"r{n}": Deques() for n in range(KEYS)}

    def run(self, part: list[Row]) -> float:
        """Take some events; return the microseconds of CPU for each of the last 20."""
        for event, _, _, known_at in part[:-20]:
            for window, length in zip(self.by_key[event.region].windows, Deques.LENGTHS, strict=True):
                window.append((known_at, event.load_mw))
                while window[0][0] <= known_at - length:
                    window.popleft()
        started = time.process_time()
        for event, _, _, known_at in part[-20:]:
            self.by_key[event.region].step(known_at, event.load_mw)
        return 1e6 * (time.process_time() - started) / 20


def kilobytes_per_key(rows: list[Row]) -> tuple[float, float]:
    """Return the memory of online features a key with and without the texts of its ids, the mean of the last hours."""
    gc.collect()
    tracemalloc.start()
    features = OnlineFeatures(WINDOWS)
    reader = features.reader(WINDOWS)
    sizes, texts = [], []
    for n, (event, id, event_time, known_at) in enumerate(rows):
        # Each event brings its own text, as from the bus; whoever keeps it pays for it.
        features.observe("grid.load", event, id=f"{id[:6]}{id[6:]}", event_time=event_time, known_at=known_at)
        reader(event, known_at)
        if n % 1_000 == 0 and n > len(rows) - 20_000:
            sizes.append(tracemalloc.get_traced_memory()[0])
            texts.append(
                sum(sys.getsizeof(id) for state in features._streams["grid.load"].keys.values() for id in state.ids)
            )
    tracemalloc.stop()
    size, text = statistics.mean(sizes) / 1024 / KEYS, statistics.mean(texts) / 1024 / KEYS
    return size, size - text


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
    rows = stream_of(300_000)
    # The state of the first day still grows; what counts is what follows.
    chunk, day = 6_000, 144_000
    ours, peers = (measured[day // chunk :] for measured in online(rows, chunk, Peer()))
    one_key, _ = online(stream_of(20_000, keys=1), 200)
    us, us_one_key = statistics.median(ours), statistics.median(one_key[10:])
    values = online_values(rows)
    history_rate, columns = over_history(rows)
    # History knows all of a row's instant; online a row in the middle of an instant knows the events before it.
    last_of_instant = [n for n in range(len(rows)) if n + 1 == len(rows) or rows[n + 1][3] > rows[n][3]]
    names = [window.name for window in WINDOWS]
    equal = sum(
        repr(values[n][place]) == repr(columns[name][n]) for n in last_of_instant for place, name in enumerate(names)
    )
    times = statistics.median(peer / own for peer, own in zip(peers, ours, strict=True))
    with_texts, without = kilobytes_per_key(rows)
    figures = [
        Figure("online_events_per_s", round(1e6 / us), "1/s", 100_000),
        Figure("online_us_per_event", round(us, 2), "us", 10, below=True),
        Figure("one_key_us_per_event", round(us_one_key, 2), "us"),
        Figure("deque_us_per_event", round(statistics.median(peers), 2), "us"),
        Figure("times_deque", round(times, 1), "x"),
        Figure("history_rows_per_s", round(history_rate), "1/s", 1_000_000),
        Figure("equality_pct", 100 * equal / (len(last_of_instant) * len(names)), "%", 100),
        Figure("memory_kb_per_key", round(with_texts, 1), "kB"),
        Figure("memory_kb_per_key_without_id_texts", round(without, 1), "kB"),
    ]
    report(
        "features",
        figures,
        {
            "features": len(WINDOWS),
            "keys": KEYS,
            "events": len(rows),
            "compared": equal,
            "best_events_per_s": round(1e6 / min(ours)),
        },
    )


if __name__ == "__main__":
    main()
