"""What is live: the entries about a decision's releases, folded into who decides now, who did when, and who agreed.

All of them belong to one run of the decision and are numbered by their keys: of two writers that know the same state
only one is right, and the other reads on and thinks again. So no two people can publish, promote or roll back past each
other, and nobody can approve what they proposed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from steward.entries import Distrusted, Launched, Promoted, Proposed, Published, RolledBack
from steward.releases.arms import Arms

Body = Proposed | Published | Launched | Promoted | RolledBack | Distrusted
"""An entry about releases, but for ``shadowed``."""


def run_of(decision: str) -> UUID:
    """Return the run that all entries about a decision's releases belong to.

    Example:
        >>> run_of("pay.release")
        UUID('df57805e-28d6-8eea-83c8-1723548f9904')
    """
    digest = hashlib.sha256(f"releases/{decision}".encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    return UUID(int=number & ~(0xF << 76 | 0x3 << 62) | 0x8 << 76 | 0x2 << 62)  # version 8: made as one likes


def key_of(decision: str, number: int) -> str:
    """Return the key of a decision's entry about releases; only one entry can take it.

    Example:
        >>> key_of("pay.release", 3)
        'releases/pay.release/3'
    """
    return f"releases/{decision}/{number}"


class Known(Struct, frozen=True, kw_only=True):
    """A release that was proposed or published.

    Attributes:
        release: Its name.
        document: What it is made of.
        description: The declaration in plain data.
        by: Who wants or wanted it.
        at: Since when.
        reason: Why.
        published_at: When it was published; absent while somebody has to agree.
        approved_by: The other person who agreed, if one had to.
        approval: Why they agreed.
        envelope: The document signed, if it is.
        distrusted: Why it was refused, the last time.

    Example:
        >>> Known(release="pay.release@ab", by="ana", at=datetime(2026, 1, 1)).is_published
        False
    """

    release: str
    document: dict[str, object] = {}
    description: dict[str, object] = {}
    by: str
    at: datetime
    reason: str = ""
    published_at: datetime | UnsetType = UNSET
    approved_by: str | UnsetType = UNSET
    approval: str = ""
    envelope: dict[str, object] | UnsetType = UNSET
    distrusted: str = ""

    @property
    def is_published(self) -> bool:
        """Whether it may be given a share."""
        return self.published_at is not UNSET

    @property
    def is_approved(self) -> bool:
        """Whether another person agreed to it."""
        return isinstance(self.approved_by, str) and self.approved_by != self.by


class Rollout(Struct, frozen=True, kw_only=True):
    """A rollout that stands.

    Attributes:
        name: ``<decision>/<number>``.
        champion: The champion at its start; a holdout keeps it.
        canary: The release that has ``share`` of the decisions.
        share: 0..1.
        shadows: The releases that only say what they would have chosen.
        holdout: The share (0..1) that no challenger gets.
        started_at: When it began.
        started_by: Who began it.
        at: Since when its shares are what they are.
        by: Who set them.
        reason: Why.

    Example:
        >>> at = datetime(2026, 1, 1)
        >>> Rollout(name="pay.release/3", champion="pay.release@ab", canary="pay.release@cd", share=0.05,
        ...         started_at=at, started_by="ana", at=at, by="ana").challengers
        ('pay.release@cd',)
    """

    name: str
    champion: str
    canary: str | UnsetType = UNSET
    share: float = 0.0
    shadows: tuple[str, ...] = ()
    holdout: float = 0.0
    started_at: datetime
    started_by: str
    at: datetime
    by: str
    reason: str = ""

    @property
    def challengers(self) -> tuple[str, ...]:
        """The canary and the shadows."""
        return (*([self.canary] if isinstance(self.canary, str) else []), *self.shadows)

    @property
    def arms(self) -> Arms:
        """How keys are shared out."""
        return Arms(salt=self.name, share=self.share, holdout=self.holdout)


class Live(Struct, frozen=True, kw_only=True):
    """What is live for a decision.

    Attributes:
        decision: Its name.
        champion: The release that decides; ``""`` before the first.
        since: Since when.
        by: Who put it there.
        former: The champions before, the latest last; a rollback goes to that one.
        rollout: The rollout that stands.
        known: Every release that was proposed or published, by name.
        number: How many entries there are.

    Example:
        >>> Live(decision="pay.release").champion
        ''
    """

    decision: str
    champion: str = ""
    since: datetime | UnsetType = UNSET
    by: str = ""
    former: tuple[str, ...] = ()
    rollout: Rollout | None = None
    known: Mapping[str, Known] = {}
    number: int = 0

    @property
    def waiting(self) -> tuple[Known, ...]:
        """The releases that somebody has to agree to, the oldest first."""
        return tuple(known for known in self.known.values() if not known.is_published)

    def after(self, body: Body) -> Live:
        """Return what is live once ``body`` is appended."""
        changed: dict[str, Any] = _FOLD[type(body)](self, body)
        return replace(self, number=self.number + 1, **changed)


def live_of(decision: str, bodies: Sequence[object], *, at: datetime | None = None) -> Live:
    """Fold a decision's entries about releases, in order; up to a time, if one is given."""
    live = Live(decision=decision)
    for body in bodies:
        if isinstance(body, Body) and (at is None or body.at <= at):
            live = live.after(body)
    return live


