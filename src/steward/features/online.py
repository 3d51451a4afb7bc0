"""Online features: the state of all windows, updated by each event and read by each decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from operator import attrgetter

from steward.decision.stream import WindowFeature
from steward.errors import DeclarationError, StewardError
from steward.features.fixed import micros, micros_of
from steward.features.plan import fingerprint, plan_streams
from steward.features.reader import TrackReader, empty_value
from steward.features.snapshot import opened, sealed
from steward.features.state import Observed, StreamState
from steward.records import FeatureValue

__all__ = ["AT_SLACK", "Observed", "OnlineFeatures", "Reader"]

AT_SLACK = timedelta(hours=1)
"""How far behind a key's newest ``known_at`` features can still be read."""


class OnlineFeatures:
    """The state of windows over streams, one for all decisions of a runtime.

    Late and repeated events within a stream's lateness leave the same state as an ordered, clean stream. Reads
    are exact for any time from :data:`AT_SLACK` before the key's newest ``known_at`` on: events with a later
    event time (prices of tomorrow, say) are kept and not counted before their time.

    Args:
        windows: The windows of all decisions.
        at_slack: How far behind a key's newest ``known_at`` it can still be read.

    Raises:
        DeclarationError: Two streams of one name differ.

    Example:
        >>> from datetime import UTC
        >>> from steward import Event, Stream, hours
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> windows = [load.mean("load_mw", over=hours(24)), load.last("load_mw")]
        >>> online, noon = OnlineFeatures(windows), datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> for id, load_mw in ("a", 24_000.0), ("b", 25_000.0), ("b", 25_000.0):
        ...     event = Reading(region="ES", load_mw=load_mw)
        ...     online.observe("grid.load", event, id=id, event_time=noon, known_at=noon).value
        'applied'
        'applied'
        'duplicate'
        >>> online.reader(windows)(Reading(region="ES", load_mw=0.0), noon)
        [24500.0, 25000.0]
    """

    def __init__(self, windows: Iterable[WindowFeature], *, at_slack: timedelta = AT_SLACK) -> None:
        self._slack = micros_of(at_slack)
        plans = plan_streams(windows)
        self.fingerprint = fingerprint(plans, self._slack)
        self._streams = {name: StreamState(plan, self._slack) for name, plan in plans.items()}

    @property
    def streams(self) -> frozenset[str]:
        """The names of the streams that windows read."""
        return frozenset(self._streams)

    @property
    def too_late(self) -> dict[str, int]:
        """How many events came later than their stream's lateness and were not applied, by stream name."""
        return {name: state.too_late for name, state in self._streams.items()}

    def observe(
        self, stream_name: str, event: object, *, id: str, event_time: datetime, known_at: datetime
    ) -> Observed:
        """Apply an event to every window of its stream.

        Args:
            stream_name: The stream it came on.
            event: The event; key and values are read from its attributes. A missing optional value counts nothing.
            id: What names it for ever (source and id); a second event with it changes nothing.
            event_time: When it happened; aware. It may lie ahead of ``known_at``.
            known_at: When it was first known here; aware.

        Returns:
            ``APPLIED``; or, with the state unchanged, ``DUPLICATE`` or ``TOO_LATE``
            (``known_at`` is more than the stream's lateness after ``event_time``).

        Raises:
            ContractError: A value is not a finite number or too large; nothing was applied.
            DeclarationError: No window reads a stream of that name (see :attr:`streams`).
        """
        try:
            stream = self._streams[stream_name]
        except KeyError:
            raise _unknown(stream_name, self._streams) from None
        known = micros(known_at)
        return stream.observe(event, id, known if event_time == known_at else micros(event_time), known)

    def reader(self, windows: Sequence[WindowFeature]) -> Reader:
        """Return a function that reads these windows for decision events, compiled once.

        Raises:
            DeclarationError: A window is not among those this was made with.
        """
        return Reader(self._streams, windows, self._slack)

    def snapshot(self) -> bytes:
        """Return the whole state as bytes; equal for equal events, whatever their order within the lateness."""
        streams = {name: state.snapshot() for name, state in self._streams.items()}
        return sealed(streams, self.fingerprint)

    def restore(self, snapshot: bytes) -> None:
        """Take the state of a snapshot instead of the own one; readers made before see it.

        Raises:
            Conflict: ``snapshot-outdated``: it is of other windows; rebuild the state from the events.
            IntegrityError: The bytes are not a snapshot, or were changed. The own state is unchanged.
        """
        streams = opened(snapshot, self.fingerprint)
        restored = {name: state.restored(streams[name]) for name, state in self._streams.items()}
        for name, state in self._streams.items():
            state.too_late = streams[name].too_late
            state.keys.clear()
            state.keys.update(restored[name])

    def forget(self, before: datetime) -> int:
        """Drop keys with nothing that a read at or after ``before`` could find; return how many.

        Memory grows with the number of keys; call it now and then if keys come and go.
        """
        return sum(state.forget(micros(before)) for state in self._streams.values())


