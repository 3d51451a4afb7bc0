"""The declared decisions: ``grid.emergency``, and ``grid.emergency-confirmation`` which asks people afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from steward.cases.grid.emergency.automation import Automation
from steward.cases.grid.emergency.events import Device, EmergencyEnded, EmergencyHeld, FrequencyLow, Relief
from steward.cases.grid.emergency.scheme import Scheme
from steward.cases.grid.emergency.steps import Emergency
from steward.cases.grid.emergency.switchgear import Switchgear
from steward.clock import Clock
from steward.decision.action import Action, Call
from steward.decision.choice import Choice
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.feature import Feature, Features, days, minutes
from steward.decision.gate import Gate, impact_above
from steward.decision.lane import Lane
from steward.decision.risk import Risk
from steward.errors import DeclarationError
from steward.records import Prediction, Receipt

NAME: Final = "grid.emergency"
CONFIRMATION: Final = "grid.emergency-confirmation"
_ANSWER_WITHIN: Final = minutes(10)


class Verdict(StrEnum):
    """Whether a relieved grid stays so.

    Example:
        >>> Verdict.RESTORE.value
        'restore'
    """

    KEEP = "keep"
    RESTORE = "restore"


def make_decision(
    scheme: Scheme, *, grid: Switchgear, automation: Automation, clock: Clock
) -> Decision[FrequencyLow, None, Relief]:
    """Declare what is done when the frequency is low. Nobody is asked before: see :func:`make_confirmation`.

    Args:
        scheme: What is used, in which order, and what never.
        grid: Takes the orders.
        automation: What is frozen meanwhile.
        clock: Tells when it is too late; the runtime's.

    Raises:
        DeclarationError: It would freeze itself.

    Example:
        >>> from steward.cases.grid.emergency.automation import OwnAutomation
        >>> from steward.cases.grid.emergency.scheme import Feeder
        >>> from steward.cases.grid.emergency.switchgear import SimulatedGrid
        >>> from steward.clock import SystemClock
        >>> scheme = Scheme(order=(Feeder("f1"),), most_shed_mw=10.0)
        >>> grid = SimulatedGrid("es", {"f1": 6.0})
        >>> declared = make_decision(scheme, grid=grid, automation=OwnAutomation(), clock=SystemClock())
        >>> declared.lane.name, len(declared.action.steps)
        ('EMERGENCY', 7)
    """
    if own := {NAME, CONFIRMATION, "*"} & set(scheme.freezes):
        raise DeclarationError(f"an emergency cannot freeze {min(own)!r}", why="it would hold itself", field="freezes")

    def relieve_in_order(features: Features, prediction: Prediction[None]) -> Choice[Relief]:
        """Cover what is missing in the scheme's order, and say what stays uncovered."""
        missing_mw = features.number("shortfall_mw")
        relief = scheme.relief(missing_mw, _devices(scheme, features))
        covered_mw = sum(part.mw for part in relief.parts)
        said = f"{missing_mw:.1f} MW are missing at {features.number('frequency_hz'):.2f} Hz"
        parts = ", ".join(f"{part.device} {part.mw:.1f} MW" for part in relief.parts) or "nothing"
        is_covered = covered_mw >= missing_mw
        return Choice(
            relief,
            reasons=(said, f"in the declared order: {parts}"),
            rule="covered" if is_covered else "not-covered",
        )

    return Decision(
        name=NAME,
        owner="grid-operations",
        purpose="Relieve the grid in the declared order when its frequency is low, and put everything back",
        risk=Risk.HIGH,
        event=FrequencyLow,
        features=_features(scheme),
        policy=relieve_in_order,
        action=Emergency(scheme, grid, automation, clock).steps(),
        economics=_worth(scheme),
        lane=Lane.EMERGENCY,
    )


