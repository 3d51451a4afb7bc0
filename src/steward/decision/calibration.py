"""How a decision's predictions are held against what really happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from steward.errors import DeclarationError

O = TypeVar("O")  # noqa: E741 - the outcome
Label = str | bool | int


@dataclass(frozen=True, kw_only=True)
class Calibration(Generic[O]):
    """Intervals and sets of labels that hold the truth as often as promised, learnt from the outcomes as they come.

    For a number the policy gets ``prediction.interval``; for a label ``prediction.labels``, those that the truth is
    among, and ``prediction.abstains`` where that is not exactly one.

    Args:
        truth: What an outcome says the right answer was: a number, or a label. ``None`` if it does not say. A pure
            function.
        level: The share (0..1, exclusive) of truths that are to be held.
        labels: For a model that answers with a probability: the two labels, second the one whose probability it is.
            A model of several labels names them itself.
        group: The feature by which outcomes are kept apart, so that each group holds the level by itself. Groups with
            too few outcomes, and those beyond ``groups``, go by all outcomes together.
        groups: How many groups are kept apart at most; those whose outcomes come first.
        scale: The feature, a positive number, that residuals are in proportion to; the interval is so, too.

    Raises:
        DeclarationError: The level, the labels or the number of groups is not possible.

    Example:
        >>> from steward.decision.contract import Event
        >>> class Metered(Event):
        ...     load_mw: float
        >>> Calibration(truth=lambda outcome: outcome.load_mw, level=0.95, group="region").groups
        1000
    """

    truth: Callable[[O], float | Label | None]
    level: float = 0.9
    labels: tuple[Label, ...] = ()
    group: str | None = None
    groups: int = 1000
    scale: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers and the labels."""
        if not 0 < self.level < 1:
            raise DeclarationError(
                f"a level lies between 0 and 1, got {self.level!r}",
                fix="say which share is to be held: level=0.9",
                field="calibration.level",
            )
        if not 0 <= self.groups <= 100_000:
            raise DeclarationError(
                f"0 to 100,000 groups can be kept apart, got {self.groups!r}", field="calibration.groups"
            )
        if self.labels and len(set(self.labels)) != 2:
            raise DeclarationError(
                f"{self.labels!r} is not two labels",
                why="only a model of two labels answers with one probability; any other names its labels itself",
                fix='pass two, second the one whose probability the model tells: labels=("legit", "fraud")',
                field="calibration.labels",
            )
        if self.labels and self.scale is not None:
            raise DeclarationError("labels have no scale", fix="leave scale out", field="calibration.scale")
