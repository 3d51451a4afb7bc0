"""Receive: what arrives at any door becomes one typed event with its provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct

from steward.decision.contract import Contract
from steward.errors import ContractError
from steward.ledger.port import Message
from steward.records import Provenance


class Incoming(Struct, frozen=True, kw_only=True):
    """An event at the door, not yet decoded.

    Attributes:
        event: JSON bytes, or the event itself.
        event_id: The sender's own name for it; the run's id where there is none.
        source: Who sent it.
        event_time: When it happened; the time of deciding where nobody says.
        version: The contract's version that the bytes were written in; the current one by default.
        trace_id: W3C trace id.
        context: What the caller wants to see again in the record.
        key: Makes the decision unique in the ledger.
        by: The person or service that asks for the decision, if known.

    Example:
        >>> Incoming(event=b"{}", source="direct").event_id is None
        True
    """

    event: object
    source: str
    event_id: str | None = None
    event_time: datetime | None = None
    version: int | None = None
    trace_id: str | None = None
    context: Mapping[str, str] | None = None
    key: str | None = None
    by: str | None = None

    @classmethod
    def of(cls, message: Message) -> Incoming:
        """Take over a message from the bus."""
        return cls(
            event=message.data,
            source=message.source,
            event_id=message.id,
            event_time=message.event_time,
            version=message.version,
            trace_id=message.trace,
        )


Receive = Callable[[Incoming], Any]


def receiver(contract: Contract[Any]) -> Receive:
    """Return the function that turns what arrives into an event of ``contract``, strictly."""
    decode, schema, convert, encode = contract.decode, contract.schema, contract.convert, contract.encode

    def receive(incoming: Incoming) -> Any:
        event = incoming.event
        if type(event) is bytes:
            return decode(event, version=incoming.version)
        if type(event) is schema:
            return decode(encode(event))  # Python does not check what it is made of
        if isinstance(event, dict):
            return convert(event)
        raise ContractError(
            f"{contract.name} cannot be made from a {type(event).__name__}",
            fix=f"send JSON or a {getattr(schema, '__name__', schema)}",
        )

    return receive


def provenance(incoming: Incoming, contract: Contract[Any], event_id: str) -> Provenance:
    """Say where a decision came from."""
    return Provenance(
        event_id=event_id,
        source=incoming.source,
        contract=contract.name,
        contract_version=contract.version,
        event_time=incoming.event_time or UNSET,
        trace_id=incoming.trace_id or UNSET,
        by=incoming.by or UNSET,
    )