class Reader:
    """Reads windows for one decision event: ``reader(event, default_at)``.

    The key is read from the event's attribute of the same name as the stream's key field. A window ends at the
    event's field that the window names as ``at``, or at ``default_at``.

    Example:
        >>> from steward.clock import EPOCH
        >>> from steward import Event, Stream, hours
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> window = load.count(over=hours(1))
        >>> OnlineFeatures([window]).reader([window])(Reading(region="ES", load_mw=1.0), EPOCH)
        [0]
    """

    __slots__ = ("_empty", "_groups", "_slack")

    def __init__(self, streams: dict[str, StreamState], windows: Sequence[WindowFeature], slack: int) -> None:
        self._slack = slack
        self._empty = [empty_value(window) for window in windows]
        grouped: dict[tuple[str, str | None], dict[int, list[tuple[int, WindowFeature]]]] = {}
        for place, window in enumerate(windows):
            name = window.stream.name
            if name not in streams:
                raise _unknown(name, streams)
            track = streams[name].plan.place(window)[0]
            grouped.setdefault((name, window.at), {}).setdefault(track, []).append((place, window))
        self._groups = [
            (
                streams[name].keys,
                attrgetter(streams[name].plan.stream.key),
                attrgetter(at) if at else None,
                [TrackReader(streams[name].plan, its, track) for track, its in by_track.items()],
            )
            for (name, at), by_track in grouped.items()
        ]

    def __call__(self, event: object, default_at: datetime) -> list[FeatureValue]:
        """Return the windows' values in their order, for the event's keys.

        Args:
            event: The decision's event.
            default_at: Where windows without an ``at`` field end; aware.

        Raises:
            StewardError: ``features-too-old``: a window ends before what is still kept.
            ContractError: A time is not aware.
        """
        values = self._empty.copy()
        for keys, get_key, get_at, readers in self._groups:
            state = keys.get(key if type(key := get_key(event)) is str else str(key))
            if state is None:
                continue
            when: datetime = get_at(event) if get_at else default_at
            at = micros(when)
            if at < state.now - self._slack:
                raise _too_old(when, state.now - self._slack - at)
            tracks = state.tracks
            for reader in readers:
                reader.read(tracks[reader.track], at, values)
        return values


def _too_old(when: datetime, by: int) -> StewardError:
    return StewardError(
        f"features as of {when.isoformat()} can no longer be read online",
        why=f"that is {timedelta(microseconds=by)} before the oldest time kept for the key",
        fix="compute them over history, or make OnlineFeatures with a larger at_slack",
        code="features-too-old",
    )


def _unknown(name: str, known: Iterable[str]) -> DeclarationError:
    near = get_close_matches(name, list(known), n=1)
    return DeclarationError(
        f"no window reads a stream named {name!r}",
        fix=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(sorted(known)) or 'none'}",
        field="stream",
    )
