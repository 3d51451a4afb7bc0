"""Attribute: the deferred contribution of each feature, computed from what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET

from steward.decision.feature import Features
from steward.entries import Attributed
from steward.ledger.port import Draft, Entry
from steward.ledger.run import body_of
from steward.loop.predict import attributions, row_of
from steward.loop.prepare import Prepared
from steward.models.port import LoadedModel
from steward.records import Record


def attribute(find: Callable[[Record], Prepared | None], entries: Sequence[Entry], at: datetime) -> list[Draft]:
    """Return an ``attributed`` entry for each decided entry that waits for one and whose model is loaded.

    Args:
        find: Returns what decided a record, if it is still loaded and its attribution is deferred.
        entries: Some of the ledger's.
        at: When they are computed.
    """
    drafts: list[Draft] = []
    for entry in entries:
        record = body_of(entry)
        if not isinstance(record, Record) or record.attribution is not UNSET:
            continue
        prepared = find(record)
        model = None if prepared is None else _model(prepared, record)
        if model is None:
            continue
        row = row_of(Features(record.features), model.inputs)
        body = Attributed(
            decision_id=record.decision_id,
            decision=record.decision,
            at=at,
            attribution=attributions(model, [row])[0],
            model_hash=model.digest,
        )
        drafts.append(Draft("attributed", entry.run_id, msgspec.json.encode(body), f"attributed:{entry.run_id}"))
    return drafts


def _model(prepared: Prepared, record: Record) -> LoadedModel | None:
    """Return the very model that answered; another version would explain another answer."""
    return next((m for m in prepared.models.values() if m.digest == record.model_hash), None)
