"""What is kept of a stream's keys: tiles for each track, and the ids that may come again."""

from __future__ import annotations

from enum import StrEnum
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from steward.features.fixed import fixed, micros_of
from steward.features.grids import NEVER
from steward.features.plan import StreamPlan
from steward.features.snapshot import KeySnapshot, StreamSnapshot
from steward.features.tiles import Track

ID_PARTS = 6
"""For how many parts of time ids are remembered; together they are as long as an event may come again."""


FEW_IDS = 64
"""So many ids are not worth the work of forgetting some."""


class Observed(StrEnum):
    """What an event did to the state.

    Example:
        >>> Observed.TOO_LATE.value
        'too-late'
    """

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    TOO_LATE = "too-late"


_APPLIED = Observed.APPLIED
# Looking up a member costs as much as a call, and this one is answered to almost every event.


class KeyState:
    """What is kept of one key of a stream: its tracks, its newest ``known_at`` and the ids it has seen.

    Time is cut into parts, and an id is forgotten when :data:`ID_PARTS` whole ones have passed after its own.

    Example:
        >>> state = KeyState([], part_us=1_000)
        >>> state.take("meter/1", 10_000, 12_000)
        >>> state.forget()
        >>> state.now, list(state.ids), state.id_parts, state.ids_from
        (12000, ['meter/1'], {10: ['meter/1']}, 6000)
    """

    __slots__ = ("_forget_at", "_part_from", "_part_ids", "_part_us", "id_parts", "ids", "ids_from", "now", "tracks")

    def __init__(self, tracks: list[Track], part_us: int) -> None:
        self.tracks = tracks
        # A dictionary takes less memory than a set.
        self.ids: dict[str, None] = {}
        self.id_parts: dict[int, list[str]] = {}
        self.ids_from = self.now = self._forget_at = self._part_from = NEVER
        self._part_us = part_us
        self._part_ids: list[str] = []

    def take(self, id: str, event_time: int, known_at: int) -> None:
        """Remember the id of an event that counts, and when it was known."""
        self.ids[id] = None
        if not 0 <= event_time - self._part_from < self._part_us:
            part = event_time // self._part_us
            self._part_from = part * self._part_us
            self._part_ids = self.id_parts.setdefault(part, [])
        self._part_ids.append(id)
        if known_at > self.now:
            self.now = known_at
            if known_at >= self._forget_at and len(self.ids) > FEW_IDS:
                self.forget()

    def forget(self) -> None:
        """Forget the ids of parts that are too old now."""
        oldest = self.now // self._part_us - ID_PARTS
        self.ids_from = oldest * self._part_us
        self._forget_at = (oldest + ID_PARTS + 1) * self._part_us
        gone = [part for part in self.id_parts if part < oldest]
        for part in gone:
            for id in self.id_parts.pop(part):
                del self.ids[id]
        if gone:
            # A dictionary that only loses and gains would take twice the room; this one has the size it needs.
            self.ids = dict.fromkeys(self.ids)
        if self._part_from < self.ids_from:
            self._part_from = NEVER
        for track in self.tracks:
            track.forget_ids(self.ids_from)

    def ends_before(self, time: int, retained: int) -> bool:
        """Return whether at ``time`` nothing here can be read, nor a known event come again in time."""
        newest = max(track.times[-1] + track.slack for track in self.tracks) + retained
        ids_end = (max(self.id_parts) + 1 + ID_PARTS) * self._part_us if self.id_parts else newest
        return max(newest, ids_end, self.now) < time

    def compact(self) -> None:
        """Bring everything to the form that depends only on the events and ``now``."""
        self.forget()
        for track in self.tracks:
            track.compact(self.now)

    def dump(self) -> KeySnapshot:
        """Return plain data for a snapshot, compacted."""
        self.compact()
        ids = {id: part for part, its in self.id_parts.items() for id in its}
        return KeySnapshot(self.now, dict(sorted(ids.items())), [track.dump() for track in self.tracks])

    def load(self, saved: KeySnapshot) -> None:
        """Take back what ``dump`` returned; the plan must be the same."""
        self.now = saved.now
        for id, part in saved.ids.items():
            self.ids[id] = None
            self.id_parts.setdefault(part, []).append(id)
        self.forget()
        for track, kept in zip(self.tracks, saved.tracks, strict=True):
            track.load(kept)


