"""The append-only, provable log of everything that matters; the only source of truth."""

from steward.ledger.port import (
    Checkpoint,
    Commit,
    Committed,
    Draft,
    Entry,
    Ledger,
    Message,
    StoredMessage,
)

__all__ = ["Checkpoint", "Commit", "Committed", "Draft", "Entry", "Ledger", "Message", "StoredMessage"]
