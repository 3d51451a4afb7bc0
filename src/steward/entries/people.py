"""The entries that people make, or that are made because they are asked."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from msgspec import UNSET, UnsetType

from steward.entries.later import Later
from steward.records import GateFacts, Money

_EXAMPLE: Final = MappingProxyType(
    {"decision_id": UUID(int=1), "decision": "pay.release", "at": datetime(2026, 1, 1, tzinfo=UTC)}
)
"""What the examples below have in common."""


class Asked(Later, frozen=True, kw_only=True, tag="asked", forbid_unknown_fields=True):
    """A person is asked; ``evidence`` is the digest of the record that was shown.

    Example:
        >>> gate = GateFacts(needed=True, impact=Money.rounded(900, "EUR"), approvers="desk", otherwise="hold")
        >>> Asked(**_EXAMPLE,
        ...     gate=gate, choice="pay", evidence="sha256:ab").gate.otherwise
        'hold'
    """

    gate: GateFacts
    choice: object
    evidence: str


class Approved(Later, frozen=True, kw_only=True, tag="approved", forbid_unknown_fields=True):
    """A person agreed, ``waited_s`` seconds after they were asked; with several needed, the last of them.

    Example:
        >>> Approved(**_EXAMPLE, by="ana",
        ...     reason="I know them", evidence="sha256:ab", choice="pay").by
        'ana'
    """

    reason: str
    evidence: str
    choice: object
    waited_s: float | UnsetType = UNSET


class Rejected(Later, frozen=True, kw_only=True, tag="rejected", forbid_unknown_fields=True):
    """A person refused; ``choice`` is what is done instead (the gate's ``otherwise``).

    Example:
        >>> Rejected(**_EXAMPLE, by="ana",
        ...     reason="I know them", evidence="sha256:ab", choice="hold").by
        'ana'
    """

    reason: str
    evidence: str
    choice: object
    waited_s: float | UnsetType = UNSET


class Escalated(Later, frozen=True, kw_only=True, tag="escalated", forbid_unknown_fields=True):
    """``to`` is asked now too: nobody had answered in time, or a person wanted it and said why.

    Example:
        >>> Escalated(**_EXAMPLE, to="duty").to
        'duty'
    """

    to: str
    reason: str = ""


class Expired(Later, frozen=True, kw_only=True, tag="expired", forbid_unknown_fields=True):
    """Nobody answered until the deadline; ``choice`` is what is done instead.

    Example:
        >>> Expired(**_EXAMPLE, choice="hold").by
        'system'
    """

    choice: object


class Barred(Later, frozen=True, kw_only=True, tag="barred", forbid_unknown_fields=True):
    """``person`` may not answer this ask, because of the ``part`` they had in it: proposer, author or editor.

    Its ledger key is the one that the person's own answer would take, so that the database, too, refuses that answer.

    Example:
        >>> Barred(**_EXAMPLE, person="ana", part="proposer", round=0).part
        'proposer'
    """

    person: str
    part: str
    round: int


class Endorsed(Later, frozen=True, kw_only=True, tag="endorsed", forbid_unknown_fields=True):
    """One person of several agreed; the run is ``approved`` with the last that is needed.

    Example:
        >>> Endorsed(**_EXAMPLE, by="ana", reason="I know them", evidence="sha256:ab", round=0).round
        0
    """

    reason: str
    evidence: str
    round: int
    waited_s: float | UnsetType = UNSET


class Changed(Later, frozen=True, kw_only=True, tag="changed", forbid_unknown_fields=True):
    """A person put a choice of their own in the place of what was proposed; what was endorsed before is void.

    Attributes:
        proposed: What was asked before.
        choice: What is asked now, and by whom it was made: ``by``.
        evidence: The digest that answers must name from now on.
        round: How many changes there have been, this one included.
        impact: The money at stake now, if it could be weighed.

    Example:
        >>> Changed(**_EXAMPLE, by="ana", reason="half is enough", proposed=8, choice=4, evidence="sha256:cd",
        ...         round=1).choice
        4
    """

    reason: str
    proposed: object
    choice: object
    evidence: str
    round: int
    impact: Money | UnsetType = UNSET
    waited_s: float | UnsetType = UNSET


class Questioned(Later, frozen=True, kw_only=True, tag="questioned", forbid_unknown_fields=True):
    """A person who is asked wants to know more; the deadline stays.

    Example:
        >>> Questioned(**_EXAMPLE, by="ana", question="Is the feeder in service?").question
        'Is the feeder in service?'
    """

    question: str


class Replied(Later, frozen=True, kw_only=True, tag="replied", forbid_unknown_fields=True):
    """Somebody answered the last question of those who are asked.

    Example:
        >>> Replied(**_EXAMPLE, by="bo", reply="Yes, since 10:00").reply
        'Yes, since 10:00'
    """

    reply: str


class Snoozed(Later, frozen=True, kw_only=True, tag="snoozed", forbid_unknown_fields=True):
    """A person who is asked does not want to be reminded before ``until``; the deadline stays.

    Example:
        >>> Snoozed(**_EXAMPLE, by="ana", reason="in a call", until=datetime(2026, 1, 2, tzinfo=UTC)).by
        'ana'
    """

    reason: str
    until: datetime


class Seeded(Later, frozen=True, kw_only=True, tag="seeded", forbid_unknown_fields=True):
    """The ask of run ``about`` is a check with a known wrong choice; whatever is answered, nothing is done.

    It belongs to a run of its own, so that nobody who answers ``about`` is shown it.

    Example:
        >>> Seeded(**_EXAMPLE, about=UUID(int=2), why="ten times the limit").about.int
        2
    """

    about: UUID
    why: str


class Notified(Later, frozen=True, kw_only=True, tag="notified", forbid_unknown_fields=True):
    """``to`` was told over ``channel`` that ``about`` (a kind of entry) happened; ``failed`` tells why not.

    Example:
        >>> Notified(**_EXAMPLE, to="ana", channel="smtp", about="asked").channel
        'smtp'
    """

    to: str
    channel: str
    about: str
    failed: str = ""
