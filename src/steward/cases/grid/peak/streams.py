"""What is asked each half-hour, and what the meter says afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from steward.cases.grid.streams import MegawattHours, Megawatts, Site
from steward.decision.contract import Event

Load = Annotated[float, Meta(ge=0, le=1_000_000, extra_json_schema={"unit": "MW"})]
Positive = Annotated[float, Meta(gt=0)]


class ShavingDue(Event, contract="grid.shaving-due"):
    """Asks for the battery's set-point for the interval that starts at ``at``.

    Attributes:
        site: Whose meter is kept low.
        zone: The time zone of its days and months.
        at: The start of the interval.
        hours: Its length.
        paid_mw: The highest mean load that the meter has shown this month.
        soc_mwh: What the store holds now.
        withdrawn_mwh: What was taken from it since the local day began.
        power_limit_mw: The battery's largest power.
        energy_limit_mwh: What it can hold.
        round_trip: Energy that comes back of what was drawn.
        daily_withdrawal_limit_mwh: Most energy taken from the store in a local day.

    Example:
        >>> ShavingDue.contract_name
        'grid.shaving-due'
    """

    site: Site
    zone: str
    at: datetime
    hours: Positive
    paid_mw: Load
    soc_mwh: MegawattHours
    withdrawn_mwh: MegawattHours
    power_limit_mw: Positive
    energy_limit_mwh: MegawattHours
    round_trip: Annotated[float, Meta(gt=0, le=1)]
    daily_withdrawal_limit_mwh: MegawattHours


class MeteredDemand(Event, contract="grid.metered-demand"):
    """What the meter says of the interval that started at ``at``, and what the month's peaks were before it.

    Attributes:
        site: Whose meter.
        at: The start of the interval.
        load_mw: What the site drew without its battery.
        net_mw: What the meter showed; with charging more than the load, with discharging less.
        paid_mw: The month's highest ``net_mw`` before.
        unshaved_mw: The month's highest ``load_mw`` before.

    Example:
        >>> MeteredDemand.contract_name
        'grid.metered-demand'
    """

    site: Site
    at: datetime
    load_mw: Load
    net_mw: Megawatts
    paid_mw: Load
    unshaved_mw: Load
