"""Failed sign-ins: how many are too many, and how they come into the ledger without flooding it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from steward.access.entries import REFUSED_RUN, Refused
from steward.access.identity import EVERY
from steward.access.permissions import Permission
from steward.errors import Denied


class Attempts:
    """Counts failures of each origin (an address, a prefix) in windows of time, in bounded memory.

    Args:
        limit: How many failures of one origin in a ``window`` are answered as such.
        window: How long they count.
        most: How many origins are remembered; the one that failed longest ago is forgotten first.

    Example:
        >>> from datetime import UTC
        >>> attempts, noon = Attempts(limit=2), datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> [attempts.failed(["address:192.0.2.7"], noon) for _ in range(2)]
        [None, None]
        >>> attempts.blocked(["address:192.0.2.7"], noon)
        datetime.timedelta(seconds=60)
    """

    def __init__(self, *, limit: int = 10, window: timedelta = timedelta(minutes=1), most: int = 10_000) -> None:
        self._limit, self._window, self._most = limit, window, most
        self._failures: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def blocked(self, origins: Iterable[str], now: datetime) -> timedelta | None:
        """Return how long the first origin that failed too often has to wait, or ``None`` if none has."""
        if not self._failures:
            return None
        for origin in origins:
            since, count = self._failures.get(origin, (now, 0))
            if count >= self._limit and (left := since + self._window - now) > timedelta(0):
                # A clock that was set back must not lock anybody out for longer than a window.
                return min(left, self._window)
        return None

    def check(self, origins: Iterable[str], now: datetime) -> None:
        """Refuse those who failed too often.

        Raises:
            Denied: They have to wait; ``code`` is ``too-many-attempts``.
        """
        wait = self.blocked(origins, now)
        if wait is not None:
            seconds = ceil(wait.total_seconds())
            error = Denied("too many failed sign-ins", fix=f"try again in {seconds} s", code="too-many-attempts")
            error.retry_after_s = seconds
            raise error

    def failed(self, origins: Iterable[str], now: datetime) -> None:
        """Count one failure of each origin."""
        for origin in origins:
            since, count = self._failures.pop(origin, (now, 0))
            if not since <= now < since + self._window:
                since, count = now, 0
            self._failures[origin] = (since, count + 1)
            if len(self._failures) > self._most:
                self._failures.popitem(last=False)


class Notes:
    """Refusals that are not in the ledger yet: the same one again only adds to its count, and there are only so many.

    Args:
        most: How many different ones are kept; all others are counted together, as of nobody.

    Example:
        >>> from datetime import UTC
        >>> notes, noon = Notes(), datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> for _ in range(3):
        ...     notes.add("unknown-key", noon, address="192.0.2.7")
        >>> [(note.code, note.times) for note in notes.take(noon)]
        [('unknown-key', 3)]
    """

    def __init__(self, *, most: int = 100) -> None:
        self._most = most
        self._notes: dict[tuple[object, ...], Refused] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def add(
        self,
        code: str,
        at: datetime,
        *,
        by: str = "",
        address: str = "",
        credential: str = "",
        permission: Permission | None = None,
        decision: str = EVERY,
    ) -> None:
        """Note one refusal."""
        wanted: Permission | UnsetType = UNSET if permission is None else permission
        self._count(
            Refused(
                decision_id=REFUSED_RUN,
                decision=decision,
                at=at,
                by=by,
                code=code,
                since=at,
                times=1,
                address=address,
                credential=credential,
                permission=wanted,
            )
        )

    def take(self, now: datetime) -> list[Refused]:
        """Take all notes out, to be written ``now``."""
        taken = [replace(note, at=now) for note in self._notes.values()]
        self._notes.clear()
        return taken

    def put_back(self, notes: Iterable[Refused]) -> None:
        """Keep notes that could not be written."""
        for note in notes:
            self._count(note)

    def _count(self, note: Refused) -> None:
        key = (note.code, note.by, note.address, note.credential, note.permission, note.decision)
        if key not in self._notes and len(self._notes) >= self._most:
            key = (note.code, "", "", "", UNSET, EVERY)
            note = replace(note, by="", address="", credential="", permission=UNSET, decision=EVERY)
        known = self._notes.get(key)
        if known is not None:
            note = replace(note, times=known.times + note.times, since=min(known.since, note.since))
        self._notes[key] = note
