"""Where energy is bought in the day: the port, and a simulated exchange that can reject, fill in part, and be down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.purchase.streams import PositionForecast, PurchaseOrder, PurchaseSettled
from steward.errors import EngineError


@dataclass(frozen=True, kw_only=True)
class Trade:
    """What an order bought; nothing if nobody sold at its price.

    Attributes:
        reference: The exchange's name for it.
        at: The start of the delivery period.
        energy_mwh: What was bought.
        price_eur_mwh: At which price.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> Trade(reference="T-1", at=noon, energy_mwh=2.0, price_eur_mwh=80.0).cost_eur
        160.0
    """

    reference: str
    at: datetime
    energy_mwh: float
    price_eur_mwh: float

    @property
    def cost_eur(self) -> float:
        """What it cost."""
        return self.energy_mwh * self.price_eur_mwh


class Exchange(Protocol):
    """Takes orders, each once.

    Both methods raise a retryable ``EngineError`` while the exchange cannot be reached.
    """

    async def place(self, order: PurchaseOrder, *, at: datetime, key: str) -> Trade:
        """Buy what can be had at once within the order; the same key again returns the same trade.

        Raises:
            EngineError: The exchange rejects it (not retryable), or cannot be reached (retryable).
        """
        ...

    async def trade(self, *, key: str) -> Trade | None:
        """Return what the order of a key bought, if the exchange has it."""
        ...


class SimulatedExchange:
    """One seller a delivery period, with a price and an amount; it closes when delivery begins.

    Args:
        local: The zone of the days that are counted.

    Attributes:
        down: While set, nothing answers.
        loses_answers: So many orders are taken, but their answers are lost on the way.

    Example:
        >>> import asyncio
        >>> from datetime import UTC
        >>> exchange, noon = SimulatedExchange(LocalDays("UTC")), datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> exchange.offer(noon, energy_mwh=5.0, price_eur_mwh=80.0)
        >>> order = PurchaseOrder(energy_mwh=8.0, limit_eur_mwh=85.0)
        >>> asyncio.run(exchange.place(order, at=noon, key="run-1")).energy_mwh
        5.0
    """

    def __init__(self, local: LocalDays) -> None:
        self.local = local
        self.down = False
        self.loses_answers = 0
        self._offers: dict[datetime, tuple[float, float]] = {}
        self._trades: dict[str, Trade] = {}

    def offer(self, at: datetime, *, energy_mwh: float, price_eur_mwh: float) -> None:
        """Let somebody sell energy of the delivery period that starts at ``at``."""
        self._offers[at] = (energy_mwh, price_eur_mwh)

    def close(self, at: datetime) -> None:
        """Let delivery begin: orders for that period are rejected from now on."""
        self._offers.pop(at, None)

    async def place(self, order: PurchaseOrder, *, at: datetime, key: str) -> Trade:
        """Buy what is offered within the order; see :class:`Exchange`."""
        self._answer()
        if key not in self._trades:
            if at not in self._offers:
                raise EngineError(f"the period of {at.isoformat()} is not traded", code="order-rejected")
            offered, price = self._offers[at]
            taken = min(order.energy_mwh, offered) if price <= order.limit_eur_mwh else 0.0
            self._offers[at] = (offered - taken, price)
            self._trades[key] = Trade(
                reference=f"T-{len(self._trades) + 1}", at=at, energy_mwh=taken, price_eur_mwh=price
            )
            if self.loses_answers:
                self.loses_answers -= 1
                raise EngineError("the exchange's answer was lost", retryable=True)
        return self._trades[key]

    async def trade(self, *, key: str) -> Trade | None:
        """Return what the order of a key bought; see :class:`Exchange`."""
        self._answer()
        return self._trades.get(key)

    def position(
        self, site: str, at: datetime, *, plan_mwh: float, forecast_mwh: float, imbalance_eur_mwh: float
    ) -> PositionForecast:
        """Return the question whether to buy for the period at ``at``, with what the day has cost so far."""
        day = self.local.day_of(at)
        trades = self._of(day)
        return PositionForecast(
            site=site,
            at=at,
            day=day,
            plan_mwh=plan_mwh,
            forecast_mwh=forecast_mwh,
            ask_eur_mwh=self._offers[at][1],
            imbalance_eur_mwh=imbalance_eur_mwh,
            bought_mwh=sum(trade.energy_mwh for trade in trades),
            spent_eur=sum(trade.cost_eur for trade in trades),
        )

    def settle(self, site: str, at: datetime, *, imbalance_eur_mwh: float) -> PurchaseSettled:
        """Return what the period's purchases came to, once being short has a price."""
        trades = [trade for trade in self._trades.values() if trade.at == at]
        bought = sum(trade.energy_mwh for trade in trades)
        paid = sum(trade.cost_eur for trade in trades)
        return PurchaseSettled(
            site=site,
            at=at,
            bought_mwh=bought,
            price_eur_mwh=paid / bought if bought else 0.0,
            imbalance_eur_mwh=imbalance_eur_mwh,
        )

    def _of(self, day: date) -> list[Trade]:
        return [trade for trade in self._trades.values() if self.local.day_of(trade.at) == day]

    def _answer(self) -> None:
        if self.down:
            raise EngineError("the exchange does not answer", retryable=True, code="exchange-down")
