"""Events of the past as columns: cleaned of repetitions, sorted once by key, time and id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from steward.decision.contract import Contract
from steward.decision.stream import Stream
from steward.errors import ContractError
from steward.features.fixed import FIXED_LIMIT, micros, micros_of

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class EventTable:
    """The events of one stream, in any order, with repetitions.

    Args:
        stream: The stream.
        key: The key of each event; keys are equal if their texts are.
        event_time: When it happened: ``datetime64``, integers of microseconds since 1970, or aware datetimes.
        known_at: When it was first known here, likewise.
        id: What names it for ever (source and id).
        values: The fields that windows read; NaN or ``None`` for a missing value.

    Example:
        >>> from steward import Event, Stream
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> table = EventTable(load, ["ES", "ES"], [10, 20], [11, 21], ["a", "b"], {"load_mw": [1.0, 2.0]})
        >>> len(table)
        2
    """

    stream: Stream
    key: Sequence[Any] | NDArray[Any]
    event_time: Sequence[Any] | NDArray[Any]
    known_at: Sequence[Any] | NDArray[Any]
    id: Sequence[str] | NDArray[Any]
    values: Mapping[str, Sequence[Any] | NDArray[Any]]

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def of(cls, stream: Stream, rows: Iterable[tuple[object, str, datetime, datetime]]) -> EventTable:
        """Return a table of ``(event, id, event_time, known_at)`` rows; fields are read from the events' attributes."""
        kept = list(rows)
        fields = [name for name in _fields_of(stream) if name != stream.key]
        return cls(
            stream,
            [getattr(event, stream.key) for event, *_ in kept],
            [micros(time) for _, _, time, _ in kept],
            [micros(known) for *_, known in kept],
            [id for _, id, *_ in kept],
            {name: [getattr(event, name) for event, *_ in kept] for name in fields},
        )

    @classmethod
    def of_frame(cls, stream: Stream, frame: Any, *, event_time: str, known_at: str, id: str) -> EventTable:
        """Return a table of a data frame (polars, pandas): the named columns, and the stream's fields by name."""
        fields = [name for name in _fields_of(stream) if name in frame.columns and name not in {stream.key, event_time}]
        key, time, known, ids = (frame[name].to_numpy() for name in (stream.key, event_time, known_at, id))
        return cls(stream, key, time, known, ids, {name: frame[name].to_numpy() for name in fields})


def _fields_of(stream: Stream) -> tuple[str, ...]:
    return Contract.of(stream.contract).fields


def micros_column(times: Sequence[Any] | NDArray[Any]) -> Int64:
    """Return times as microseconds since 1970."""
    column = np.asarray(times)
    if column.dtype.kind == "M":
        return column.astype("datetime64[us]").astype(np.int64)
    if column.dtype.kind in "iu":
        return column.astype(np.int64)
    return np.fromiter((micros(time) for time in times), np.int64, len(times))


def fixed_column(values: Sequence[Any] | NDArray[Any], scale: int, field: str) -> tuple[Int64, Bool]:
    """Return numbers as integers of ``1/scale``, and which of them are missing (those are 0).

    Raises:
        ContractError: One is infinite, not a number, or too large to be exact.
    """
    numbers = _floats(values, field)
    missing = np.isnan(numbers)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(numbers * scale)
    if not (np.abs(scaled) <= FIXED_LIMIT)[~missing].all():
        worst = float(numbers[np.flatnonzero(~(np.abs(scaled) <= FIXED_LIMIT) & ~missing)[0]])
        raise ContractError(
            f"{field}={worst!r} cannot be kept exactly in units of 1/{scale}",
            fix="remove infinite values, or declare the feature with a smaller scale",
            field=field,
        )
    scaled[missing] = 0
    return scaled.astype(np.int64), missing


