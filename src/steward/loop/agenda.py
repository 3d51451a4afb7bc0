"""The agenda: which runs are due for a look, and when. It holds ids and times only; the truth is in the ledger."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from steward.ledger.port import Draft

_FOLLOWED = frozenset(
    {"asked", "changed", "endorsed", "approved", "rejected", "expired", "signalled", "aborted", "redriven"}
)
_AT_ONCE = datetime.min.replace(tzinfo=UTC)
"""Due by any clock, also by one that has just jumped back."""


class Agenda:
    """A queue of runs by the time of their next step. Looking at a run too often does no harm.

    Example:
        >>> from datetime import UTC
        >>> agenda, noon = Agenda(), datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> agenda.put(UUID(int=1), noon)
        >>> agenda.due(noon), agenda.next_due()
        ([UUID('00000000-0000-0000-0000-000000000001')], None)
    """

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, UUID]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, run_id: UUID, when: datetime) -> None:
        """Look at ``run_id`` at ``when``."""
        heapq.heappush(self._heap, (when, next(self._order), run_id))

    def take_note(self, drafts: Iterable[Draft]) -> None:
        """Look at once at the runs whose new entries may ask for a next step."""
        for draft in drafts:
            # Cheaper than decoding, and a false hit only costs a look.
            if draft.kind in _FOLLOWED or (draft.kind == "decided" and b'"action":{' in draft.body):
                self.put(draft.run_id, _AT_ONCE)

    def due(self, now: datetime, limit: int = 1000) -> list[UUID]:
        """Take out up to ``limit`` runs that are due, earliest first, each once."""
        taken: dict[UUID, None] = {}
        while self._heap and self._heap[0][0] <= now and len(taken) < limit:
            taken[heapq.heappop(self._heap)[2]] = None
        return list(taken)

    def next_due(self) -> datetime | None:
        """Return when the next run is due."""
        return self._heap[0][0] if self._heap else None