def make_confirmation(
    scheme: Scheme,
    *,
    automation: Automation,
    ask_above_eur: float = 25_000.0,
    answer_within: timedelta = _ANSWER_WITHIN,
) -> Decision[EmergencyHeld, None, Verdict]:
    """Declare what people are asked once the grid is relieved. Whoever says no, or nothing in time, restores it.

    Args:
        scheme: Its sums: what shed load is worth, and how long it may last.
        automation: Ends the hold.
        ask_above_eur: Where less is at stake, nobody is asked.
        answer_within: How long people have.

    Example:
        >>> from steward.cases.grid.emergency.automation import OwnAutomation
        >>> from steward.cases.grid.emergency.scheme import Feeder
        >>> scheme = Scheme(order=(Feeder("f1"),), most_shed_mw=10.0)
        >>> make_confirmation(scheme, automation=OwnAutomation()).gate.otherwise.value
        'restore'
    """

    async def obey(choice: Verdict, call: Call) -> Receipt:
        if choice is Verdict.RESTORE:
            run = UUID(call.features.text("held_run"))
            await automation.all_clear(run, by=CONFIRMATION, reason="nobody confirmed that it is to stay")
        return Receipt(reference=choice.value)

    return Decision(
        name=CONFIRMATION,
        owner="grid-operations",
        purpose="Keep the grid relieved as it is, or put it back at once",
        risk=Risk.HIGH,
        event=EmergencyHeld,
        features=(Feature("site"), Feature(held_run), Feature("shed_mw"), Feature("at_stake_eur")),
        policy=keep,
        gate=Gate(
            needed=impact_above(ask_above_eur),
            impact=at_stake_eur,
            approvers="grid-desk",
            within=answer_within,
            otherwise=Verdict.RESTORE,
            escalate_to="duty-manager",
        ),
        action=Action(do=obey, attempts=10),
        economics=_counted_elsewhere(),
        lane=Lane.EMERGENCY,
    )


# Features


def measured_at(event: FrequencyLow) -> str:
    """When the alarm was measured."""
    return event.at.isoformat()


def held_run(event: EmergencyHeld) -> str:
    """The run that holds the grid."""
    return str(event.run)


def _features(scheme: Scheme) -> tuple[Feature[FrequencyLow], ...]:
    def can_relieve_mw(event: FrequencyLow) -> tuple[float | None, ...]:
        """What each device of the scheme can relieve, in its order; nothing where one is silent."""
        return _each(scheme, event, lambda device: device.can_relieve_mw)

    def soc_mwh(event: FrequencyLow) -> tuple[float | None, ...]:
        """What is in each store."""
        return _each(scheme, event, lambda device: device.soc_mwh)

    def priority(event: FrequencyLow) -> tuple[float | None, ...]:
        """1 where a device says that it must not be shed."""
        return _each(scheme, event, lambda device: float(device.is_priority))

    def shed_mw(event: FrequencyLow) -> float:
        """What customers go without already, as an earlier emergency is not over."""
        return scheme.shed_already_mw(event.devices)

    own = (measured_at, can_relieve_mw, soc_mwh, priority, shed_mw)
    fields = ("site", "frequency_hz", "shortfall_mw")
    return (*(Feature[FrequencyLow](name) for name in fields), *(Feature(function) for function in own))


def _each(scheme: Scheme, event: FrequencyLow, value: Callable[[Device], float | None]) -> tuple[float | None, ...]:
    there = {device.name: value(device) for device in event.devices}
    return tuple(there.get(means.name) for means in scheme.order)


def _devices(scheme: Scheme, features: Features) -> list[Device]:
    """Return what answered, as the features tell it."""
    told = (features.series(name) for name in ("can_relieve_mw", "soc_mwh", "priority"))
    rows = zip(scheme.order, *told, strict=True)
    return [
        Device(name=means.name, can_relieve_mw=can, soc_mwh=soc, is_priority=bool(priority))
        for means, can, soc, priority in rows
        if can is not None
    ]


# Policy, impact, value


def keep(features: Features, prediction: Prediction[None]) -> Choice[Verdict]:
    """Keep what was done for a reason; people may think otherwise."""
    shed, stake = features.number("shed_mw"), features.number("at_stake_eur")
    return Choice(Verdict.KEEP, reasons=(f"{shed:.1f} MW are shed, worth {stake:,.0f} EUR until the latest end",))


def at_stake_eur(features: Features, prediction: Prediction[None], choice: Verdict) -> float:
    """What keeping it costs those who go without."""
    return features.number("at_stake_eur")


def _worth(scheme: Scheme) -> Economics[Relief, EmergencyEnded]:
    """Compare with the protection relays, which cut off whole blocks by themselves."""

    def unserved_eur(features: Features, choice: Relief, outcome: EmergencyEnded) -> float:
        return -outcome.unserved_mwh * scheme.lost_load_eur_mwh

    def relays_alone_eur(features: Features, outcome: EmergencyEnded) -> float:
        return -outcome.relay_unserved_mwh * scheme.lost_load_eur_mwh

    return Economics(
        outcome=EmergencyEnded,
        key=("site", "at"),
        within=days(1),
        value=unserved_eur,
        baseline=relays_alone_eur,
        unit="EUR",
    )


def _counted_elsewhere() -> Economics[Verdict, EmergencyEnded]:
    """Weigh the question in euro; the value is the emergency's own."""
    return Economics(
        outcome=EmergencyEnded,
        key=("site", "at"),
        within=days(1),
        value=lambda features, choice, outcome: 0.0,
        baseline=lambda features, outcome: 0.0,
        unit="EUR",
    )
