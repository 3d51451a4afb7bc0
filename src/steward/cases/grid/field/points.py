"""What is measured where: the points of a site, and how what a device says of one becomes a reading."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from steward.cases.grid.field.reading import Quality, Reading


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One measured value of one thing.

    Args:
        mrid: The thing (CIM ``mRID``).
        reading_type: What is measured of it; :mod:`~steward.cases.grid.field.cim` says how CIM names it.

    Example:
        >>> Point("es.battery", "soc_mwh").name
        'es.battery/soc_mwh'
    """

    mrid: str
    reading_type: str

    @property
    def name(self) -> str:
        """Both, joined: the name of its node, metric or topic."""
        return f"{self.mrid}/{self.reading_type}"

    @classmethod
    def of(cls, reading: Reading) -> Point:
        """Return the point that a reading is of."""
        return cls(reading.mrid, reading.reading_type)

    def reading(
        self,
        value: object,
        *,
        quality: Quality = Quality.GOOD,
        source_time: datetime | None,
        server_time: datetime | None,
        now: datetime,
    ) -> Reading:
        """Return what a device said as a reading, whatever it said: only a finite number is a value.

        Args:
            value: As it came. Anything but a finite number, a truth value among them, is no value and bad.
            quality: As the device judges it.
            source_time: When it was measured; without it the server's time stands in, and the reading is uncertain.
            server_time: When the server took it; without it ``now`` stands in.
            now: When it came here.

        Example:
            >>> from datetime import UTC
            >>> noon = datetime(2018, 1, 1, 12, tzinfo=UTC)
            >>> said = Point("f1", "load_mw").reading("4.2", source_time=noon, server_time=noon, now=noon)
            >>> said.value, said.quality
            (None, <Quality.BAD: 'bad'>)
        """
        number = finite(value)
        if number is None:
            quality = Quality.BAD
        elif source_time is None and quality is Quality.GOOD:
            quality = Quality.UNCERTAIN
        taken = server_time or now
        return Reading(
            mrid=self.mrid,
            reading_type=self.reading_type,
            value=number,
            quality=quality,
            source_time=source_time or taken,
            server_time=taken,
        )


def finite(value: object) -> float | None:
    """Return a finite number as a float, and ``None`` for everything else.

    Example:
        >>> finite(3), finite(float("nan")), finite(True), finite(10**400)
        (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Layout:
    """The things of a site that are measured, by name.

    Args:
        name: The site's own name; all mRIDs begin with it.
        feeders: How many lines feed its customers.

    Example:
        >>> layout = Layout("es", feeders=3)
        >>> layout.feeder(1), layout.battery, len(layout.points)
        ('es.feeder-1', 'es.battery', 15)
    """

    name: str
    feeders: int = 3

    @property
    def battery(self) -> str:
        """The battery's mRID."""
        return f"{self.name}.battery"

    @property
    def meter(self) -> str:
        """The mRID of the usage point where the site meets the grid."""
        return f"{self.name}.meter"

    @property
    def weather(self) -> str:
        """The weather station's mRID."""
        return f"{self.name}.weather"

    def feeder(self, number: int) -> str:
        """Return the mRID of a feeder, counted from 1."""
        return f"{self.name}.feeder-{number}"

    @property
    def points(self) -> tuple[Point, ...]:
        """Everything that is measured, in a fixed order."""
        return tuple(self._points())

    def _points(self) -> Iterator[Point]:
        for number in range(1, self.feeders + 1):
            yield Point(self.feeder(number), "load_mw")
        for reading_type in BATTERY:
            yield Point(self.battery, reading_type)
        for reading_type in METER:
            yield Point(self.meter, reading_type)
        yield Point(self.weather, "temperature_c")


BATTERY = (
    "power_mw",
    "setpoint_mw",
    "soc_mwh",
    "soc_at_day_start_mwh",
    "energy_limit_mwh",
    "power_limit_mw",
    "withdrawn_mwh",
    "temperature_c",
)
"""What a battery says of itself."""
METER = ("power_mw", "exported_mwh", "imported_mwh")
"""What a meter says; energy only grows."""
