"""What the routes about releases and rollouts answer and take, as structs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from steward.api.answers import Person, Text
from steward.api.rollout_answers import RolloutSeen
from steward.entries import Distrusted, Launched, Promoted, Proposed, Published, RolledBack
from steward.releases.live import Body, Known, Live, Rollout
from steward.runtime.runtime import Runtime

Share = Annotated[float, Meta(ge=0, le=1)]
Versions = dict[Person, Person]


class ReleaseShown(Struct, frozen=True, kw_only=True):
    """A release that was proposed or published.

    Attributes:
        release: Its name.
        by: Who wants or wanted it.
        at: Since when.
        reason: Why.
        published_at: When it was published; absent while another person has to agree.
        approved_by: Who agreed.
        approval: Why.
        is_signed: Whether its document came with a signature.
        distrusted: Why it was refused, the last time.
        document: What it is made of.
    """

    release: str
    by: str
    at: datetime
    reason: str
    published_at: datetime | UnsetType = UNSET
    approved_by: str | UnsetType = UNSET
    approval: str
    is_signed: bool
    distrusted: str
    document: dict[str, object]

    @classmethod
    def of(cls, known: Known) -> Self:
        """Return what is shown of a release."""
        return cls(
            release=known.release,
            by=known.by,
            at=known.at,
            reason=known.reason,
            published_at=known.published_at,
            approved_by=known.approved_by,
            approval=known.approval,
            is_signed=known.envelope is not UNSET,
            distrusted=known.distrusted,
            document=known.document,
        )


class LiveNow(Struct, frozen=True, kw_only=True):
    """What is live for a decision, now or at the time that was asked for.

    Attributes:
        decision: Its name.
        mode: ``development``, or ``governed``.
        champion: The release that decides what no rollout gives to another; empty before the first.
        since: Since when it does.
        by: Who put it there.
        former: The champions before, the latest last.
        rollout: The rollout that stands.
        releases: Every release that is known, the oldest first.
        number: How many entries all this is made of.
        refused: Why nothing of it is decided here.
        lacking: The releases that should have a part in it but cannot be run here, and why.
    """

    decision: str
    mode: str
    champion: str
    since: datetime | UnsetType = UNSET
    by: str
    former: Sequence[str]
    rollout: Rollout | UnsetType = UNSET
    releases: Sequence[ReleaseShown]
    number: int
    refused: str | UnsetType = UNSET
    lacking: Mapping[str, str] = {}

    @classmethod
    def of(cls, live: Live, runtime: Runtime, *, is_now: bool = True) -> Self:
        """Return what is shown of what is or was live."""
        refusal = runtime.lineups.of(live.decision).refusal if is_now else None
        return cls(
            decision=live.decision,
            mode=runtime.settings.mode,
            champion=live.champion,
            since=live.since,
            by=live.by,
            former=live.former,
            rollout=live.rollout or UNSET,
            releases=[ReleaseShown.of(known) for known in live.known.values()],
            number=live.number,
            refused=UNSET if refusal is None else str(refusal),
            lacking=runtime.releases.lacking(live.decision) if is_now else {},
        )


class ReleaseChange(Struct, frozen=True, kw_only=True):
    """One entry about a decision's releases.

    Attributes:
        at: When.
        kind: ``proposed``, ``published``, ``launched``, ``promoted``, ``rolled_back`` or ``distrusted``.
        by: Who.
        release: What it is about: the release that was proposed, published or refused, or is the champion since.
        before: The champion or the challenger that is it no more.
        approved_by: The other person who agreed.
        rollout: The rollout.
        canary: The release that has ``share`` since.
        share: 0..1.
        shadows: The releases that only say what they would have chosen.
        holdout: The share that no challenger gets.
        reason: Why.
    """

    at: datetime
    kind: str
    by: str
    release: str
    before: str | UnsetType = UNSET
    approved_by: str | UnsetType = UNSET
    rollout: str | UnsetType = UNSET
    canary: str | UnsetType = UNSET
    share: float | UnsetType = UNSET
    shadows: tuple[str, ...] | UnsetType = UNSET
    holdout: float | UnsetType = UNSET
    reason: str

    @classmethod
    def of(cls, body: Body) -> Self:
        """Return an entry in the words of all of them."""
        kind = str(type(body).__struct_config__.tag)
        common: dict[str, Any] = {"at": body.at, "kind": kind, "by": body.by, "reason": body.reason}
        if isinstance(body, Launched):
            told = {name: getattr(body, name) for name in ("rollout", "canary", "share", "shadows", "holdout")}
            return cls(**common, release=body.champion, **told)
        if isinstance(body, Promoted):
            return cls(**common, release=body.release, before=body.before, rollout=body.rollout)
        if isinstance(body, RolledBack):
            return cls(**common, release=body.release, before=body.withdrawn, rollout=body.rollout)
        if isinstance(body, Published):
            return cls(**common, release=body.release, approved_by=body.approved_by)
        assert isinstance(body, Proposed | Distrusted)
        return cls(**common, release=body.release)


class ReleaseDraft(Struct, frozen=True, kw_only=True):
    """What a release would be called, and the document that is to be signed.

    Attributes:
        release: Its name.
        document: What it is made of; signed is its canonical JSON.
    """

    release: str
    document: dict[str, object]


class VariantIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which release is meant.

    Attributes:
        models: The version of each model that is not the champion's, by name.
        challenger: The fingerprint of another declaration in the process, or its beginning.
    """

    models: Versions = {}
    challenger: str = ""


class ProposalIn(VariantIn, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's wish that a release be published.

    Attributes:
        reason: Why.
        by: Who; once identities are known that is whoever sends it.
        envelope: Its document signed (DSSE), where that is asked for.
    """

    reason: Text
    by: Person | UnsetType = UNSET
    envelope: dict[str, object] | None = None


class ApprovalIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's agreement to what another one proposed.

    Attributes:
        release: Which.
        reason: Why.
        by: Who; once identities are known that is whoever sends it.
    """

    release: Person
    reason: Text
    by: Person | UnsetType = UNSET


class RolloutIn(VariantIn, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rollout to begin, or a part in the one that stands.

    Attributes:
        release: A release that is known, instead of ``models`` and ``challenger``.
        share: What it decides; not of a shadow.
        shadow: It decides nothing, and only says what it would have chosen.
        holdout: The share that no challenger gets; as it was by default.
        reason: Why.
        by: Who; once identities are known that is whoever sends it.
    """

    release: str = ""
    share: Share = 0.0
    shadow: bool = False
    holdout: Share | None = None
    reason: Text
    by: Person | UnsetType = UNSET


class ShareIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another share for a challenger.

    Attributes:
        share: What it decides from now on.
        release: Which; by default the canary, or the only shadow.
        holdout: The share that no challenger gets; as it was by default.
        reason: Why.
        by: Who; once identities are known that is whoever sends it.
    """

    share: Share
    release: str = ""
    holdout: Share | None = None
    reason: Text
    by: Person | UnsetType = UNSET


class SwitchIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promotion, a rollback or the end of a rollout.

    Attributes:
        release: The release that is to be the champion; by default the canary, or the champion before.
        reason: Why.
        by: Who; once identities are known that is whoever sends it.
    """

    release: str = ""
    reason: Text
    by: Person | UnsetType = UNSET


DESCRIBED: tuple[type[Struct], ...] = (
    ApprovalIn,
    LiveNow,
    ProposalIn,
    ReleaseChange,
    ReleaseDraft,
    RolloutIn,
    RolloutSeen,
    ShareIn,
    SwitchIn,
    VariantIn,
)
"""What OpenAPI describes."""
