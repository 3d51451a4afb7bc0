"""Rollouts under crashes, by seed; and what seeds have shown, each without the simulator."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from steward.errors import Conflict, EngineError, StewardError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Ledger
from steward.releases.live import Live
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.testing import FaultyLedger, check
from steward.testing.scenarios import rolling
from steward.testing.scenarios.rolling import LATER, NOW, ROLLING, PaymentAsked, challengers, payment
from steward.testing.simulation.releases import ReleaseWatch

ANA: Any = {"by": "ana", "reason": "it is cheaper"}
NAME = payment.name


def test_rolling_40_seeds() -> None:
    happened = check(ROLLING, range(40)).happened
    for thing in ("told released", "launched", "promoted", "rolled_back", "asked aside", "decided by"):
        assert happened[thing] > 20, thing
    for thing in ("died", "ledger.answer-lost", "ledger.unreadable", "clock.jumped", "code.other"):
        assert happened[thing] > 4, thing


@pytest.mark.deep
@pytest.mark.parametrize("part", range(4))
def test_rolling_4_000_seeds(part: int) -> None:
    check(ROLLING, range(1000 * part, 1000 * (part + 1)))


def test_the_same_seed_does_the_same() -> None:
    assert ROLLING.run(3).digest == ROLLING.run(3).digest != ROLLING.run(4).digest


class Unreadable(FaultyLedger):
    """Cannot be read while it is blind."""

    blind = False

    def _reach(self) -> Ledger:
        if self.blind:
            raise EngineError("the disk cannot be read", retryable=True, code="engine.disk-io")
        return super()._reach()


def answer_lost(commit: Commit) -> StewardError | None:
    return EngineError("the disk did not answer", retryable=True, code="engine.disk-io")


class Nobody(ReleaseWatch):
    """Looks at nothing: where there is no simulation, nobody has to."""

    def __init__(self) -> None:
        """Know of nothing."""

    def begun(self, number: int, choice: str) -> None:
        """Let it pass."""


@pytest.fixture(autouse=True)
def unwatched() -> None:
    rolling._WATCH.set(Nobody())


async def opened(ledger: FaultyLedger) -> Runtime:
    return await Runtime.open([payment], settings=Settings(ledger="memory://"), ledger=ledger, challengers=challengers)


async def choice(runtime: Runtime) -> object:
    return (await runtime.decide(NAME, PaymentAsked(customer="c", number=1))).record.choice


async def begun(runtime: Runtime, share: float = 1.0) -> Live:
    ready = await runtime.lineups.vary(NAME, challenger=challengers[0].fingerprint)
    return await runtime.rollouts.start(ready, share=share, **ANA)


async def unanswered(ledger: FaultyLedger, change: Awaitable[object]) -> None:
    ledger.fault_after = answer_lost
    with pytest.raises(EngineError):
        await change
    ledger.fault_after = lambda commit: None


async def test_a_rollback_whose_answer_was_lost_is_in_force() -> None:
    """Seed 289: a canary that was rolled back in the ledger went on deciding."""
    ledger = FaultyLedger(MemoryLedger())
    async with await opened(ledger) as runtime:
        await begun(runtime)
        assert await choice(runtime) == LATER
        await unanswered(ledger, runtime.rollouts.rollback(NAME, **ANA))
        assert await choice(runtime) == NOW
        assert runtime.releases.live(NAME).rollout is None


async def test_what_another_writer_has_changed_is_in_force_although_this_change_is_refused() -> None:
    """Seed 131: the retry found the entry, was told that it was overtaken, and the line-up stayed behind."""
    memory = MemoryLedger()
    async with await opened(FaultyLedger(memory, keep_open=True)) as runtime:
        await begun(runtime)
        seen = runtime.releases.live(NAME).number
        async with await opened(FaultyLedger(memory, keep_open=True)) as other:
            await other.rollouts.rollback(NAME, **ANA)
        with pytest.raises(Conflict, match="changed meanwhile"):
            await runtime.rollouts.rollback(NAME, number=seen, **ANA)
        assert await choice(runtime) == NOW


async def test_nothing_is_decided_while_nobody_knows_who_should() -> None:
    """Seed 1015: the answer was lost, and the ledger could not be read either."""
    ledger = Unreadable(MemoryLedger())
    async with await opened(ledger) as runtime:
        await begun(runtime)
        ledger.fault_after = answer_lost

        async def written_then_blind(commit: Commit) -> Any:
            try:
                return await FaultyLedger.append(ledger, commit)
            finally:
                ledger.blind = True

        ledger.append = written_then_blind  # type: ignore[method-assign]  # the disk breaks in this very moment
        with pytest.raises(EngineError, match="did not answer"):
            await runtime.rollouts.rollback(NAME, **ANA)
        del ledger.append
        ledger.fault_after, ledger.blind = (lambda commit: None), False
        with pytest.raises(EngineError) as refused:
            await runtime.decide(NAME, PaymentAsked(customer="c", number=1))
        assert (refused.value.code, refused.value.retryable) == ("releases-in-doubt", True)
        await runtime.advance()
        assert await choice(runtime) == NOW


async def test_the_champion_is_not_gone_back_to() -> None:
    """Seed 121: a champion that had been one before was withdrawn in its own favour."""
    async with await opened(FaultyLedger(MemoryLedger())) as runtime:
        first = runtime.releases.live(NAME).champion
        await begun(runtime)
        await runtime.rollouts.promote(NAME, **ANA)
        await runtime.rollouts.promote(NAME, release=first, **ANA)
        with pytest.raises(Conflict) as refused:
            await runtime.rollouts.rollback(NAME, to=first, **ANA)
        assert refused.value.code == "is-champion"
        assert await choice(runtime) == NOW
