"""What the API tells of a verification of the whole ledger."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from steward.ledger.sqlite_calendar import SignedHour
from steward.ledger.verify import Break
from steward.runtime.audit import Audit, Trust


class VerificationFound(Struct, frozen=True, kw_only=True):
    """What the last verification of the whole ledger has found.

    Attributes:
        at: When it ended, by the machine's clock.
        age_s: How long ago that was.
        took_s: How long it took.
        entries: Entries whose bytes were hashed.
        messages: Messages of the event log whose checksums were compared.
        checkpoints: Signed heads that were compared with the tree.
        signed_entries: Entries under the largest good head.
        origin: The ledger's name in its heads.
        root: Root over all entries, in hex.
        breaks: What does not hold; no more than 1,000 are listed.
        hours: When heads were signed, the oldest hour first.
    """

    at: datetime
    age_s: float
    took_s: float
    entries: int
    messages: int
    checkpoints: int
    signed_entries: int
    origin: str
    root: str
    breaks: list[Break]
    hours: list[SignedHour]


class VerificationProgress(Struct, frozen=True, kw_only=True):
    """How far a verification is: entries checked, and their number (0 until that is known)."""

    entries: int
    total: int


class Verification(Struct, frozen=True, kw_only=True):
    """What is known of the ledger.

    Attributes:
        trust: ``unknown`` until it was verified, ``holds``, or ``broken``.
        last: What was found; ``None`` until it was verified.
        progress: How far the verification under way is; ``None`` if none is.
        failure: Why the last one could not be done; empty if it could.
        every_s: How often it is verified by itself; 0 is never.
        public_key: The key with which the server signs, as a signed-note verifier key.
    """

    trust: Trust
    last: VerificationFound | None
    progress: VerificationProgress | None
    failure: str
    every_s: float
    public_key: str

    @classmethod
    def of(cls, audit: Audit) -> Verification:
        """Return what is known now."""
        last, age, at = audit.last, audit.age, audit.progress
        return cls(
            trust=audit.trust,
            last=None
            if last is None or age is None
            else VerificationFound(
                at=last.at,
                age_s=round(age.total_seconds(), 3),
                took_s=last.took_s,
                entries=last.entries,
                messages=last.messages,
                checkpoints=last.checkpoints,
                signed_entries=last.signed_entries,
                origin=last.origin,
                root=last.root,
                breaks=last.breaks,
                hours=last.hours,
            ),
            progress=None if at is None else VerificationProgress(entries=at.entries, total=at.total),
            failure="" if audit.failure is None else str(audit.failure),
            every_s=audit.every_s if audit.is_kept else 0.0,
            public_key=audit.public_key,
        )
