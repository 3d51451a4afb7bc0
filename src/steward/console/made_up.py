"""Made-up data with which ``/dev/components`` shows every component, and the edges at which charts go wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from steward.console.charts.figures import Band, Bars, Bubble, Bubbles, Figure, Line, Panel, Stage, Tone
from steward.console.sheets import Column, Kind, Sheet
from steward.ledger.merkle import inclusion_path, leaf_hash, node_hash, root_at
from steward.records import Money, Status

DAY: Final = datetime(2026, 11, 22, 23, tzinfo=UTC)
"""When the made-up day begins: a Monday in Madrid."""
_QUARTER: Final = timedelta(minutes=15)
_LONG: Final = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


class Happening(Struct, frozen=True, kw_only=True):
    """One line of a timeline.

    Example:
        >>> Happening(title="Event received", at=DAY).tone
        ''
    """

    title: str
    at: datetime | None = None
    detail: str = ""
    tone: str = ""


class Row(Struct, frozen=True, kw_only=True):
    """One row of the table.

    Example:
        >>> Row(name="Refund", at=DAY, value=None, confidence=None, status=Status.EXPIRED).is_live
        True
    """

    name: str
    at: datetime
    value: Money | None
    confidence: float | None
    status: Status
    is_live: bool = True


HAPPENINGS: Final = (
    Happening(at=DAY, title="Event received", detail="scada.load.v3 · number 88,204", tone="info"),
    Happening(at=DAY + timedelta(seconds=1), title="Features computed", detail="14 features", tone="pos"),
    Happening(
        at=DAY + timedelta(seconds=2), title="Gate raised", detail="impact €4,180 > €2,500 → a person", tone="warn"
    ),
    Happening(at=DAY + timedelta(hours=1, minutes=2), title="Refused", detail="“The feeder is in repair.”", tone="neg"),
    Happening(title=f"Outcome of {_LONG}", detail="It is expected within a day."),
)
ROWS: Final = (
    Row(name="Battery dispatch", at=DAY, value=Money.of_minor(418_042, "EUR"), confidence=0.81, status=Status.WAITING),
    Row(
        name="Refund",
        at=DAY + _QUARTER,
        value=Money.of_minor(-205, "EUR"),
        confidence=None,
        status=Status.ACTED,
        is_live=False,
    ),
    Row(name=_LONG, at=DAY + 2 * _QUARTER, value=None, confidence=0.7, status=Status.IN_DOUBT),
    Row(
        name='<b onclick="x">Escaped</b>',
        at=DAY + timedelta(days=1),
        value=Money.of_minor(9_999_999_999, "CHF"),
        confidence=1.0,
        status=Status.FAILED,
    ),
)
STAGES: Final = (
    Stage("Event", "scada.load.v3", "pos"),
    Stage("Features", "14 values", "pos"),
    Stage("Model", "dispatch-mpc@14", "info"),
    Stage("Gate", "impact > €2,500", "warn"),
    Stage("Refused", "M. Lindqvist", "neg"),
    Stage("Action", "not reached"),
)
CONTRIBUTIONS: Final = (
    ("Price spread next 4 h", "171.2 €/MWh", 118.0),
    ("Load forecast p90", "702 MW", 64.0),
    ("State of charge", "88 %", 41.0),
    ("Peak-charge tariff window", "active", 27.0),
    ("Cycle wear cost", "9.1 €/MWh", -38.0),
    ("Forecast spread", "±27 MW", -22.0),
    ("Not in the model", "–", None),
)


SOON: Final = timedelta(minutes=5, seconds=37)
TILES: Final = (
    ("Decisions today", "184,206", "+6 % on last week", (3, 4, 4, 6, 5, 7, 8, 8, 9, 11, 10, 12), "c1"),
    ("Run without a person", "97.9 %", "1.4 % asked", (4, 7, 6, 8, 7, 9, 8, 9, 10, 9, 10, 10), "pos"),
    ("Earned beyond the baseline", "€41,870", "today", (1, 1, 2, 2, 3, 3, 4, 6, 8, 10, 13, 15), "pos"),
    ("p95 latency", "14.2 ms", "objective 50 ms", (3, 5, 4, 8, 9, 5, 5, 4, 6, 4, 5, 5), "c2"),
    ("Overridden by people", "1.6 %", "limit 2.0 %", (2, 3, 2, 4, 3, 5, 4, 6, 5, 7, 6, 7), "warn"),
)
METERS: Final = (
    ("Infrastructure", "p95 latency ≤ 50 ms", 0.82, "pos"),
    ("Model", "interval coverage ≥ 90 %", 0.46, "warn"),
    ("Business", "overridden ≤ 2 %", 0.04, "neg"),
    ("Spent", "nothing is left", 0.0, "neg"),
    ("Confidence", "", 1.0, ""),
)
VERSUS: Final = (
    ("Rule schedule", 15_400.0, "€15,400", "dim"),
    ("Steward", 41_870.0, "€41,870", "c1"),
    ("Perfect foresight", 48_140.0, "€48,140", "pos"),
)
LOSSES: Final = (
    ("Charged", -1_800.0, "−€1,800", "neg"),
    ("Sold", 4_220.0, "€4,220", "pos"),
    ("Unknown", None, "", "dim"),
)
INTERVALS: Final = (
    (2_650.0, 5_400.0, 4_180.0, 1_890.0),
    (900.0, 4_100.0, 2_960.0, -600.0),
    (4_000.0, 4_400.0, 4_180.0, 4_190.0),
    (-3e9, 5e9, 1e9, None),
    (7.0, 7.0, 7.0, 7.0),
    (math.nan, math.inf, 12.0, None),
)
SPARKS: Final = (
    (1, 3, 2, None, None, 5, 4, 6),
    (4,),
    (),
    (2, 2, 2, 2),
    (-3, 2, -5, 1, -2),
    (1e12, 3e300, math.nan, 2e299, 0),
)


def euros(amount: float) -> str:
    """Return an amount as a label.

    Example:
        >>> euros(-600.0)
        '−€600'
    """
    return f"{'−' if amount < 0 else ''}€{abs(amount):,.0f}"


def table(name: str = "made-up", title: str = "Made-up decisions", rows: Sequence[Row] = ROWS) -> Sheet[Row]:
    """Return a table with a column of each kind."""
    return Sheet(
        name=name,
        title=title,
        columns=[
            Column(key="at", label="Time", value=lambda row: row.at, kind=Kind.TIME),
            Column(key="name", label="Decision", value=lambda row: row.name, link=lambda row: "/dev/components"),
            Column(key="confidence", label="Confidence", value=lambda row: row.confidence, kind=Kind.SHARE),
            Column(key="value", label="Value", value=lambda row: row.value, kind=Kind.MONEY),
            Column(key="live", label="Live", value=lambda row: row.is_live, kind=Kind.YES, can_sort=False),
            Column(key="status", label="Status", value=lambda row: row.status, kind=Kind.STATUS),
        ],
        rows=rows,
        empty="Every decision will be here as soon as one is made. To see some now: make demo",
    )


def _wave(count: int, low: float, high: float, turns: float, shift: float = 0.0) -> list[float]:
    middle, size = (low + high) / 2, (high - low) / 2
    return [middle + size * math.sin(turns * math.tau * at / count + shift) for at in range(count)]


def day() -> Figure:
    """Return four panels over one day, as a case's page has them."""
    count, until = 96, 70
    x = [DAY + at * _QUARTER for at in range(count)]
    forecast = [value + at * 7 % 11 for at, value in enumerate(_wave(count, 390, 540, 2, -2.2))]
    spread = [12 + at / 4 for at in range(count)]
    power = [
        22.0 if 30 <= at < 38 or 70 <= at < 86 else -22.0 if 8 <= at < 20 or 48 <= at < 60 else 0.0
        for at in range(count)
    ]
    charge = [50.0]
    for each in power[1:]:
        charge.append(charge[-1] - each / 8)
    load: list[float | None] = [
        value + 6 * math.sin(at * 1.7) if at <= until else None for at, value in enumerate(forecast)
    ]
    return Figure(
        name="made-up-day",
        title="Load, price and battery of a made-up day",
        x=x,
        now=x[until],
        panels=[
            Panel(
                label="Load (MW)",
                height=200,
                zero=False,
                series=[
                    Band(
                        name="90 % interval",
                        low=[a - b for a, b in zip(forecast, spread, strict=True)],
                        high=[a + b for a, b in zip(forecast, spread, strict=True)],
                    ),
                    Line(name="Forecast", values=forecast),
                    Line(name="Load", values=load, tone=Tone.INK),
                ],
            ),
            Panel(
                label="Price (EUR/MWh)",
                height=80,
                series=[Line(name="Price", values=_wave(count, 40, 160, 1.5, 2.5), tone=Tone.CAUTION, filled=True)],
            ),
            Panel(
                label="Battery (MW, discharge up)",
                height=80,
                series=[
                    Bars(name="Discharge", values=[max(0.0, each) for each in power], tone=Tone.GOOD),
                    Bars(name="Charge", values=[min(0.0, each) for each in power], tone=Tone.SECOND),
                ],
            ),
            Panel(
                label="State of charge (%)",
                height=80,
                series=[Line(name="State of charge", values=charge, tone=Tone.SECOND, filled=True)],
            ),
        ],
    )


