"""What every page says of the ledger: verified, how long ago, or broken, and where."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec import Struct

from steward.console.zones import ago
from steward.runtime.audit import Audit, Trust

_LATE: Final = 3
"""A verification is late after so many times the span after which it should come again."""
_SOON: Final = timedelta(minutes=2)


class Seal(Struct, frozen=True, kw_only=True):
    """The ledger's state in a few words.

    Attributes:
        text: The words.
        tone: ``pos`` verified, ``warn`` not, or not lately, ``neg`` broken.
        alarm: What does not hold, in a sentence; empty if nothing was found.

    Example:
        >>> Seal(text="Ledger not verified yet", tone="warn").alarm
        ''
    """

    text: str
    tone: str
    alarm: str = ""


def seal_of(audit: Audit) -> Seal:
    """Return what is said of a ledger.

    Example:
        >>> from steward.ledger.memory import MemoryLedger
        >>> seal_of(Audit(MemoryLedger())).text
        'Ledger not verified yet'
    """
    last, age = audit.last, audit.age
    if last is None or age is None:
        text = "Ledger not verified yet" if audit.progress is None else "Verifying the ledger …"
        return Seal(text="The ledger could not be verified" if audit.failure else text, tone="warn")
    told = ago(last.at, last.at + age)
    if last.trust is Trust.BROKEN:
        where = next((each.index for each in last.breaks if each.index is not None), None)
        text = "Ledger BROKEN" if where is None else f"Ledger BROKEN at entry {where:,}"
        count = len(last.breaks)
        more = "" if count == 1 else f", and {count - 1:,} more"
        first = str(last.breaks[0])
        return Seal(text=text, tone="neg", alarm=f"{first[:1].upper()}{first[1:]}{more} (found {told})")
    # A ledger that is large is verified more seldom: a twentieth of the time at most.
    due = timedelta(seconds=_LATE * max(audit.every_s, 20 * last.took_s)) + _SOON
    is_late = audit.every_s > 0 and audit.is_kept and age > due
    return Seal(text=f"Ledger verified {told}", tone="warn" if is_late or audit.failure else "pos")
