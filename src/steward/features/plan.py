"""What has to be kept for a set of windows: streams, tracks, columns and the boundaries tiles need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import UnsetType

from steward.decision.contract import Contract
from steward.decision.stream import Aggregate, Stream, WindowFeature
from steward.errors import DeclarationError
from steward.features.columns import Column
from steward.features.fixed import micros_of
from steward.features.grids import EACH, Grid
from steward.features.ranks import Marks
from steward.features.tiles import Track

LAG_REACH = timedelta(hours=1)
"""How far before ``t - by`` an exact lag looks for a value; a lag with a hop looks back one hop."""

_KEPT: dict[Aggregate, tuple[str, ...]] = {
    Aggregate.SUM: ("sums",),
    Aggregate.MEAN: ("sums",),
    Aggregate.SERIES: ("sums",),
    Aggregate.STD: ("sums", "squares"),
    Aggregate.MIN: ("lowest",),
    Aggregate.MAX: ("highest",),
}


@dataclass(frozen=True)
class ColumnPlan:
    """What one column keeps of a field.

    Attributes:
        field: The field.
        scale: Its values are kept as integers of ``1/scale``.
        keeps: The names of the totals and extremes that windows need, as :class:`Column` takes them.
        quantiles: The quantile windows, as ``(over, hop)`` in microseconds.

    Example:
        >>> list(ColumnPlan("load_mw", 1000, frozenset({"sums"}), ()).make(each=0).sums)
        [0]
    """

    field: str
    scale: int
    keeps: frozenset[str]
    quantiles: tuple[tuple[int, int], ...]

    def make(self, each: int) -> Column:
        """Return an empty column; ``each``: how long before the oldest readable time events stay apart."""
        kept = {name: True for name in self.keeps}
        return Column(**kept, marks=Marks(self.quantiles, each) if self.quantiles else None)

    def __repr__(self) -> str:
        return f"{self.field}/{self.scale}:{sorted(self.keeps)}{self.quantiles}"


@dataclass(frozen=True)
class TrackPlan:
    """What one track keeps.

    Attributes:
        columns: Its columns; none if events are only counted.
        grids: The boundaries its tiles must respect.
        retained: How long before the oldest readable time windows reach back, microseconds.
        optional: Whether the value may be missing; then the track has one field.

    Example:
        >>> TrackPlan((), (Grid(1, 1, 0),), retained=60, optional=False).make(slack=0).count_to(0)
        0
    """

    columns: tuple[ColumnPlan, ...]
    grids: tuple[Grid, ...]
    retained: int
    optional: bool

    def make(self, slack: int) -> Track:
        """Return an empty track."""
        each = next(grid.age for grid in self.grids if grid[:2] == EACH)
        return Track([column.make(each) for column in self.columns], self.grids, slack=slack)


@dataclass(frozen=True)
class StreamPlan:
    """What is kept of one stream.

    Attributes:
        stream: The stream.
        tracks: What each track of a key keeps.

    Example:
        >>> from steward import Event, Stream, hours
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> plan = plan_streams([load.mean("load_mw", over=hours(24))])["grid.load"]
        >>> plan.tracks[0].columns, [grid.size for grid in plan.tracks[0].grids]
        ((load_mw/1000:['sums'](),), [1, 3600000000])
    """

    stream: Stream
    tracks: tuple[TrackPlan, ...]

    def place(self, window: WindowFeature) -> tuple[int, int]:
        """Return the track that a window reads, and the column there (0 for a count).

        Raises:
            DeclarationError: The window is not among those planned for.
        """
        span = (micros_of(window.over), micros_of(window.hop))
        for at, track in enumerate(self.tracks):
            if not window.field and not track.optional and _has_grid(track, window):
                return at, 0
            for place, column in enumerate(track.columns):
                if (column.field, column.scale) == (window.field, window.scale):
                    known = column.keeps.issuperset(_KEPT.get(window.aggregate, ())) and _has_grid(track, window)
                    if known and (window.aggregate is not Aggregate.QUANTILE or span in column.quantiles):
                        return at, place
        raise DeclarationError(
            f"feature {window.name!r} is not among the windows kept of stream {self.stream.name!r}",
            fix="make OnlineFeatures with the windows of all decisions",
        )


def _has_grid(track: TrackPlan, window: WindowFeature) -> bool:
    """Return whether tiles are fine enough for a window, and old enough."""
    wanted, retained = _grids([window])
    return retained <= track.retained and all(
        any(kept[:2] in {grid[:2], EACH} and grid.age <= kept.age for kept in track.grids) for grid in wanted
    )


def plan_streams(windows: Iterable[WindowFeature]) -> dict[str, StreamPlan]:
    """Return what is to be kept for a set of windows, by stream name.

    Raises:
        DeclarationError: Two streams of one name differ, or the hops of a stream do not divide each other.
    """
    by_stream: dict[str, list[WindowFeature]] = {}
    for window in windows:
        same = by_stream.setdefault(window.stream.name, [])
        if same and same[0].stream != window.stream:
            raise DeclarationError(
                f"stream {window.stream.name!r} is declared in two ways",
                fix="declare it once and use that in every decision",
                field="stream",
            )
        same.append(window)
    return {name: _plan_stream(of_stream[0].stream, of_stream) for name, of_stream in by_stream.items()}


def _plan_stream(stream: Stream, windows: Sequence[WindowFeature]) -> StreamPlan:
    optional = optional_fields(stream)
    together = [window for window in windows if window.field not in optional]
    apart = sorted({window.field for window in windows if window.field in optional})
    tracks = [_plan_track(together, optional=False)] if together else []
    tracks += [_plan_track([w for w in windows if w.field == field], optional=True) for field in apart]
    return StreamPlan(stream, tuple(tracks))


def _plan_track(windows: Sequence[WindowFeature], *, optional: bool) -> TrackPlan:
    by_column: dict[tuple[str, int], list[WindowFeature]] = {}
    for window in windows:
        if window.field:
            by_column.setdefault((window.field, window.scale), []).append(window)
    columns = [_plan_column(field, scale, its) for (field, scale), its in sorted(by_column.items())]
    grids, retained = _grids(windows)
    return TrackPlan(columns=tuple(columns), grids=grids, retained=retained, optional=optional)


def _plan_column(field: str, scale: int, windows: Sequence[WindowFeature]) -> ColumnPlan:
    keeps = frozenset(name for window in windows for name in _KEPT.get(window.aggregate, ()))
    quantiles = {
        (micros_of(window.over), micros_of(window.hop)) for window in windows if window.aggregate is Aggregate.QUANTILE
    }
    return ColumnPlan(field, scale, keeps, tuple(sorted(quantiles)))


def _grids(windows: Iterable[WindowFeature]) -> tuple[tuple[Grid, ...], int]:
    # Every time may be the end of a window: near the present each event is a tile of its own.
    ages: dict[tuple[int, int], int] = {EACH: 0}
    retained = 0
    for window in windows:
        over, hop = micros_of(window.over), micros_of(window.hop)
        if window.aggregate is Aggregate.LAST:
            retained = max(retained, over)
            continue
        if window.aggregate is Aggregate.SERIES:
            grid = (micros_of(window.step), 0) if window.step else (1, 0)
            age = over + grid[0]
        else:
            grid = (hop or 1, 1)
            age = over + hop
        ages[grid] = max(ages.get(grid, 0), age)
        reach = (hop or micros_of(LAG_REACH)) if window.aggregate is Aggregate.LAG else 0
        retained = max(retained, age + reach)
    each = ages[EACH]
    grids = [Grid(*grid, age) for grid, age in sorted(ages.items()) if grid == EACH or age > each]
    return tuple(grids), retained


def optional_fields(stream: Stream) -> frozenset[str]:
    """Return the fields of a stream's events that may be ``None`` or unset; all, if their types cannot be told."""
    contract = Contract.of(stream.contract)
    try:
        hints: dict[str, Any] = get_type_hints(contract.schema)
    except (NameError, TypeError):
        # Types written as text inside a function cannot be resolved; to take them as optional is always right.
        return frozenset(contract.fields)
    return frozenset(name for name in contract.fields if name not in hints or _may_miss(hints[name]))


def _may_miss(hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_may_miss(part) for part in get_args(hint))
    return hint in (NoneType, UnsetType, Any)


def fingerprint(plans: dict[str, StreamPlan], slack: int) -> str:
    """Return the SHA-256 of what is kept, in hexadecimal; names of features and quantile ranks do not matter."""
    facts = [
        (name, plan.stream.key, micros_of(plan.stream.lateness), plan.tracks) for name, plan in sorted(plans.items())
    ]
    return hashlib.sha256(repr((slack, facts)).encode()).hexdigest()
