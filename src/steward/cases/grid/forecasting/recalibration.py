"""Recalibration: a model is trained anew every week and let in by the release process, never past it.

Each time: train on what is known by now → register, sign, and say where it comes from → somebody else looks at it and
signs the card → its release is proposed and approved → it answers in the shadow of the champion for a week → promoted
if what came of those decisions does not show it to be worse, else withdrawn. All of it is in the ledger; after a
restart it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import sqrt

import msgspec

from steward.clock import Clock
from steward.errors import NotFound
from steward.loop.prepare import Prepared
from steward.models.artefact import CARD, PROVENANCE
from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.card import Card, Validation, sign_card
from steward.models.signing.dsse import sign
from steward.models.signing.keys import PrivateKey
from steward.models.signing.provenance import Provenance, sign_provenance
from steward.releases.compare import Beside
from steward.releases.live import Live, Rollout
from steward.releases.release import PAYLOAD_TYPE
from steward.runtime.runtime import Runtime


@dataclass(frozen=True)
class Party:
    """Somebody who signs.

    Example:
        >>> Party("price-desk", PrivateKey.of_seed(bytes(32))).name
        'price-desk'
    """

    name: str
    key: PrivateKey


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """When a retrained model is let in: declared beforehand, and the same every time.

    Attributes:
        every: How often a model is trained.
        trial: How long it answers in the champion's shadow; shorter than ``every``.
        fewest: So many of its answers must have had their outcome, or nothing is known of it and it is withdrawn.
        doubt: It is withdrawn if it earned less by more than so many standard errors. The newest data has the benefit
            of a doubt of this size.

    Example:
        >>> from steward.releases.sequences import Moments
        >>> beside = Beside()
        >>> beside.difference = Moments.of([-1.0, -0.9, -1.1] * 20)
        >>> Acceptance().objection(beside)
        'it earned 1.00 a decision less in 60 decisions, +/- 0.01'
    """

    every: timedelta = timedelta(days=7)
    trial: timedelta = timedelta(days=6)
    fewest: int = 24
    doubt: float = 1.28

    def objection(self, beside: Beside) -> str:
        """Return why a model is not let in after its trial; empty if it is."""
        seen = beside.difference
        if beside.failed:
            return f"it failed to answer {beside.failed} times of {beside.asked}"
        if seen.n < self.fewest:
            return f"only {seen.n} of its answers had an outcome, {self.fewest} are needed"
        error = sqrt(seen.variance / seen.n)
        if seen.mean < -self.doubt * error:
            return f"it earned {-seen.mean:.2f} a decision less in {seen.n} decisions, +/- {error:.2f}"
        return ""


class Step(StrEnum):
    """What a step of the recalibration did.

    Example:
        >>> Step.PROMOTED.value
        'promoted'
    """

    WAITED = "waited"
    REFUSED = "refused"
    """The reviewer did not accept what was trained."""
    BEGAN = "began"
    PROMOTED = "promoted"
    WITHDREW = "withdrew"


Train = Callable[[datetime], tuple[Registered, Card]]
"""Trains on what is known at an instant and registers the model; the card says how good it is, without a validation."""
Review = Callable[[Registered, Card], Validation]
"""Somebody else's look at a model and its card."""


