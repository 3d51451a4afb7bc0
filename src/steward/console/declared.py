"""A declaration in plain words: when people are asked, what is known, what is done; for those who read no code."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from steward.console.words import exactly, plain, share, title
from steward.decision.action import Action
from steward.decision.decision import Decision
from steward.decision.fingerprint import plain as plain_data
from steward.decision.gate import AnyGate, impact_above
from steward.decision.model import Model
from steward.decision.schedule import Every, Missed
from steward.decision.steps import Check, Signal, Steps, Wait
from steward.decision.stream import Aggregate, WindowFeature
from steward.records import Money

AnyDecision = Decision[Any, Any, Any]
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_OF: Final = {
    Aggregate.LAST: "the latest {field}, not older than {over}",
    Aggregate.LAG: "{field} as it was {over} before",
    Aggregate.COUNT: "how many there were in the last {over}",
    Aggregate.SERIES: "{field} of the last {over}, one value {step}",
}
_AGGREGATED: Final = {
    Aggregate.SUM: "the sum",
    Aggregate.MEAN: "the mean",
    Aggregate.MIN: "the smallest",
    Aggregate.MAX: "the largest",
    Aggregate.STD: "the spread (standard deviation)",
    Aggregate.QUANTILE: "the {q} quantile",
}


def lasting(length: timedelta) -> str:
    """Return a length of time in words, in its two largest units.

    Example:
        >>> lasting(timedelta(minutes=10)), lasting(timedelta(hours=1, minutes=30)), lasting(timedelta(days=14))
        ('10 minutes', '1 hour 30 minutes', '14 days')
        >>> lasting(timedelta(milliseconds=250))
        '0.25 seconds'
    """
    left = length.total_seconds()
    if left < 1:
        return f"{left:g} seconds"
    parts = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count:g} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts[:2])


def each(length: timedelta) -> str:
    """Return how often something comes.

    Example:
        >>> each(timedelta(hours=1)), each(timedelta(minutes=15))
        ('each hour', 'each 15 minutes')
    """
    words = lasting(length)
    return f"each {words.removeprefix('1 ') if words.count(' ') == 1 else words}"


def listed(names: Iterable[str], word: str = "and") -> str:
    """Return names as a list in a sentence.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a"], "or"), listed([])
        ('a, b and c', 'a', '')
    """
    *first, last = [*names] or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


def called(function: object) -> str:
    """Return the name of a function as people say it."""
    return title(getattr(function, "__name__", type(function).__name__)).lower()


def threshold(decision: AnyDecision) -> Money | None:
    """Return the money at stake above which a person is asked; ``None`` where no amount says so."""
    gate = decision.gate
    if gate is None or not isinstance(gate.needed, impact_above) or decision.economics is None:
        return None
    return Money.rounded(gate.needed.amount, decision.economics.unit)


def when_asked(decision: AnyDecision) -> str:
    """Return when a person is asked, in a few words."""
    if decision.gate is None:
        return "Never: it runs by itself"
    amount = threshold(decision)
    if amount is None:
        return f"When “{called(decision.gate.needed)}” says so"
    return "Whenever money is at stake" if not amount.amount else f"Above {exactly(amount)} at stake"


def stage(decision: AnyDecision) -> str:
    """Return how far a decision is automated, in words."""
    if decision.gate is None:
        return "automated" if decision.action is not None else "automated, as advice: nothing is done"
    amount = threshold(decision)
    if amount is None:
        return "asks a person in some cases"
    return "every choice with money at stake asks a person" if not amount.amount else "asks above a threshold"


def gate_words(gate: AnyGate) -> list[tuple[str, str]]:
    """Return a gate's rules, each with its name; all but when it asks, which is a matter of the decision's money."""
    rows = [
        ("At stake", f"the money that “{called(gate.impact)}” works out"),
        ("Who may answer", f"the group {gate.approvers}"),
        ("How many must agree", "one person" if gate.approvals == 1 else f"{gate.approvals} different people"),
        ("Within", lasting(gate.within)),
        ("Otherwise", f"{plain(plain_data(gate.otherwise))}: done if they refuse, or if nobody answers in time"),
    ]
    if gate.four_eyes:
        rows.append(("Four eyes", "whoever proposed, published or changed it cannot be the one who agrees"))
    rungs = [f"{group} after {lasting(after)}" for group, after in gate.rungs]
    rows.append(("Ladder", f"asks {listed(rungs, 'then')} too" if rungs else "nobody else is asked"))
    limits = "nobody may change the choice, only agree or refuse"
    if gate.limits is not None:
        limits = f"an approver may change the choice inside the limits of “{called(gate.limits)}”"
    rows.append(("Limits", limits))
    seeded = "none: nobody checks whether approvers look"
    if gate.checks is not None:
        seeded = (
            f"{share(gate.checks.rate, 1)} of the questions come with a wrong twin, which does nothing if agreed to"
        )
    rows.append(("Seeded checks", seeded))
    return rows


def window_words(window: WindowFeature) -> str:
    """Return what a window feature is."""
    over = lasting(window.over)
    if window.aggregate in _OF:
        step = "" if window.step is None else each(window.step)
        text = _OF[window.aggregate].format(field=window.field, over=over, step=step)
    else:
        which = _AGGREGATED[window.aggregate].format(q=window.q)
        text = f"{which} of {window.field} over the last {over}"
    rounded = f", its old end rounded to {lasting(window.hop)}" if window.hop else ""
    until = f", up to the event's {window.at}" if window.at else ""
    return f"{text}{until}; of {window.stream.name} by {window.stream.key}{rounded}"


def feature_rows(decision: AnyDecision) -> list[tuple[str, str, str]]:
    """Return each feature: its name, its kind and what it is."""
    rows = []
    for feature in decision.features:
        if isinstance(feature, WindowFeature):
            rows.append((feature.name, f"window of {lasting(feature.over)}", window_words(feature)))
        elif feature.compute is None:
            rows.append((feature.name, "field", f"as it stands in the event ({feature.field})"))
        else:
            about = (feature.compute.__doc__ or "").strip().partition("\n")[0]
            rows.append((feature.name, "computed", about or f"worked out by {feature.name}"))
    return rows


def prediction_words(decision: AnyDecision) -> str:
    """Return how a decision predicts."""
    if decision.predict is None:
        return "Without a model: the policy decides from the features alone"
    if isinstance(decision.predict, Model):
        return f"The model {decision.predict.name}, version asked for: {decision.predict.version}"
    return f"A pipeline of {len(decision.predict.steps)} steps: {decision.predict.name}"


def step_words(decision: AnyDecision) -> list[tuple[str, str]]:
    """Return what is done, step by step, with how it is taken back."""
    action = decision.action
    if action is None:
        return []
    steps = action.steps if isinstance(action, Steps) else (action,)
    return [(step.name, _step(step)) for step in steps]


def _step(step: Any) -> str:
    if isinstance(step, Check):
        return f"looks whether it is safe to go on, for {lasting(step.timeout)} at most"
    if isinstance(step, Signal):
        return f"waits up to {lasting(step.within)} until somebody or something says so"
    if isinstance(step, Wait):
        return f"waits until “{called(step.until)}”" if callable(step.until) else f"waits {lasting(step.until)}"
    return _action(step)


def _action(action: Action[Any]) -> str:
    back = "can be taken back" if action.undo is not None else "cannot be taken back"
    read = ", read back when in doubt" if action.verify is not None else ""
    tries = "tried once" if action.attempts == 1 else f"tried up to {action.attempts} times"
    late = f", begins within {lasting(action.within)} or not at all" if action.within is not None else ""
    to = f", calls {action.to.name}" if action.to is not None else ""
    return f"{tries}, {back}{read}{late}{to}"


def schedule_words(schedule: Every[Any] | None) -> str:
    """Return when a decision is due."""
    if schedule is None:
        return "when an event asks for it"
    shifted = f", {lasting(schedule.offset)} past the full" if schedule.offset else ""
    missed = "caught up" if schedule.missed is Missed.CATCH_UP else "skipped, but for the latest"
    return f"{each(schedule.period)}{shifted}; missed ones are {missed}"
