"""What has to be kept for a set of windows: streams, tracks, columns and the boundaries tiles need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import UnsetType

from steward.decision.contract import Contract
from steward.decision.stream import Aggregate, Stream, WindowFeature
from steward.errors import DeclarationError
from steward.features.extremes import Lowest
from steward.features.fixed import micros_of
from steward.features.ranks import Marks
from steward.features.tiles import Grid, Part, Track
from steward.features.totals import Counts, Latest, Squares, Sums

LAG_REACH = timedelta(hours=1)
"""How far before ``t - by`` an exact lag looks for a value; a lag with a hop looks back one hop."""

PartName = Literal["counts", "sums", "squares", "latest", "lowest", "highest", "marks"]

_PARTS: dict[Aggregate, tuple[PartName, ...]] = {
    Aggregate.LAST: ("latest",),
    Aggregate.LAG: ("latest",),
    Aggregate.COUNT: ("counts",),
    Aggregate.SUM: ("sums",),
    Aggregate.MEAN: ("counts", "sums"),
    Aggregate.MIN: ("lowest",),
    Aggregate.MAX: ("highest",),
    Aggregate.STD: ("counts", "sums", "squares"),
    Aggregate.QUANTILE: ("marks",),
    Aggregate.SERIES: ("counts", "sums"),
}
_MAKE: dict[PartName, Callable[[], Part]] = {
    "counts": Counts,
    "sums": Sums,
    "squares": Squares,
    "latest": Latest,
    "lowest": lambda: Lowest(1),
    "highest": lambda: Lowest(-1),
}


@dataclass(frozen=True)
class TrackPlan:
    """What one track keeps.

    Attributes:
        inputs: The fields and scales whose values an event brings, in order.
        parts: The columns: name and index of the input they take.
        quantiles: The quantile windows of each input, as ``(over, hop)`` in microseconds.
        grids: The boundaries its tiles must respect.
        retained: How long before the oldest readable time tiles are kept, microseconds.
        optional: Whether the value may be missing; then the track has one input.
    """

    inputs: tuple[tuple[str, int], ...]
    parts: tuple[tuple[PartName, int], ...]
    quantiles: tuple[tuple[tuple[int, int], ...], ...]
    grids: tuple[Grid, ...]
    retained: int
    optional: bool

    def make(self, slack: int) -> Track:
        """Return an empty track."""
        parts = [
            Marks(len(self.quantiles[source])) if name == "marks" else _MAKE[name]() for name, source in self.parts
        ]
        return Track(parts, [source for _, source in self.parts], self.grids, retained=self.retained, slack=slack)


@dataclass(frozen=True)
class StreamPlan:
    """What is kept of one stream.

    Attributes:
        stream: The stream.
        tracks: What each track of a key keeps.
    """

    stream: Stream
    tracks: tuple[TrackPlan, ...]

    def place(self, window: WindowFeature) -> tuple[int, dict[PartName, int]]:
        """Return the track that a window reads, and the positions of the columns it needs there."""
        names = _PARTS[window.aggregate]
        for at, track in enumerate(self.tracks):
            if not window.field and not track.optional:
                return at, {"counts": track.parts.index(("counts", 0))}
            if (window.field, window.scale) in track.inputs:
                source = track.inputs.index((window.field, window.scale))
                by_name = {name: _position(track, name, source) for name in names}
                if None not in by_name.values():
                    return at, {name: position for name, position in by_name.items() if position is not None}
        raise DeclarationError(
            f"feature {window.name!r} is not among the windows kept of stream {self.stream.name!r}",
            fix="make OnlineFeatures with the windows of all decisions",
        )


def _position(track: TrackPlan, name: PartName, source: int) -> int | None:
    # Every input of a track has the same count, so that it is kept once.
    wanted = (name, 0 if name == "counts" else source)
    return track.parts.index(wanted) if wanted in track.parts else None


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
    inputs = tuple(sorted({(window.field, window.scale) for window in windows if window.field}))
    parts: set[tuple[PartName, int]] = set()
    quantiles: list[set[tuple[int, int]]] = [set() for _ in inputs]
    for window in windows:
        source = inputs.index((window.field, window.scale)) if window.field else 0
        parts |= {(name, 0 if name == "counts" else source) for name in _PARTS[window.aggregate]}
        if window.aggregate is Aggregate.QUANTILE:
            quantiles[source].add((micros_of(window.over), micros_of(window.hop)))
    grids, retained = _grids(windows)
    return TrackPlan(
        inputs=inputs,
        parts=tuple(sorted(parts)),
        quantiles=tuple(tuple(sorted(of_input)) for of_input in quantiles),
        grids=grids,
        retained=retained,
        optional=optional,
    )


def _grids(windows: Iterable[WindowFeature]) -> tuple[tuple[Grid, ...], int]:
    # Every time may be the end of a window: near the present each event is a tile of its own.
    ages: dict[tuple[int, int], int] = {(1, 1): 0}
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
    return tuple(Grid(size, shift, age) for (size, shift), age in sorted(ages.items())), retained


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
