"""What the decisions were worth: saved against the baseline, decision by decision and together, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import Final, NamedTuple

from fastapi import APIRouter, Response

from steward.console.charts.figures import Bars, Figure, Line, Panel, Tone
from steward.console.declared import listed
from steward.console.period import PERIODS, Period
from steward.console.references import Reference
from steward.console.sheets import Column, Kind, Sheet
from steward.console.view import Looking, View
from steward.console.words import money, number, share, title
from steward.insight.rows import DecisionTotals, Worth
from steward.insight.value import MeanSaving, ValueSummary, mean_saving, summarised
from steward.records import Money

router = APIRouter()
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_HOURLY_DAYS: Final = 2
"""Up to this many days are drawn hour by hour."""
_MOST_STEPS: Final = 100
"""A chart has no more steps than this: its days are put together until they fit."""
_MOST_LINES: Final = 3
_TONES: Final = (Tone.FIRST, Tone.SECOND, Tone.CAUTION)


class Together(NamedTuple):
    """What all decisions of one currency were worth together.

    Attributes:
        unit: The currency.
        runs: How many were decided that have an outcome or await one.
        valued: How many have an outcome; all sums are over these.
        baseline: What would have been earned without.
        value: What was earned.
        saving: The difference.
        each: The mean saving of one.
        decisions: Which ones.

    Example:
        >>> euro = Money.of_minor(100, "EUR")
        >>> each = MeanSaving(mean=euro, low=None, high=None)
        >>> Together("EUR", 3, 1, euro, euro, euro, each, ("pay.release",)).waiting
        2
    """

    unit: str
    runs: int
    valued: int
    baseline: Money
    value: Money
    saving: Money
    each: MeanSaving
    decisions: tuple[str, ...]

    @property
    def waiting(self) -> int:
        """How many have no outcome yet."""
        return self.runs - self.valued


def shown_period(view: View) -> Period:
    """Return the days that the URL names."""
    return Period.of(view.parameters, view.now)


async def shown_totals(view: View, period: Period) -> list[DecisionTotals]:
    """Return the sums of the decisions that the viewer may read; of one only if the URL names it."""
    await view.runtime.catch_up()
    wanted, readable = view.parameters.get("decision", ""), view.readable
    return [
        totals
        for totals in view.runtime.views.totals(since=period.since, until=period.until)
        if wanted in ("", totals.decision) and (readable is None or totals.decision in readable)
    ]


def together(found: Sequence[DecisionTotals]) -> list[Together]:
    """Return the sums by currency, from the views' own exact sums."""
    runs = {each.decision: each.runs for each in found}
    by_unit: dict[str, list[tuple[str, Worth]]] = {}
    for totals in found:
        for worth in totals.worth:
            by_unit.setdefault(worth.unit, []).append((totals.decision, worth))
    return [_added(unit, rows, runs) for unit, rows in sorted(by_unit.items())]


def _added(unit: str, rows: Sequence[tuple[str, Worth]], runs: dict[str, int]) -> Together:
    worths = [worth for _, worth in rows]
    whole = Worth(
        unit=unit,
        valued=sum(worth.valued for worth in worths),
        value_minor=sum(worth.value_minor for worth in worths),
        baseline_minor=sum(worth.baseline_minor for worth in worths),
        saving_minor=sum(worth.saving_minor for worth in worths),
        squares_minor=sum(worth.squares_minor for worth in worths),
    )
    names = tuple(name for name, _ in rows)
    return Together(
        unit,
        sum(runs[name] for name in names),
        whole.valued,
        whole.baseline,
        whole.value,
        whole.saving,
        mean_saving(whole),
        names,
    )


def sentence(units: Sequence[Together], runs: int, period: Period, wanted: str = "") -> str:
    """Return how it went, in one sentence.

    Example:
        >>> sentence([], 0, Period("7d", None, None))
        'Nothing was decided in the last 7 days.'
    """
    if not runs:
        return f"Nothing was decided {period.words}."
    if not units:
        return f"{number(runs)} decided {period.words}; no outcome has come yet, so nothing is counted."
    parts = [
        f"{money(Money(abs(each.saving.amount), each.unit))} {'lost' if each.saving.amount < 0 else 'saved'}"
        for each in units
    ]
    by = f" by {title(wanted)}" if wanted else ""
    return f"{listed(parts)} against the baseline {period.words}{by}."


