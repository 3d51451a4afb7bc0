"""Which events each row of a spine sees: those in its window that were known by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steward.errors import DeclarationError
from steward.features.spans import Holes, Spans
from steward.features.table import (
    Axis,
    EventTable,
    Int64,
    Keys,
    SortedEvents,
    fixed_column,
    micros_column,
    sorted_events,
)

AsKnown = Literal["then", "now"]

_CHUNK = 4_000_000
"""How many events are looked at one by one at a time."""


@dataclass(frozen=True)
class Spine:
    """The rows that features are wanted for: the keys and times of past decisions.

    Args:
        columns: Fields of the decision's events by name: the streams' keys, and the fields windows name as ``at``.
        at: Where windows end that name no field: ``datetime64``, microseconds since 1970, or aware datetimes.
        known_at: What was known when each decision was made, likewise; by default as of ``at``.

    Example:
        >>> spine = Spine({"region": ["ES", "PT"]}, [3_600_000_000, 7_200_000_000])
        >>> len(spine)
        2
    """

    columns: Mapping[str, Sequence[Any] | NDArray[Any]]
    at: Sequence[Any] | NDArray[Any]
    known_at: Sequence[Any] | NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.at)


class Past:
    """One stream's events, sorted; and without those that lack an optional value, for each such field.

    Example:
        >>> from steward import Event, Stream
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> table = EventTable(load, ["ES", "ES"], [10, 20], [10, 25], ["a", "b"], {"load_mw": [1.0, 2.0]})
        >>> past = Past(table, "then")
        >>> past.field("load_mw", 1000)[0].tolist()
        [1000, 2000]
    """

    def __init__(self, table: EventTable, as_known: AsKnown) -> None:
        self.table = table
        self.as_known = as_known
        self.keys = Keys()
        self.events = sorted_events(table, self.keys, in_time_only=as_known == "then")
        self._fields: dict[tuple[str, int], tuple[Int64, SortedEvents, int]] = {}

    def field(self, name: str, scale: int) -> tuple[Int64, SortedEvents, int]:
        """Return a field's values in order, the events that have one, and a bound of the values' sizes."""
        if (name, scale) not in self._fields:
            if name not in self.table.values:
                raise DeclarationError(f"the table of {self.table.stream.name!r} has no column {name!r}", field=name)
            values, missing = fixed_column(self.table.values[name], scale, name)
            events = self.events
            if missing.any():
                there = np.flatnonzero(~missing[events.rows])
                axis = Axis(events.axis.codes[there], events.axis.times[there])
                events = SortedEvents(axis, events.known_at[there], events.rows[there])
            values = values[events.rows]
            largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))
            self._fields[name, scale] = values, events, largest
        return self._fields[name, scale]

    def query(self, spine: Spine, at: str | None) -> Query:
        """Return the spine's rows with windows that end at the field ``at``, or at the spine's own time."""
        key = self.table.stream.key
        for name in (key, at):
            if name is not None and name not in spine.columns:
                raise DeclarationError(f"the spine has no column {name!r}", fix="add it", field=name)
        ends = micros_column(spine.at if at is None else spine.columns[at])
        known = micros_column(spine.at if spine.known_at is None else spine.known_at)
        codes = self.keys.codes(spine.columns[key])
        # Rows in the order of the events let every look-up walk forward through memory.
        order = np.lexsort((ends, codes))
        return Query(self, codes[order], ends[order], known[order] if self.as_known == "then" else None, order)


@dataclass
class Query:
    """Rows of a spine for one stream: keys, where windows end, what was known; and their own order.

    Example:
        >>> from steward import Event, Stream
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> table = EventTable(load, ["ES", "ES"], [10, 20], [10, 25], ["a", "b"], {"load_mw": [1.0, 2.0]})
        >>> past = Past(table, "then")
        >>> query = past.query(Spine({"region": ["ES", "ES"]}, [20, 30]), None)
        >>> query.window(past.events, 100, 0).count.tolist()
        [1, 2]
    """

    past: Past
    codes: Int64
    ends: Int64
    known_at: Int64 | None
    order: Int64
    _known_borders: dict[int, tuple[Int64, Int64]] = field(default_factory=dict)
    _knowns: dict[tuple[int, int], tuple[Int64, Holes | None, Int64]] = field(default_factory=dict)
    _windows: dict[tuple[int, int, int], Spans] = field(default_factory=dict)

    def as_asked(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return a column of results in the order of the spine."""
        own = np.empty_like(column)
        own[self.order] = column
        return own

    def window(self, events: SortedEvents, over: int, hop: int) -> Spans:
        """Return the events of each row's window of this length and hop, in microseconds."""
        place = id(events), over, hop
        if place not in self._windows:
            tails = (self.ends - over) // hop * hop if hop else self.ends - over
            self._windows[place] = self.spans(events, tails, self.ends)
        return self._windows[place]

    def spans(self, events: SortedEvents, tails: Int64, ends: Int64) -> Spans:
        """Return what lies after ``tails`` and not after ``ends``, and was known."""
        begin = events.axis.after(self.codes, tails)
        if self.known_at is None:
            return Spans(begin, np.maximum(events.axis.after(self.codes, ends), begin))
        end, holes = self._known(events, ends, self.known_at)
        if holes is not None:
            holes = holes.not_before(begin)
        return Spans(begin, np.maximum(end, begin), holes)

    def _known(self, events: SortedEvents, ends: Int64, known_at: Int64) -> tuple[Int64, Holes | None]:
        """Return where what was known and is not after ``ends`` ends, and which events before were not known."""
        place = id(events), id(ends)
        if place not in self._knowns:
            all_before, none_from = self._borders(events, known_at)
            end = np.minimum(events.axis.after(self.codes, ends), none_from)
            self._knowns[place] = end, _unknown(events, np.minimum(all_before, end), end, known_at), ends
        return self._knowns[place][:2]

    def _borders(self, events: SortedEvents, known_at: Int64) -> tuple[Int64, Int64]:
        """Return the positions before which all events of the row's key were known, and from which none was."""
        if id(events) not in self._known_borders:
            axis = events.axis
            # The newest known_at of a key so far only grows, as does the oldest from here on: both can be searched
            # like times.
            newest = _running_maximum(axis.codes, events.known_at)
            oldest = -_running_maximum(-axis.codes[::-1], -events.known_at[::-1])[::-1]
            self._known_borders[id(events)] = (
                Axis(axis.codes, newest).after(self.codes, known_at),
                Axis(axis.codes, oldest).after(self.codes, known_at),
            )
        return self._known_borders[id(events)]


