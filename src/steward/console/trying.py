"""What a page shows of a what-if: the features that can be moved, what would be chosen, and where that flips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from steward.api.problems import Problem, problem
from steward.console.choices import chosen, measured, named
from steward.console.view import View
from steward.console.words import number
from steward.decision.checks import nearest
from steward.errors import Conflict, ContractError, StewardError
from steward.ledger.run import Run
from steward.records import FeatureValue, Record
from steward.runtime.whatif import Flip, Flips, Range, Redecided

_SET: Final = "set."
"""How the URL's parameters begin that change a feature."""
_MOST_KNOBS: Final = 60
_FLAGS: Final = {"yes": True, "no": False}
_NOTES: Final = {"policy": "the policy's code", "model": "the model", "release": "the declaration"}


class Knob(Struct, frozen=True, kw_only=True):
    """One feature that can be changed.

    Attributes:
        name: The feature's.
        label: What people call it.
        unit: The unit that its name ends with.
        stored: Its stored value, as it is typed.
        typed: What was typed in its place.
        is_number: Whether it is a number.
        is_flag: Whether it is true or false.

    Example:
        >>> Knob(name="soc_mwh", label="Soc", unit="MWh", stored="5.0", is_number=True).field
        'set.soc_mwh'
    """

    name: str
    label: str
    unit: str
    stored: str
    typed: str = ""
    is_number: bool = False
    is_flag: bool = False

    @property
    def field(self) -> str:
        """The name of its field."""
        return f"{_SET}{self.name}"


class Trying(Struct, frozen=True, kw_only=True):
    """A what-if as it is shown.

    Attributes:
        knobs: The features that can be changed.
        moved: The one with the slider.
        range: Where that goes.
        step: How far one move of it is.
        found: What would be decided; ``None`` while nothing is changed.
        title: What would be chosen, in words.
        flips: Where the choice flips, in sentences; ``None`` if nobody asked.
        wrong: Why it cannot be told.
        note: What of the code is another one by now, in words.
        is_asked: Whether the URL asks for anything.

    Example:
        >>> Trying(title="Hold").is_same
        True
    """

    knobs: Sequence[Knob] = ()
    moved: Knob | None = None
    range: Range | None = None
    step: float = 1.0
    found: Redecided | None = None
    title: str
    flips: Sequence[str] | None = None
    wrong: Problem | None = None
    note: str = ""
    is_asked: bool = False

    @property
    def is_same(self) -> bool:
        """Whether the same would be chosen."""
        return self.found is None or self.found.is_same


async def trying(view: View, run: Run) -> Trying:
    """Return the what-if that the URL asks for: ``set.<feature>``, ``vary`` and ``flips``."""
    record, whatif, parameters = run.record, view.runtime.whatif, view.parameters
    typed = {name.removeprefix(_SET): text for name, text in parameters.items() if name.startswith(_SET) and text}
    found: Redecided | None = None
    flips: Flips | None = None
    span: Range | None = None
    wrong: StewardError | None = None
    moved = _moved(run, parameters.get("vary", ""))
    try:
        span = None if moved is None else whatif.range(record, moved)
        changes = {name: _read(record, name, text) for name, text in typed.items()}
        changes = {name: value for name, value in changes.items() if value != record.features[name]}
        if changes:
            found = await whatif.decide(record, changes)
        if parameters.get("flips") and moved is not None:
            flips = await whatif.flips(record, moved, changes)
    except (ContractError, Conflict) as error:
        wrong = error
    knobs = [_knob(name, value, typed.get(name, "")) for name, value in record.features.items() if _can_move(value)]
    return Trying(
        knobs=knobs[:_MOST_KNOBS],
        moved=next((knob for knob in knobs if knob.name == moved), None),
        range=span,
        step=1.0 if span is None else _step(span),
        found=found,
        title=chosen(record.choice, record.policy.rule) if found is None else chosen(found.choice, found.rule),
        flips=None if flips is None or moved is None else _sentences(flips, record.features[moved]),
        wrong=None if wrong is None else problem(wrong),
        note="" if found is None else _note(found),
        is_asked=bool(typed or parameters.get("flips")),
    )


