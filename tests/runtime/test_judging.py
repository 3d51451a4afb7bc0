"""Judging: a worse canary loses its share by itself, a good one is proposed or promoted, and shadows are valued."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.shop import ECONOMICS, Refund, Settled, refund
from tests.runtime.world import NOON, Till

from steward import Choice, Decision, Features, Prediction
from steward.clock import VirtualClock
from steward.decision.canary import Canary
from steward.decision.guardrail import Guardrail, Metric
from steward.entries import Promoted, RolledBack
from steward.errors import DeclarationError, StewardError
from steward.ledger.memory import MemoryLedger
from steward.records import RolloutFacts
from steward.releases.arms import Arm
from steward.releases.judge import Advice
from steward.runtime.judging import JUDGE, Trial
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.testing.faults import FaultyLedger

Policy = Callable[[Features, Prediction[None]], Choice[str]]
NAME = "shop.refund"
ERRORS = Canary(guardrails=(Guardrail("errors"),), planned=300)


def hold_all(features: Features, prediction: Prediction[None]) -> Choice[str]:
    return Choice("hold", reasons=("nothing is paid any more",), rule="none")


def often_wrong(features: Features, prediction: Prediction[None]) -> Choice[str]:
    if features.number("amount_eur") % 3 == 0:
        raise RuntimeError("a third of all amounts is too much for it")
    return Choice("pay", reasons=("small",), rule="all")


def kept_by_choice(features: Features, choice: str, outcome: Settled) -> float:
    return outcome.kept_eur if choice == "pay" else 0.0


class Shop:
    """A shop whose runtime can be closed and opened again over the same ledger."""

    def __init__(self, *decisions: Decision[Any, Any, Any], folder: Path) -> None:
        self.own, *self.others = decisions
        self.clock = VirtualClock(NOON, seed=3)
        self._store = MemoryLedger()
        self._settings = Settings(ledger="memory://", registry=str(folder))
        self._sold = 0

    async def open(self) -> Runtime:
        self.runtime = await Runtime.open(
            [self.own],
            challengers=self.others,
            settings=self._settings,
            clock=self.clock,
            ledger=FaultyLedger(self._store, keep_open=True),
        )
        return self.runtime

    async def start(self, **how: Any) -> None:
        ready = await self.runtime.lineups.vary(NAME, challenger=self.others[0].fingerprint)
        await self.runtime.rollouts.start(ready, by="ana", reason="it should be better", **how)

    async def sell(self, times: int, *, kept_eur: float = 0.0) -> None:
        """Ask for refunds, one a second, and tell what came of them, if anything did."""
        for _ in range(times):
            self._sold += 1
            self.clock.advance(timedelta(seconds=1))
            try:
                await self.runtime.decide(
                    NAME, Refund(order_id=f"A-{self._sold}", amount_eur=float(1 + self._sold % 12))
                )
            except StewardError:
                continue
            if kept_eur:
                order = f"A-{self._sold}"
                settled = Settled(order_id=order, kept_eur=kept_eur + self._sold % 5)
                await self.runtime.observe(NAME, settled, outcome_id=order)
            if self._sold % 50 == 0:
                await self.runtime.advance()
        await self.runtime.advance()

    def trial(self) -> Trial:
        trial = self.runtime.judging.of(NAME)
        assert trial is not None
        return trial

    async def bodies(self) -> list[Any]:
        return list(await self.runtime.releases.history(NAME))


@pytest.fixture
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    policy, canary = getattr(request, "param", (hold_all, ERRORS))
    own = refund(Till(), canary=canary, gate=None, economics=replace(ECONOMICS, value=kept_by_choice))
    made = Shop(own, replace(own, policy=policy), folder=tmp_path)
    await made.open()
    yield made
    await made.runtime.close()


@pytest.mark.parametrize("shop", [(often_wrong, ERRORS)], indirect=True)
async def test_a_canary_that_fails_often_loses_its_share_by_itself(shop: Shop) -> None:
    await shop.start(share=0.4)
    await shop.sell(300)
    live = shop.runtime.releases.live(NAME)
    assert live.rollout is None
    assert live.champion == shop.runtime.lineups.own[NAME]
    [back] = [body for body in await shop.bodies() if isinstance(body, RolledBack)]
    assert back.by == JUDGE
    assert "errors:" in back.reason
    trial = shop.trial()
    assert trial.has_ended
    assert trial.verdict is not None
    assert trial.verdict.advice is Advice.ABORT
    failed = [await shop.runtime.ledger.read(0, 10_000, kind="failed")]
    before = len(failed[0])
    await shop.sell(50)
    assert len(await shop.runtime.ledger.read(0, 10_000, kind="failed")) == before


@pytest.mark.parametrize(
    "shop", [(hold_all, Canary(guardrails=(Guardrail("errors"), Guardrail("value")), planned=5_000))], indirect=True
)
async def test_a_canary_that_earns_less_loses_its_share(shop: Shop) -> None:
    await shop.start(share=0.5)
    await shop.sell(600, kept_eur=10.0)
    assert shop.runtime.releases.live(NAME).rollout is None
    [back] = [body for body in await shop.bodies() if isinstance(body, RolledBack)]
    assert "value:" in back.reason


async def test_a_good_canary_is_left_to_a_person_unless_the_declaration_says_otherwise(shop: Shop) -> None:
    await shop.start(share=0.9)
    await shop.sell(400)
    verdict = shop.trial().verdict
    assert verdict is not None
    assert (verdict.advice, shop.runtime.releases.live(NAME).rollout is None) == (Advice.PROMOTE, False)


@pytest.mark.parametrize("shop", [(hold_all, replace(ERRORS, promotes=True))], indirect=True)
async def test_where_it_is_declared_a_good_canary_is_promoted(shop: Shop) -> None:
    await shop.start(share=0.9)
    await shop.sell(400)
    [promoted] = [body for body in await shop.bodies() if isinstance(body, Promoted) and body.by == JUDGE]
    assert shop.runtime.releases.live(NAME).champion == promoted.release
    assert (await shop.runtime.decide(NAME, Refund(order_id="X", amount_eur=5.0))).record.choice == "hold"


async def test_what_was_seen_is_the_same_after_a_restart(shop: Shop) -> None:
    await shop.start(share=0.3, holdout=0.2)
    await shop.sell(150, kept_eur=4.0)
    before = shop.trial().seen
    await shop.runtime.close()
    await shop.open()
    assert shop.runtime.judging.of(NAME) is None
    await shop.runtime.advance()
    after = shop.trial().seen
    assert (after.evidence(), after.decided) == (before.evidence(), before.decided)
    assert sum(after.decided.values()) == 150
    assert all(after.decided[arm] > 10 for arm in Arm)


async def test_every_share_counts_apart(shop: Shop) -> None:
    await shop.start(share=0.2, holdout=0.5)
    told: set[UUID] = set()
    changes: list[tuple[int, dict[str, Any]]] = [(5, {"share": 0.4, "holdout": 0.2}), (20, {})]
    for sold, more in changes:
        await shop.sell(sold)
        for entry in await shop.runtime.ledger.read(0, 1_000, kind="decided"):
            facts = (await shop.runtime.run(entry.run_id)).record.rollout
            assert isinstance(facts, RolloutFacts)
            if entry.run_id not in told:
                shop.trial().seen.happened(Metric.SLOW, facts)
            told.add(entry.run_id)
        if more:
            await shop.runtime.rollouts.share(NAME, by="ana", reason="more of it", **more)
    stages = shop.trial().seen.evidence().happened[Metric.SLOW]
    assert {stage.share for stage in stages} == {0.4, 0.5}


async def test_a_shadow_is_valued_by_what_came_of_it(shop: Shop) -> None:
    await shop.start(is_shadow=True)
    await shop.sell(30, kept_eur=10.0)
    [(release, beside)] = shop.trial().seen.shadows.items()
    assert release == shop.runtime.releases.live(NAME).rollout.shadows[0]  # type: ignore[union-attr] # it stands
    assert (beside.asked, beside.failed, beside.agreed) == (30, 0, 0.0)
    assert beside.agreement == {("pay", "hold"): 30}
    assert beside.difference.n == 30
    assert beside.difference.mean == pytest.approx(-12.0)
    worst = beside.disagreements[0]
    assert (worst.choice, worst.shadow, worst.difference) == ("pay", "hold", -14.0)
    assert shop.trial().verdict is None  # nothing to take back


async def test_a_decision_that_a_person_has_changed_meanwhile_is_not_undone(shop: Shop) -> None:
    await shop.start(share=0.4)
    live = shop.runtime.releases.live(NAME)
    await shop.runtime.rollouts.share(NAME, 0.1, by="bo", reason="slower")
    with pytest.raises(StewardError, match="changed meanwhile"):
        await shop.runtime.rollouts.rollback(NAME, by=JUDGE, reason="old news", number=live.number)


def test_a_guardrail_on_what_is_never_known_is_refused() -> None:
    with pytest.raises(DeclarationError, match="has no gate"):
        refund(Till(), gate=None, canary=Canary(guardrails=(Guardrail("overrides"),)))
    with pytest.raises(DeclarationError, match="has no calibration"):
        refund(Till(), canary=Canary(guardrails=(Guardrail("misses"),)))
