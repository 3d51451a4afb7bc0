"""Who may what, put together: the guard over the runtime's ledger, as the settings say."""

from __future__ import annotations

from steward.access.guard import Guard
from steward.clock import Clock
from steward.ledger.port import Ledger
from steward.runtime.journal import Journal
from steward.runtime.settings import Settings


async def open_guard(settings: Settings, ledger: Ledger, journal: Journal, clock: Clock) -> Guard:
    """Return the guard that knows what the ledger says of who may what.

    Raises:
        IntegrityError: The ledger's entries about access do not follow from each other.
        DeclarationError: A setting about access does not fit.
    """
    return await Guard.open(ledger, clock, append=journal.append)
