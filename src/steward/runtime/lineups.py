"""The line-ups: which prepared releases decide now, and how others are made ready beside them.

A line-up is a value, swapped by one assignment: whatever was begun goes on by what it was begun with, and whatever
begins next finds the new one, so that no request is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from steward.clock import Clock, SystemClock
from steward.decision.checks import nearest
from steward.decision.decision import Decision
from steward.decision.fingerprint import digest, plain
from steward.decision.model import Model
from steward.decision.rules import Rules
from steward.errors import ContractError, DeclarationError, EngineError, IntegrityError, NotFound, StewardError
from steward.features.online import OnlineFeatures
from steward.loop.bind import bind
from steward.loop.calibrate import Find
from steward.loop.prepare import Prepared, prepare, withheld
from steward.loop.run import Pick
from steward.models.port import LoadedModel
from steward.models.registry import Registry
from steward.records import RolloutFacts
from steward.releases.arms import Arm
from steward.releases.live import Live, Rollout
from steward.releases.release import Release
from steward.serving.model import ServedModel

AnyDecision = Decision[Any, Any, Any]
T = TypeVar("T")
Aside = Callable[[Callable[[], T]], Awaitable[T]]


@dataclass(frozen=True, kw_only=True)
class Lineup:
    """Who decides for one decision.

    Attributes:
        champion: Decides what nobody else has a share in.
        pick: Says who decides an event, where a rollout shares them out.
        shadows: Say afterwards what they would have chosen.
        rollout: The rollout's name.
        refusal: Why nothing of this decision may be decided here.
        lacking: The releases that should have a part in it but cannot be run here, and why.

    Example:
        >>> from steward.runtime.lineups import Lineup
        >>> [name for name in Lineup.__dataclass_fields__][:2]
        ['champion', 'pick']
    """

    champion: Prepared
    pick: Pick | None = None
    shadows: tuple[Prepared, ...] = ()
    rollout: str = ""
    refusal: EngineError | None = None
    lacking: Mapping[str, str] | None = None


class Lineups(Mapping[str, Prepared]):
    """The line-ups of all decisions; as a mapping, the champion of each, by name.

    Attributes:
        own: The release that each decision's own declaration makes now.
        pace: Hears how long decisions took: the decision, the arm, how long, and how many they were.
        shadowed: What is written in the records of the decisions that have shadows, by name.
        withheld: Why decisions cannot run with what they are declared with, by name; only in governed mode, where all
            else goes on.

    Args:
        declared: The declarations of each decision: the one in the code first, then its challengers.
        registry: Where models come from.
        online: The feature state.
        clock: Tells whether work is done aside of the event loop; it is not where time is virtual.
        development: Whether nobody has to sign or agree.
        load: Makes a model of a decision ready; from the registry by default.
        pins: The digests of the models that a decision begins with, where these are not the declared versions.
        find: Tells by what a decision's answers are calibrated.

    Raises:
        DeclarationError: A challenger decides something else, or a decision does not fit its model.
        NotFound: A model is not registered; not in governed mode.
        IntegrityError: A model is not what was registered; not in governed mode.
    """

    def __init__(
        self,
        declared: Mapping[str, Sequence[AnyDecision]],
        registry: Registry,
        online: OnlineFeatures,
        clock: Clock,
        *,
        development: bool = True,
        pins: Mapping[str, Mapping[str, str]] | None = None,
        load: Callable[[AnyDecision, Model[Any]], LoadedModel] | None = None,
        find: Callable[[AnyDecision], Find | None] = lambda decision: None,
    ) -> None:
        self._declared, self._registry, self._online, self._find = declared, registry, online, find
        self._load = load or (lambda decision, model: registry.load(model))
        self._development: bool | UnsetType = True if development else UNSET
        self._in_threads = isinstance(clock, SystemClock)
        for first, *others in declared.values():
            for other in others:
                _check_challenger(first, other)
        self._loaded: dict[str, Prepared] = {}
        self.withheld: dict[str, StewardError] = {}
        self._lineups = {
            name: Lineup(champion=self._begin(each[0], (pins or {}).get(name, {}))) for name, each in declared.items()
        }
        self.shadowed: Mapping[str, bytes] = {}
        self.pace: Callable[[str, RolloutFacts, timedelta, int], None] | None = None
        self.own: Mapping[str, str] = {name: lineup.champion.release for name, lineup in self._lineups.items()}

    def __getitem__(self, name: str) -> Prepared:
        return self._lineups[name].champion

    def __iter__(self) -> Iterator[str]:
        return iter(self._lineups)

    def __len__(self) -> int:
        return len(self._lineups)

    def of(self, name: str) -> Lineup:
        """Return a decision's line-up."""
        return self._lineups[name]

    def loaded(self, release: str) -> Prepared | None:
        """Return a release that is ready to run, by its name."""
        return self._loaded.get(release)

    def challengers(self, name: str) -> Sequence[AnyDecision]:
        """Return the declarations in this process that may challenge a decision's own."""
        return self._declared[name][1:]

    async def vary(
        self, name: str, versions: Mapping[str, str] | None = None, *, challenger: str | None = None
    ) -> Prepared:
        """Make a release ready that is not what runs: of other versions, or of another declaration.

        Args:
            name: The decision.
            versions: The version of each model, or of what else is registered, that is not the declared one.
            challenger: The fingerprint of a challenger, or the beginning of one; by default what the champion declares.

        Raises:
            NotFound: There is no such challenger or version.
            ContractError: It uses nothing of that name.
            DeclarationError: It does not fit.
            IntegrityError: What is registered is not what was.
        """
        decision = self._by_fingerprint(name, challenger) if challenger else self[name].decision
        used = {model.name for model in decision.models}
        if unknown := sorted(set(versions or {}) - used):
            raise ContractError(
                f"{name!r} uses nothing that is named {unknown[0]!r}",
                fix=f"choose one of {', '.join(sorted(used)) or '(it uses no model)'}",
                field="models",
            )
        pins = {} if challenger else dict(self[name].made_of.models)
        return await self._ready(decision, {**pins, **(versions or {})})

    async def load(self, document: object) -> Prepared:
        """Make a release ready by its document.

        Raises:
            NotFound: This process lacks its code (``code`` is ``release-lacks-code``), or the registry its models.
            IntegrityError: What is registered is not what was.
        """
        wanted = Release.read(document)
        if (known := self._loaded.get(wanted.name)) is not None:
            return known
        decision = self._by_fingerprint(wanted.decision, wanted.fingerprint)
        ready = await self._ready(decision, {**wanted.models, **_policy_pin(decision, wanted.policy)})
        if ready.release != wanted.name:
            raise NotFound(
                f"what is here makes {ready.release}, not {wanted.name}",
                why="the declaration is the same, but not all of what it uses",
                fix="put the same contracts, features and artefacts in place",
                code="release-lacks-code",
            )
        return ready

    def install(self, live: Live, *, refusal: EngineError | None = None) -> None:
        """Let decide what is live; whatever of it is not loaded gets no share, and is named as lacking."""
        self._install(live, refusal)
        self.shadowed = {
            name: b'"decision":%b' % msgspec.json.encode(name) for name, each in self._lineups.items() if each.shadows
        }

    def _install(self, live: Live, refusal: EngineError | None) -> None:
        champion = self._loaded.get(live.champion)
        lacking: dict[str, str] = {}
        if champion is None:
            champion = self._loaded[self.own[live.decision]]
        champion = self._signed(champion, live)
        rollout = live.rollout
        if rollout is None:
            self._lineups[live.decision] = Lineup(champion=champion, refusal=refusal)
            self._forget(live)
            return
        for release in rollout.challengers:
            if release not in self._loaded:
                lacking[release] = "its code or its models are not in this process"
        shadows = tuple(self._signed(self._loaded[each], live) for each in rollout.shadows if each in self._loaded)
        self._lineups[live.decision] = Lineup(
            champion=champion,
            pick=self._pick(champion, rollout, live),
            shadows=shadows,
            rollout=rollout.name,
            refusal=refusal,
            lacking=lacking,
        )
        self._forget(live)

    def _pick(self, champion: Prepared, rollout: Rollout, live: Live) -> Pick | None:
        """Return what shares events out; ``None`` if the champion decides them all."""
        arms = rollout.arms
        if not arms.share and not arms.holdout:
            return None
        ready = {
            Arm.CANARY: self._loaded.get(rollout.canary or ""),
            Arm.HOLDOUT: self._loaded.get(rollout.champion),
        }
        shares = {
            Arm.CANARY: arms.share,
            Arm.HOLDOUT: arms.holdout,
            Arm.CHAMPION: round(1 - arms.share - arms.holdout, 9),
        }
        by_arm: dict[Arm, Prepared] = {}
        for arm, share in shares.items():
            prepared = ready.get(arm)
            # The champion stands in for what is lacking here, and the record says that it was the champion.
            facts = RolloutFacts(rollout.name, (Arm.CHAMPION if prepared is None else arm).value, share)
            pace = None if self.pace is None else partial(self.pace, live.decision, facts)
            by_arm[arm] = replace(self._signed(prepared or champion, live), rollout=facts, pace=pace)
        key_of, assign = champion.arm_key, arms.of

        def pick(event: Any, event_id: str) -> Prepared:
            return by_arm[assign(event_id if key_of is None else key_of(event))]

        return pick

    def _signed(self, prepared: Prepared, live: Live) -> Prepared:
        known = live.known.get(prepared.release)
        return prepared if known is None or known.by == prepared.author else replace(prepared, author=known.by)

    def _forget(self, live: Live) -> None:
        """Keep in memory what decides, what is told to, and the last champion: a rollback must not wait for a disk."""
        kept = {live.champion, *live.former[-1:], self.own[live.decision]}
        if live.rollout is not None:
            kept |= {live.rollout.champion, *live.rollout.challengers}
        for release, prepared in list(self._loaded.items()):
            if prepared.decision.name == live.decision and release not in kept:
                del self._loaded[release]

    def _begin(self, decision: AnyDecision, pins: Mapping[str, str]) -> Prepared:
        wanted = [_pinned(model, pins.get(model.name, model.version)) for model in decision.models]
        try:
            bound = bind(decision, self._registry, _policy_version(decision, pins))
            return self._prepared(bound, {model.name: self._load(decision, model) for model in wanted})
        except (IntegrityError, NotFound) as error:
            if self._development:
                raise
            self.withheld[decision.name] = error
            ready = withheld(decision, self._online, error)
            self._loaded[ready.release] = ready
            return ready

    def _prepared(self, decision: AnyDecision, models: Mapping[str, LoadedModel]) -> Prepared:
        ready = prepare(decision, models, self._online, self._find(decision))
        known = self._loaded.get(ready.release)
        if known is not None:
            return known
        ready = replace(ready, development=self._development)
        self._loaded[ready.release] = ready
        return ready

    async def _ready(self, decision: AnyDecision, versions: Mapping[str, str]) -> Prepared:
        wanted = [_pinned(model, versions.get(model.name, model.version)) for model in decision.models]

        def load() -> tuple[AnyDecision, dict[str, LoadedModel]]:
            models = {model.name: self._load(decision, model) for model in wanted}
            for model in models.values():
                _warm_up(model)
            return bind(decision, self._registry, _policy_version(decision, versions)), models

        bound, models = await asyncio.to_thread(load) if self._in_threads else load()
        return self._prepared(bound, models)

    def _by_fingerprint(self, name: str, fingerprint: str) -> AnyDecision:
        wanted = fingerprint if fingerprint.startswith("sha256:") else f"sha256:{fingerprint}"
        found = [each for each in self._declared.get(name, ()) if each.fingerprint.startswith(wanted)]
        if len(found) != 1:
            raise NotFound(
                f"this process has no declaration of {name!r} with the fingerprint {wanted[:23]}…",
                why="a release is made of its code, too",
                fix="add that code to the setting challengers, or start a process that has it",
                code="release-lacks-code",
                field="challenger",
            )
        return found[0]


