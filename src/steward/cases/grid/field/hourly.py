"""From readings to the case's hourly events: what a forecast learns from is the mean of a whole hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from steward.cases.grid import streams
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.field.bridge import Publish
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.reading import Reading
from steward.cases.grid.streams import LoadReading, TemperatureReading
from steward.clock import EPOCH, Clock
from steward.decision.contract import Contract, Event
from steward.decision.stream import Stream
from steward.ledger.port import Message


@dataclass(slots=True)
class _Mean:
    """A mean that grows; a reading that comes twice counts once."""

    total: float
    count: int
    seen: set[datetime]

    def add(self, value: float, at: datetime) -> None:
        if at not in self.seen:
            self.seen.add(at)
            self.total, self.count = self.total + value, self.count + 1

    @property
    def value(self) -> float:
        return self.total / self.count


class HourlyMeans:
    """Publishes the site's load and temperature of each hour, once the hour is over.

    Only good readings count. An hour is over when something was measured in a later one. The load is that of all
    feeders together: an hour in which one of them said nothing good has no load, and none is made up. What comes for
    an hour that was published changes nothing. A device whose clock is ahead would end an hour too early: times are for
    the checks of readings to judge, before.

    Args:
        layout: The site.
        publish: Puts messages on the bus.
        clock: For when an hour was first known.
        load_share: The part of the region's load that the site feeds; the event says the region's.

    Example:
        >>> import asyncio
        >>> from datetime import timedelta
        >>> from steward.clock import VirtualClock
        >>> noon = datetime.fromisoformat("2018-01-01T12:00:00Z")
        >>> async def publish(messages: Sequence[Message]) -> None:
        ...     print(messages[0].data.decode())
        >>> def said(minutes: int, load_mw: float) -> Reading:
        ...     at = noon + timedelta(minutes=minutes)
        ...     return Point("es.feeder-1", "load_mw").reading(load_mw, source_time=at, server_time=at, now=at)
        >>> means = HourlyMeans(Layout("es", feeders=1), publish, clock=VirtualClock(noon))
        >>> asyncio.run(means.take([said(0, 4.0), said(30, 5.0), said(60, 9.0)]))
        {"site":"es","at":"2018-01-01T12:00:00Z","load_mw":4.5}
    """

    def __init__(self, layout: Layout, publish: Publish, *, clock: Clock, load_share: float = 1.0) -> None:
        self._layout, self._publish, self._clock, self._load_share = layout, publish, clock, load_share
        self._feeders = [Point(layout.feeder(number), "load_mw") for number in range(1, layout.feeders + 1)]
        self._weather = Point(layout.weather, "temperature_c")
        self._heard = {*self._feeders, self._weather}
        self._hours: dict[datetime, dict[Point, _Mean]] = defaultdict(dict)
        self._over_until = EPOCH

    async def take(self, readings: Sequence[Reading]) -> None:
        """Count readings, and publish what they complete.

        Raises:
            EngineError: The bus is full or cannot write; the readings may be taken again.
        """
        for reading in readings:
            point, at = Point.of(reading), reading.source_time
            hour = at - (at - EPOCH) % HOUR
            if point in self._heard and reading.is_good and reading.value is not None and hour >= self._over_until:
                self._hours[hour].setdefault(point, _Mean(0.0, 0, set())).add(reading.value, at)
        if not self._hours:
            return
        newest = max(self._hours)
        if messages := [message for hour in sorted(self._hours) if hour < newest for message in self._messages(hour)]:
            await self._publish(messages)
        self._hours = defaultdict(dict, {newest: self._hours[newest]})
        self._over_until = newest

    def _messages(self, hour: datetime) -> Iterator[Message]:
        means, site = self._hours[hour], self._layout.name
        if all(feeder in means for feeder in self._feeders):
            load_mw = round(sum(means[feeder].value for feeder in self._feeders) / self._load_share, 6)
            yield self._message(streams.load, LoadReading(site=site, at=hour, load_mw=load_mw), hour)
        if self._weather in means:
            celsius = round(means[self._weather].value, 6)
            yield self._message(
                streams.temperature, TemperatureReading(site=site, at=hour, temperature_c=celsius), hour
            )

    def _message(self, stream: Stream, event: Event, hour: datetime) -> Message:
        contract = Contract.of(type(event))
        return Message(
            topic=stream.name,
            key=self._layout.name,
            source="field",
            id=f"{stream.name}/{hour.isoformat()}",
            data=contract.encode(event),
            version=contract.version,
            event_time=hour,
            known_at=self._clock.now(),
        )
