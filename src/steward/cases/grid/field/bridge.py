"""From the field to the bus: each reading becomes an event, stored once however often it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta

from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.field.source import PATIENT, Backoff
from steward.clock import Clock
from steward.decision.contract import Contract, Event
from steward.decision.stream import Stream
from steward.errors import EngineError
from steward.ledger.port import Message

Publish = Callable[[Sequence[Message]], Awaitable[object]]
_LATENESS = timedelta(hours=6)
_Name = Annotated[str, Meta(min_length=1, max_length=64)]


class FieldReading(Event, contract="grid.reading"):
    """What a point of the field said; good or bad, as it came.

    Attributes:
        point: Its thing and reading type, joined by a slash: the key.
        mrid: The thing (CIM ``mRID``).
        reading_type: What was measured, and in which unit.
        value: ``None`` if the device gave no number.
        quality: How far to trust it.
        at: When the device measured it.
        server_time: When the server that speaks for it took it.

    Example:
        >>> FieldReading.contract_name
        'grid.reading'
    """

    point: Annotated[str, Meta(min_length=3, max_length=129)]
    mrid: _Name
    reading_type: _Name
    value: float | None
    quality: Quality
    at: datetime
    server_time: datetime


readings = Stream("grid.reading", FieldReading, key="point", time="at", lateness=_LATENESS)


class Bridge:
    """Takes readings from sources and puts them on the bus.

    :meth:`take` returns once they are kept, so that a source acknowledges nothing that could be lost. While the bus is
    full it waits, and with it the source.

    Args:
        publish: Puts messages on the bus: :meth:`steward.runtime.runtime.Runtime.publish`.
        clock: For waits, and for when a reading was first known.
        sender: The CloudEvents source. The same for all ways by which a point is heard, as a reading is then stored
            once, whichever way it came first.
        backoff: How long to wait while the bus is full.

    Example:
        >>> import asyncio
        >>> from steward.clock import VirtualClock
        >>> noon = datetime.fromisoformat("2018-01-01T12:00:00Z")
        >>> said = Point("es.feeder-1", "load_mw").reading(4.2, source_time=noon, server_time=noon, now=noon)
        >>> async def publish(messages: Sequence[Message]) -> None:
        ...     print(messages[0].topic, messages[0].key, messages[0].id)
        >>> asyncio.run(Bridge(publish, clock=VirtualClock(noon)).take([said]))
        grid.reading es.feeder-1/load_mw es.feeder-1/load_mw 2018-01-01T12:00:00+00:00 good
    """

    def __init__(self, publish: Publish, *, clock: Clock, sender: str = "field", backoff: Backoff = PATIENT) -> None:
        self._publish, self._clock, self._sender, self._backoff = publish, clock, sender, backoff
        self._contract = Contract.of(FieldReading)

    async def take(self, readings: Sequence[Reading]) -> None:
        """Put readings on the bus, all or none.

        Raises:
            EngineError: The bus cannot write, and trying again would not help.
        """
        messages, failures = [self._message(reading) for reading in readings], 0
        while True:
            try:
                await self._publish(messages)
                return
            except EngineError as full:
                if not full.retryable:
                    raise
            failures += 1
            await self._clock.sleep_until(self._clock.now() + self._backoff.wait(failures, self._clock))

    def _message(self, reading: Reading) -> Message:
        event, point = event_of(reading), Point.of(reading).name
        return Message(
            topic=self._contract.name,
            key=point,
            source=self._sender,
            id=f"{point} {reading.source_time.isoformat()} {reading.quality.value}",
            data=self._contract.encode(event),
            version=self._contract.version,
            event_time=reading.source_time,
            known_at=self._clock.now(),
        )


def event_of(reading: Reading) -> FieldReading:
    """Return a reading as an event."""
    return FieldReading(
        point=Point.of(reading).name,
        mrid=reading.mrid,
        reading_type=reading.reading_type,
        value=reading.value,
        quality=reading.quality,
        at=reading.source_time,
        server_time=reading.server_time,
    )
