"""The position of a delivery period, the order that may close it, and what it was settled at."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from steward.cases.grid.streams import MegawattHours, Price, Site
from steward.decision.contract import Event

Euros = Annotated[float, Meta(extra_json_schema={"unit": "EUR"})]


class PositionForecast(Event, contract="grid.position-forecast"):
    """What a delivery period will need, against what is contracted for it, and what the market asks.

    Attributes:
        site: Whose portfolio.
        at: The start of the delivery period.
        day: Its local day, whose budget counts.
        plan_mwh: What is contracted.
        forecast_mwh: What will be needed.
        ask_eur_mwh: What the market asks now.
        imbalance_eur_mwh: What being short is expected to cost.
        bought_mwh: What was bought for this day so far.
        spent_eur: What that cost.

    Example:
        >>> PositionForecast.contract_name
        'grid.position-forecast'
    """

    site: Site
    at: datetime
    day: date
    plan_mwh: MegawattHours
    forecast_mwh: MegawattHours
    ask_eur_mwh: Price
    imbalance_eur_mwh: Price
    bought_mwh: MegawattHours
    spent_eur: Euros


class PurchaseSettled(Event, contract="grid.purchase-settled"):
    """What was bought for a delivery period, at which price, and what being short did cost in the end.

    Example:
        >>> PurchaseSettled.contract_name
        'grid.purchase-settled'
    """

    site: Site
    at: datetime
    bought_mwh: MegawattHours
    price_eur_mwh: Price
    imbalance_eur_mwh: Price


class PurchaseOrder(Struct, frozen=True, kw_only=True):
    """Buy up to an amount at up to a price, at once or not at all; an amount of zero buys nothing.

    Example:
        >>> PurchaseOrder(energy_mwh=12.0, limit_eur_mwh=85.0).spend_eur
        1020.0
    """

    energy_mwh: MegawattHours
    limit_eur_mwh: Price

    @property
    def spend_eur(self) -> float:
        """The most it can cost; below zero if the seller pays."""
        return self.energy_mwh * self.limit_eur_mwh


NOTHING: Final = PurchaseOrder(energy_mwh=0.0, limit_eur_mwh=0.0)
"""No order: what is done when a person says no, or nothing; the period's shortage is then settled as imbalance."""
