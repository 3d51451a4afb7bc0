"""The switching scenario: several steps with waits, a signal and a check, agreed to by two people with four eyes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from steward.clock import Chance
from steward.decision.action import Action, Call, Destination
from steward.decision.choice import Choice
from steward.decision.contract import Event
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.feature import Feature, Features, hours, minutes, seconds
from steward.decision.gate import Gate, impact_above
from steward.decision.risk import Risk
from steward.decision.steps import Check, Signal, Steps, Wait
from steward.errors import ContractError
from steward.records import Prediction, Receipt
from steward.testing.simulation.scenario import Scenario

CREW = "crew-clear"


class SwitchAsked(Event, contract="simulation.switch-asked"):
    """A feeder is to be taken out of service.

    Example:
        >>> SwitchAsked(feeder="F-7", load_mw=4).load_mw
        4
    """

    feeder: str
    load_mw: int


class Metered(Event, contract="simulation.metered"):
    """What the switching cost.

    Example:
        >>> Metered(feeder="F-7", cost_eur=20.0).feeder
        'F-7'
    """

    feeder: str
    cost_eur: float


def take_all(features: Features, prediction: Prediction[None]) -> Choice[int]:
    """Take the whole load."""
    return Choice(int(features.number("load_mw")), reasons=("all of it is asked for",))


def at_stake_eur(features: Features, prediction: Prediction[None], choice: int) -> float:
    """A megawatt is worth 100 EUR."""
    return 100.0 * choice


def at_most_what_is_asked(features: Features, proposed: int, wanted: int) -> None:
    """Let people take less, not more."""
    if not 0 <= wanted <= features.number("load_mw"):
        raise ContractError("only less than what is asked for can be taken", field="choice")


def cost_eur(features: Features, choice: int, outcome: Metered) -> float:
    """It costs what the meter says."""
    return -outcome.cost_eur


def nothing(features: Features, outcome: Metered) -> float:
    """Without it nothing is paid."""
    return 0.0


def is_dead(choice: int, call: Call) -> str | None:
    """Find nothing against it."""
    return None


def open_breaker(choice: int, call: Call) -> Receipt:
    """Stand for the gateway; simulations put a device here."""
    return Receipt(reference=call.key)


def earth(choice: int, call: Call) -> Receipt:
    """Stand for the gateway; simulations put a device here."""
    return Receipt(reference=call.key)


def close(choice: int, call: Call) -> Receipt:
    """Stand for the gateway; simulations put a device here."""
    return Receipt(reference=call.key)


def look(choice: int, call: Call) -> Receipt | None:
    """Stand for the gateway's answer."""
    return None


_GATEWAY = Destination(name="simulated-gateway", at_once=1, failures=3, open_for=seconds(20))

switching: Decision[SwitchAsked, None, int] = Decision(
    name="simulation.switching",
    owner="simulation",
    purpose="Take a feeder out of service",
    risk=Risk.HIGH,
    event=SwitchAsked,
    features=(Feature("load_mw"),),
    policy=take_all,
    gate=Gate(
        needed=impact_above(300.0),
        impact=at_stake_eur,
        approvers="desk",
        within=minutes(6),
        otherwise=0,
        escalate_to=("shift", "manager"),
        approvals=2,
        four_eyes=True,
        limits=at_most_what_is_asked,
    ),
    action=Steps(
        Check(is_dead),
        Action(do=open_breaker, undo=close, verify=look, attempts=3, to=_GATEWAY),
        Wait(timedelta(seconds=20), name="settle"),
        Signal(name=CREW, within=minutes(5)),
        Action(do=earth, undo=close, verify=look, attempts=3, to=_GATEWAY),
        name="switch",
    ),
    economics=Economics(
        outcome=Metered, key=("feeder",), within=hours(2), value=cost_eur, baseline=nothing, unit="EUR", per_month=100
    ),
)


def somebody_asks(chance: Chance, number: int) -> tuple[Decision[Any, Any, Any], Event]:
    """Return the next request; most need two people."""
    return switching, SwitchAsked(feeder=f"F-{number}", load_mw=chance.randint(1, 12))


def take_less(choice: Any) -> object:
    """Change what is asked to half of it."""
    return int(choice) // 2


SWITCHING = Scenario(
    name="switching",
    decisions=(switching,),
    asks=somebody_asks,
    requests=3,
    people=("ann", "bo", "cy", "di", "ed"),
    changes=take_less,
    signals=(CREW,),
    lasts=minutes(20),
)