class StreamState:
    """The keys of one stream.

    Attributes:
        plan: What is kept.
        keys: The state of each key, by the key's text.
        too_late: How many events came later than the stream's lateness.

    Example:
        >>> from steward import Event, Stream, hours
        >>> from steward.features.plan import plan_streams
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> state = StreamState(plan_streams([load.count(over=hours(1))])["grid.load"], slack=0)
        >>> state.observe(Reading(region="ES", load_mw=1.0), "meter/1", 10, 12).value, list(state.keys)
        ('applied', ['ES'])
    """

    __slots__ = ("_columns_of", "_get_key", "_inputs", "_lateness", "_part_us", "_slack", "keys", "plan", "too_late")

    def __init__(self, plan: StreamPlan, slack: int) -> None:
        self.plan = plan
        self.keys: dict[str, KeyState] = {}
        self.too_late = 0
        self._slack = slack
        self._lateness = micros_of(plan.stream.lateness)
        self._part_us = -((self._lateness + slack) // -ID_PARTS) or 1
        self._get_key = attrgetter(plan.stream.key)
        tracks = plan.tracks
        self._inputs = [
            (attrgetter(c.field), c.scale, c.field, track.optional) for track in tracks for c in track.columns
        ]
        ends = [0, *accumulate(len(track.columns) for track in tracks)]
        self._columns_of = list(pairwise(ends))

    def observe(self, event: object, id: str, event_time: int, known_at: int) -> Observed:
        """Apply one event; see :meth:`OnlineFeatures.observe`."""
        if known_at - event_time > self._lateness:
            self.too_late += 1
            return Observed.TOO_LATE
        key = self._get_key(event)
        if type(key) is not str:
            key = str(key)
        state = self.keys.get(key)
        if state is not None:
            if id in state.ids:
                return Observed.DUPLICATE
            if event_time < state.ids_from:
                self.too_late += 1
                return Observed.TOO_LATE
        values = self._values(event)
        if state is None:
            state = self.keys[key] = self._new()
        state.take(id, event_time, known_at)
        for track, (first, after) in zip(state.tracks, self._columns_of):  # noqa: B905 - of one plan; it costs time
            if first == after or values[first] is not None:
                track.add(event_time, id, values[first:after])
                if len(track.ids) > track.limit:
                    track.compact(state.now)
        return _APPLIED

    def _values(self, event: object) -> list[Any]:
        """Return each column's input; ``None`` where an optional value is missing."""
        values: list[Any] = []
        for get, scale, field, optional in self._inputs:
            value = get(event)
            if type(value) is float and -1e15 < (product := value * scale) < 1e15:
                values.append(round(product))
            elif not optional or (value is not None and value is not UNSET):
                values.append(fixed(value, scale, field))
            else:
                values.append(None)
        return values

    def snapshot(self) -> StreamSnapshot:
        """Return the state as plain data, compacted."""
        return StreamSnapshot(self.too_late, {key: state.dump() for key, state in sorted(self.keys.items())})

    def restored(self, snapshot: StreamSnapshot) -> dict[str, KeyState]:
        """Return the keys of a snapshot of the same plan."""
        keys = {key: self._new() for key in snapshot.keys}
        for key, state in keys.items():
            state.load(snapshot.keys[key])
        return keys

    def forget(self, before: int) -> int:
        """Drop keys without a readable event or a rememberable id; return how many."""
        retained = max(track.retained for track in self.plan.tracks)
        gone = [key for key, state in self.keys.items() if state.ends_before(before, retained)]
        for key in gone:
            del self.keys[key]
        return len(gone)

    def _new(self) -> KeyState:
        return KeyState([track.make(self._slack) for track in self.plan.tracks], self._part_us)
