"""Which events each row of a spine sees: those in its window that were known by then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steward.errors import DeclarationError
from steward.features.spans import Holes, Spans, running
from steward.features.table import (
    Axis,
    Bool,
    EventTable,
    Int64,
    Keys,
    SortedEvents,
    by_key_and_time,
    fixed_column,
    micros_column,
    sorted_events,
)

AsKnown = Literal["then", "now"]

_PART = 50_000
"""How many events and rows are worked on together, if no key has more."""

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


@dataclass(frozen=True)
class Past:
    """One stream's events, sorted; and without those that lack an optional value, for each such field.

    Attributes:
        table: The events as they were given.
        as_known: Whether what came later than a row is left out.
        keys: The numbers of the keys.
        events: The events, sorted, or those of some keys.

    Example:
        >>> from steward import Event, Stream
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> table = EventTable(load, ["ES", "ES"], [10, 20], [10, 25], ["a", "b"], {"load_mw": [1.0, 2.0]})
        >>> past = Past.of(table, "then")
        >>> past.field("load_mw", 1000)[0].tolist()
        [1000, 2000]
    """

    table: EventTable
    as_known: AsKnown
    keys: Keys
    events: SortedEvents
    _columns: dict[tuple[str, int], tuple[Int64, Bool]] = field(default_factory=dict)
    _fields: dict[tuple[str, int], tuple[Int64, SortedEvents, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: EventTable, as_known: AsKnown) -> Past:
        """Return a table's events, sorted."""
        keys = Keys()
        return cls(table, as_known, keys, sorted_events(table, keys, in_time_only=as_known == "then"))

    def part(self, first: int, after: int) -> Past:
        """Return the events at positions ``first .. after-1``, all those of some keys."""
        return replace(self, events=self.events.at(slice(first, after)), _fields={})

    def field(self, name: str, scale: int) -> tuple[Int64, SortedEvents, int]:
        """Return a field's values in order, the events that have one, and a bound of the values' sizes."""
        if (name, scale) not in self._fields:
            if name not in self.table.values:
                raise DeclarationError(f"the table of {self.table.stream.name!r} has no column {name!r}", field=name)
            if (name, scale) not in self._columns:
                self._columns[name, scale] = fixed_column(self.table.values[name], scale, name)
            values, missing = self._columns[name, scale]
            events = self.events
            lacking = missing[events.rows]
            if lacking.any():
                events = events.at(np.flatnonzero(~lacking))
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
        order = by_key_and_time(codes, ends)
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
        >>> past = Past.of(table, "then")
        >>> query = past.query(Spine({"region": ["ES", "ES"]}, [20, 30]), None)
        >>> query.window(past.events, 100, 0).count.tolist()
        [1, 2]
    """

    past: Past
    codes: Int64
    ends: Int64
    known_at: Int64 | None
    order: Int64
    _known_borders: dict[int, tuple[Int64, Int64, Int64]] = field(default_factory=dict)
    _knowns: dict[tuple[int, int], tuple[Int64, Holes | None, Int64]] = field(default_factory=dict)
    _windows: dict[tuple[int, int, int], Spans] = field(default_factory=dict)

    def parts(self) -> Iterator[Query]:
        """Return the same rows in order, those of some keys at a time: few enough for the processor's cache."""
        codes = np.arange(max(len(self.past.keys), 1) + 1)
        events = np.searchsorted(self.past.events.axis.codes, codes).tolist()
        rows = np.searchsorted(self.codes, codes).tolist()
        begin = 0
        for code in range(1, len(codes)):
            size = events[code] - events[begin] + rows[code] - rows[begin]
            if size >= _PART or code == len(codes) - 1:
                known_at = None if self.known_at is None else self.known_at[rows[begin] : rows[code]]
                its = slice(rows[begin], rows[code])
                yield Query(
                    self.past.part(events[begin], events[code]),
                    self.codes[its],
                    self.ends[its],
                    known_at,
                    self.order[its],
                )
                begin = code

    def as_asked(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return a column of results in the order of the spine."""
        if column.dtype == np.bool_ and not column.any():
            return column
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
            all_before, none_from, overtaken = self._borders(events, known_at)
            end = np.minimum(events.axis.after(self.codes, ends), none_from)
            holes = _unknown(events.known_at, overtaken, np.minimum(all_before, end), end, known_at)
            self._knowns[place] = end, holes, ends
        return self._knowns[place][:2]

    def _borders(self, events: SortedEvents, known_at: Int64) -> tuple[Int64, Int64, Int64]:
        """Return the positions before which all events of the row's key were known, and from which none was.

        And how many events before each position became known after a later one: only those can be unknown between.
        """
        if id(events) not in self._known_borders:
            axis = events.axis
            # The newest known_at of a key so far only grows, as does the oldest from here on: both can be searched
            # like times.
            newest = _running_maximum(axis.codes, events.known_at)
            oldest = -_running_maximum(-axis.codes[::-1], -events.known_at[::-1])[::-1]
            self._known_borders[id(events)] = (
                Axis(axis.codes, newest).after(self.codes, known_at),
                Axis(axis.codes, oldest).after(self.codes, known_at),
                running(events.known_at > oldest),
            )
        return self._known_borders[id(events)]


def _unknown(event_known_at: Int64, overtaken: Int64, begin: Int64, end: Int64, known_at: Int64) -> Holes | None:
    """Return the overtaken events of ``begin .. end-1`` that were not known."""
    first = overtaken[begin]
    length = overtaken[np.maximum(end, begin)] - first
    rows, places = np.flatnonzero(length), np.flatnonzero(np.diff(overtaken))
    first, length = first[rows], length[rows]
    found: list[tuple[Int64, Int64]] = []
    # What lies between is looked at event by event, for some rows at a time to bound the memory.
    chunk_of = np.cumsum(length) // _CHUNK
    for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(chunk_of)) + 1):
        row_of = np.repeat(rows[part], length[part])
        before = np.cumsum(length[part]) - length[part]
        at = places[np.arange(len(row_of)) + np.repeat(first[part] - before, length[part])]
        unknown = event_known_at[at] > known_at[row_of]
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
