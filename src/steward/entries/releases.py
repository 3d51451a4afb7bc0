"""The entries about releases: who wanted which, who agreed, what got which share, and what was refused.

All of a decision belong to one run of their own and are numbered by their keys; see :mod:`steward.releases.live`. Only
``shadowed`` belongs to the run that it tells about.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from msgspec import UNSET, UnsetType

from steward.entries.later import Later
from steward.records import EntryBody, Money

_EXAMPLE: Final = MappingProxyType(
    {"decision_id": UUID(int=1), "decision": "pay.release", "at": datetime(2026, 1, 1, tzinfo=UTC)}
)
"""What the examples below have in common."""


class Proposed(Later, frozen=True, kw_only=True, tag="proposed", forbid_unknown_fields=True):
    """Somebody wants a release to be published; another person must agree.

    Attributes:
        release: Its name.
        document: What it is made of; its digest gives the name. See :class:`steward.releases.release.Release`.
        description: The declaration in plain data.
        envelope: The document signed (DSSE), if it is.
        reason: Why.

    Example:
        >>> Proposed(**_EXAMPLE, release="pay.release@ab", document={}, by="ana", reason="fewer false alarms").by
        'ana'
    """

    release: str
    document: dict[str, object]
    description: dict[str, object] | UnsetType = UNSET
    envelope: dict[str, object] | UnsetType = UNSET
    reason: str


class Published(EntryBody, frozen=True, kw_only=True, tag="published", forbid_unknown_fields=True):
    """A release may be given a share from now on; ``description`` is the declaration in plain data.

    The first one of a decision is in service at once; so is one with new code in development mode.

    Attributes:
        release: Its name.
        document: What it is made of; absent in what was written before releases were documents.
        by: Who published it, or wanted it to be.
        approved_by: The other person who agreed; absent where nobody had to.
        reason: Why that person agreed.
        serves: Whether it is the decision's champion from now on.

    Example:
        >>> Published(**_EXAMPLE,
        ...     release="pay.release@ab", description={"owner": "payments"}).release
        'pay.release@ab'
    """

    at: datetime
    release: str
    description: dict[str, object]
    document: dict[str, object] | UnsetType = UNSET
    by: str = "system"
    approved_by: str | UnsetType = UNSET
    reason: str = ""
    serves: bool = True


class Launched(Later, frozen=True, kw_only=True, tag="launched", forbid_unknown_fields=True):
    """A rollout began, or its shares changed; what stands here is all that it consists of from now on.

    Attributes:
        rollout: Its name, which is also what keys are assigned by: ``<decision>/<number>``.
        champion: The release that has the rest.
        canary: The release that has ``share`` of the decisions, if one has.
        share: 0..1.
        shadows: The releases that only say what they would have chosen.
        holdout: The share (0..1) that no challenger gets, also not after a promotion.
        reason: Why.

    Example:
        >>> Launched(**_EXAMPLE, rollout="pay.release/3", champion="pay.release@ab", canary="pay.release@cd",
        ...          share=0.05, by="ana", reason="better on last month").share
        0.05
    """

    rollout: str
    champion: str
    canary: str | UnsetType = UNSET
    share: float = 0.0
    shadows: tuple[str, ...] = ()
    holdout: float = 0.0
    reason: str


class Shadowed(Later, frozen=True, kw_only=True, tag="shadowed", forbid_unknown_fields=True):
    """What a shadow would have chosen in this very run; it had no effect.

    Attributes:
        release: The shadow.
        rollout: The rollout that it is part of.
        choice: What it would have chosen; absent if it failed.
        expected_value: What that was expected to earn, if the decision says how to tell.
        took_us: How long it took, in microseconds.
        error: Why it could not choose.

    Example:
        >>> Shadowed(**_EXAMPLE, release="pay.release@cd", rollout="pay.release/3", choice="hold", took_us=12).choice
        'hold'
    """

    release: str
    rollout: str
    choice: object = UNSET
    expected_value: Money | UnsetType = UNSET
    took_us: int
    error: str = ""


class Promoted(Later, frozen=True, kw_only=True, tag="promoted", forbid_unknown_fields=True):
    """A release is the champion from now on; ``before`` was it until now.

    Example:
        >>> Promoted(**_EXAMPLE, release="pay.release@cd", before="pay.release@ab", by="bo", reason="+2 %").before
        'pay.release@ab'
    """

    release: str
    before: str
    rollout: str | UnsetType = UNSET
    reason: str


class RolledBack(Later, frozen=True, kw_only=True, tag="rolled_back", forbid_unknown_fields=True):
    """``withdrawn`` has no share any more and ``release`` is the champion; a rollout that stood has ended.

    Example:
        >>> RolledBack(**_EXAMPLE, release="pay.release@ab", withdrawn="pay.release@cd", by="ana",
        ...            reason="errors doubled").release
        'pay.release@ab'
    """

    release: str
    withdrawn: str
    rollout: str | UnsetType = UNSET
    reason: str


class Distrusted(Later, frozen=True, kw_only=True, tag="distrusted", forbid_unknown_fields=True):
    """A release, or something that it is made of, was refused.

    Example:
        >>> Distrusted(**_EXAMPLE, release="pay.release@cd", code="model-distrusted", reason="the key is revoked").code
        'model-distrusted'
    """

    release: str
    code: str
    reason: str