def _proposed(live: Live, body: Proposed) -> dict[str, Any]:
    known = Known(
        release=body.release,
        document=body.document,
        description=body.description or {},
        by=body.by,
        at=body.at,
        reason=body.reason,
        envelope=body.envelope,
    )
    return {"known": {**live.known, body.release: known}}


def _published(live: Live, body: Published) -> dict[str, Any]:
    before = live.known.get(body.release) or Known(
        release=body.release,
        document=body.document or {},
        description=body.description,
        by=body.by,
        at=body.at,
        reason=body.reason,
    )
    known = replace(before, published_at=body.at, approved_by=body.approved_by, approval=body.reason)
    changed: dict[str, Any] = {"known": {**live.known, body.release: known}}
    if body.serves:
        # New code is another experiment: what was compared with the champion is compared no more.
        changed |= {**_crowned(live, body.release, body.at, body.by), "rollout": None}
    return changed


def _crowned(live: Live, release: str, at: datetime, by: str) -> dict[str, Any]:
    if release == live.champion:
        return {}
    former = (*live.former, live.champion) if live.champion else ()
    return {"champion": release, "since": at, "by": by, "former": former}


def _launched(live: Live, body: Launched) -> dict[str, Any]:
    before = live.rollout if live.rollout is not None and live.rollout.name == body.rollout else None
    rollout = Rollout(
        name=body.rollout,
        champion=body.champion if before is None else before.champion,
        canary=body.canary,
        share=body.share,
        shadows=body.shadows,
        holdout=body.holdout,
        started_at=body.at if before is None else before.started_at,
        started_by=body.by if before is None else before.started_by,
        at=body.at,
        by=body.by,
        reason=body.reason,
    )
    return {"rollout": rollout if rollout.challengers or rollout.holdout else None}


def _promoted(live: Live, body: Promoted) -> dict[str, Any]:
    rollout = live.rollout
    if rollout is not None:
        shadows = tuple(shadow for shadow in rollout.shadows if shadow != body.release)
        rollout = replace(rollout, canary=UNSET, share=0.0, shadows=shadows, at=body.at, by=body.by)
        # The holdout goes on: it tells for as long as it is wanted what the promotion was worth.
        rollout = rollout if rollout.holdout or shadows else None
    return {**_crowned(live, body.release, body.at, body.by), "rollout": rollout}


def _rolled_back(live: Live, body: RolledBack) -> dict[str, Any]:
    changed: dict[str, Any] = {"rollout": None}
    if body.release != live.champion:
        former = live.former
        if body.release in former:  # what came after it was withdrawn with it: the next rollback goes further back
            former = former[: len(former) - 1 - former[::-1].index(body.release)]
        changed |= {"champion": body.release, "since": body.at, "by": body.by, "former": former}
    return changed


def _distrusted(live: Live, body: Distrusted) -> dict[str, Any]:
    known = live.known.get(body.release)
    return {} if known is None else {"known": {**live.known, body.release: replace(known, distrusted=body.reason)}}


_FOLD: dict[type[Body], Callable[[Live, Any], dict[str, Any]]] = {
    Proposed: _proposed,
    Published: _published,
    Launched: _launched,
    Promoted: _promoted,
    RolledBack: _rolled_back,
    Distrusted: _distrusted,
}
