"""The process that verifies a ledger's file beside the server: it gives way to whatever else wants to run.

``python -m steward.runtime.audit_process DATABASE CHECKPOINT KEY`` writes a line of JSON for each step, the last with
what was found. It ends as soon as nobody reads them.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from steward.errors import StewardError
from steward.ledger.sqlite_calendar import SignedHour, signed_hours
from steward.ledger.verify import verify_store
from steward.ledger.verify_store import Report

_STDOUT: Final = 1
_LOWEST: Final = 19
_SESSION: Final = Path("/proc/self/autogroup")


class Checked(Struct, frozen=True, tag="checked"):
    """How far it is: entries checked, and their number."""

    entries: int
    total: int


class Found(Struct, frozen=True, tag="found"):
    """What was found; the last line."""

    report: Report
    hours: list[SignedHour]


class Failed(Struct, frozen=True, tag="failed"):
    """Why nothing could be found; the last line."""

    what: str


Line = Checked | Found | Failed
decode_line = msgspec.json.Decoder(Line).decode


def give_way() -> None:
    """Run only while nothing else wants to."""
    with suppress(OSError):
        os.nice(_LOWEST)
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # some containers do not allow it; being nice is allowed everywhere
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # Linux shares its cores among sessions first, so that what is nice in a session of its own gives way to nobody.
    if _SESSION.exists() and os.getsid(0) == os.getpid():
        with suppress(OSError):
            _SESSION.write_text(str(_LOWEST))


def _say(line: Line) -> None:
    data = msgspec.json.encode(line) + b"\n"
    while data:
        data = data[os.write(_STDOUT, data) :]


def _hours(database: str) -> list[SignedHour]:
    try:
        return signed_hours(database)
    except (sqlite3.DatabaseError, TypeError, OverflowError):
        return []  # the report names what is damaged


def main(arguments: list[str]) -> None:
    """Verify what the arguments name."""
    database, outside, key = arguments
    give_way()
    try:
        report = verify_store(
            database,
            checkpoint_file=outside,
            public_key=key,
            progress=lambda entries, total: _say(Checked(entries, total)),
        )
        _say(Found(report, _hours(database)))
    except StewardError as error:
        _say(Failed(str(error)))


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main(sys.argv[1:])
