"""What the ledger costs: durable appends a second, flat as it grows, proofs and verification.

Usage: ``python -m benchmarks.ledger [--json] [--quick]``. The peer is a hand-written loop of SQLite inserts with the
same grouping, the same durability and the same index by run, but no keys, no tree and no proofs.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import Figure, report

from steward.clock import SystemClock, VirtualClock
from steward.ledger import Commit, Draft
from steward.ledger.merkle import holds_inclusion, leaf_hash
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.verify import verify_store

QUICK = "--quick" in sys.argv
GROWN_ENTRIES = 48_000 if QUICK else 2_000_000  # a multiple of 16 commits
BURST_ENTRIES = 5_000 if QUICK else 100_000
GROUP = 1_000


def drafts(count: int, *, seed: int = 0) -> Iterator[Draft]:
    """Yield entries as the loop writes them: about 700 bytes of JSON, a UUIDv7, an idempotency key."""
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC), seed=seed)
    features = {f"feature_{n}": round(0.37 * n, 3) for n in range(12)}
    shell = {
        "release": "sha256:" + "5a" * 32,
        "decided_at": "2026-01-01T00:00:00Z",
        "status": "decided",
        "features": features,
        "choice": {"mw": 4.0},
        "reasons": ["price above the day's mean"],
        "propensity": 1.0,
        "policy": {"hash": "sha256:" + "7b" * 32, "rule": "follow-plan"},
    }
    tail = json.dumps(shell)[1:].encode()
    for number in range(count):
        run = clock.new_id()
        head = f'{{"kind":"decided","decision_id":"{run}","decision":"grid.battery-dispatch","event":{number},'
        yield Draft("decided", run, head.encode() + tail, f"meter-7/{run.hex}")


async def in_flight(ledger: SqliteLedger, rows: list[Draft], width: int) -> tuple[float, float]:
    """Append single entries with ``width`` of them waiting at any time; return appends/s and CPU µs an append."""
    queue = iter(rows)

    async def caller() -> None:
        for row in queue:
            await ledger.append(Commit(entries=[row]))

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(width)))
    return len(rows) / (time.perf_counter() - started), (time.process_time() - cpu) / len(rows) * 1e6


async def grow(ledger: SqliteLedger) -> tuple[list[float], float]:
    """Append all entries in commits of 1,000; return the rate over each quarter and CPU µs an entry."""
    rates, cpu_s, row = [], 0.0, drafts(GROWN_ENTRIES, seed=1)
    for _ in range(4):
        wall_s = 0.0
        for _ in range(GROWN_ENTRIES // 4 // (4 * GROUP)):
            # Four commits in flight, as from four batches of the loop; making the entries is not counted.
            commits = [Commit(entries=[next(row) for _ in range(GROUP)]) for _ in range(4)]
            started, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(ledger.append(commit) for commit in commits))
            wall_s += time.perf_counter() - started
            cpu_s += time.process_time() - cpu
        rates.append(GROWN_ENTRIES // 4 / wall_s)
    return rates, cpu_s / GROWN_ENTRIES * 1e6


def peer(path: Path, rows: list[Draft]) -> tuple[float, float]:
    """Insert rows by hand, 1,000 a transaction; return appends/s and CPU µs a row."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE log (idx INTEGER PRIMARY KEY, kind TEXT, run_id BLOB, body BLOB)")
    database.execute("CREATE INDEX log_by_run ON log (run_id)")
    started, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(rows), GROUP):
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "INSERT INTO log (kind, run_id, body) VALUES (?, ?, ?)",
            [(row.kind, row.run_id.bytes, row.body) for row in rows[start : start + GROUP]],
        )
        database.execute("COMMIT")
    rate = len(rows) / (time.perf_counter() - started), (time.process_time() - cpu) / len(rows) * 1e6
    database.close()
    return rate