class Recalibration:
    """Trains one model of a running decision anew, and lets it in.

    Args:
        runtime: Runs the decision; its rollouts are used, and nothing beside them.
        decision: Its name.
        registry: The runtime's.
        train: Trains and registers.
        review: Looks at what was trained.
        author: Who trains, signs the model and proposes its release.
        reviewer: Who validates the card, approves and promotes: in governed mode a trusted other person or service.
        clock: The runtime's.
        acceptance: When a model is let in.

    Example:
        >>> async def each_hour(recalibration: Recalibration) -> None:
        ...     if await recalibration.step() is Step.PROMOTED:
        ...         print("the next decision is made with the new model")
    """

    def __init__(
        self,
        runtime: Runtime,
        decision: str,
        registry: FolderRegistry,
        *,
        train: Train,
        review: Review,
        author: Party,
        reviewer: Party,
        clock: Clock,
        acceptance: Acceptance = Acceptance(),
    ) -> None:
        self._runtime, self._decision, self._registry, self._clock = runtime, decision, registry, clock
        self._train, self._review, self._author, self._reviewer = train, review, author, reviewer
        self.acceptance = acceptance
        self._tried_at: datetime | None = None

    @property
    def next_due(self) -> datetime:
        """When a model is trained next, unless a rollout stands then."""
        live = self._live
        mine = [known.at for known in live.known.values() if known.by == self._author.name]
        since = [live.since] if isinstance(live.since, datetime) else []
        tried = [self._tried_at] if self._tried_at else []
        return max([*mine, *since, *tried], default=self._clock.now() - self.acceptance.every) + self.acceptance.every

    async def step(self) -> Step:
        """Do what is due now: begin a trial or end one. A rollout that somebody else began is left alone.

        Raises:
            StewardError: What training, the registry or the release process raise; nothing is half done then, and the
                next step tries again.
        """
        rollout = self._live.rollout
        if rollout is None:
            return await self._begin() if self._clock.now() >= self.next_due else Step.WAITED
        if rollout.started_by != self._author.name or self._clock.now() < rollout.at + self.acceptance.trial:
            return Step.WAITED
        return await self._end(rollout)

    async def _begin(self) -> Step:
        before, self._tried_at = self._live.champion, self._clock.now()
        made, card = self._train(self._tried_at)
        validation = self._review(made, card)
        self._state(made, msgspec.structs.replace(card, validation=validation))
        if not validation.accepted:
            return Step.REFUSED
        ready = await self._runtime.lineups.vary(self._decision, {made.name: made.version})
        reason = f"{made.name} {made.version}, trained on what was known at {self._tried_at.isoformat()}"
        if self._runtime.releases.is_governed:
            await self._publish(ready, reason, validation.finding)
        if self._live.champion == ready.release:  # the first release decides at once, and the same model is the same
            return Step.WAITED if before == ready.release else Step.PROMOTED
        await self._runtime.rollouts.start(ready, by=self._author.name, reason=reason, is_shadow=True)
        return Step.BEGAN

    async def _publish(self, ready: Prepared, reason: str, finding: str) -> None:
        signed = msgspec.to_builtins(sign(PAYLOAD_TYPE, ready.made_of.payload(), self._author.key))
        publishing = self._runtime.publishing
        await publishing.propose(ready, by=self._author.name, reason=reason, envelope=signed)
        await publishing.approve(ready.release, by=self._reviewer.name, reason=finding)

    async def _end(self, rollout: Rollout) -> Step:
        [release] = rollout.shadows
        objection = self.acceptance.objection(self._seen(rollout, release))
        rollouts, by = self._runtime.rollouts, self._reviewer.name
        if objection:
            await rollouts.stop(self._decision, by=by, reason=objection)
            return Step.WITHDREW
        reason = "its trial did not show it to be worse"
        await rollouts.promote(self._decision, release=release, by=by, reason=reason)
        return Step.PROMOTED

    def _seen(self, rollout: Rollout, release: str) -> Beside:
        trial = self._runtime.judging.of(self._decision)
        if trial is None or trial.seen.rollout != rollout.name:
            raise NotFound(
                f"nothing is seen yet of {rollout.name}", fix="let the runtime advance before a step", code="not-judged"
            )
        return trial.seen.beside(release)

    def _state(self, made: Registered, card: Card) -> None:
        """Sign the version, where it comes from, and what was found of it."""
        about = made.name, made.version, made.digest
        self._registry.sign(made.name, made.version, key=self._author.key, clock=self._clock)
        origin = Provenance(
            builder=self._author.name, finished_at=self._clock.now(), trained=made.manifest.trained,
            metrics={metric.name: metric.value for metric in card.metrics if metric.segment == "all"},
        )  # fmt: skip
        stated = sign_provenance(origin, *about, self._author.key)
        self._registry.attach(made, PROVENANCE, stated, clock=self._clock)
        self._registry.attach(made, CARD, sign_card(card, *about, self._reviewer.key), clock=self._clock)

    @property
    def _live(self) -> Live:
        return self._runtime.releases.live(self._decision)
