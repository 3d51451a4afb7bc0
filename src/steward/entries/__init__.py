"""The bodies of the ledger's entries that follow a decision, or concern no single one.

An entry's body is JSON; its first field, ``kind``, tells which of these structs it is. They are decoded
strictly (unknown fields are refused) and never change their meaning: a new meaning is a new kind.
"""

from __future__ import annotations

import msgspec

from steward.entries.effects import (
    Aborted,
    Acted,
    Doubted,
    Failed,
    Halted,
    Redriven,
    Reverting,
    Signalled,
    Stepped,
    Undone,
)
from steward.entries.governance import Restored, Resumed, Resuming, Stopped, Tripped
from steward.entries.later import Later
from steward.entries.people import (
    Approved,
    Asked,
    Barred,
    Changed,
    Endorsed,
    Escalated,
    Expired,
    Notified,
    Questioned,
    Rejected,
    Replied,
    Seeded,
    Snoozed,
)
from steward.entries.releases import Distrusted, Launched, Promoted, Proposed, Published, RolledBack, Shadowed
from steward.entries.worth import Attributed, Observed, Valued
from steward.records import Record

Body = (
    Record
    | Approved
    | Asked
    | Barred
    | Changed
    | Endorsed
    | Escalated
    | Expired
    | Notified
    | Questioned
    | Rejected
    | Replied
    | Seeded
    | Snoozed
    | Aborted
    | Acted
    | Doubted
    | Failed
    | Halted
    | Redriven
    | Reverting
    | Signalled
    | Stepped
    | Undone
    | Attributed
    | Observed
    | Valued
    | Proposed
    | Published
    | Launched
    | Shadowed
    | Promoted
    | RolledBack
    | Distrusted
    | Restored
    | Resumed
    | Resuming
    | Stopped
    | Tripped
)
"""Any entry's body."""

decode_body = msgspec.json.Decoder(Body).decode
"""Decode an entry's bytes, strictly; raises ``msgspec.ValidationError``."""

__all__ = [
    "Aborted",
    "Acted",
    "Approved",
    "Asked",
    "Attributed",
    "Barred",
    "Body",
    "Changed",
    "Distrusted",
    "Doubted",
    "Endorsed",
    "Escalated",
    "Expired",
    "Failed",
    "Halted",
    "Later",
    "Launched",
    "Notified",
    "Observed",
    "Promoted",
    "Proposed",
    "Published",
    "Questioned",
    "Redriven",
    "Rejected",
    "Replied",
    "Restored",
    "Resumed",
    "Resuming",
    "Reverting",
    "RolledBack",
    "Seeded",
    "Shadowed",
    "Signalled",
    "Snoozed",
    "Stepped",
    "Stopped",
    "Tripped",
    "Undone",
    "Valued",
    "decode_body",
]