def _unknown(events: SortedEvents, begin: Int64, end: Int64, known_at: Int64) -> Holes | None:
    """Return the events of ``begin .. end-1`` that were not known."""
    rows = np.flatnonzero(end > begin)
    length = end[rows] - begin[rows]
    found: list[tuple[Int64, Int64]] = []
    # What lies between is looked at event by event, for some rows at a time to bound the memory.
    chunk_of = np.cumsum(length) // _CHUNK
    for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(chunk_of)) + 1):
        row_of = np.repeat(rows[part], length[part])
        first = np.cumsum(length[part]) - length[part]
        at = np.arange(len(row_of)) + np.repeat(begin[rows[part]] - first, length[part])
        unknown = events.known_at[at] > known_at[row_of]
        found.append((row_of[unknown], at[unknown]))
    return Holes.of(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _running_maximum(codes: Int64, values: Int64) -> Int64:
    """Return the largest value so far of each key; codes ascend."""
    if not len(values):
        return values
    codes = codes - codes[0]
    low = int(values.min())
    span = int(values.max()) - low + 1
    if span * (int(codes[-1]) + 1) < 2**62:
        return np.maximum.accumulate(codes * span + (values - low)) - codes * span + low
    result = values.copy()
    for part in np.split(result, np.flatnonzero(np.diff(codes)) + 1):
        np.maximum.accumulate(part, out=part)
    return result
