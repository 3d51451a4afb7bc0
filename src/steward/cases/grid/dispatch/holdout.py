"""Savings proved against a holdout: days on which a fixed rule drives the battery, drawn by lot.

What an automated decision does changes what is learned later, and what it saves can only be told beside days that it
did not drive. The rule's release is the champion of a rollout and its holdout; the forecasts' release is the challenger
that has all other days. A day falls into its arm whole (``sticky`` in the decision's economics), as its hours share one
store, and every record says in ``rollout`` which arm it was. That is safe, as the rule has the same limits, gate and
action; it costs what the rule earns less on the days that it keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import msgspec
import numpy as np
from msgspec import Struct

from steward.cases.grid.data.history import Floats
from steward.cases.grid.dispatch.comparison import Estimate, estimate, weights_by_week
from steward.cases.grid.dispatch.decision import NAME
from steward.entries import Valued, decode_body
from steward.errors import ContractError
from steward.ledger.port import Entry
from steward.releases.arms import Arm
from steward.releases.live import Live
from steward.runtime.runtime import Runtime


@dataclass(frozen=True)
class DrivenDay:
    """A day, who drove the battery, and what it earned.

    Attributes:
        day: The local day.
        is_automated: Whether the forecasts drove it, and not the rule.
        eur: What the meter's energy earned, as valued in the ledger.

    Example:
        >>> DrivenDay(date(2018, 1, 1), is_automated=False, eur=400.0).eur
        400.0
    """

    day: date
    is_automated: bool
    eur: float


@dataclass(frozen=True)
class Proof:
    """What automation saved a day, by the days that it did not drive.

    Attributes:
        automated_days: How many days the forecasts drove.
        held_out_days: How many the rule drove.
        plain_eur: The difference of the two means.
        adjusted_eur: The same after what the rule would have earned on each day is taken off: as that depends on the
            prices only and not on the draw, it moves no mean, but most of the noise goes with it.

    Example:
        >>> days = [DrivenDay(date(2018, 1, n), n % 4 > 0, 100.0 * n + 20.0 * (n % 4 > 0)) for n in range(1, 29)]
        >>> proof = proven(days, lambda day: 100.0 * day.day)
        >>> proof.held_out_days, round(proof.adjusted_eur.value, 2)
        (7, 20.0)
    """

    automated_days: int
    held_out_days: int
    plain_eur: Estimate
    adjusted_eur: Estimate


async def hold_out(runtime: Runtime, *, share: float, by: str, reason: str) -> Live:
    """Give the challenger all days but a share drawn by lot, which the running release, the rule, keeps.

    Args:
        runtime: Opened with the rule's decision, and with the automation as its only challenger.
        share: The rule's part of the days, 0..1.
        by: Who says so.
        reason: Why.
    """
    (automation,) = runtime.lineups.challengers(NAME)
    ready = await runtime.lineups.vary(NAME, challenger=automation.fingerprint)
    return await runtime.rollouts.start(ready, share=round(1 - share, 9), holdout=share, by=by, reason=reason)


async def driven_days(runtime: Runtime) -> list[DrivenDay]:
    """Return all days that the ledger's records say were part of a rollout with a holdout, and were valued."""
    asked = {entry.run_id: _decode(entry.body) for entry in await _entries(runtime, "decided")}
    eur: dict[UUID, float] = {}
    for entry in await _entries(runtime, "valued"):
        valued = decode_body(entry.body)
        if isinstance(valued, Valued):
            eur[entry.run_id] = float(valued.saving.amount)  # one that restates comes later
    days: dict[tuple[date, str], float] = {}
    for run_id, record in asked.items():
        if record.decision == NAME and record.rollout is not None and run_id in eur:
            key = (record.event.day, record.rollout.arm)
            days[key] = days.get(key, 0.0) + eur[run_id]
    return [DrivenDay(day, arm != Arm.HOLDOUT, total) for (day, arm), total in sorted(days.items())]


def proven(days: Sequence[DrivenDay], rule_eur: Callable[[date], float]) -> Proof:
    """Return what automation saved a day, with intervals by week blocks.

    Args:
        days: Of both kinds.
        rule_eur: What the rule would have earned on a day, driving every day.

    Raises:
        ContractError: All days were driven by one of the two.
    """
    automated = np.array([day.is_automated for day in days], dtype=np.float64)
    held_out = 1 - automated
    if not automated.any() or not held_out.any():
        raise ContractError("savings need days of both kinds", fix="let the rollout run longer", field="days")
    eur = np.array([day.eur for day in days])
    beyond = eur - np.array([rule_eur(day.day) for day in days])
    weights = weights_by_week([day.day for day in days])
    weights = weights[(weights @ automated > 0) & (weights @ held_out > 0)]

    def saved(values: Floats) -> Estimate:
        def difference(drawn: Floats) -> Floats:
            mean = (drawn @ (values * automated)) / (drawn @ automated)
            return np.asarray(mean - (drawn @ (values * held_out)) / (drawn @ held_out))

        return estimate(difference, weights)

    return Proof(int(automated.sum()), int(held_out.sum()), saved(eur), saved(beyond))


class _Day(Struct):
    day: date


class _Rollout(Struct):
    arm: str


class _Asked(Struct):
    decision: str
    event: _Day
    rollout: _Rollout | None = None


_decode = msgspec.json.Decoder(_Asked).decode


async def _entries(runtime: Runtime, kind: str) -> list[Entry]:
    found: list[Entry] = []
    while entries := await runtime.ledger.read(found[-1].index + 1 if found else 0, 1000, kind=kind):
        found += entries
    return found
