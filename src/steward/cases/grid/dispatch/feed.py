"""History as it became known: the messages that arrived between two instants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta

import numpy as np
from msgspec import structs

from steward.cases.grid import streams
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.streams import LoadReading, PriceReading, Published, TemperatureReading
from steward.decision.contract import Contract, Event
from steward.decision.stream import Stream
from steward.ledger.port import Message

_DAY = timedelta(days=1)
_PRICES_AT = time(13)
"""When the auction of the next local day is published, by the wall clock."""


class Feed:
    """Turns an hourly history into messages, each with the time at which it was known.

    Load and temperature of an hour are known when it is over, prices of a day at 13:00 of the day before, published
    columns at noon of the day before. What is missing in the history is never sent.

    Args:
        site: The key of all readings.
        history: Hourly.
        columns: What its columns mean.
        prices_ahead: Whether prices are known the day before; else each is known when its hour is over.

    Example:
        >>> from datetime import UTC
        >>> from steward.cases.grid.data.local_days import LocalDays
        >>> midnight = datetime(2017, 12, 31, 23, tzinfo=UTC)
        >>> history = History(LocalDays("Europe/Madrid"), midnight, HOUR, {"eur": np.arange(72.0)})
        >>> feed = Feed("es", history, Columns(price="eur"))
        >>> noon = midnight + timedelta(hours=12)
        >>> len(feed.known(noon, noon + HOUR)), len(feed.known(noon + HOUR, noon + 2 * HOUR))
        (24, 0)
    """

    def __init__(self, site: str, history: History, columns: Columns, *, prices_ahead: bool = True) -> None:
        self.site, self.history, self.columns, self._prices_ahead = site, history, columns, prices_ahead
        self._published = {name: streams.published(name) for name in columns.ahead}

    def known(self, after: datetime, until: datetime) -> list[Message]:
        """Return everything that became known later than ``after`` and not later than ``until``."""
        return [*self._readings(after, until), *self._day_ahead(after, until)]

    def corrected(self, since: datetime, until: datetime, now: datetime, *, revision: str) -> list[Message]:
        """Return the prices of the hours from ``since`` to before ``until`` again, as far as they were published.

        Args:
            since: The first hour.
            until: The first one that is not meant.
            now: When the correction becomes known.
            revision: Tells it from what was sent before.
        """
        local, messages = self.history.local, []
        for at, value in self._values(self.columns.price, since - HOUR, until - HOUR):
            if self._prices_ahead and local.at(local.day_of(at) - _DAY, _PRICES_AT) <= now:
                price = PriceReading(site=self.site, at=at, price_eur_mwh=value)
                told = self._message(streams.price, price, at, now)
                messages.append(structs.replace(told, id=f"{told.id}/{revision}"))
        return messages

    def _readings(self, after: datetime, until: datetime) -> Iterator[Message]:
        first, last = after - HOUR, until - HOUR
        if not self._prices_ahead:
            for at, value in self._values(self.columns.price, first, last):
                price = PriceReading(site=self.site, at=at, price_eur_mwh=value)
                yield self._message(streams.price, price, at, at + HOUR)
        if (load := self.columns.load) is not None:
            for at, value in self._values(load, first, last):
                reading = LoadReading(site=self.site, at=at, load_mw=value)
                yield self._message(streams.load, reading, at, at + HOUR)
        if (temperature := self.columns.temperature) is not None:
            for at, value in self._values(temperature, first, last):
                measured = TemperatureReading(site=self.site, at=at, temperature_c=value)
                yield self._message(streams.temperature, measured, at, at + HOUR)

    def _day_ahead(self, after: datetime, until: datetime) -> Iterator[Message]:
        local = self.history.local
        day, last = local.day_of(after), local.day_of(until) + _DAY
        while day <= last:
            start, end = local.start(day) - HOUR, local.start(day + _DAY) - HOUR
            if self._prices_ahead and after < (known_at := local.at(day - _DAY, _PRICES_AT)) <= until:
                for at, value in self._values(self.columns.price, start, end):
                    price = PriceReading(site=self.site, at=at, price_eur_mwh=value)
                    yield self._message(streams.price, price, at, known_at)
            if after < (known_at := local.plan_at(day)) <= until:
                for name, stream in self._published.items():
                    for at, value in self._values(name, start, end):
                        published = Published(site=self.site, at=at, value=value)
                        yield self._message(stream, published, at, known_at)
            day += _DAY

    def _values(self, name: str, after: datetime, until: datetime) -> Iterator[tuple[datetime, float]]:
        """Yield the values of the hours that start later than ``after`` and not later than ``until``."""
        history, column = self.history, self.history.columns[name]
        first, last = max(history.index(after) + 1, 0), min(history.index(until) + 1, history.rows)
        for row in range(first, last):
            value = float(column[row])
            if np.isfinite(value):
                yield history.start + row * HOUR, value

    def _message(self, stream: Stream, event: Event, at: datetime, known_at: datetime) -> Message:
        contract = Contract.of(type(event))
        return Message(
            topic=stream.name,
            key=self.site,
            source="grid-history",
            id=f"{stream.name}/{at.isoformat()}",
            data=contract.encode(event),
            version=contract.version,
            event_time=at,
            known_at=known_at,
        )
