"""One reading as the field gives it: a value with its quality, its two times, and the names of IEC CIM."""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from steward.errors import ContractError

_SEVERITY_SHIFT = 30
_MAX_STATUS = 0xFFFF_FFFF


class Quality(StrEnum):
    """How far a reading can be trusted: the severity in the two highest bits of an OPC UA status code.

    Example:
        >>> Quality.of_status(0x40920000)
        <Quality.UNCERTAIN: 'uncertain'>
    """

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"

    @classmethod
    def of_status(cls, status: int) -> Quality:
        """Return the quality that an OPC UA status code of 32 bits stands for; the reserved severity is bad.

        Raises:
            ContractError: It is no number of 32 bits.
        """
        if not 0 <= status <= _MAX_STATUS:
            raise ContractError(
                f"{status} is no status code", why="it has 32 bits", fix="send the code as it came", field="status"
            )
        return (cls.GOOD, cls.UNCERTAIN, cls.BAD, cls.BAD)[status >> _SEVERITY_SHIFT]


class Reading(Struct, frozen=True, kw_only=True):
    """What one point of the field said at one instant; the same for OPC UA, Modbus and MQTT.

    Args:
        mrid: The point that was measured (CIM ``IdentifiedObject.mRID``).
        reading_type: What was measured and its unit (CIM ``ReadingType``), for example ``power_mw``.
        value: In the unit of the reading type; ``None`` if the device gave no finite number.
        quality: How far to trust it.
        source_time: When the device measured it, aware.
        server_time: When the server that speaks for the device took it, aware.

    Raises:
        ContractError: A time has no zone, or a value is not finite.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2018, 1, 1, 12, tzinfo=UTC)
        >>> reading = Reading(
        ...     mrid="feeder-1", reading_type="load_mw", value=4.2,
        ...     quality=Quality.GOOD, source_time=noon, server_time=noon
        ... )
        >>> reading.is_good
        True
    """

    mrid: Annotated[str, Meta(min_length=1, max_length=64)]
    reading_type: Annotated[str, Meta(min_length=1, max_length=64)]
    value: float | None
    quality: Quality
    source_time: datetime
    server_time: datetime

    def __post_init__(self) -> None:
        """Refuse what no check of quality could judge."""
        for name, at in (("source_time", self.source_time), ("server_time", self.server_time)):
            if at.utcoffset() is None:
                raise ContractError(
                    f"{name} has no zone",
                    why="readings of several devices are ordered by it",
                    fix="use UTC",
                    field=name,
                )
        if self.value is not None and not math.isfinite(self.value):
            raise ContractError(
                f"{self.value} is no reading", why="it is not finite", fix="send none, of bad quality", field="value"
            )

    @property
    def is_good(self) -> bool:
        """Whether it has a value, of good quality; age and range are for the checks to judge."""
        return self.value is not None and self.quality is Quality.GOOD