async def value_sheet(view: View) -> Sheet[ValueSummary]:
    """Return what each decision was worth."""
    period = shown_period(view)
    return _sheet(summarised(await shown_totals(view, period)), period)


def _sheet(found: Sequence[ValueSummary], period: Period) -> Sheet[ValueSummary]:
    def mean(row: ValueSummary) -> Money | None:
        return None if row.each is None else row.each.mean

    def low(row: ValueSummary) -> Money | None:
        return None if row.each is None else row.each.low

    def high(row: ValueSummary) -> Money | None:
        return None if row.each is None else row.each.high

    return Sheet(
        name="value",
        title=f"What each decision was worth {period.words}",
        columns=(
            Column(
                key="decision",
                label="Decision",
                value=lambda row: title(row.decision),
                link=lambda row: f"/inventory/{row.decision}",
            ),
            Column(key="runs", label="Decided", value=lambda row: row.runs, kind=Kind.NUMBER),
            Column(key="valued", label="With outcome", value=lambda row: row.valued, kind=Kind.NUMBER),
            Column(key="open", label="Without yet", value=lambda row: row.runs - row.valued, kind=Kind.NUMBER),
            Column(key="asked", label="Asked a person", value=lambda row: row.asked, kind=Kind.NUMBER),
            Column(key="baseline", label="Baseline", value=lambda row: row.baseline, kind=Kind.EXACT),
            Column(key="value", label="Realised", value=lambda row: row.value, kind=Kind.EXACT),
            Column(key="saving", label="Saved", value=lambda row: row.saving, kind=Kind.EXACT),
            Column(key="mean", label="Saved each", value=mean, kind=Kind.EXACT),
            Column(key="low", label="From (95 %)", value=low, kind=Kind.EXACT),
            Column(key="high", label="To", value=high, kind=Kind.EXACT),
        ),
        rows=found,
        empty="What each decision was worth will be here once some were made.",
        key=lambda row: f"{row.decision}/{row.unit}",
    )


async def over_time(view: View, period: Period, units: Sequence[Together]) -> Figure | None:
    """Return the savings over time, of each step and added up; nothing where no outcome has come."""
    if not units:
        return None
    names = sorted({name for unit in units for name in unit.decisions})
    first, steps, length = _steps(view, period, names)
    savings = view.runtime.views.savings(first, first + steps * length, length, names)
    panels: list[Panel] = []
    for unit in units:
        rows = {name: savings.get((name, unit.unit), [0] * steps) for name in unit.decisions}
        panels += _panels(
            unit.unit, rows, "hour" if length == _HOUR else "day" if length == _DAY else f"{length.days} days"
        )
    return Figure(
        name="value-over-time",
        title=f"Saved against the baseline {period.words}",
        x=[first + place * length for place in range(steps)],
        panels=panels,
    )


