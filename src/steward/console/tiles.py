"""The key figures of a stretch of time, and how decisions came about in it: made from the pulses of the views."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final

from msgspec import Struct

from steward.console.charts.figures import Bars, Figure, Panel, Tone
from steward.console.ranges import Range
from steward.console.words import money, number, share
from steward.insight.rows import Pulse, Worth
from steward.records import Money

OVER_TIME: Final = "decisions-by-answer"
_SPARK_POINTS: Final = 24
_FLAT: Final = 0.005
"""A change below this share is none that anybody would speak of."""


class Tile(Struct, frozen=True, kw_only=True):
    """A key figure.

    Attributes:
        label: What it is.
        value: The figure, as people read it.
        under: What puts it into proportion.
        trend: How it went, oldest first; empty where that is not known.
        tone: The trend's colour.
        term: The word of the glossary that explains it.

    Example:
        >>> Tile(label="Decisions today", value="184,206", under="+6 % on yesterday by now").trend
        ()
    """

    label: str
    value: str
    under: str
    trend: Sequence[float | None] = ()
    tone: str = "c1"
    term: str = ""


def tiles(pulses: Sequence[Pulse], before: int | None, chosen: Range) -> list[Tile]:
    """Return the key figures of a range.

    Args:
        pulses: Of each of its steps until now.
        before: How many decisions there were in what it is compared with; ``None`` if that is not known.
        chosen: The range.
    """
    runs, asked = sum(each.runs for each in pulses), sum(each.asked for each in pulses)
    overridden, expired = sum(each.overridden for each in pulses), sum(each.expired for each in pulses)
    # The step under way would look like a fall.
    groups = _few(pulses[:-1] if len(pulses) > 2 else pulses)
    return [
        Tile(
            label="Decisions",
            value=number(runs),
            under=_change(runs, before, chosen.than),
            trend=[float(sum(each.runs for each in group)) for group in groups],
        ),
        Tile(
            label="Run without a person",
            value=share(1 - asked / runs if runs else None, 1),
            under=f"{number(asked)} asked a person",
            trend=[_share(sum(p.runs - p.asked for p in group), sum(p.runs for p in group)) for group in groups],
            tone="pos",
            term="gate",
        ),
        _value(pulses, groups),
        Tile(
            label="Human overrides",
            value=share(overridden / asked if asked else None, 1),
            under=f"{number(overridden)} of {number(asked)} asked"
            + (f", {number(expired)} not answered" if expired else ""),
            trend=[_share(sum(p.overridden for p in group), sum(p.asked for p in group)) for group in groups],
            tone="warn",
            term="override",
        ),
    ]


def latency(bound_s: float | None, requests: int) -> Tile | None:
    """Return how long callers wait, if anybody called: a bound, as answers are only counted by how long they took.

    Example:
        >>> latency(0.005, 1_200).value, latency(None, 0)
        ('≤ 5 ms', None)
    """
    if not requests or bound_s is None:
        return None
    shown = f"{1_000 * bound_s:g} ms" if bound_s < 1 else f"{bound_s:g} s"
    return Tile(label="p95 latency over HTTP", value=f"≤ {shown}", under=f"{number(requests)} requests since the start")


def over_time(pulses: Sequence[Pulse], chosen: Range) -> Figure:
    """Return how the decisions of each step came about."""
    there: list[Pulse | None] = [*pulses, *[None] * (chosen.steps - len(pulses))]
    series: tuple[tuple[str, Tone, Callable[[Pulse], int]], ...] = (
        ("by itself", Tone.FIRST, lambda p: p.runs - p.asked),
        ("approved by a person", Tone.SECOND, lambda p: p.approved),
        ("not answered yet", Tone.CAUTION, lambda p: p.asked - p.approved - p.rejected - p.expired),
        ("refused or expired", Tone.BAD, lambda p: p.rejected + p.expired),
    )
    return Figure(
        name=OVER_TIME,
        title=f"Decisions {chosen.step_words}, by how they came about",
        x=[chosen.since + at * chosen.step for at in range(chosen.steps)],
        panels=[
            Panel(
                label=f"Decisions {chosen.step_words}",
                series=[
                    Bars(name=name, values=[None if each is None else value(each) for each in there], tone=tone)
                    for name, tone, value in series
                ],
                height=236,
            )
        ],
        now=chosen.now,
    )


def _value(pulses: Sequence[Pulse], groups: Sequence[Sequence[Pulse]]) -> Tile:
    savings = _savings(worth for each in pulses for worth in each.worth)
    label, term = "Value against baseline", "baseline"
    if not savings:
        return Tile(label=label, value="–", under="no outcome yet", term=term)
    unit = max(savings, key=lambda unit: savings[unit][1])
    saving, valued = savings[unit]
    steps = [_savings(worth for each in group for worth in each.worth).get(unit, (0, 0))[0] for group in groups]
    others = len(savings) - 1
    return Tile(
        label=label,
        value=money(Money.of_minor(saving, unit)),
        under=f"{'saved' if saving >= 0 else 'lost'} over {number(valued)} with an outcome"
        + (f", more in {others} other {'currency' if others == 1 else 'currencies'}" if others else ""),
        trend=[float(each) for each in accumulate(steps)],
        tone="pos" if saving >= 0 else "neg",
        term=term,
    )


def _savings(worths: Iterable[Worth]) -> dict[str, tuple[int, int]]:
    """Return the saving, in minor units, and how often it was measured, by currency."""
    found: dict[str, tuple[int, int]] = {}
    for worth in worths:
        saving, valued = found.get(worth.unit, (0, 0))
        found[worth.unit] = (saving + worth.saving_minor, valued + worth.valued)
    return found


def _few(pulses: Sequence[Pulse]) -> list[Sequence[Pulse]]:
    size = max(1, -(-len(pulses) // _SPARK_POINTS))
    # Whole groups only, as a shorter one would look like a fall; what is left out is the oldest.
    return [pulses[start : start + size] for start in range(len(pulses) % size, len(pulses), size)]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _change(runs: int, before: int | None, than: str) -> str:
    if not before:
        return f"none {than}" if before == 0 else ""
    change = runs / before - 1
    if abs(change) < _FLAT:
        return f"as many as {than}"
    sign = "+" if change > 0 else "\N{MINUS SIGN}"
    return f"{sign}{share(abs(change))} on {than}"
