"""Who must decide, by what is durable: releases folded from plain JSON, sharing no code with what it judges."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

Body = Mapping[str, Any]
_PLACES: Final = 1 << 64


class Part(NamedTuple):
    """Who decides for a key, and what the record says of the rollout.

    Example:
        >>> Part("pay@ab", "pay/3", "canary", 0.05).arm
        'canary'
    """

    release: str
    rollout: str = ""
    arm: str = ""
    share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What stands besides the champion.

    Example:
        >>> Rollout(name="pay/3", champion="pay@ab", holdout=1.0).arm("anybody")
        'holdout'
    """

    name: str
    champion: str
    canary: str = ""
    share: float = 0.0
    shadows: tuple[str, ...] = ()
    holdout: float = 0.0

    def arm(self, key: str) -> str:
        """Return where a key falls: the canary has the low end, the holdout the high one."""
        digest = hashlib.sha256(self.name.encode() + b"\n" + key.encode()).digest()
        place = int.from_bytes(digest[:8], "big") / _PLACES
        return "canary" if place < self.share else "holdout" if place >= 1 - self.holdout else "champion"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is live for one decision.

    Attributes:
        champion: Decides what nobody else has a share in.
        former: The champions before it, the latest last.
        rollout: What stands besides.
        published: Every release that may be given a share.

    Example:
        >>> first = Standing().after("published", {"release": "pay@ab", "serves": True})
        >>> first.part("customer-7", {"pay@ab"})
        Part(release='pay@ab', rollout='', arm='', share=0.0)
    """

    champion: str = ""
    former: tuple[str, ...] = ()
    rollout: Rollout | None = None
    published: frozenset[str] = frozenset()

    def after(self, kind: str, body: Body) -> Standing:
        """Return what is live after one more entry."""
        step = _STEPS.get(kind)
        return self if step is None else step(self, body)

    def wrong(self, kind: str, body: Body) -> str:
        """Return what speaks against an entry that comes next; nothing if it goes on from here."""
        if kind == "promoted" and body["before"] != self.champion:
            return f"{body['before']} is said to have been the champion, but {self.champion} was"
        if kind == "promoted" and body["release"] not in self.published - {self.champion}:
            return f"{body['release']} is promoted, but is the champion already, or was never published"
        if kind == "rolled_back":
            canary = "" if self.rollout is None else self.rollout.canary
            if body["withdrawn"] not in {self.champion, canary} - {""}:
                return f"{body['withdrawn']} is withdrawn, but was neither champion nor canary"
            if body["release"] not in {self.champion, *self.former} - {body["withdrawn"]}:
                return f"{body['release']} is gone back to, but was never the champion"
        return self._wrong_launch(body) if kind == "launched" else ""

    def _wrong_launch(self, body: Body) -> str:
        stands = self.rollout
        goes_on = stands is not None and stands.name == body["rollout"]
        began = stands.champion if goes_on and stands is not None else self.champion
        if stands is not None and not goes_on:
            return f"{body['rollout']} begins, but {stands.name} stands"
        if body["champion"] != began:
            return f"{body['champion']} is said to be the champion of the rollout's start, but {began} was"
        given = {*([body["canary"]] if body.get("canary") else []), *body.get("shadows", ())}
        if self.champion in given or given - self.published:
            return f"{sorted(given)} have a part, of which one is the champion or was never published"
        return ""

    def part(self, key: str, runnable: Set[str]) -> Part:
        """Return who must decide for a key where ``runnable`` can be run; the champion stands in for what cannot."""
        stands = self.rollout
        if stands is None or not (stands.share or stands.holdout):
            return Part(self.champion)
        arm = stands.arm(key)
        release = {"canary": stands.canary, "holdout": stands.champion}.get(arm, self.champion)
        share = {"canary": stands.share, "holdout": stands.holdout}.get(arm, 1 - stands.share - stands.holdout)
        if release not in runnable:
            release, arm = self.champion, "champion"
        return Part(release, stands.name, arm, round(share, 6))

    def _crowned(self, release: str, rollout: Rollout | None) -> Standing:
        if release == self.champion:
            return replace(self, rollout=rollout)
        former = (*self.former, self.champion) if self.champion else ()
        return replace(self, champion=release, former=former, rollout=rollout)

    def _published(self, body: Body) -> Standing:
        known = replace(self, published=self.published | {body["release"]})
        return known._crowned(body["release"], None) if body.get("serves", True) else known

    def _launched(self, body: Body) -> Standing:
        rollout = Rollout(
            name=body["rollout"],
            champion=body["champion"],
            canary=body.get("canary", ""),
            share=body.get("share", 0.0),
            shadows=tuple(body.get("shadows", ())),
            holdout=body.get("holdout", 0.0),
        )
        stands = rollout.canary or rollout.shadows or rollout.holdout
        return replace(self, rollout=rollout if stands else None)

    def _promoted(self, body: Body) -> Standing:
        rollout = self.rollout
        if rollout is not None:
            others = tuple(each for each in rollout.shadows if each != body["release"])
            rollout = replace(rollout, canary="", share=0.0, shadows=others) if others or rollout.holdout else None
        return self._crowned(body["release"], rollout)

    def _rolled_back(self, body: Body) -> Standing:
        release, former = body["release"], list(self.former)
        if release != self.champion:
            while former and former.pop() != release:
                pass
        return replace(self, champion=release, former=tuple(former), rollout=None)


_STEPS: Final[Mapping[str, Callable[[Standing, Body], Standing]]] = {
    "published": Standing._published,
    "launched": Standing._launched,
    "promoted": Standing._promoted,
    "rolled_back": Standing._rolled_back,
}
