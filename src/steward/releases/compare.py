"""What is seen of a rollout: its arms beside each other, and what its shadows would have chosen.

It is a fold over what the ledger holds, so that it is the same after every restart. What cannot be told apart (a number
as a choice) is told by its sign, so that what is kept stays small however long a rollout lasts.
"""

from __future__ import annotations

import heapq
from collections import Counter
from datetime import datetime
from itertools import count
from typing import Final
from uuid import UUID

from msgspec import Struct

from steward.decision.guardrail import Metric
from steward.records import RolloutFacts
from steward.releases.arms import Arm
from steward.releases.judge import Evidence
from steward.releases.sequences import Happened, Moments

MOST_DISAGREEMENTS: Final = 50
MOST_KINDS: Final = 12
OTHER: Final = "other"


class Disagreement(Struct, frozen=True, kw_only=True):
    """A decision in which a shadow would have chosen otherwise, and what that would have been worth.

    Attributes:
        decision_id: The run.
        at: When it was decided.
        choice: What was in force.
        shadow: What the shadow would have chosen.
        difference: What the shadow's choice would have earned beyond that, in money, by what came of it.

    Example:
        >>> Disagreement(decision_id=UUID(int=1), at=datetime(2026, 1, 1), choice="hold", shadow="sell",
        ...              difference=-3.5).difference
        -3.5
    """

    decision_id: UUID
    at: datetime
    choice: object
    shadow: object
    difference: float


def kind_of(choice: object) -> str:
    """Return what a choice is, without its size, as a word for a table.

    Example:
        >>> kind_of("hold"), kind_of(-7.5), kind_of({"mode": "fast", "power_mw": 3.0}), kind_of(True)
        ('hold', 'below 0', 'mode fast, power_mw above 0', 'yes')
    """
    if isinstance(choice, bool):
        return "yes" if choice else "no"
    if isinstance(choice, int | float):
        return "below 0" if choice < 0 else "above 0" if choice > 0 else "0"
    if isinstance(choice, dict):
        return ", ".join(f"{name} {kind_of(value)}" for name, value in choice.items())[:80]
    if isinstance(choice, list | tuple):
        return ", ".join(kind_of(item) for item in choice)[:80]
    return str(choice)[:80]


class Beside:
    """One shadow beside what was in force.

    Attributes:
        asked: How often it was asked.
        failed: How often it could not choose.
        agreement: How often each pair of kinds came: what was in force, what the shadow would have chosen.
        difference: What the shadow's choices would have earned beyond those in force, one amount a decision.
        took_us: How long it took to choose.

    Example:
        >>> beside = Beside()
        >>> beside.chose("hold", "sell", took_us=12)
        >>> beside.agreed, beside.agreement
        (0.0, Counter({('hold', 'sell'): 1}))
    """

    def __init__(self) -> None:
        self.asked = self.failed = 0
        self.agreement: Counter[tuple[str, str]] = Counter()
        self.difference, self.took_us = Moments(), Moments()
        self._kinds: set[str] = set()
        self._same = 0
        self._order = count()
        self._largest: list[tuple[float, int, Disagreement]] = []

    @property
    def agreed(self) -> float:
        """The share (0..1) of the choices that were the very same."""
        told = self.asked - self.failed
        return self._same / told if told else 0.0

    @property
    def disagreements(self) -> list[Disagreement]:
        """The disagreements that mattered most in money, the largest first."""
        return [each for _, _, each in sorted(self._largest, key=lambda held: (-held[0], held[1]))]

    def could_not(self) -> None:
        """Count that it failed to choose."""
        self.asked += 1
        self.failed += 1

    def chose(self, choice: object, shadow: object, *, took_us: float) -> None:
        """Count what it would have chosen beside what was."""
        self.asked += 1
        self._same += choice == shadow
        self.took_us = self.took_us.plus(Moments(1, took_us))
        self.agreement[self._kind(choice), self._kind(shadow)] += 1

    def earned(self, disagreement: Disagreement) -> None:
        """Take in what a choice of the shadow would have earned beyond the one in force, an equal one too."""
        self.difference = self.difference.plus(Moments(1, disagreement.difference))
        if disagreement.choice == disagreement.shadow:
            return
        held = (abs(disagreement.difference), next(self._order), disagreement)
        if len(self._largest) < MOST_DISAGREEMENTS:
            heapq.heappush(self._largest, held)
        else:
            heapq.heappushpop(self._largest, held)

    def _kind(self, choice: object) -> str:
        kind = kind_of(choice)
        if kind not in self._kinds:
            if len(self._kinds) >= MOST_KINDS:
                return OTHER
            self._kinds.add(kind)
        return kind


class Comparison:
    """Everything seen of one rollout.

    Attributes:
        rollout: Its name.
        holdout: The share that no challenger gets now.
        decided: Decisions by arm, those that failed among them.
        values: What a decision saved, by arm.
        shadows: Each shadow beside what was in force, by release.

    Example:
        >>> seen = Comparison("pay.release/3")
        >>> facts = RolloutFacts("pay.release/3", "canary", 0.05)
        >>> seen.decided_by(facts)
        >>> seen.happened(Metric.ERRORS, facts)
        >>> seen.evidence().happened[Metric.ERRORS]
        [Happened(share=0.05, canary=1, champion=0)]
    """

    def __init__(self, rollout: str) -> None:
        self.rollout, self.holdout = rollout, 0.0
        self.decided: Counter[Arm] = Counter()
        self.values = dict.fromkeys(Arm, Moments())
        self.shadows: dict[str, Beside] = {}
        self._happened: dict[Metric, dict[float, Counter[Arm]]] = {}

    def decided_by(self, facts: RolloutFacts) -> None:
        """Count a decision of an arm."""
        self.decided[Arm(facts.arm)] += 1

    def watches(self, metric: Metric) -> None:
        """Say that a rate is counted from now on: that nothing happened is then known, and not missing."""
        self._happened.setdefault(metric, {})

    def happened(self, metric: Metric, facts: RolloutFacts, times: int = 1) -> None:
        """Count that something unwelcome happened to a decision of an arm."""
        stage = self._happened.setdefault(metric, {}).setdefault(self._share(facts), Counter())
        stage[Arm(facts.arm)] += times

    def saved(self, facts: RolloutFacts, amount: float) -> None:
        """Take in what a decision of an arm saved, in money."""
        arm = Arm(facts.arm)
        self.values[arm] = self.values[arm].plus(Moments(1, amount))

    def beside(self, release: str) -> Beside:
        """Return what is seen of a shadow."""
        return self.shadows.setdefault(release, Beside())

    def evidence(self) -> Evidence:
        """Return what the judge asks for."""
        return Evidence(
            canary=self.decided[Arm.CANARY],
            champion=self.decided[Arm.CHAMPION],
            happened={
                metric: [
                    Happened(share, arms[Arm.CANARY], arms[Arm.CHAMPION])
                    for share, arms in stages.items()
                    if 0 < share < 1
                ]
                for metric, stages in self._happened.items()
            },
            values=(self.values[Arm.CANARY], self.values[Arm.CHAMPION]),
        )

    def _share(self, facts: RolloutFacts) -> float:
        """Return the canary's share of what canary and champion decide, when this was decided."""
        rest = 1 - self.holdout
        if facts.arm == Arm.HOLDOUT or rest <= 0:
            return 0.0
        canary = facts.share if facts.arm == Arm.CANARY else rest - facts.share
        return round(canary / rest, 9)
