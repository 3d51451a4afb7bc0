"""What happened to a decision's releases, in sentences; see :mod:`steward.console.told`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from steward.console.choices import by
from steward.console.telling import Told, joined, quoted
from steward.console.words import exactly, plain
from steward.entries import Body, Distrusted, Launched, Promoted, Proposed, Published, RolledBack, Shadowed
from steward.records import Money


def _published(body: Published) -> Told:
    agreed = f"{body.approved_by} agreed" if isinstance(body.approved_by, str) else ""
    title = "Release put into service" if body.serves else "Release published"
    detail = joined(body.release, f"by {by(body.by)}", agreed, quoted(body.reason))
    return Told(at=body.at, title=title, detail=detail)


def _proposed(body: Proposed) -> Told:
    detail = joined(body.release, quoted(body.reason), "a second person must agree")
    return Told(at=body.at, title=f"{by(body.by)} wants a release to be published", detail=detail, tone="warn")


def _launched(body: Launched) -> Told:
    canary = f"{body.canary} has {body.share:.1%}" if isinstance(body.canary, str) else ""
    shadows = f"{', '.join(body.shadows)} as {'shadow' if len(body.shadows) == 1 else 'shadows'}"
    holdout = f"{body.holdout:.1%} are held out" if body.holdout else ""
    detail = joined(canary, shadows if body.shadows else "", holdout, quoted(body.reason))
    title = f"Rollout set by {by(body.by)}" if canary or body.shadows or holdout else f"Rollout ended by {by(body.by)}"
    return Told(at=body.at, title=title, detail=detail, tone="info")


def _shadowed(body: Shadowed) -> Told:
    chosen = body.error if body.error else plain(body.choice)
    worth = f"expected to earn {exactly(body.expected_value)}" if isinstance(body.expected_value, Money) else ""
    detail = joined(chosen, worth, f"{body.took_us} µs")
    return Told(at=body.at, title=f"{body.release} would have chosen", detail=detail, tone="info")


def _promoted(body: Promoted) -> Told:
    detail = joined(f"{body.release} instead of {body.before}", quoted(body.reason))
    return Told(at=body.at, title=f"Promoted by {by(body.by)}", detail=detail, tone="pos")


def _rolled_back(body: RolledBack) -> Told:
    detail = joined(f"{body.release} instead of {body.withdrawn}", quoted(body.reason))
    return Told(at=body.at, title=f"Rolled back by {by(body.by)}", detail=detail, tone="neg")


def _distrusted(body: Distrusted) -> Told:
    return Told(at=body.at, title=f"{body.release} refused", detail=joined(body.reason, body.code), tone="neg")


RELEASES: Final[Mapping[type[Body], Callable[[Any], Told]]] = {
    Proposed: _proposed,
    Published: _published,
    Launched: _launched,
    Shadowed: _shadowed,
    Promoted: _promoted,
    RolledBack: _rolled_back,
    Distrusted: _distrusted,
}
"""How each kind of entry about releases is told."""
