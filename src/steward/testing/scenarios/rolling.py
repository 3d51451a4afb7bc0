"""The rolling scenario: releases get shares, are promoted and taken back while the server dies and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from steward.clock import Chance
from steward.decision.action import Action, Call
from steward.decision.choice import Choice
from steward.decision.contract import Event
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.feature import Feature, Features, hours, minutes, seconds
from steward.decision.risk import Risk
from steward.errors import DeclarationError, StewardError
from steward.records import Prediction, Receipt
from steward.releases.live import Live
from steward.runtime.runtime import Runtime
from steward.testing.simulation.clients import insist
from steward.testing.simulation.device import Device, attached
from steward.testing.simulation.releases import KEYS, ReleaseServer, ReleaseWatch
from steward.testing.simulation.scenario import Scenario
from steward.testing.simulation.server import Server
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

Change = Callable[[Runtime], Coroutine[Any, Any, Live]]
NOW, LATER, NEVER = "now", "later", "never"
_SHARES: Final = (0.1, 0.3, 0.5, 0.9, 1.0)
_HOLDOUTS: Final = (None, None, 0.0, 0.2, 0.5)
_WHERE_NONE_STANDS: Final = ("start", "start", "start", "shadow", "shadow", "promote", "rollback")
_WHERE_ONE_STANDS: Final = ("start", "shadow", "share", "share", "promote", "promote", "rollback", "stop")
_TRIES: Final = 30
_BUSY: Final = 0.6
"""The part of the time in which releases change: while decisions are asked for, and a little longer."""


class PaymentAsked(Event, contract="simulation.payment-asked"):
    """Somebody wants to be paid.

    Example:
        >>> PaymentAsked(customer="customer-1", number=7).number
        7
    """

    customer: str
    number: int


class Booked(Event, contract="simulation.payment-booked"):
    """What a payment cost in the end.

    Example:
        >>> Booked(customer="customer-1", cost_eur=0.2).customer
        'customer-1'
    """

    customer: str
    cost_eur: float


def pay_now(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Pay today."""
    return _chosen(features, NOW)