def by_name(
    decisions: Sequence[AnyDecision], challengers: Sequence[AnyDecision]
) -> Mapping[str, Sequence[AnyDecision]]:
    """Return the declarations of each decision: its own, then its challengers.

    Raises:
        DeclarationError: Two have one name, or a challenger challenges nothing.
    """
    names = [decision.name for decision in decisions]
    for name in names:
        if names.count(name) > 1:
            raise DeclarationError(
                f"two decisions are named {name!r}",
                fix="rename one of them, or let one be a challenger: Runtime.open(..., challengers=[...])",
                field="name",
            )
    for challenger in challengers:
        if challenger.name not in names:
            raise DeclarationError(
                f"{challenger.name!r} challenges nothing", fix=nearest(challenger.name, names), field="challengers"
            )
    return {own.name: [own, *(each for each in challengers if each.name == own.name)] for own in decisions}


def _policy_version(decision: AnyDecision, versions: Mapping[str, str]) -> str:
    policy = decision.policy
    return versions.get(policy.name, "") if isinstance(policy, Rules) else ""


def _policy_pin(decision: AnyDecision, digest: str) -> dict[str, str]:
    """Return which version of a policy as data a release was made of; one in a file is part of the code."""
    policy = decision.policy
    return {policy.name: digest} if isinstance(policy, Rules) and not policy.content else {}


def _pinned(model: Model[Any], version: str) -> Model[Any]:
    return Model(model.name, inputs=model.inputs, version=version, returns=model.returns)


def _warm_up(model: LoadedModel) -> None:
    """Answer once before anybody waits for it: first calls compile, allocate and page in."""
    if isinstance(model, ServedModel) and model.local is None:
        return  # a call costs money, and its server is warm
    row = [0.0] * len(model.inputs)
    model.predict_one(row)
    model.predict([row, row])


def _check_challenger(first: AnyDecision, other: AnyDecision) -> None:
    """Refuse a challenger that answers another question, or is measured by something else."""
    if first.fingerprint == other.fingerprint:
        raise DeclarationError(
            f"a challenger of {first.name!r} is the same declaration", fix="leave it out", field="challengers"
        )
    for part in ("event", "economics", "schedule"):
        if digest(plain(getattr(first, part))) != digest(plain(getattr(other, part))):
            raise DeclarationError(
                f"a challenger of {first.name!r} has another {part}",
                why="both decide the same events, and are measured by the same outcomes",
                fix=f"declare the same {part}, or name the decision differently",
                field="challengers",
            )
