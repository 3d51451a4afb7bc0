"""A small company behind the console: a dispatch in steps that asks people, refunds of one team, and the staff."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from msgspec import Struct

from steward import (
    Action,
    Attribution,
    Call,
    Choice,
    Decision,
    Economics,
    Event,
    Feature,
    Features,
    Gate,
    Model,
    Prediction,
    Receipt,
    Risk,
    Steps,
    hours,
    impact_above,
    minutes,
)
from steward.access.identity import Assignment, Identity, Kind
from steward.access.permissions import Role
from steward.api.app import Front, create_app
from steward.clock import Clock, VirtualClock
from steward.console.console import Console
from steward.decision.steps import Check
from steward.models.engines.linear import LinearFile, Term
from steward.models.registry import FolderRegistry
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
DISPATCH, REFUND = "grid.dispatch", "shop.refund"


class Setpoint(StrEnum):
    CHARGE, HOLD, DISCHARGE = "charge", "hold", "discharge"


class Due(Event):
    """The next interval is to be planned."""

    region: str
    price_eur: float
    load_mw: float


class Metered(Event):
    """What the interval cost."""

    region: str
    saved_eur: float


class Refund(Event):
    """A customer wants money back."""

    order_id: str
    amount_eur: float


class Settled(Event):
    """What the refund did in the end."""

    order_id: str
    kept_eur: float


class Order(Struct, frozen=True):
    """A choice of several parts."""

    pay: bool
    amount_eur: float


def follow(features: Features, prediction: Prediction[float]) -> Choice[Setpoint]:
    """Discharge when it is dear."""
    if prediction.value > 0:
        return Choice(Setpoint.DISCHARGE, reasons=(f"it brings {prediction.value:.0f} EUR",))
    return Choice(Setpoint.HOLD, reasons=("it brings nothing",))


def impact_eur(features: Features, prediction: Prediction[float], choice: Setpoint) -> float:
    """What the model expects is at stake."""
    return prediction.value


def is_safe(choice: Setpoint, call: Call) -> str | None:
    """The feeder is in service."""
    return None


def write_setpoint(choice: Setpoint, call: Call) -> Receipt:
    """Tell the battery."""
    return Receipt(reference=f"setpoint-{call.key[-4:]}", detail={"power_mw": "10"})


def write_back(choice: Setpoint, call: Call) -> Receipt:
    """Let the battery rest."""
    return Receipt(reference="held")


dispatch = Decision(
    name=DISPATCH,
    owner="grid-operations",
    purpose="Charge or discharge the battery for the next interval",
    risk=Risk.HIGH,
    event=Due,
    features=(Feature("price_eur"), Feature("load_mw")),
    predict=Model("saving", inputs=("price_eur", "load_mw")),
    attribution=Attribution.INLINE,
    policy=follow,
    gate=Gate(
        needed=impact_above(2_500),
        impact=impact_eur,
        approvers="grid-desk",
        within=minutes(10),
        otherwise=Setpoint.HOLD,
        escalate_to="duty",
    ),
    action=Steps(Check(is_safe), Action(do=write_setpoint, undo=write_back)),
    economics=Economics(
        outcome=Metered,
        key=("region",),
        within=hours(24),
        value=lambda features, choice, outcome: outcome.saved_eur,
        baseline=lambda features, outcome: 0.0,
        unit="EUR",
        per_month=2_880,
    ),
)


def pay_small(features: Features, prediction: Prediction[None]) -> Choice[Order]:
    """Pay what is small."""
    amount_eur = features.number("amount_eur")
    return Choice(Order(pay=True, amount_eur=amount_eur), reasons=("known customer",))


def asked_eur(features: Features, prediction: Prediction[None], choice: Order) -> float:
    """Everything asked for is at stake."""
    return choice.amount_eur


def pay_out(choice: Order, call: Call) -> Receipt:
    """Pay it out."""
    return Receipt(reference=call.key)


refund = Decision(
    name=REFUND,
    owner="payments",
    purpose="Pay a refund or hold it",
    risk=Risk.LOW,
    event=Refund,
    features=(Feature("amount_eur"),),
    policy=pay_small,
    gate=Gate(
        needed=impact_above(500),
        impact=asked_eur,
        approvers="payments-desk",
        approvals=2,
        four_eyes=True,
        within=hours(4),
        otherwise=Order(pay=False, amount_eur=0.0),
    ),
    action=Action(do=pay_out),
    economics=Economics(
        outcome=Settled,
        key=("order_id",),
        within=hours(24),
        value=lambda features, choice, outcome: outcome.kept_eur,
        baseline=lambda features, outcome: 0.0,
        unit="EUR",
    ),
)

STAFF = {
    "ana": (Role.APPROVER, ("grid-desk", "payments-desk")),
    "ben": (Role.APPROVER, ("grid-desk", "payments-desk", "duty")),
    "olga": (Role.OPERATOR, ("grid-desk",)),
    "audra": (Role.AUDITOR, ()),
    "paula": (Role.PRODUCT_LEADER, ()),
    "piet": (Role.PUBLISHER, ()),
    "mo": (Role.MODEL_OWNER, ()),
    "bot": (Role.SERVICE, ()),
}
"""Who works here besides Ada, the administrator."""


def register_model(root: Path, clock: Clock, *, wear_eur: float = 0.0) -> FolderRegistry:
    """Register the model of what a dispatch saves: 40 EUR for each EUR of price above 60, 0.1 for each MW above 500."""
    file = LinearFile(
        intercept=-2_400.0 - 50.0 - wear_eur,
        terms=(
            Term("price_eur", coefficient=40.0, mean=60.0, missing=60.0),
            Term("load_mw", coefficient=0.1, mean=500.0, missing=500.0),
        ),
    )
    registry = FolderRegistry(root / "models")
    registry.register(
        "saving",
        kind="linear",
        files={"model.json": file.to_bytes()},
        inputs=("price_eur", "load_mw"),
        task="regression",
        clock=clock,
    )
    return registry


@dataclass
class Company:
    """The runtime with its console, and ways to look at it."""

    runtime: Runtime
    clock: Clock
    app: Front
    secrets: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def open(
        cls, root: Path, *, ledger: str = "memory://", clock: Clock | None = None, **settings: Any
    ) -> Company:
        """Open the runtime with both decisions; time stands still unless another clock is given."""
        clock = clock or VirtualClock(NOON, seed=7)
        runtime = await Runtime.open(
            [dispatch, refund],
            settings=Settings(root=root, ledger=ledger, zone="Europe/Madrid", **settings),
            clock=clock,
            registry=register_model(root, clock),
        )
        return cls(runtime, clock, create_app(runtime, rooms=[Console(about="demo data")]))

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Return a browser without JavaScript in which nobody is signed in; it follows no redirect by itself."""
        shown = {"accept": "text/html", "sec-fetch-site": "same-origin", **headers}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app), base_url="http://localhost", headers=shown
        )

    def client_of(self, name: str) -> httpx.AsyncClient:
        """Return a browser that shows somebody's key with each request, so that no session is needed."""
        return self.client(authorization=f"Bearer {self.secrets[name]}")

    async def enrol(self) -> None:
        """Make Ada the administrator, enrol the staff, and limit refunds to the team ``payments-desk``."""
        guard = self.runtime.guard
        once = await guard.bootstrap()
        assert once is not None
        self.secrets["ada"] = (await guard.exchange(once.reveal(), id="ada", display="Ada Office")).secret.reveal()
        ada = await guard.identify({b"authorization": f"Bearer {self.secrets['ada']}".encode()})
        for name, (role, teams) in STAFF.items():
            kind = Kind.SERVICE if role is Role.SERVICE else Kind.PERSON
            who = Identity(id=name, kind=kind, display=name.title(), teams=frozenset(teams), roles=(Assignment(role),))
            await guard.administration.enrol(ada, who)
            issued = await guard.administration.issue_key(ada, name, label="test")
            self.secrets[name] = issued.secret.reveal()
        await guard.administration.limit(ada, REFUND, ["payments-desk"])

    async def dispatch(self, price_eur: float = 60.0, load_mw: float = 500.0, region: str = "ES") -> UUID:
        """Decide a dispatch; above a price of about 122 EUR people are asked."""
        event = Due(region=region, price_eur=price_eur, load_mw=load_mw)
        answer = await self.runtime.decide(DISPATCH, event)
        await self.runtime.advance()
        return answer.record.decision_id

    async def try_out(self, wear_eur: float, **how: Any) -> str:
        """Register a version of the model that counts what a dispatch wears out, and try it; return its release."""
        register_model(self.runtime.settings.root, self.clock, wear_eur=wear_eur)
        version = FolderRegistry(self.runtime.settings.root / "models").versions("saving")[-1]
        ready = await self.runtime.lineups.vary(DISPATCH, {"saving": version})
        await self.runtime.rollouts.start(ready, by="mo", reason="wear counts", **how)
        return ready.release

    async def refund(self, amount_eur: float, order_id: str = "o-1") -> UUID:
        """Decide a refund; above 500 EUR two people are asked."""
        answer = await self.runtime.decide(REFUND, Refund(order_id=order_id, amount_eur=amount_eur))
        await self.runtime.advance()
        return answer.record.decision_id

    async def meter(self, saved_eur: float, run: UUID) -> None:
        """Tell what a dispatch brought."""
        outcome = Metered(region="ES", saved_eur=saved_eur)
        await self.runtime.observe(DISPATCH, outcome, outcome_id=str(run), decision_id=run)
        await self.runtime.advance()

    async def later(self, by: timedelta) -> None:
        """Let time pass."""
        assert isinstance(self.clock, VirtualClock)
        self.clock.set(self.clock.now() + by)
        await self.runtime.advance()
