"""The gateway: one model, several engines in an order, and why an answer came from which.

It is an engine itself, made of others. The first engine answers; the next is asked where the first fails, is spared by
its breaker, is full, is out of budget, or is not sure enough of its answer. What a placement denies is never in the
order at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from steward.downstream.breaker import Breaker, Verdict
from steward.downstream.bulkhead import Bulkhead
from steward.errors import EngineError, HeldBack
from steward.records import Money
from steward.serving.budget import Purse, micro_of, money
from steward.serving.port import DEADLINE, Answered, Charged, Served, closed, too_late

_UNKNOWN: Final = frozenset({DEADLINE, "cut-off", "answer-unreadable"})
"""Codes after which it is not known whether the call is charged; then it is taken for charged."""


Worst = Callable[[Sequence[Any]], int]
"""Returns the most that answering may cost, in millionths of the price's unit."""


@dataclass
class Hop:
    """An engine in the order.

    Attributes:
        engine: Answers.
        breaker: Spares it where it is ill; ``None`` for this process.
        bulkhead: Its places; ``None`` for this process, which keeps its own.
        worst: Says, before a call, what it may cost at most; ``None`` if it costs nothing.
    """

    engine: Served[Any]
    breaker: Breaker | None = None
    bulkhead: Bulkhead | None = None
    worst: Worst | None = None

    @property
    def load(self) -> float:
        """The share of its places that is taken."""
        return self.engine.load


@dataclass
class _Open:
    """What is still to be answered, and what is known already."""

    questions: Sequence[Any]
    results: list[Answered | EngineError | None]
    places: list[int]
    reasons: list[str] = field(default_factory=list)
    error: EngineError | None = None


