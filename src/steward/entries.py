"""The bodies of the ledger's entries that follow a decision, or concern no single one.

An entry's body is JSON; its first field, ``kind``, tells which of these structs it is. They are decoded
strictly (unknown fields are refused) and never change their meaning: a new meaning is a new kind.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

import msgspec

from steward.records import ActionFacts, EntryBody, GateFacts, Money, Receipt, Record

_EXAMPLE: Final = MappingProxyType(
    {"decision_id": UUID(int=1), "decision": "pay.release", "at": datetime(2026, 1, 1, tzinfo=UTC)}
)
"""What the examples below have in common."""


class _Later(EntryBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry that follows a decision: made at ``at`` by ``by`` (a person, or ``system``)."""

    at: datetime
    by: str = "system"


class Asked(_Later, frozen=True, kw_only=True, tag="asked", forbid_unknown_fields=True):
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


class Approved(_Later, frozen=True, kw_only=True, tag="approved", forbid_unknown_fields=True):
    """A person agreed.

    Example:
        >>> Approved(**_EXAMPLE, by="ana",
        ...     reason="I know them", evidence="sha256:ab", choice="pay").by
        'ana'
    """

    reason: str
    evidence: str
    choice: object


class Rejected(_Later, frozen=True, kw_only=True, tag="rejected", forbid_unknown_fields=True):
    """A person refused; ``choice`` is what is done instead (the gate's ``otherwise``).

    Example:
        >>> Rejected(**_EXAMPLE, by="ana",
        ...     reason="I know them", evidence="sha256:ab", choice="hold").by
        'ana'
    """

    reason: str
    evidence: str
    choice: object


class Escalated(_Later, frozen=True, kw_only=True, tag="escalated", forbid_unknown_fields=True):
    """Nobody had answered in time; ``to`` is asked now too.

    Example:
        >>> Escalated(**_EXAMPLE, to="duty").to
        'duty'
    """

    to: str


class Expired(_Later, frozen=True, kw_only=True, tag="expired", forbid_unknown_fields=True):
    """Nobody answered until the deadline; ``choice`` is what is done instead.

    Example:
        >>> Expired(**_EXAMPLE, choice="hold").by
        'system'
    """

    choice: object


class Acted(_Later, frozen=True, kw_only=True, tag="acted", forbid_unknown_fields=True):
    """The action took effect at the ``attempt``-th try.

    Example:
        >>> Acted(**_EXAMPLE, choice="pay",
        ...     action=ActionFacts(name="pay", key="k"), receipt=Receipt(reference="r1"), attempt=2).attempt
        2
    """

    action: ActionFacts
    choice: object
    receipt: Receipt
    attempt: int


class Undone(_Later, frozen=True, kw_only=True, tag="undone", forbid_unknown_fields=True):
    """The action was taken back.

    Example:
        >>> Undone(**_EXAMPLE,
        ...     reason="paid twice", receipt=Receipt(reference="r2")).reason
        'paid twice'
    """

    reason: str
    receipt: Receipt


class Failed(_Later, frozen=True, kw_only=True, tag="failed", forbid_unknown_fields=True):
    """A stage failed for good; ``stage`` is the loop's verb.

    Example:
        >>> Failed(**_EXAMPLE,
        ...     stage="act", code="action-timeout", reason="no answer within 30 s", attempt=5).stage
        'act'
    """

    stage: str
    code: str
    reason: str
    attempt: int = 1


class Attributed(_Later, frozen=True, kw_only=True, tag="attributed", forbid_unknown_fields=True):
    """The attribution that was deferred, computed from the recorded input and model.

    Example:
        >>> Attributed(**_EXAMPLE,
        ...     attribution={"amount_eur": 0.4, "(bias)": -1.2}, model_hash="sha256:ab").attribution["amount_eur"]
        0.4
    """

    attribution: dict[str, float]
    model_hash: str


class Observed(_Later, frozen=True, kw_only=True, tag="observed", forbid_unknown_fields=True):
    """What really happened; ``late`` if it came after the declared window.

    Example:
        >>> Observed(**_EXAMPLE,
        ...     outcome={"was_fraud": False}, outcome_id="o1", late=False).late
        False
    """

    outcome: object
    outcome_id: str
    late: bool


class Valued(_Later, frozen=True, kw_only=True, tag="valued", forbid_unknown_fields=True):
    """What it was worth: ``saving`` = ``value`` - ``baseline``; ``restates`` an earlier valuation of the run.

    Example:
        >>> earned, baseline = Money.rounded(7, "EUR"), Money.rounded(3, "EUR")
        >>> Valued(**_EXAMPLE, value=earned, baseline=baseline,
        ...     saving=Money.rounded(4, "EUR"), outcome_id="o1", restates=False).saving.minor
        400
    """

    value: Money
    baseline: Money
    saving: Money
    outcome_id: str
    restates: bool


class Published(EntryBody, frozen=True, kw_only=True, tag="published", forbid_unknown_fields=True):
    """A release was put into service; ``description`` is the declaration in plain data.

    Example:
        >>> Published(**_EXAMPLE,
        ...     release="pay.release@ab", description={"owner": "payments"}).release
        'pay.release@ab'
    """

    at: datetime
    release: str
    description: dict[str, object]
    by: str = "system"


Body = (
    Record
    | Asked
    | Approved
    | Rejected
    | Escalated
    | Expired
    | Acted
    | Undone
    | Failed
    | Attributed
    | Observed
    | Valued
    | Published
)
"""Any entry's body."""

decode_body = msgspec.json.Decoder(Body).decode
"""Decode an entry's bytes, strictly; raises ``msgspec.ValidationError``."""
