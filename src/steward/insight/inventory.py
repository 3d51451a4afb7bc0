"""The inventory: what each decision is worth a month and how it runs, to see where more automation would pay."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from msgspec import Struct

from steward.decision.decision import Decision
from steward.decision.risk import Risk
from steward.insight.rows import DecisionTotals, Worth
from steward.insight.value import MeanSaving, mean_saving
from steward.insight.views import Views
from steward.records import Money

MONTH_DAYS: Final = 30
"""The length of a month, for all that is told by the month."""
_DAY: Final = timedelta(days=1)
_ORDER: Final = {risk: place for place, risk in enumerate((Risk.LOW, Risk.MEDIUM, Risk.HIGH))}


class InventoryRow(Struct, frozen=True, kw_only=True):
    """One decision: how often it is made, what it is worth, and how often people are asked and decide otherwise.

    Attributes:
        name: The decision's name.
        owner: The team that answers for it.
        purpose: What is chosen.
        risk: How much harm a wrong choice can do.
        declared_a_month: How often it is made in 30 days, as declared.
        measured_a_month: How often it was, over the last 30 whole days (UTC), or the fewer there are, less the first;
            ``None`` until a day has passed whole.
        each: The mean saving of one, of all that have an outcome; ``None`` until one has.
        runs: How many were made.
        valued: How many of them have an outcome.
        asked: For how many a person was asked.
        overridden: For how many of these a person decided otherwise than was proposed.

    Example:
        >>> row = InventoryRow(name="pay.release", owner="payments", purpose="Release or hold", risk=Risk.LOW,
        ...     declared_a_month=100.0, runs=40, asked=10,
        ...     each=MeanSaving(mean=Money.of_minor(250, "EUR"), low=None, high=None))
        >>> row.asked_share, row.value_a_month.amount
        (0.25, Decimal('250.00'))
    """

    name: str
    owner: str
    purpose: str
    risk: Risk
    declared_a_month: float | None = None
    measured_a_month: float | None = None
    each: MeanSaving | None = None
    runs: int = 0
    valued: int = 0
    asked: int = 0
    overridden: int = 0

    @property
    def a_month(self) -> float | None:
        """How often it is made in a month: as measured, or else as declared."""
        return self.declared_a_month if self.measured_a_month is None else self.measured_a_month

    @property
    def value_a_month(self) -> Money | None:
        """What it saves in a month, at this frequency and the mean saving."""
        if self.each is None or self.a_month is None:
            return None
        return Money.rounded(float(self.each.mean.amount) * self.a_month, self.each.mean.unit)

    @property
    def asked_share(self) -> float | None:
        """The share (0..1) of its runs in which a person was asked."""
        return self.asked / self.runs if self.runs else None

    @property
    def overridden_share(self) -> float | None:
        """The share (0..1) of the asked ones in which that person decided otherwise."""
        return self.overridden / self.asked if self.asked else None


def inventory(
    decisions: Iterable[Decision[Any, Any, Any]],
    views: Views,
    now: datetime,
    *,
    among: Collection[str] | None = None,
) -> list[InventoryRow]:
    """Return what is declared, the most worth automating first: low risk before high, then what is made most often.

    Args:
        decisions: What is declared.
        views: What was measured.
        now: Says which days are whole.
        among: Some decisions only.
    """
    known = {each.decision: each for each in views.totals()}
    measured = _measured(views, now)
    rows = [
        _row(decision, known.get(decision.name), measured.get(decision.name))
        for decision in decisions
        if among is None or decision.name in among
    ]
    return sorted(rows, key=lambda row: (_ORDER[row.risk], -(row.a_month or 0.0), row.name))


def _row(decision: Decision[Any, Any, Any], totals: DecisionTotals | None, a_month: float | None) -> InventoryRow:
    economics = decision.economics
    counted: dict[str, Any] = {}
    if totals is not None:
        counted = {name: getattr(totals, name) for name in ("runs", "asked", "overridden")}
        worth = None if economics is None else _in_unit(totals.worth, economics.unit)
        if worth is not None:
            counted |= {"each": mean_saving(worth), "valued": worth.valued}
    return InventoryRow(
        name=decision.name,
        owner=decision.owner,
        purpose=decision.purpose,
        risk=decision.risk,
        declared_a_month=None if economics is None else economics.per_month,
        measured_a_month=a_month,
        **counted,
    )


def _in_unit(worth: Iterable[Worth], unit: str) -> Worth | None:
    return next((each for each in worth if each.unit == unit), None)


def _measured(views: Views, now: datetime) -> dict[str, float]:
    """Return how often each decision is made in a month, by whole days: the present one and the first are not."""
    today = datetime.combine(now.date(), time(), UTC)
    found = {}
    for name, first in views.first_days().items():
        since = max(datetime.combine(first, time(), UTC) + _DAY, today - MONTH_DAYS * _DAY)
        if since < today:
            found[name] = views.runs_between(since, today, among=[name]) * MONTH_DAYS / ((today - since) // _DAY)
    return found
