"""Streams of events, and window features over them by key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypedDict, Unpack, get_type_hints

from steward.decision.contract import Contract
from steward.decision.duration import check_duration
from steward.errors import DeclarationError

AT_REACH = timedelta(days=3)
"""How far before the newest event a window may end that ends ``at`` a field of the event."""

EXACT_UP_TO = timedelta(hours=1)
"""Longest window that is kept exactly; longer ones have a tail rounded to their hop."""


class Aggregate(StrEnum):
    """What a window feature computes.

    Example:
        >>> Aggregate("mean")
        <Aggregate.MEAN: 'mean'>
    """

    LAST = "last"
    LAG = "lag"
    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    STD = "std"
    QUANTILE = "quantile"
    SERIES = "series"


@dataclass(frozen=True, kw_only=True)
class WindowFeature:
    """One aggregate of one field over a time window of a stream, by key. Made by :class:`Stream`'s methods.

    The window is ``(t - over, t]`` in event time. Longer than one hour its old end is rounded down to a multiple
    of ``hop`` ("sawtooth"), so that it holds between ``over`` and ``over + hop`` of history.

    Attributes:
        stream: Where the values come from.
        aggregate: What is computed.
        name: The feature's name.
        field: The field aggregated; empty for ``count``.
        over: The window's length; for ``lag`` how far back; zero for ``last``.
        hop: How far the window's old end may reach back beyond ``over``; zero if it is exact.
        scale: Values are kept as integers of ``1/scale``.
        q: The quantile (0..1), for ``quantile``.
        step: The length of one element, for ``series``.
        at: The decision event's field that says when the window ends, at most :data:`AT_REACH` ago; by default the
            event's own time.

    Example:
        >>> from steward.decision.contract import Event
        >>> class Reading(Event):
        ...     meter: str
        ...     kw: float
        >>> Stream("meters", Reading, key="meter").max("kw", over=timedelta(minutes=30)).hop
        datetime.timedelta(0)
    """

    stream: Stream
    aggregate: Aggregate
    name: str
    field: str
    over: timedelta
    hop: timedelta
    scale: int
    q: float | None = None
    step: timedelta | None = None
    at: str | None = None


class WindowOptions(TypedDict, total=False):
    """What every window feature takes: its ``name``, ``scale``, ``exact`` and ``at`` (see :class:`WindowFeature`).

    Example:
        >>> WindowOptions(name="recent_load_mw", scale=10)
        {'name': 'recent_load_mw', 'scale': 10}
    """

    name: str
    scale: int
    exact: bool
    at: str


@dataclass(frozen=True)
class Stream:
    """A named flow of events of one contract, in order for each key.

    Args:
        name: Its name on the bus, for example ``grid.load``.
        contract: The event's type.
        key: The field that says whom an event is about; a decision's event must have it too.
        time: The field with the event's time; without it the CloudEvent's own ``time`` counts.
        lateness: How late an event may come and still change features.

    Example:
        >>> from datetime import datetime
        >>> from steward.decision.contract import Event
        >>> class LoadReading(Event):
        ...     region: str
        ...     at: datetime
        ...     load_mw: float
        >>> load = Stream("grid.load", LoadReading, key="region", time="at")
        >>> load.mean("load_mw", over=timedelta(hours=24)).name
        'load_mw_mean_1d'
        >>> load.mean("load_mw", over=timedelta(hours=24)).hop
        datetime.timedelta(seconds=3600)
    """

    name: str
    contract: type[Any] | Contract[Any]
    key: str
    time: str | None = None
    lateness: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        """Check that the named fields exist."""
        check_duration(self.lateness, "lateness")
        self._check_field(self.key, "key")
        if self.time is not None:
            self._check_field(self.time, "time")
            self._check_kind(self.time, "time", (datetime,), "a datetime")

    def last(
        self, field: str, *, within: timedelta = timedelta(days=30), **options: Unpack[WindowOptions]
    ) -> WindowFeature:
        """The latest value, if it is not older than ``within``."""
        return self._feature(Aggregate.LAST, field, within, label="last", **options)

    def lag(self, field: str, *, by: timedelta, **options: Unpack[WindowOptions]) -> WindowFeature:
        """The latest value at time ``t - by``, rounded down to a multiple of the hop and looking back one hop further.

        The hop is 5 minutes below 12 hours, else 1 hour. Up to one hour ``by`` is exact, and it looks back 1 hour.
        """
        return self._feature(Aggregate.LAG, field, by, **options)

    def count(self, *, over: timedelta, **options: Unpack[WindowOptions]) -> WindowFeature:
        """The number of events in the window; 0 if there was none."""
        return self._feature(Aggregate.COUNT, "", over, label=f"{_slug(self.name)}_count_{span(over)}", **options)

    def sum(self, field: str, *, over: timedelta, **options: Unpack[WindowOptions]) -> WindowFeature:
        """The sum of the window's values; 0 if there was none."""
        return self._feature(Aggregate.SUM, field, over, **options)

    def mean(self, field: str, *, over: timedelta, **options: Unpack[WindowOptions]) -> WindowFeature:
        """The mean of the window's values."""
        return self._feature(Aggregate.MEAN, field, over, **options)

    def min(self, field: str, *, over: timedelta, **options: Unpack[WindowOptions]) -> WindowFeature:
        """The smallest of the window's values."""
        return self._feature(Aggregate.MIN, field, over, **options)

    def max(self, field: str, *, over: timedelta, **options: Unpack[WindowOptions]) -> WindowFeature:
        """The largest of the window's values."""
        return self._feature(Aggregate.MAX, field, over, **options)

    def std(self, field: str, *, over: timedelta, **options: Unpack[WindowOptions]) -> WindowFeature:
        """The population standard deviation of the window's values."""
        return self._feature(Aggregate.STD, field, over, **options)

    def quantile(self, field: str, q: float, *, over: timedelta, **options: Unpack[WindowOptions]) -> WindowFeature:
        """The ``q``-quantile (0..1) of the window's values, within 1 % of the value, from logarithmic buckets."""
        if not 0 <= q <= 1:
            raise DeclarationError(f"a quantile lies between 0 and 1, got {q}", field="q")
        return self._feature(Aggregate.QUANTILE, field, over, label=f"q{q * 100:g}".replace(".", "_"), q=q, **options)

    def series(
        self, field: str, *, over: timedelta, step: timedelta, **options: Unpack[WindowOptions]
    ) -> WindowFeature:
        """The mean of each ``step`` of the window, oldest first, ``None`` for an empty one.

        Steps start at multiples of ``step`` since 1970 (UTC), and the last one ends at or before the window's end.
        An event on a boundary belongs to the step it starts: data of intervals are stamped with their beginning.
        """
        check_duration(over, "over")
        check_duration(step, "step")
        if step <= timedelta(0) or over % step:
            raise DeclarationError("a series is a whole number of steps long", field="step")
        return self._feature(Aggregate.SERIES, field, over, step=step, **options)

    def _feature(
        self,
        aggregate: Aggregate,
        field: str,
        over: timedelta,
        *,
        label: str | None = None,
        q: float | None = None,
        step: timedelta | None = None,
        name: str | None = None,
        scale: int = 1000,
        exact: bool | None = None,
        at: str | None = None,
    ) -> WindowFeature:
        if field:
            self._check_field(field, "field")
            self._check_kind(field, "field", (int, float, Decimal), "a number")
        check_duration(over, "over")
        if over <= timedelta(0):
            raise DeclarationError(f"a window must be longer than zero, got {over}", field="over")
        if exact and over > EXACT_UP_TO:
            raise DeclarationError(
                f"exact windows are allowed up to {EXACT_UP_TO}, got {over}",
                fix="leave exact out",
                field="exact",
            )
        own = label or aggregate.value
        if aggregate is Aggregate.COUNT:
            made = own
        else:
            made = f"{field}_{own}" if aggregate is Aggregate.LAST else f"{field}_{own}_{span(over)}"
        hop = timedelta(0) if exact or (exact is None and over <= EXACT_UP_TO) else hop_of(over)
        if aggregate is Aggregate.LAG:
            # A lag of weeks is wanted for its hour, too.
            hop = min(hop, timedelta(hours=1))
        return WindowFeature(
            stream=self,
            aggregate=aggregate,
            name=name or made,
            field=field,
            over=over,
            hop=hop,
            scale=scale,
            q=q,
            step=step,
            at=at,
        )

    def _check_field(self, name: str, role: str) -> None:
        fields = Contract.of(self.contract).fields
        if name not in fields:
            raise DeclarationError(
                f"stream {self.name!r} has no field {name!r} for its {role}",
                fix=f"choose one of {', '.join(fields)}",
                field=role,
            )

    def _check_kind(self, name: str, role: str, kinds: tuple[type, ...], wanted: str) -> None:
        """Refuse a field whose declared type can never be what is computed with."""
        try:
            declared = get_type_hints(Contract.of(self.contract).schema)[name]
        except (NameError, TypeError, KeyError):
            return  # a name that is defined further down is found at the first event
        if isinstance(declared, type) and declared not in (Any, object) and not issubclass(declared, kinds):
            raise DeclarationError(
                f"the field {name!r} of stream {self.name!r} is a {declared.__name__}, not {wanted}",
                fix=f"name a field for its {role} that holds {wanted}",
                field=role,
            )


def hop_of(over: timedelta) -> timedelta:
    """Return the hop of a window: 5 minutes below 12 hours, 1 hour below 12 days, else 1 day (Chronon's rule)."""
    if over < timedelta(hours=12):
        return timedelta(minutes=5)
    return timedelta(hours=1) if over < timedelta(days=12) else timedelta(days=1)


def span(length: timedelta) -> str:
    """Write a duration as in a feature's name: ``7d``, ``36h``, ``90m``, ``45s``, ``250ms``.

    Example:
        >>> span(timedelta(hours=168)), span(timedelta(minutes=90))
        ('7d', '90m')
    """
    milliseconds = length // timedelta(milliseconds=1)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
