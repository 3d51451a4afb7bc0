"""How IEC CIM names what is measured here: the table that the documents show, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTypeCode:
    """The parts of a CIM ``ReadingType`` that are ever other than 0 here (IEC 61968-9, annex C).

    Attributes:
        macro_period: 11 is a day.
        accumulation: 1 bulk quantity, 4 delta, 6 indicating (now).
        flow: 1 forward (taken from the grid), 4 net, 19 reverse (fed into it).
        commodity: 1 electricity, secondary metered; 0 none.
        kind: 12 energy, 37 power, 46 temperature.
        multiplier: A power of ten: 6 is mega.
        unit: 23 degree Celsius, 38 watt, 72 watt-hour.

    Example:
        >>> str(ReadingTypeCode(accumulation=6, flow=4, commodity=1, kind=37, multiplier=6, unit=38))
        '0.0.0.6.4.1.37.0.0.0.0.0.0.0.0.6.38.0'
    """

    macro_period: int = 0
    accumulation: int
    flow: int = 0
    commodity: int = 0
    kind: int
    multiplier: int = 0
    unit: int

    def __str__(self) -> str:
        period, accumulation, flow, commodity, kind, multiplier, unit = astuple(self)
        parts = (period, 0, 0, accumulation, flow, commodity, kind, *(0,) * 8, multiplier, unit, 0)
        return ".".join(str(part) for part in parts)


@dataclass(frozen=True, slots=True)
class CimName:
    """How CIM names a reading type of ours.

    Attributes:
        attribute: The class and attribute that hold the value.
        unit: As CIM writes it.
        code: The full code, where the value is a meter's reading.

    Example:
        >>> READING_TYPES["soc_mwh"].attribute
        'BatteryUnit.storedE'
    """

    attribute: str
    unit: str
    code: ReadingTypeCode | None = None


def _power(flow: int) -> ReadingTypeCode:
    return ReadingTypeCode(accumulation=6, flow=flow, commodity=1, kind=37, multiplier=6, unit=38)


def _energy(accumulation: int, flow: int, macro_period: int = 0) -> ReadingTypeCode:
    return ReadingTypeCode(
        macro_period=macro_period, accumulation=accumulation, flow=flow, commodity=1, kind=12, multiplier=6, unit=72
    )


READING_TYPES: Final[Mapping[str, CimName]] = MappingProxyType(
    {
        "load_mw": CimName("Reading.value", "MW", _power(flow=1)),
        "power_mw": CimName("Reading.value", "MW", _power(flow=4)),
        "exported_mwh": CimName("Reading.value", "MWh", _energy(accumulation=1, flow=19)),
        "imported_mwh": CimName("Reading.value", "MWh", _energy(accumulation=1, flow=1)),
        "withdrawn_mwh": CimName("Reading.value", "MWh", _energy(accumulation=4, flow=19, macro_period=11)),
        "temperature_c": CimName("Reading.value", "degC", ReadingTypeCode(accumulation=6, kind=46, unit=23)),
        "setpoint_mw": CimName("SetPoint.value", "MW"),
        "soc_mwh": CimName("BatteryUnit.storedE", "MWh"),
        "soc_at_day_start_mwh": CimName("BatteryUnit.storedE", "MWh"),
        "energy_limit_mwh": CimName("BatteryUnit.ratedE", "MWh"),
        "power_limit_mw": CimName("PowerElectronicsUnit.maxP", "MW"),
    }
)
"""Every ``reading_type`` of the field."""

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mrid": "IdentifiedObject.mRID",
        "reading_type": "ReadingType (its name; the code is in the other table)",
        "value": "Reading.value",
        "quality": "ReadingQuality.ReadingQualityType (1.0.0 valid, 1.5.259 validation failed, 1.7.0 questionable)",
        "source_time": "Reading.timeStamp",
        "server_time": "Reading.reportedDateTime",
    }
)
"""Every field of a reading."""

THINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "feeder": "Feeder, with a UsagePoint at its head",
        "battery": "BatteryUnit of a PowerElectronicsConnection",
        "meter": "UsagePoint, with a Meter (EndDevice)",
        "weather": "EnvironmentalMonitoringStation",
    }
)
"""What the last part of an mRID stands for; the digits of ``feeder-1`` left out."""