def _can_move(value: FeatureValue) -> bool:
    return isinstance(value, bool | int | float | str)


def _is_number(value: FeatureValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moved(run: Run, wanted: str) -> str | None:
    """Return the feature that gets the slider: the one that is wanted, or whatever moved the answer most."""
    features = run.record.features
    numbers = [name for name, value in features.items() if _is_number(value)]
    if wanted in numbers:
        return wanted
    by_weight = sorted(run.attribution, key=lambda name: -abs(run.attribution[name]))
    continuous = [name for name in numbers if isinstance(features[name], float)]
    return next((name for name in (*by_weight, *continuous, *numbers) if name in numbers), None)


def _knob(name: str, value: FeatureValue, typed: str) -> Knob:
    label, unit = named(name)
    is_flag = isinstance(value, bool)
    return Knob(
        name=name,
        label=label,
        unit=unit,
        stored=("yes" if value else "no") if is_flag else str(value),
        typed=typed,
        is_number=_is_number(value),
        is_flag=is_flag,
    )


def _read(record: Record, name: str, text: str) -> FeatureValue:
    """Read what was typed, as a value of the kind that is stored."""
    if name not in record.features:
        raise ContractError(f"no feature is named {name!r}", fix=nearest(name, record.features), field=name)
    stored = record.features[name]
    try:
        if isinstance(stored, bool):
            return _FLAGS[text]
        if isinstance(stored, int):
            whole = float(text)
            return int(whole) if whole.is_integer() else whole
        return float(text) if isinstance(stored, float) else text
    except (ValueError, KeyError, OverflowError):
        kind = "yes or no" if isinstance(stored, bool) else "a number"
        raise ContractError(f"{text!r} is no value for {name}", fix=f"write {kind}", field=name) from None


def _step(span: Range) -> float:
    """Return a round step of about a hundredth of a range."""
    if span.is_whole or not span.high > span.low:
        return 1.0
    return float(10.0 ** math.floor(math.log10((span.high - span.low) / 100)))


def _note(found: Redecided) -> str:
    parts = [_NOTES[part] for part in ("policy", "model") if part in found.differs]
    if not parts and "release" in found.differs:
        parts = [_NOTES["release"]]
    return f"Decided by today's release: {' and '.join(parts)} changed since." if parts else ""


def _sentences(flips: Flips, stored: FeatureValue) -> Sequence[str]:
    here = float(stored) if isinstance(stored, int | float) else 0.0
    told = [_sentence(flips.feature, flip, here) for flip in flips.flips]
    low, high = measured(flips.feature, flips.range.low), measured(flips.feature, flips.range.high)
    if not told:
        return [f"The choice stays the same from {low} to {high}."]
    return told if flips.is_complete else [*told, f"It flips more often up to {high}."]


def _sentence(feature: str, flip: Flip, here: float) -> str:
    """Say a flip as seen from the stored value: what happens beyond it."""
    is_above = flip.at > here
    side, other = (flip.above, flip.below) if is_above else (flip.below, flip.above)
    place = f"{'from' if is_above else 'below'} {number(float(f'{flip.at:.4g}'))}{_unit(feature)}"
    if side.failed:
        return f"Nothing can be decided {place}: {side.failed}"
    choice = chosen(side.choice, side.rule)
    if choice == chosen(other.choice, other.rule) and side.asks != other.asks:
        return f"{'A person is asked' if side.asks else 'Nobody is asked'} {place}{' up' if is_above else ''}."
    asks = ", and a person is asked" if side.asks and not other.asks else ""
    return f"Flips to “{choice}”{asks} {place}{' up' if is_above else ''}."


def _unit(feature: str) -> str:
    unit = named(feature)[1]
    return f"\N{NO-BREAK SPACE}{unit}" if unit else ""
