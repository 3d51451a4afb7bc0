"""The declared decision ``grid.energy-purchase``, in loop order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from steward.cases.grid.purchase.exchange import Exchange, Trade
from steward.cases.grid.purchase.streams import NOTHING, PositionForecast, PurchaseOrder, PurchaseSettled
from steward.decision.action import Action, Call, Destination
from steward.decision.choice import Choice
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.feature import Feature, Features, days, minutes
from steward.decision.gate import Gate, impact_above
from steward.decision.risk import Risk
from steward.decision.rules import Rules
from steward.errors import DeclarationError
from steward.records import Prediction, Receipt

NAME: Final = "grid.energy-purchase"
RULES: Final = Path(__file__).with_name("rules.json")
"""The policy as data, with the day's budget; ``steward policy diff`` tells two versions apart."""
_ANSWER_WITHIN: Final = minutes(15)
_EXCHANGE: Final = Destination(name="energy-exchange", at_once=1)


@dataclass(frozen=True, kw_only=True)
class Automatic:
    """How large an order may be without a person.

    Args:
        up_to_eur: What it may cost at most.
        up_to_mwh: What it may buy at most, however cheap.

    Example:
        >>> limit = Automatic(up_to_eur=5_000.0, up_to_mwh=50.0)
        >>> limit.at_stake_eur(PurchaseOrder(energy_mwh=60.0, limit_eur_mwh=10.0))
        6000.0
    """

    up_to_eur: float = 5_000.0
    up_to_mwh: float = 50.0

    def __post_init__(self) -> None:
        """Refuse limits that nothing fits under."""
        if min(self.up_to_eur, self.up_to_mwh) <= 0:
            raise DeclarationError("an order without a person has an amount and a price", field="automatic")

    def at_stake_eur(self, order: PurchaseOrder) -> float:
        """Return what an order puts at stake: its cost, but each MWh counts so much that the amount has a limit, too.

        So it is above ``up_to_eur`` exactly if the cost is, or the amount is above ``up_to_mwh``.
        """
        return max(order.spend_eur, order.energy_mwh * self.up_to_eur / self.up_to_mwh)


# Features: functions of the event


def delivery_start(event: PositionForecast) -> str:
    """The delivery period decided for."""
    return event.at.isoformat()


def short_mwh(event: PositionForecast) -> float:
    """What is missing; below zero if there is too much. To the watt-hour, as settlement is."""
    return round(event.forecast_mwh - event.plan_mwh, 6)


def gain_eur_mwh(event: PositionForecast) -> float:
    """What buying now saves against being short."""
    return round(event.imbalance_eur_mwh - event.ask_eur_mwh, 6)


# Gate, action, economics


def _impact(automatic: Automatic) -> Callable[[Features, Prediction[None], PurchaseOrder], float]:
    def at_stake_eur(features: Features, prediction: Prediction[None], choice: PurchaseOrder) -> float:
        return automatic.at_stake_eur(choice)

    return at_stake_eur


def expected_eur(features: Features, prediction: Prediction[None], choice: PurchaseOrder) -> float:
    """What the order earns if being short costs what is expected."""
    return round(choice.energy_mwh * features.number("gain_eur_mwh"), 2)


def paid_eur(features: Features, choice: PurchaseOrder, outcome: PurchaseSettled) -> float:
    """What was paid for what was bought."""
    return -outcome.bought_mwh * outcome.price_eur_mwh


def imbalance_eur(features: Features, outcome: PurchaseSettled) -> float:
    """What the same energy cost those who were short of it."""
    return -outcome.bought_mwh * outcome.imbalance_eur_mwh


def make_decision(
    exchange: Exchange,
    *,
    automatic: Automatic | None = None,
    policy: Callable[[Features, Prediction[None]], Choice[PurchaseOrder]] | None = None,
    answer_within: timedelta = _ANSWER_WITHIN,
) -> Decision[PositionForecast, None, PurchaseOrder]:
    """Declare the decision for an exchange.

    Args:
        exchange: Takes the orders.
        automatic: How large an order may be without a person; 5,000 EUR and 50 MWh by default.
        policy: What is bought; by default the rules that ship with the case, and their day's budget.
        answer_within: How long a person has above that; then nothing is bought.

    Example:
        >>> from steward.cases.grid.data.local_days import LocalDays
        >>> from steward.cases.grid.purchase.exchange import SimulatedExchange
        >>> make_decision(SimulatedExchange(LocalDays("UTC"))).gate.otherwise.energy_mwh
        0.0
    """
    limit = automatic or Automatic()
    return Decision(
        name=NAME,
        owner="energy-trading",
        purpose="Buy in the day what a delivery period lacks beyond the contracted plan",
        risk=Risk.HIGH,
        event=PositionForecast,
        features=(
            Feature(delivery_start),
            Feature(short_mwh),
            Feature(gain_eur_mwh),
            *(Feature[PositionForecast](name) for name in ("ask_eur_mwh", "bought_mwh", "spent_eur")),
        ),
        policy=policy or Rules.of(RULES, choices=PurchaseOrder),
        gate=Gate(
            needed=impact_above(limit.up_to_eur),
            impact=_impact(limit),
            approvers="trading-desk",
            within=answer_within,
            otherwise=NOTHING,
            escalate_to="duty-manager",
        ),
        action=_order_at(exchange),
        economics=Economics(
            outcome=PurchaseSettled,
            key=("site", "at"),
            within=days(2),
            value=paid_eur,
            baseline=imbalance_eur,
            unit="EUR",
            expected=expected_eur,
        ),
    )


def _order_at(exchange: Exchange) -> Action[PurchaseOrder]:
    """Place the order once, whatever is lost on the way; what is bought cannot be given back."""

    async def place_order(choice: PurchaseOrder, call: Call) -> Receipt:
        if not choice.energy_mwh:
            return Receipt(reference="no-order")
        at = datetime.fromisoformat(call.features.text("delivery_start"))
        return _receipt(await exchange.place(choice, at=at, key=call.key))

    async def find_trade(choice: PurchaseOrder, call: Call) -> Receipt | None:
        if not choice.energy_mwh:
            return Receipt(reference="no-order")
        trade = await exchange.trade(key=call.key)
        return None if trade is None else _receipt(trade)

    return Action(do=place_order, verify=find_trade, timeout=minutes(1), within=minutes(30), to=_EXCHANGE)


def _receipt(trade: Trade) -> Receipt:
    detail = {"energy_mwh": f"{trade.energy_mwh:.6g}", "price_eur_mwh": f"{trade.price_eur_mwh:.6g}"}
    return Receipt(reference=trade.reference, detail=detail)