class Gateway:
    """Engines in the order of preference, behind the port.

    Args:
        name: The model's name; errors call it so.
        hops: The engines that may be asked, in order; at least one.
        each_s: How long one may take before the next is asked.
        escalate_below: An answer less sure than this is asked again of the next.
        spill_above: From this load on, the next is asked instead.
        purse: What calls are paid from, if there is a budget.
        denied: Why engines before the first of the hops may not be asked.
        sure: Says how sure an answer is; by default as it says itself, or its highest probability.

    Example:
        >>> from steward.models.engines.functions import FunctionModel
        >>> from steward.serving.inprocess import InProcess, Place
        >>> async def ask() -> object:
        ...     engine = await InProcess.open(FunctionModel("twice", lambda x: 2 * x), place=Place.LOOP)
        ...     gateway = Gateway("twice", [Hop(engine)], denied=("models-us: it is managed",))
        ...     [answer] = await gateway.answer([[21.0]], within_s=1.0)
        ...     return answer.value, answer.facts.reason
        >>> asyncio.run(ask())
        (42.0, 'models-us: it is managed')
    """

    def __init__(
        self,
        name: str,
        hops: Sequence[Hop],
        *,
        each_s: float | None = None,
        escalate_below: float = 0.0,
        spill_above: float | None = None,
        purse: Purse | None = None,
        denied: Sequence[str] = (),
        sure: Callable[[Answered], float | None] | None = None,
    ) -> None:
        self._sure = sure or confidence_of
        self.name, self._hops, self._each_s, self._purse = name, hops, each_s, purse
        self._escalate_below, self._spill_above, self._denied = escalate_below, spill_above, denied
        self._is_closed = False

    @property
    def load(self) -> float:
        """The load of the engine that has most room."""
        return min(hop.load for hop in self._hops)

    async def answer(self, questions: Sequence[Any], *, within_s: float) -> Sequence[Answered | EngineError]:
        """Answer by the first engine that can; see :class:`steward.serving.port.Served`."""
        if self._is_closed:
            raise closed(self.name)
        if not questions:
            return []
        time = asyncio.get_running_loop().time
        until = time() + within_s
        state = _Open(questions, [None] * len(questions), list(range(len(questions))), list(self._denied))
        for number, hop in enumerate(self._hops):
            left_s = until - time()
            if left_s <= 0:
                state.error = state.error or too_late(self.name, within_s)
                break
            is_last = number == len(self._hops) - 1
            if not is_last and self._spill_above is not None and hop.load >= self._spill_above:
                state.reasons.append(f"{hop.engine.name} has {hop.load:.0%} of its places taken")
                continue
            allowed_s = left_s if is_last or self._each_s is None else min(left_s, self._each_s)
            await self._ask(hop, state, allowed_s, is_last=is_last)
            if not state.places:
                break
        return self._told(state)

    async def close(self) -> None:
        """Close every engine."""
        self._is_closed = True
        await asyncio.gather(*(hop.engine.close() for hop in self._hops))

    async def _ask(self, hop: Hop, state: _Open, within_s: float, *, is_last: bool) -> None:
        asked = [state.questions[place] for place in state.places]
        try:
            answers = await self._call(hop, asked, within_s)
        except EngineError as error:
            state.error = error
            if isinstance(error, Charged):
                state.results = [each or error for each in state.results]
            state.reasons.append(f"{hop.engine.name}: {error.what}")
            return
        reason = "; ".join(state.reasons)
        still: list[int] = []
        unsure = 0.0
        for place, each in zip(state.places, answers, strict=True):
            before = state.results[place]
            if isinstance(each, EngineError):
                # A provisional answer is better than none.
                state.results[place] = before if isinstance(before, Answered) else each
                still.append(place)
                state.error = each
                continue
            state.results[place] = _joined(before, each, reason)
            confidence = self._sure(each) if self._escalate_below and not is_last else None
            if confidence is not None and confidence < self._escalate_below:
                still.append(place)
                unsure = confidence
        if any(isinstance(each, EngineError) for each in answers):
            state.reasons.append(f"{hop.engine.name}: {state.error.what if state.error else 'failed'}")
        elif still:
            state.reasons.append(
                f"{hop.engine.name} was {unsure:.2f} sure, below {self._escalate_below:g}"
                if len(still) == 1
                else f"{hop.engine.name} was less than {self._escalate_below:g} sure"
            )
        state.places = still

    async def _call(self, hop: Hop, asked: Sequence[Any], within_s: float) -> Sequence[Answered | EngineError]:
        time = asyncio.get_running_loop().time
        until = time() + within_s
        permit = hop.breaker.take() if hop.breaker is not None else None
        if hop.breaker is not None and permit is None:
            raise HeldBack(f"it is spared until {hop.breaker.held_until:%H:%M:%S} UTC", code="breaker-open")
        error: BaseException | None = None
        try:
            if hop.bulkhead is None:
                return await self._pay(hop, asked, within_s)
            try:
                await hop.bulkhead.enter(within_s=within_s)
            except TimeoutError:
                raise HeldBack("it has had no place in time", code=DEADLINE) from None
            try:
                return await self._pay(hop, asked, max(until - time(), 0.001))
            finally:
                hop.bulkhead.leave()
        except BaseException as raised:
            error = raised
            raise
        finally:
            if hop.breaker is not None and permit is not None:
                hop.breaker.give_back(permit, Verdict.of(error))

    async def _pay(self, hop: Hop, asked: Sequence[Any], within_s: float) -> Sequence[Answered | EngineError]:
        """Call, with what it may cost at most reserved before, and what it has cost settled after."""
        if self._purse is None or hop.worst is None:
            return await hop.engine.answer(asked, within_s=within_s)
        worst = hop.worst(asked)
        day = await self._purse.reserve(worst)
        spent = worst  # also if it is called off: it may have been charged
        try:
            answers = await hop.engine.answer(asked, within_s=within_s)
            spent = sum(_spent(each, worst // len(answers)) for each in answers)
            return answers
        except EngineError as error:
            spent = _spent(error, worst)
            raise
        finally:
            await asyncio.shield(self._purse.settle(day, worst, spent))

    def _told(self, state: _Open) -> Sequence[Answered | EngineError]:
        lost = state.error or EngineError(f"nobody answers for {self.name}", retryable=True, code="serving-nobody")
        if all(each is None or each is lost for each in state.results):
            if len(state.reasons) < 2:
                raise lost
            error = EngineError(
                f"no engine has answered for {self.name}",
                why="; ".join(state.reasons),
                retryable=lost.retryable,
                code=lost.code,
            )
            raise error from lost
        results = [lost if each is None else each for each in state.results]
        for place in state.places:  # not sure enough, and the next has not answered
            if isinstance(each := results[place], Answered):
                results[place] = _joined(None, each, "; ".join(state.reasons))
        return results


def confidence_of(answer: Answered) -> float | None:
    """Return how sure an answer is: as it says itself, or its highest probability.

    Example:
        >>> from steward.records import ServingFacts
        >>> confidence_of(Answered((0.2, 0.8), ServingFacts(endpoint="here")))
        0.8
    """
    if answer.confidence is not None:
        return answer.confidence
    return max(answer.value) if isinstance(answer.value, tuple) else None


def _spent(answer: Answered | EngineError, worst: int) -> int:
    """Return what an answer has cost, in millionths; the worst where nobody knows."""
    cost = answer.cost if isinstance(answer, Answered | Charged) else None
    if cost is not None:
        return micro_of(cost)
    return worst if isinstance(answer, EngineError) and answer.code in _UNKNOWN else 0


def _joined(before: Answered | EngineError | None, answer: Answered, reason: str) -> Answered:
    """Return an answer with its reason, and with what a former answer to the same question has cost."""
    facts = replace(answer.facts, reason=reason) if reason else answer.facts
    cost: Money | None = answer.cost
    if isinstance(before, Answered | Charged) and before.cost is not None:
        cost = before.cost if cost is None else money(micro_of(before.cost) + micro_of(cost), cost.unit)
    if facts is answer.facts and cost is answer.cost:
        return answer
    return Answered(answer.value, facts, answer.confidence, cost)
