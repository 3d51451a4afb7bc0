"""What decisions were worth: the saving against the baseline, next to how many it was counted on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from fractions import Fraction
from math import ceil, floor, sqrt
from typing import Final

from msgspec import Struct

from steward.insight.rows import DecisionTotals, Worth
from steward.insight.views import Views
from steward.records import Money

FEWEST_FOR_INTERVAL: Final = 30
LEVEL: Final = 0.95
_Z: Final = 1.959964


class MeanSaving(Struct, frozen=True, kw_only=True):
    """The mean saving of one decision, and where the true mean lies with probability ``level``.

    The interval takes savings as independent of each other; it is absent below 30 of them.

    Example:
        >>> euro = Money.of_minor(100, "EUR")
        >>> MeanSaving(mean=euro, low=None, high=None).mean.amount
        Decimal('1.00')
    """

    mean: Money
    low: Money | None
    high: Money | None
    level: float = LEVEL


class ValueSummary(Struct, frozen=True, kw_only=True):
    """What one decision was worth in one currency.

    Attributes:
        decision: Its name.
        unit: The currency; empty as long as no outcome came.
        runs: How many were decided.
        valued: How many of them have an outcome; all sums below are over these.
        asked: For how many a person was asked.
        value: What was earned.
        baseline: What the baseline would have earned.
        saving: The difference: what the decisions were worth.
        each: The mean saving of one decision.

    Example:
        >>> ValueSummary(decision="pay.release", unit="", runs=3, valued=0, asked=0).saving is None
        True
    """

    decision: str
    unit: str
    runs: int
    valued: int
    asked: int
    value: Money | None = None
    baseline: Money | None = None
    saving: Money | None = None
    each: MeanSaving | None = None


def summary(
    views: Views,
    *,
    decision: str | None = None,
    since: date | None = None,
    until: date | None = None,
    among: Collection[str] | None = None,
) -> list[ValueSummary]:
    """Return what each decision was worth, by name; of decisions made on some days (UTC, inclusive) if given.

    Args:
        views: Where to look.
        decision: One decision only.
        since: The first day.
        until: The last day.
        among: Some decisions only.
    """
    return summarised(
        totals
        for totals in views.totals(since=since, until=until)
        if decision in (None, totals.decision) and (among is None or totals.decision in among)
    )


def summarised(found: Iterable[DecisionTotals]) -> list[ValueSummary]:
    """Return what each decision was worth, from its totals; one row for each currency, or one without any."""
    rows: list[ValueSummary] = []
    for totals in found:
        count = (totals.decision, totals.runs, totals.asked)
        rows += [_summary(*count, worth) for worth in totals.worth] or [_unvalued(*count)]
    return rows


def _unvalued(decision: str, runs: int, asked: int) -> ValueSummary:
    return ValueSummary(decision=decision, unit="", runs=runs, valued=0, asked=asked)


def _summary(decision: str, runs: int, asked: int, worth: Worth) -> ValueSummary:
    return ValueSummary(
        decision=decision,
        unit=worth.unit,
        runs=runs,
        valued=worth.valued,
        asked=asked,
        value=worth.value,
        baseline=worth.baseline,
        saving=worth.saving,
        each=mean_saving(worth),
    )


def mean_saving(worth: Worth) -> MeanSaving:
    """Return the mean saving with its interval, the bounds rounded outwards to minor units.

    Example:
        >>> even = Worth(unit="EUR", valued=100, value_minor=0, baseline_minor=0, saving_minor=10_000,
        ...              squares_minor=2_000_000)
        >>> each = mean_saving(even)
        >>> each.mean.amount, each.low.amount, each.high.amount
        (Decimal('1.00'), Decimal('0.80'), Decimal('1.20'))
    """
    count, total = worth.valued, worth.saving_minor
    mean = Money.of_minor(round(Fraction(total, count)), worth.unit)
    if count < FEWEST_FOR_INTERVAL:
        return MeanSaving(mean=mean, low=None, high=None)
    # All integers until the last step: sums of squares of floats would cancel.
    half = _Z * sqrt((count * worth.squares_minor - total * total) / (count * count * (count - 1)))
    low, high = floor(total / count - half), ceil(total / count + half)
    return MeanSaving(mean=mean, low=Money.of_minor(low, worth.unit), high=Money.of_minor(high, worth.unit))


def as_text(money: Money | None) -> str:
    """Write an amount for people.

    Example:
        >>> as_text(Money.of_minor(123_456_789, "EUR")), as_text(None)
        ('1,234,567.89 EUR', '-')
    """
    return "-" if money is None else f"{money.amount:,} {money.unit}"