def pay_later(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Pay next week."""
    return _chosen(features, LATER)


def pay_never(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Do not pay."""
    return _chosen(features, NEVER)


def _chosen(features: Features, choice: str) -> Choice[str]:
    _WATCH.get().begun(int(features.number("number")), choice)
    return Choice(choice, reasons=("it is always so",))


def cost_eur(features: Features, choice: str, outcome: Booked) -> float:
    """It costs what was booked."""
    return -outcome.cost_eur


def nothing(features: Features, outcome: Booked) -> float:
    """Without it nothing is booked."""
    return 0.0


def pay(choice: str, call: Call) -> Receipt:
    """Stand for the bank; simulations put a device here."""
    return Receipt(reference=call.key)


def look(choice: str, call: Call) -> Receipt | None:
    """Stand for the bank's statement."""
    return None


payment: Decision[PaymentAsked, None, str] = Decision(
    name="simulation.payment",
    owner="simulation",
    purpose="Pay now, later or never",
    risk=Risk.LOW,
    event=PaymentAsked,
    features=(Feature("number"),),
    policy=pay_now,
    action=Action(do=pay, undo=pay, verify=look, attempts=4, timeout=seconds(30)),
    economics=Economics(
        outcome=Booked, key=("customer",), within=hours(2), value=cost_eur, baseline=nothing, unit="EUR", per_month=100
    ),
)
challengers = (replace(payment, policy=pay_later), replace(payment, policy=pay_never))


def somebody_asks(chance: Chance, number: int) -> tuple[Decision[Any, Any, Any], Event]:
    """Return the next request; a few customers ask again and again."""
    return payment, PaymentAsked(customer=chance.choice(KEYS), number=number)


class ReleaseOperators:
    """People who begin rollouts, change their shares, promote and roll back, all at once and in any order.

    Args:
        simulation: Draws what they do.
        server: Where they do it.
        watch: Hears what they were told.

    Example:
        >>> ROLLING.run(seed=3).happened["told released"] > 0
        True
    """

    def __init__(self, simulation: Simulation, server: ReleaseServer, watch: ReleaseWatch) -> None:
        self._simulation, self._server, self._watch = simulation, server, watch

    async def operate(self, number: int) -> None:
        """Change something, and try that again while nobody answers."""
        chance, reason = self._simulation.chance, f"change {number}"
        verb = chance.choice(_WHERE_NONE_STANDS if self._watch.standing.rollout is None else _WHERE_ONE_STANDS)
        words = {"by": chance.choice(("ann", "bo")), "reason": reason}
        try:
            seen = None
            if verb in {"promote", "rollback", "stop"} and chance.random() < 0.5:
                seen = await insist(self._simulation, self._server, self._number, tries=_TRIES)
            change = self._change(verb, words, seen)
            await insist(self._simulation, self._server, lambda runtime: self._done(runtime, change), tries=_TRIES)
        except (StewardError, ConnectionError, TimeoutError) as error:
            self._simulation.trace.note("refused", verb, reason, getattr(error, "code", type(error).__name__))
            return
        self._simulation.trace.note("told released", verb, reason)
        self._watch.told(reason, once=seen is not None)

    async def _number(self, runtime: Runtime) -> int:
        return runtime.releases.live(payment.name).number

    async def _done(self, runtime: Runtime, change: Change) -> None:
        await change(runtime)
        self._watch.follows(runtime, "after a change")

    def _change(self, verb: str, words: dict[str, str], seen: int | None) -> Change:
        chance, name = self._simulation.chance, payment.name
        share, holdout = chance.choice(_SHARES), chance.choice(_HOLDOUTS)
        wanted, whatever = chance.choice(self._server.variants).fingerprint, chance.random() < 0.3
        one = chance.choice(sorted(self._watch.standing.published))

        async def start(runtime: Runtime) -> Live:
            ready = await runtime.lineups.vary(name, challenger=wanted)
            is_shadow = verb == "shadow"
            given = 0.0 if is_shadow else share
            return await runtime.rollouts.start(ready, share=given, is_shadow=is_shadow, holdout=holdout, **words)

        async def promote(runtime: Runtime) -> Live:
            return await runtime.rollouts.promote(name, release=one if whatever else None, number=seen, **words)

        async def rollback(runtime: Runtime) -> Live:
            return await runtime.rollouts.rollback(name, to=one if whatever else None, number=seen, **words)

        changes: dict[str, Change] = {
            "start": start,
            "shadow": start,
            "promote": promote,
            "rollback": rollback,
            "share": lambda runtime: runtime.rollouts.share(name, share, holdout=holdout, **words),
            "stop": lambda runtime: runtime.rollouts.stop(name, number=seen, **words),
        }
        return changes[verb]


@dataclass(frozen=True, kw_only=True)
class RollingScenario(Scenario):
    """Three declarations of one decision, of which people let now this one decide and now that.

    Args:
        changes_of_releases: How often they change something, on average.

    Example:
        >>> ROLLING.run(seed=1).violation is None
        True
    """

    name: str = "rolling"
    changes_of_releases: int = 15

    @cached_property
    def _variants(self) -> Sequence[Decision[Any, Any, Any]]:
        return [attached(decision) for decision in (payment, *challengers)]

    def made_for(self, simulation: Simulation) -> Sequence[Decision[Any, Any, Any]]:
        """Return the decision as it is at first."""
        return self._variants[:1]

    def served(self, simulation: Simulation, decisions: Sequence[Decision[Any, Any, Any]]) -> Server:
        """Return a server that has its challengers, too."""
        return ReleaseServer(simulation, self._variants)

    def watched(
        self, simulation: Simulation, server: Server, device: Device, decisions: Sequence[Decision[Any, Any, Any]]
    ) -> Watch:
        """Return what knows of releases."""
        chooses = {each.fingerprint: what for each, what in zip(self._variants, (NOW, LATER, NEVER), strict=True)}
        watch = ReleaseWatch(simulation, _of_releases(server), device, chooses, "customer")
        _WATCH.set(watch)
        return watch

    async def beside(self, simulation: Simulation, server: Server) -> None:
        """Let people change releases now and then."""
        watch, until = _WATCH.get(), self.lasts.total_seconds() * _BUSY
        operators = ReleaseOperators(simulation, _of_releases(server), watch)
        number = 0
        while True:
            await asyncio.sleep(simulation.chance.expovariate(self.changes_of_releases / until))
            if simulation.loop.time() > until:
                return
            together = 2 if simulation.faults.at("operators.together", 0.3) else 1
            for _ in range(together if watch.standing.published else 0):
                simulation.outside(operators.operate(number))
                number += 1


def _of_releases(server: Server) -> ReleaseServer:
    if not isinstance(server, ReleaseServer):
        raise DeclarationError("only a server of releases can be watched", fix="leave served() as it is")
    return server


_WATCH: ContextVar[ReleaseWatch] = ContextVar("steward_simulated_releases")
"""Looks at the simulation that is under way."""
ROLLING: Final = RollingScenario(
    decisions=(payment,), asks=somebody_asks, requests=16, people=("ann", "bo"), lasts=minutes(10)
)