def _steps(view: View, period: Period, names: Sequence[str]) -> tuple[datetime, int, timedelta]:
    """Return when the first step begins, how many there are, and how long each is."""
    today = view.now.date()
    begun = min(view.runtime.views.first_days(names).values(), default=today)
    since, until = max(period.since or begun, begun), min(period.until or today, today)
    first = datetime.combine(since, time(), UTC)
    days = max(1, (until - since).days + 1)
    if days <= _HOURLY_DAYS:
        end = min(first + days * _DAY, view.now)
        return first, max(1, -(-(end - first) // _HOUR)), _HOUR
    length = -(-days // _MOST_STEPS)
    return first, -(-days // length), length * _DAY


def _panels(unit: str, rows: dict[str, list[int]], step: str) -> list[Panel]:
    def amounts(minor: Sequence[int]) -> list[float]:
        return [float(Money.of_minor(each, unit).amount) for each in minor]

    whole = [sum(each) for each in zip(*rows.values(), strict=True)]
    biggest = sorted(rows, key=lambda name: (-abs(sum(rows[name])), name))[:_MOST_LINES]
    lines = [
        Line(name=title(name), values=amounts([*accumulate(rows[name])]), tone=tone)
        for name, tone in zip(biggest, _TONES, strict=False)
        if len(rows) > 1
    ]
    summed = Line(
        name="Together" if lines else title(biggest[0]),
        values=amounts([*accumulate(whole)]),
        tone=Tone.INK if lines else Tone.FIRST,
        filled=not lines,
    )
    return [
        Panel(label=f"Saved, added up ({unit})", series=[*lines, summed], height=200),
        Panel(
            label=f"Saved each {step} ({unit})", series=[Bars(name=f"Each {step}", values=amounts(whole))], height=120
        ),
    ]


class Versus(NamedTuple):
    """One decision beside what it is compared with.

    Attributes:
        decision: Its name.
        bars: Label, amount, the amount in words, and colour.
        said: How Steward stands beside the others, in words.
        about: Each way of deciding with how it was worked out.
        since: The first day that counts, ...
        until: ... and the last one, if not all that are shown count.

    Example:
        >>> Versus("pay.release", [("Baseline", 0.0, "€0.00", "dim")], "", [], None, None).bars[0][0]
        'Baseline'
    """

    decision: str
    bars: list[tuple[str, float | None, str, str]]
    said: str
    about: list[tuple[str, str]]
    since: date | None
    until: date | None


_LABELS: Final = {"rule": "A simple rule", "limit": "Best possible"}


def compared(references: Sequence[Reference], wanted: str) -> list[Versus]:
    """Return each decision beside its references: the baseline, simple ways, Steward, and the best possible."""
    found: dict[str, list[Reference]] = {}
    for row in references:
        if wanted in ("", row.decision):
            found.setdefault(row.decision, []).append(row)
    return [_versus(decision, rows) for decision, rows in sorted(found.items())]


def _versus(decision: str, rows: Sequence[Reference]) -> Versus:
    steward = rows[0].steward
    zero = Money.of_minor(0, steward.unit)
    others = [(_LABELS.get(row.name, title(row.name)), row.amount, "dim") for row in rows if row.name != "limit"]
    best = [(_LABELS["limit"], row.amount, "ink") for row in rows if row.name == "limit"]
    shown = [("Baseline", zero, "dim"), *others, ("Steward", steward, "c1"), *best]
    return Versus(
        decision,
        [(label, float(amount.amount), money(amount), tone) for label, amount, tone in shown],
        _standing(steward, rows),
        [(_LABELS.get(row.name, title(row.name)), row.about) for row in rows],
        rows[0].since,
        rows[0].until,
    )


def _standing(steward: Money, rows: Sequence[Reference]) -> str:
    """Return how much of the best possible was reached, and how much more or less than by the other ways."""
    parts = []
    for row in rows:
        if row.name == "limit":
            if row.amount.amount > 0:
                parts.append(f"{share(float(steward.amount / row.amount.amount))} of the best possible")
            continue
        more = steward.amount - row.amount.amount
        name = _LABELS.get(row.name, title(row.name)).lower()
        parts.append(f"{money(Money(abs(more), steward.unit))} {'less' if more < 0 else 'more'} than {name}")
    return f"Steward saved {listed(parts)}." if parts else ""


async def over_time_sheet(view: View) -> Sheet[int]:
    """Return the rows behind the chart over time."""
    period = shown_period(view)
    chart = await over_time(view, period, together(await shown_totals(view, period)))
    if chart is None:
        return Sheet(name="value-over-time", title="Saved against the baseline", columns=(), rows=())
    return chart.sheet()


SOURCES = {"value": value_sheet, "value-over-time": over_time_sheet}


@router.get("/value")
async def value(view: Looking) -> Response:
    """Show what the decisions of some days were worth."""
    period = shown_period(view)
    totals = await shown_totals(view, period)
    found, units = summarised(totals), together(totals)
    runs = sum(each.runs for each in totals)
    wanted = view.parameters.get("decision", "")
    return await view.page(
        "value.html",
        period=period,
        periods=[*PERIODS, "all"],
        units=units,
        runs=runs,
        said=sentence(units, runs, period, wanted),
        unmeasured=[each for each in found if not each.unit],
        wanted=wanted,
        sheet=_sheet(found, period).arranged(view.parameters),
        chart=await over_time(view, period, units),
        comparisons=compared(await view.console.references(view), wanted),
    )
