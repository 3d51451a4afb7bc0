"""The case's contracts: readings, published columns, the hourly question, and the meter's answer."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from steward.decision.contract import Event
from steward.decision.stream import Stream

Site = Annotated[str, Meta(min_length=1, max_length=64)]
Megawatts = Annotated[float, Meta(extra_json_schema={"unit": "MW"})]
MegawattHours = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "MWh"})]
Price = Annotated[float, Meta(ge=-10_000, le=10_000, extra_json_schema={"unit": "EUR/MWh"})]
Toll = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "EUR/MWh"})]

_LATENESS = timedelta(hours=6)


class LoadReading(Event, contract="grid.load"):
    """The region's mean load over an interval that starts at ``at``; known when the interval is over.

    Example:
        >>> LoadReading.contract_name
        'grid.load'
    """

    site: Site
    at: datetime
    load_mw: Annotated[float, Meta(ge=0, le=1_000_000, extra_json_schema={"unit": "MW"})]


class PriceReading(Event, contract="grid.price"):
    """The day-ahead price of the interval that starts at ``at``; known before the day begins.

    Example:
        >>> PriceReading.contract_name
        'grid.price'
    """

    site: Site
    at: datetime
    price_eur_mwh: Price


class TemperatureReading(Event, contract="grid.temperature"):
    """The mean temperature over an interval that starts at ``at``; known when the interval is over.

    Example:
        >>> TemperatureReading.contract_name
        'grid.temperature'
    """

    site: Site
    at: datetime
    temperature_c: Annotated[float, Meta(ge=-90, le=60, extra_json_schema={"unit": "degC"})]


class Published(Event, contract="grid.published"):
    """A value for the interval that starts at ``at``, published a day ahead: a forecast of wind, say.

    Example:
        >>> Published.contract_name
        'grid.published'
    """

    site: Site
    at: datetime
    value: float


class DispatchDue(Event, contract="grid.dispatch-due"):
    """Asks for the battery's set-point for the hour that starts at ``at``.

    Attributes:
        site: Whose battery.
        zone: The market's time zone.
        at: The start of the interval.
        day: The local day that ``at`` belongs to.
        plan_at: When the plan of the day was fixed: noon of the day before.
        day_start: The day's first instant.
        day_end: Its last.
        soc_mwh: What the store holds now.
        withdrawn_mwh: What was taken from it since the day began.
        soc_at_day_start_mwh: What it held when the day began.
        power_limit_mw: The battery's largest power.
        energy_limit_mwh: What it can hold.
        round_trip: Energy that comes back of what was drawn.
        daily_withdrawal_limit_mwh: Most energy taken from the store in a local day.
        wear_eur_mwh: What each MWh that passes the meter costs in lifetime.
        hurdle_eur_mwh: What a plan must expect to earn on each of them beyond that.

    Example:
        >>> DispatchDue.contract_name
        'grid.dispatch-due'
    """

    site: Site
    zone: str
    at: datetime
    day: date
    plan_at: datetime
    day_start: datetime
    day_end: datetime
    soc_mwh: MegawattHours
    withdrawn_mwh: MegawattHours
    soc_at_day_start_mwh: MegawattHours
    power_limit_mw: Annotated[float, Meta(gt=0, extra_json_schema={"unit": "MW"})]
    energy_limit_mwh: MegawattHours
    round_trip: Annotated[float, Meta(gt=0, le=1)]
    daily_withdrawal_limit_mwh: MegawattHours
    wear_eur_mwh: Toll = 0.0
    hurdle_eur_mwh: Toll = 0.0


class MeteredInterval(Event, contract="grid.metered-interval"):
    """What the meter says of the hour that started at ``at``; positive energy was fed into the grid.

    Example:
        >>> MeteredInterval.contract_name
        'grid.metered-interval'
    """

    site: Site
    at: datetime
    energy_mwh: Annotated[float, Meta(extra_json_schema={"unit": "MWh"})]
    price_eur_mwh: Price


class Setpoint(Struct, frozen=True):
    """The battery's power until the next decision: positive feeds the grid.

    Example:
        >>> Setpoint(power_mw=-10.0).power_mw
        -10.0
    """

    power_mw: Megawatts


HOLD = Setpoint(power_mw=0.0)
"""Neither charge nor discharge: what is done when a person says no, or nothing."""

load = Stream("grid.load", LoadReading, key="site", time="at", lateness=_LATENESS)
price = Stream("grid.price", PriceReading, key="site", time="at", lateness=_LATENESS)
temperature = Stream("grid.temperature", TemperatureReading, key="site", time="at", lateness=_LATENESS)


def published(column: str) -> Stream:
    """Return the stream of a column that is published a day ahead.

    Example:
        >>> published("wind_forecast_mw").name
        'grid.published.wind-forecast-mw'
    """
    return Stream(f"grid.published.{slug(column)}", Published, key="site", time="at", lateness=_LATENESS)


def slug(column: str) -> str:
    """Return a column's name as part of a topic: lower-case words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", column.lower()).strip("-") or "column"