def _floats(values: Sequence[Any] | NDArray[Any], field: str) -> Float64:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = [np.nan if value is UNSET else value for value in values]
        try:
            return np.asarray(numbers, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ContractError(f"{field} must be numbers: {error}", field=field) from error


class _Codes(dict[Any, int]):
    def __missing__(self, key: Any) -> int:
        # What is no text is not kept as it is: 1 and True are equal, and their texts are not.
        if not isinstance(key, str):
            return self[str(key)]
        code = self[key] = len(self)
        return code


class Keys:
    """Keys as small integers, in the order they are met.

    Example:
        >>> keys = Keys()
        >>> keys.codes(["ES", "PT", "ES"]).tolist(), keys.codes(["PT", "FR"]).tolist()
        ([0, 1, 0], [1, 2])
    """

    def __init__(self) -> None:
        self._codes = _Codes()

    def __len__(self) -> int:
        return len(self._codes)

    def codes(self, keys: Sequence[Any] | NDArray[Any]) -> Int64:
        """Return the number of each key; new keys get new numbers."""
        texts = keys.tolist() if isinstance(keys, np.ndarray) else keys
        return np.fromiter(map(self._codes.__getitem__, texts), np.int64, len(texts))


class Axis:
    """Positions of events sorted by key and time, and the search for a time among them.

    Args:
        codes: The key of each event, ascending.
        times: Its time, ascending within a key.

    Example:
        >>> axis = Axis(np.array([0, 0, 1]), np.array([10, 20, 15]))
        >>> axis.after(np.array([0, 0, 1]), np.array([9, 20, 30])).tolist()
        [0, 2, 3]
    """

    def __init__(self, codes: Int64, times: Int64) -> None:
        self.codes, self.times = codes, times
        first, last = (int(times.min()), int(times.max())) if len(times) else (0, 0)
        self._n_keys = int(codes[-1]) + 2 if len(codes) else 1
        # Key and time are searched as one integer. Where it would not fit, times are replaced by their rank.
        self._ranks = np.unique(times) if (last - first + 3) * self._n_keys >= 2**62 else None
        if self._ranks is not None:
            times, first, last = np.searchsorted(self._ranks, times), 0, len(self._ranks) - 1
        self._first, self._span = first, last - first + 3
        self._places = codes * self._span + (times - first + 1)

    def after(self, codes: Int64, times: Int64) -> Int64:
        """Return how many events there are of smaller keys, or of the key and not later than the time."""
        if self._ranks is not None:
            times = np.searchsorted(self._ranks, times, side="right") - 1
        offsets = np.clip(times, self._first - 1, self._first + self._span - 2) - (self._first - 1)
        wanted = np.minimum(codes, self._n_keys - 1) * self._span + offsets
        # Old ends of windows stay for a hop: neighbours that want the same are searched once.
        first = np.flatnonzero(np.diff(wanted, prepend=-1))
        found = np.searchsorted(self._places, wanted[first], side="right")
        return found if len(first) == len(wanted) else np.repeat(found, np.diff(first, append=len(wanted)))


def by_key_and_time(codes: Int64, times: Int64) -> Int64:
    """Return the order by key and time; equal ones stand in any order."""
    if not len(times):
        return np.arange(0)
    first = int(times.min())
    span = int(times.max()) - first + 1
    if span * (int(codes.max()) + 1) < 2**62:
        return np.argsort(codes * span + (times - first), kind="stable")
    return np.lexsort((times, codes))


def sort_order(codes: Int64, times: Int64, ids: Sequence[str], rows: Int64) -> Int64:
    """Return the order by key, time and id; the id of each is that at its place of ``rows``."""
    order = by_key_and_time(codes, times)
    same = (np.diff(codes[order]) == 0) & (np.diff(times[order]) == 0)
    if same.any():
        edges = np.flatnonzero(np.diff(np.concatenate(([0], same.astype(np.int8), [0]))))
        for begin, end in zip(edges[::2].tolist(), (edges[1::2] + 1).tolist(), strict=True):
            order[begin:end] = sorted(order[begin:end].tolist(), key=lambda at: ids[int(rows[at])])
    return order


def first_known(codes: Int64, known_at: Int64, ids: Sequence[str]) -> Int64 | None:
    """Return the rows that are the first known with their key and id; ``None`` if all are."""
    # Texts are compared only where 32 bits of their hashes agree. Two radix sorts of these by 16 bits are much faster
    # than a dictionary of all texts.
    hashes = np.fromiter(map(hash, ids), np.int64, len(ids)).astype(np.uint32)
    order = np.argsort(hashes.astype(np.uint16), kind="stable")
    order = order[np.argsort((hashes[order] >> 16).astype(np.uint16), kind="stable")]
    same = np.flatnonzero(np.diff(hashes[order]) == 0)
    if not len(same):
        return None
    perhaps = np.unique(order[np.concatenate((same, same + 1))])
    first: dict[tuple[int, str], int] = {}
    for row in perhaps[np.argsort(known_at[perhaps], kind="stable")].tolist():
        first.setdefault((int(codes[row]), ids[row]), row)
    kept = np.ones(len(ids), np.bool_)
    kept[perhaps] = False
    kept[list(first.values())] = True
    return np.flatnonzero(kept)


@dataclass(frozen=True)
class SortedEvents:
    """A table's events without repetitions, sorted by key, time and id.

    Attributes:
        axis: Their keys and times.
        known_at: When each was known.
        rows: Which row of the table each is.

    Example:
        >>> SortedEvents(Axis(np.array([0]), np.array([10])), np.array([11]), np.array([0])).axis.times.tolist()
        [10]
    """

    axis: Axis
    known_at: Int64
    rows: Int64

    def at(self, positions: slice | Int64) -> SortedEvents:
        """Return those at some positions, in order."""
        axis = Axis(self.axis.codes[positions], self.axis.times[positions])
        return SortedEvents(axis, self.known_at[positions], self.rows[positions])


def sorted_events(table: EventTable, keys: Keys, *, in_time_only: bool) -> SortedEvents:
    """Return a table's events sorted, each once; ``in_time_only`` leaves out those beyond the stream's lateness."""
    times, known = micros_column(table.event_time), micros_column(table.known_at)
    codes = keys.codes(table.key)
    ids = table.id.tolist() if isinstance(table.id, np.ndarray) else table.id
    rows = np.arange(len(ids))
    if in_time_only:
        rows = np.flatnonzero(known - times <= micros_of(table.stream.lateness))
    once = first_known(codes[rows], known[rows], ids if len(rows) == len(ids) else [ids[row] for row in rows.tolist()])
    if once is not None:
        rows = rows[once]
    rows = rows[sort_order(codes[rows], times[rows], ids, rows)]
    return SortedEvents(Axis(codes[rows], times[rows]), known[rows], rows)
