"""Faults planted in the real code of releases on purpose: the rolling scenario finds each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

from steward.decision.action import Action, Call
from steward.decision.feature import minutes
from steward.errors import EngineError
from steward.ledger.port import Draft
from steward.loop import encode
from steward.loop.predict import NOTHING
from steward.loop.prepare import Prepared
from steward.records import Record
from steward.releases.arms import Arm, Arms
from steward.runtime import release_log
from steward.runtime.lineups import Lineups
from steward.runtime.publishing import Publishing
from steward.runtime.release_log import ReleaseLog
from steward.runtime.shadows import Shadows
from steward.testing.scenarios.rolling import ROLLING

Plant = Callable[[pytest.MonkeyPatch], None]


def lineup_not_restored(patch: pytest.MonkeyPatch) -> None:
    """A process that starts knows what is live, and lets decide what it was started with."""

    async def open_(self: Publishing) -> None:
        for name in self._lineups:
            await self._log.read(name)
            await self._put_into_service(name)

    patch.setattr(Publishing, "open", open_)


def shadow_acts(patch: pytest.MonkeyPatch) -> None:
    """What a shadow would have chosen is done, too."""
    real = Shadows._ask

    async def ask(self: Shadows, shadow: Prepared, record: Record, rollout: str) -> Draft:
        said, action = await real(self, shadow, record, rollout), shadow.decision.action
        assert isinstance(action, Action)
        key = f"{record.decision_id}/{shadow.release}"
        features = self._features(shadow, record)
        at = record.decided_at
        call = Call(decision_id=record.decision_id, decision=record.decision, key=key, features=features, decided_at=at)
        with suppress(ConnectionError, TimeoutError, EngineError):
            await cast("Any", action.do)(shadow.choose(features, NOTHING).value, call)
        return said

    patch.setattr(Shadows, "_ask", ask)


def shadow_writes_an_action(patch: pytest.MonkeyPatch) -> None:
    """What a shadow says is written down as if it had been done."""
    real = encode.draft

    def draft(body: Any, key: str | None = None) -> Draft:
        said = real(body, key)
        return Draft("acted", said.run_id, said.body.replace(b'"shadowed"', b'"acted"'), said.key)

    patch.setattr("steward.runtime.shadows.draft", draft)


def holdout_not_held(patch: pytest.MonkeyPatch) -> None:
    """Nobody is held out once the canary has grown."""
    real = Arms.of

    def of(self: Arms, key: str) -> Arm:
        arm = real(self, key)
        return Arm.CANARY if arm is Arm.HOLDOUT and self.share >= 0.3 else arm

    patch.setattr(Arms, "of", of)


def moved_between_arms(patch: pytest.MonkeyPatch) -> None:
    """The event's own id says where it falls, so that a customer meets now this release and now that."""
    real = Lineups._pick

    def pick(self: Lineups, champion: Prepared, *standing: Any) -> Any:
        return real(self, replace(champion, arm_key=None), *standing)

    patch.setattr(Lineups, "_pick", pick)


def past_each_other(patch: pytest.MonkeyPatch) -> None:
    """Two people who change releases at once both write."""
    patch.setattr(release_log, "key_of", lambda decision, number: None)


def unanswered_change_not_followed(patch: pytest.MonkeyPatch) -> None:
    """A change that is written, though its answer was lost, is not in force before the next start."""

    async def settle(self: ReleaseLog) -> None:
        """Look at nothing."""
        self._doubted.clear()

    patch.setattr(ReleaseLog, "settle", settle)


def holdout_gets_the_new_champion(patch: pytest.MonkeyPatch) -> None:
    """After a promotion nobody keeps the champion of the rollout's start."""
    real = Lineups._pick

    def pick(self: Lineups, champion: Prepared, rollout: Any, live: Any) -> Any:
        return real(self, champion, msgspec.structs.replace(rollout, champion=live.champion), live)

    patch.setattr(Lineups, "_pick", pick)


CROWDED = replace(ROLLING, requests=60, changes_of_releases=40, lasts=minutes(5))
"""So many decisions that some come in the moment after each change."""
FAULTS: Mapping[str, tuple[Plant, str]] = {
    "line-up not restored": (lineup_not_restored, "after a start the line-up is not"),
    "shadow acts": (shadow_acts, "acts under the key|does '|took effect twice"),
    "shadow writes an action": (
        shadow_writes_an_action,
        "said to have acted|but nothing is|the ledger and the world differ",
    ),
    "holdout not held": (holdout_not_held, "the line-up is not|was decided by"),
    "moved between arms": (moved_between_arms, "the line-up is not|was decided by"),
    "past each other": (past_each_other, "does not go on|begins, but"),
    "unanswered change not followed": (unanswered_change_not_followed, "was decided by|the line-up is not"),
    "holdout gets the new champion": (holdout_gets_the_new_champion, "the line-up is not|was decided by"),
}
SEEDS = 150


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, finds = FAULTS[name]
    plant(monkeypatch)
    scenario = CROWDED if plant is unanswered_change_not_followed else ROLLING
    found = next((each for seed in range(SEEDS) if (each := scenario.run(seed)).violation is not None), None)
    assert found is not None, f"{name} was not found in {SEEDS} seeds"
    assert re.search(finds, str(found.violation)), found.violation
