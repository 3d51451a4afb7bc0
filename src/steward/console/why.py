"""Why something is proposed, in pictures: what it is expected to earn, and what moved the model's answer."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup
from msgspec import UNSET, UnsetType

from steward.console import words
from steward.console.charts import drawing
from steward.console.choices import chosen, measured, named
from steward.console.view import View
from steward.errors import StewardError
from steward.ledger.run import Run
from steward.records import Money, Record

_MOST_DRIVERS: Final = 8


def worth(view: View, run: Run, choice: object, otherwise_choice: object = UNSET) -> Markup | None:
    """Return a picture: the interval where the expected value is the model's own answer, else two bars.

    Args:
        view: Who looks.
        run: The folded run.
        choice: What is proposed, or in force.
        otherwise_choice: What is done if people refuse; not set where there is no gate.
    """
    expected = _expected(view, run, choice)
    otherwise = None if otherwise_choice is UNSET else _expected(view, run, otherwise_choice)
    record = run.record
    if expected is None:
        return _predicted(run)
    unit = expected.unit

    def told(value: float) -> str:
        return words.money(Money.rounded(value, unit))

    interval, value = record.interval, float(expected.amount)
    if not isinstance(interval, UnsetType) and interval.low <= value <= interval.high and _is_answer(run, value):
        safe = None if otherwise is None else float(otherwise.amount)
        return drawing.interval(interval.low, interval.high, value, safe, "", told)
    if otherwise is None:
        return None  # nothing to compare it with
    safe = float(otherwise.amount)
    rows = [
        ("If approved", value, told(value), "c1"),
        (f"Otherwise: {chosen(otherwise_choice)}", safe, told(safe), "dim"),
    ]
    return drawing.versus(rows, "Expected value, if approved and otherwise")


def _predicted(run: Run) -> Markup | None:
    record = run.record
    value, interval = record.prediction, record.interval
    if isinstance(interval, UnsetType) or not isinstance(value, int | float):
        return None
    return drawing.interval(interval.low, interval.high, float(value), None, "", words.number)


def _is_answer(run: Run, value: float) -> bool:
    answer = run.record.prediction
    return isinstance(answer, int | float) and abs(float(answer) - value) < 0.01


def _expected(view: View, run: Run, choice: object) -> Money | None:
    try:
        return view.runtime.answers.expects(run, choice)
    except StewardError:
        return None  # its code has changed since, or is gone: then nobody can tell what it would be worth


_METHODS: Final = {
    "none": "too few outcomes yet",
    "borrowed": "by the outcomes of the model before",
    "split": "by the first outcomes",
    "pi": "by all outcomes, the latest most",
}


def promised(record: Record) -> str:
    """Return how an interval or a set of labels came about, and how well those before it held; ``""`` without."""
    facts = record.calibration
    if isinstance(facts, UnsetType):
        return ""
    promise = f"{100 * facts.level:g}\N{NO-BREAK SPACE}% promised, {_METHODS[facts.method]}"
    held = "" if isinstance(facts.coverage, UnsetType) else f"{words.share(facts.coverage, 1)} of {facts.n:,} have held"
    group = "" if isinstance(facts.group, UnsetType) else f"group {facts.group}"
    return "; ".join(filter(None, (promise, held, group)))


def drivers(run: Run) -> Markup | None:
    """Return a picture of what moved the model's answer most; ``None`` without attributions."""
    # A model's bias is where it starts from, whatever it knows; it drove nothing.
    known = ((name, value) for name, value in run.attribution.items() if name in run.record.features)
    moved = sorted(known, key=lambda each: -abs(each[1]))[:_MOST_DRIVERS]
    if not moved:
        return None
    rows = [(named(name)[0], measured(name, run.record.features.get(name)), value) for name, value in moved]
    return drawing.contributions(rows, "How much each input moved the model's answer")
