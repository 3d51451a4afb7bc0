"""Outages: writes down when a breaker tripped or was restored, soon after it happened."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import msgspec

from steward.entries import Restored, Tripped
from steward.errors import Conflict
from steward.ledger.port import Commit, Draft
from steward.runtime.journal import Journal


class Outages:
    """Takes news from the lines, which must not wait for a disk, and appends them to the ledger in order.

    What is not yet written when the process dies is lost, and so is the state of its breakers.

    Args:
        journal: Where they are written.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._news: deque[Tripped | Restored] = deque()

    def hear(self, body: Tripped | Restored) -> None:
        """Take note; it is written with the next step."""
        self._news.append(body)
        self._journal.bell.ring()

    async def step(self) -> int:
        """Write what was heard; return how much that was.

        Raises:
            EngineError: The ledger cannot be written; nothing is forgotten.
        """
        written = 0
        while self._news:
            with suppress(Conflict):  # it was written, though an error came back
                await self._journal.append(Commit(entries=(_draft(self._news[0]),)))
            self._news.popleft()
            written += 1
        return written


def _draft(body: Tripped | Restored) -> Draft:
    # Its own id is its key, so that it is not written twice after an append that failed and yet was written.
    kind = str(body.__struct_config__.tag)
    return Draft(kind, body.decision_id, msgspec.json.encode(body), f"{kind}:{body.decision_id}")