def _one(name: str, title: str, x: Sequence[datetime] | Sequence[str], *series: Any, **panel: Any) -> Figure:
    panels = [Panel(label=panel.pop("label", "made-up units"), series=series, height=120, **panel)]
    return Figure(name=name, title=title, x=x, panels=panels)


def _every(step: timedelta, count: int, start: datetime = DAY) -> list[datetime]:
    return [start + at * step for at in range(count)]


_HOURS: Final = _every(timedelta(hours=1), 24)


def rate() -> Figure:
    """Return bars that stand on each other, as a rate by outcome has them."""
    auto = [24 + at * 7 % 9 - at // 3 % 4 for at in range(60)]
    return _one(
        "made-up-rate",
        "Decisions a second by outcome",
        _every(timedelta(seconds=1), 60, DAY + timedelta(hours=8, minutes=50, seconds=5)),
        Bars(name="auto", values=auto),
        Bars(name="escalated", values=[at * 5 % 4 for at in range(60)], tone=Tone.CAUTION),
        Bars(name="fallback", values=[at * 11 % 3 for at in range(60)], tone=Tone.BAD),
        label="decisions",
    )


def edges() -> list[Figure]:
    """Return the edges at which charts go wrong, each with what is to be seen as its title."""
    return [*_shapes(), *_little(), *_much()]


def _shapes() -> list[Figure]:
    gaps: list[float | None] = [
        None if at in (4, 5, 9, 11, 17) else value for at, value in enumerate(_wave(24, -2, 9, 2))
    ]
    plan, run = [at // 6 % 3 for at in range(24)], [at // 5 % 3 for at in range(24)]
    return [
        _one("gaps", "Gaps: a value alone is a dot", _HOURS, Line(name="Load", values=gaps, filled=True)),
        _one(
            "negative",
            "Bars above and below zero stand on each other",
            ("Rule schedule", "Steward", "Perfect foresight", _LONG, "Holdout"),
            Bars(name="gain", values=(3, 5, 8, None, 2), tone=Tone.GOOD),
            Bars(name="more", values=(1, 0, 2, None, 4)),
            Bars(name="loss", values=(-2, -6, None, -3, -1), tone=Tone.BAD),
        ),
        _one(
            "steps",
            "Steps hold until the next; dashed is what was planned",
            _HOURS,
            Line(name="plan", values=plan, steps=True, dashed=True, tone=Tone.QUIET),
            Line(name="run", values=run, steps=True, filled=True, tone=Tone.SECOND),
        ),
    ]


def _little() -> list[Figure]:
    return [
        _one("nothing", "Nothing was measured", _HOURS, Line(name="Load", values=[None] * 24)),
        _one("no-time", "No time at all", [], Line(name="Load", values=[])),
        _one("one", "One moment", _HOURS[:1], Line(name="Load", values=[3.0])),
        _one("one-bar", "One bar, which is a count", _HOURS[:1], Bars(name="Load", values=[1])),
        _one("flat", "Flat, and not at zero", _HOURS, Line(name="Load", values=[42.0] * 24), zero=False),
    ]


def _much() -> list[Figure]:
    steep = [10.0 ** (at - 8) for at in range(24)]
    no_numbers = [math.nan, math.inf, 1.0, 2.0] * 6
    clocks = _every(_QUARTER, 29, datetime(2026, 10, 24, 21, 30, tzinfo=UTC))
    weeks = _every(timedelta(days=7), 105)
    return [
        _one("steep", "Very large and very small", _HOURS, Line(name="Load", values=steep)),
        _one("no-numbers", "No numbers (NaN, infinity) are gaps", _HOURS, Line(name="Load", values=no_numbers)),
        _one(
            "clocks",
            "A clock that is put back shows an hour twice",
            clocks,
            Line(name="Load", values=_wave(29, 0, 5, 2)),
        ),
        _one("years", "Two years", weeks, Line(name="Load", values=_wave(105, 20, 80, 2))),
        _one(
            "long",
            f"A very long name: {_LONG}",
            _HOURS,
            Line(name=_LONG, values=_wave(24, 1, 2, 1)),
            Line(name="<script>alert(1)</script>", values=_wave(24, 0, 1, 1), tone=Tone.BAD),
            label=f"{_LONG} (MW)",
        ),
    ]


def bubbles(*, empty: bool = False) -> Bubbles:
    """Return decisions by how often they are made and what each is worth."""
    made_up = (
        ("Peaker start", 4, 22_000, Tone.BAD),
        ("Demand response", 30, 4_500, Tone.BAD),
        ("Day-ahead bid", 70, 2_000, Tone.BAD),
        ("Outage crew", 150, 800, Tone.CAUTION),
        ("Battery dispatch", 2_880, 300, Tone.BAD),
        ("Tariff offer", 2_200, 7, Tone.CAUTION),
        ("Invoice match", 30_000, 6, Tone.GOOD),
        ("Meter anomaly", 9_000, 0.35, Tone.GOOD),
        ("Support routing", 120_000, 0.4, Tone.GOOD),
        ("Never asked yet", 0, 12, Tone.GOOD),
    )
    risks = {Tone.BAD: "high risk", Tone.CAUTION: "medium risk", Tone.GOOD: "low risk"}
    return Bubbles(
        name="made-up-bubbles",
        title="What is worth automating",
        x_label="decisions a day",
        y_label="EUR per decision",
        product="EUR a day",
        bubbles=[
            Bubble(label=label, x=x, y=y, size=x * y, tone=tone, group=risks[tone], link="/dev/components")
            for label, x, y, tone in (() if empty else made_up)
        ],
    )


@cache
def proof(index: int, size: int) -> dict[str, Any]:
    """Return what a tree is drawn from: the path of an entry in a ledger of made-up entries."""
    node = _nodes()
    return {
        "index": index,
        "size": size,
        "leaf": node(0, index),
        "path": inclusion_path(node, index, size),
        "root": root_at(node, size),
    }


def _nodes() -> Callable[[int, int], bytes]:
    known: dict[tuple[int, int], bytes] = {}

    def node(height: int, place: int) -> bytes:
        found = known.get((height, place))
        if found is None:
            is_leaf = height == 0
            found = leaf_hash(sha256(b"%d" % place).digest()) if is_leaf else _both(height - 1, 2 * place)
            known[height, place] = found
        return found

    def _both(height: int, place: int) -> bytes:
        return node_hash(node(height, place), node(height, place + 1))

    return node
