"""A device in the world: takes each idempotency key once, and answers late, wrongly or never."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec

from steward.decision.action import Action, Call
from steward.decision.decision import Decision
from steward.decision.steps import Steps
from steward.errors import EngineError, StewardError
from steward.records import Receipt
from steward.testing.simulation.world import Simulation

T = TypeVar("T")
D = TypeVar("D", bound=Decision[Any, Any, Any])
Told = Callable[[str, str, object, Call], object]
Really = Callable[[Any, Call], Receipt]
"""Does something in the world, at once."""
_CURRENT: ContextVar[Device] = ContextVar("steward_simulated_device")
_SLOW: Final = timedelta(seconds=90)


def _promptly(choice: object, call: Call) -> Receipt:
    return Receipt(reference=call.key)


@dataclass
class Effect:
    """What a device did under one key.

    Example:
        >>> Effect(step="pay", choice="pay", run="7", receipt=Receipt(reference="r1")).arrivals
        1
    """

    step: str
    choice: object
    run: str
    receipt: Receipt
    arrivals: int = 1
    undone: bool = False
    read_back: bool = False


class Device:
    """Receives what actions do, under the faults of a simulation; the last stop before the real world.

    Each call travels: the effect may happen although the answer is lost, late, or after the caller has died; only what
    arrives after the call's deadline is dropped. A key that was taken, or taken back, changes nothing when it comes
    again.

    The points are ``device.down`` (an error, no effect), ``device.deaf`` (no effect, no answer), ``device.slow``,
    ``device.hangs`` (effect, no answer), ``device.answer-lost`` (effect, then an error), ``device.refuses`` (for good).

    Args:
        simulation: Whose faults and time it has.
        told: Called at the beginning of each call with the verb, the step's name, the choice and the call.

    Attributes:
        effects: What was done, by key.

    Example:
        >>> device = Device(Simulation(seed=1))
        >>> device.effects
        {}
    """

    def __init__(self, simulation: Simulation, *, told: Told = lambda verb, step, choice, call: None) -> None:
        self.effects: dict[str, Effect] = {}
        self.told = told
        self._simulation, self._faults = simulation, simulation.faults
        _CURRENT.set(self)

    async def do(self, step: str, choice: object, call: Call, really: Really = _promptly) -> Receipt:
        """Take what is to be done under the call's key; ``really`` does it."""
        self.told("do", step, choice, call)
        return await self._simulation.outside(self._do(step, choice, call, really))

    async def undo(self, step: str, choice: object, call: Call, really: Really = _promptly) -> Receipt:
        """Take back what was done under the key that the call undoes, or will not be done under it any more."""
        self.told("undo", step, choice, call)
        return await self._simulation.outside(self._undo(step, choice, call, really))

    async def verify(self, step: str, choice: object, call: Call) -> Receipt | None:
        """Tell whether something was done under the call's key, and not taken back."""
        self.told("verify", step, choice, call)
        receipt = await self._simulation.outside(self._verify(call))
        if receipt is None:
            self.told("verified", step, choice, call)
        return receipt

    async def _do(self, step: str, choice: object, call: Call, really: Really) -> Receipt:
        left = None if call.deadline is None else call.deadline - self._simulation.machine.now()
        began_us = self._simulation.loop.now_us
        await self._travel()
        if self._faults.at("device.refuses", 0.02):
            self.told("refused", step, choice, call)
            raise EngineError("the device refuses", code="device.refused")
        if left is not None and timedelta(microseconds=self._simulation.loop.now_us - began_us) > left:
            raise TimeoutError("the call came after its deadline")
        if (effect := self.effects.get(call.key)) is None:
            plain = msgspec.to_builtins(choice)
            receipt = self._done("do", step, choice, call, really)
            effect = self.effects[call.key] = Effect(step, plain, str(call.decision_id), receipt, arrivals=0)
            self._simulation.trace.note("effect", call.key, step, repr(plain))
        effect.arrivals += 1
        return await self._answered(effect.receipt)

    def _done(self, verb: str, step: str, choice: object, call: Call, really: Really) -> Receipt:
        try:
            return really(choice, call)
        except StewardError:
            self.told("refused", step, choice, call)
            raise

    async def _undo(self, step: str, choice: object, call: Call, really: Really) -> Receipt:
        await self._travel()
        self.told("undoing", step, choice, call)
        key = call.undoes or call.key
        receipt = Receipt(reference=call.key)
        plain = msgspec.to_builtins(choice)
        effect = self.effects.setdefault(key, Effect(step, plain, str(call.decision_id), receipt, arrivals=0))
        if not effect.undone:
            if effect.arrivals:
                receipt = really(choice, call)
            effect.undone = True
            self._simulation.trace.note("taken back", key, step)
        return await self._answered(receipt)

    async def _verify(self, call: Call) -> Receipt | None:
        await self._travel()
        effect = self.effects.get(call.key)
        if effect is None:
            return await self._answered(None)
        effect.read_back = True
        return await self._answered(None if effect.undone else effect.receipt)

    async def _travel(self) -> None:
        if self._faults.at("device.down"):
            raise ConnectionError("the device cannot be reached")
        if self._faults.at("device.deaf", 0.05):
            await asyncio.Event().wait()
        await self._faults.pause("device.slow", _SLOW)

    async def _answered(self, receipt: T) -> T:
        if self._faults.at("device.hangs", 0.05):
            await asyncio.Event().wait()
        if self._faults.at("device.answer-lost"):
            raise ConnectionError("the answer was lost")
        await self._faults.pause("device.slow-answer", _SLOW)
        return receipt


def attached(decision: D, *, really: bool = False) -> D:
    """Return the decision with the current simulation's device in the place of all that its action calls.

    Args:
        decision: What is declared.
        really: Whether the device passes on what arrives to the functions that stood there; they must be plain.

    Example:
        >>> from steward.testing.scenarios.small import refund
        >>> changed = attached(refund)
        >>> changed.action == refund.action, changed.policy is refund.policy
        (False, True)
    """
    action = decision.action
    if isinstance(action, Steps):
        steps = (_replaced(step, really=really) if isinstance(step, Action) else step for step in action.steps)
        return replace(decision, action=Steps(*steps, name=action.name, within=action.within))
    return decision if action is None else replace(decision, action=_replaced(action, really=really))


def _replaced(action: Action[Any], *, really: bool) -> Action[Any]:
    step = action.name
    really_do: Any = action.do if really else _promptly
    really_undo: Any = action.undo if really else _promptly

    async def do(choice: Any, call: Call) -> Receipt:
        return await _CURRENT.get().do(step, choice, call, really_do)

    async def undo(choice: Any, call: Call) -> Receipt:
        return await _CURRENT.get().undo(step, choice, call, really_undo)

    async def verify(choice: Any, call: Call) -> Receipt | None:
        return await _CURRENT.get().verify(step, choice, call)

    do.__name__ = step
    return replace(
        action,
        do=do,
        undo=None if action.undo is None else undo,
        verify=None if action.verify is None else verify,
    )