async def prove(ledger: SqliteLedger) -> float:
    """Return the milliseconds of an inclusion proof at half of the entries, the median of 50, all checked."""
    size = min(1_000_000, GROWN_ENTRIES)
    root, times = await ledger.root(size), []
    for index in range(0, size, size // 50):
        started = time.perf_counter()
        path = await ledger.inclusion(index, size)
        times.append((time.perf_counter() - started) * 1e3)
        (entry,) = await ledger.read(index, 1)
        if not holds_inclusion(leaf_hash(entry.body), index, size, path, root):
            raise SystemExit(f"the proof of entry {index} does not hold")
    return sorted(times)[len(times) // 2]


def verify(path: Path) -> tuple[float, float]:
    """Verify everything, in one thread; return entries/s and CPU µs an entry, the medians of three rounds."""
    rates, cpu_us = [], []
    for _ in range(3):
        started, cpu = time.perf_counter(), time.process_time()
        outcome = verify_store(path)
        rates.append(GROWN_ENTRIES / (time.perf_counter() - started))
        cpu_us.append((time.process_time() - cpu) / GROWN_ENTRIES * 1e6)
        if not outcome.ok or outcome.entries != GROWN_ENTRIES:
            raise SystemExit(f"verification failed: {outcome.breaks[:3]}")
    return sorted(rates)[1], sorted(cpu_us)[1]


async def measure(folder: Path) -> tuple[list[Figure], dict[str, object]]:
    """Run everything once."""
    clock, rows = SystemClock(), list(drafts(BURST_ENTRIES))
    peer_rate, peer_cpu_us = peer(folder / "peer.db", rows)
    figures, cpu_us = [], {}
    for width in (1, 16, 100, 1_000):
        ledger = await SqliteLedger.open(folder / f"burst-{width}.db", clock=clock)
        count = BURST_ENTRIES if width > 16 else BURST_ENTRIES // 20
        rate, cpu_us[width] = await in_flight(ledger, rows[:count], width)
        await ledger.close()
        figures.append(Figure(f"appends_{width}_in_flight", rate, "1/s", 30_000 if width == 1_000 else None))
    ledger = await SqliteLedger.open(folder / "grown.db", clock=clock)
    rates, batch_cpu_us = await grow(ledger)
    proof_ms = await prove(ledger)
    await ledger.close()
    verify_rate, verify_cpu_us = verify(folder / "grown.db")
    figures += [
        Figure("appends_by_commits_of_1000", sum(rates) / 4, "1/s"),
        Figure("fourth_quarter_to_first", rates[3] / rates[0], "ratio", None if QUICK else 0.8),
        Figure("inclusion_proof", proof_ms, "ms", None if QUICK else 5, below=True),
        Figure("verify", verify_rate, "entries/s", None if QUICK else 150_000),
        Figure("verify_cpu", verify_cpu_us, "us/entry"),
        Figure("append_cpu_by_commits_of_1000", batch_cpu_us, "us/entry"),
        Figure("append_cpu_1000_in_flight", cpu_us[1_000], "us/entry"),
        Figure("peer_inserts_no_tree_no_keys", peer_rate, "1/s"),
        Figure("peer_cpu", peer_cpu_us, "us/entry"),
    ]
    body_bytes = sum(len(row.body) for row in rows) / len(rows)
    return figures, {
        "entries": GROWN_ENTRIES,
        "body_bytes": round(body_bytes),
        "rates_by_quarter": [round(rate) for rate in rates],
        "bytes_per_entry": round((folder / "grown.db").stat().st_size / GROWN_ENTRIES),
    }


def main() -> None:
    """Measure in a temporary folder and print."""
    # Beside the repository's own files: a temporary folder may lie in memory, where nothing is durable.
    with tempfile.TemporaryDirectory(dir=Path(__file__).parents[1], prefix=".bench-") as folder:
        report("ledger", *asyncio.run(measure(Path(folder))))


if __name__ == "__main__":
    main()
