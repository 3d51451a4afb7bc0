"""What is worth automating: how often each decision is made, and what one of them saves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from msgspec import Struct

from steward.console.audience import Audience
from steward.console.charts.figures import Bubble, Bubbles, Tone
from steward.console.words import title
from steward.decision.decision import Decision
from steward.decision.risk import Risk
from steward.insight.rows import DecisionTotals
from steward.insight.value import mean_saving
from steward.records import Money

WORTH: Final = "worth-automating"
_DAYS_A_MONTH: Final = 365 / 12
_COUNTED_DAYS: Final = 30
_TONES: Final = {Risk.LOW: Tone.GOOD, Risk.MEDIUM: Tone.CAUTION, Risk.HIGH: Tone.BAD}


class Automating(Struct, frozen=True, kw_only=True):
    """The decisions that have a place on the chart, and those that have none yet.

    Attributes:
        chart: Those with a mean saving above zero.
        unmeasured: The names of those of which no outcome is known yet.
        losing: Those that saved nothing, or lost: their names, with the mean.

    Example:
        >>> chart = Bubbles(name=WORTH, title="Decisions", x_label="a day", y_label="each", bubbles=())
        >>> Automating(chart=chart, unmeasured=("Refund",), losing=()).unmeasured
        ('Refund',)
    """

    chart: Bubbles
    unmeasured: tuple[str, ...]
    losing: tuple[tuple[str, Money], ...]


def worth_automating(audience: Audience, totals: Sequence[DecisionTotals]) -> Automating:
    """Return where the decisions that an audience may read lie; ``totals`` are theirs."""
    by_name = {each.decision: each for each in totals}
    bubbles: list[Bubble] = []
    unmeasured: list[str] = []
    losing: list[tuple[str, Money]] = []
    for name, decision in audience.runtime.decisions.items():
        if audience.readable is not None and name not in audience.readable:
            continue
        saving = _mean(decision, by_name.get(name))
        if saving is None:
            unmeasured.append(title(name))
        elif saving.amount <= 0:
            losing.append((title(name), saving))
        else:
            bubbles.append(_bubble(decision, _a_day(audience, decision), saving))
    return Automating(
        chart=Bubbles(
            name=WORTH,
            title="What is worth automating: how often each decision is made, and what one of them saves",
            x_label="decisions a day",
            y_label="saved by each",
            bubbles=bubbles,
        ),
        unmeasured=tuple(unmeasured),
        losing=tuple(losing),
    )


def _mean(decision: Decision[Any, Any, Any], totals: DecisionTotals | None) -> Money | None:
    economics = decision.economics
    if totals is None or economics is None:
        return None
    return next((mean_saving(worth).mean for worth in totals.worth if worth.unit == economics.unit), None)


def _a_day(audience: Audience, decision: Decision[Any, Any, Any]) -> float:
    """Return how often a decision is made a day: as declared, else as it was in the last 30 days."""
    economics = decision.economics
    if economics is not None and economics.per_month:
        return economics.per_month / _DAYS_A_MONTH
    hour = audience.now.replace(minute=0)
    length = timedelta(days=_COUNTED_DAYS)
    (month,) = audience.runtime.views.pulse(hour - length, hour, length, decision=decision.name)
    return month.runs / _COUNTED_DAYS


def _bubble(decision: Decision[Any, Any, Any], a_day: float, saving: Money) -> Bubble:
    each = float(saving.amount)
    return Bubble(
        label=title(decision.name),
        x=a_day,
        y=each,
        size=a_day * each,
        tone=_TONES[decision.risk],
        group=f"{decision.risk.value} risk",
        link="/inventory",
    )
