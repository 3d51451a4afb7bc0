"""A ledger with a bit of everything that was signed as it grew, and how to spoil it."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from steward.clock import SystemClock
from steward.ledger import Commit
from steward.ledger.bundle import bundle
from steward.ledger.sqlite import SqliteLedger
from steward.testing.conformance.ledger import draft, message

ENTRIES = 600
ENTRY = UUID(int=150)


async def made(path: Path) -> bytes:
    """Make a ledger with a bit of everything; return a proof bundle of entry 300."""
    ledger = await SqliteLedger.open(path, clock=SystemClock(), checkpoint_every=timedelta(hours=1))
    kinds = ["decided", "acted", "valued"]
    for start in range(0, ENTRIES, 100):
        drafts = [draft(n, kind=kinds[n % 3], key=f"k{n}" if n % 2 else None) for n in range(start, start + 100)]
        events = [message(f"topic-{n % 3}", n) for n in range(start, start + 20)]
        await ledger.append(Commit(entries=drafts, messages=events, cursors={"loop": start}))
        await ledger.checkpoint()
    (entry,) = await ledger.read(300, 1)
    proof = await bundle(ledger, entry)
    await ledger.close()
    return proof


def change(path: Path, sql: str, *values: object) -> None:
    database = sqlite3.connect(path)
    changed = database.execute(sql, values).rowcount
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    assert changed > 0
