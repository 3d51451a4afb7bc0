"""What an emergency is told in: the alarm, what is chosen, what is held, and what it came to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from steward.decision.contract import Event

Hertz = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "Hz"})]
Relieved = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "MW"})]
Energy = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "MWh"})]


class Device(Struct, frozen=True, kw_only=True):
    """What a feeder or a battery says of itself.

    Attributes:
        name: As in the scheme.
        can_relieve_mw: What the grid is spared if it is used now: a feeder's load, or what a battery can feed.
        relieves_mw: What it spares the grid at this moment, as measured.
        is_priority: Whether a hospital, say, hangs on it.
        soc_mwh: What is in the store; ``None`` for a feeder.

    Example:
        >>> Device(name="f1", can_relieve_mw=6.5).relieves_mw
        0.0
    """

    name: str
    can_relieve_mw: Relieved
    relieves_mw: Relieved = 0.0
    is_priority: bool = False
    soc_mwh: Energy | None = None


class FrequencyLow(Event, contract="grid.frequency-low"):
    """An alarm: the frequency is so low that the grid must be relieved.

    Attributes:
        site: Which grid.
        at: When it was measured; the deadline counts from here.
        frequency_hz: What was measured.
        shortfall_mw: What is missing.
        devices: Those that answered; whoever is not among them cannot be used.

    Example:
        >>> FrequencyLow.contract_name
        'grid.frequency-low'
    """

    site: str
    at: datetime
    frequency_hz: Hertz
    shortfall_mw: Relieved
    devices: tuple[Device, ...]


class Part(Struct, frozen=True):
    """What one device is to relieve.

    Example:
        >>> Part("f1", 6.5).mw
        6.5
    """

    device: str
    mw: float


class Relief(Struct, frozen=True):
    """What is relieved, in the order in which it is done.

    Example:
        >>> Relief((Part("battery", 10.0), Part("f1", 6.5))).mw("f1"), Relief(()).mw("f1")
        (6.5, 0.0)
    """

    parts: tuple[Part, ...]

    def mw(self, device: str) -> float:
        """Return what a device is to relieve; 0 if it has no part."""
        return next((part.mw for part in self.parts if part.device == device), 0.0)


class EmergencyHeld(Event, contract="grid.emergency-held"):
    """Says that a grid is relieved, and asks whether that is to stay.

    Attributes:
        run: The run that holds it.
        site: Which grid.
        at: When the alarm was measured.
        shed_mw: What customers go without.
        at_stake_eur: What that is worth to them until the latest end.

    Example:
        >>> EmergencyHeld.contract_name
        'grid.emergency-held'
    """

    run: UUID
    site: str
    at: datetime
    shed_mw: Relieved
    at_stake_eur: Annotated[float, Meta(ge=0, extra_json_schema={"unit": "EUR"})]


class EmergencyEnded(Event, contract="grid.emergency-ended"):
    """What the meters say when everything is put back.

    Attributes:
        site: Which grid.
        at: When the alarm was measured.
        unserved_mwh: What customers went without.
        relay_unserved_mwh: What they would have, had the protection relays cut off whole blocks as they do alone.

    Example:
        >>> EmergencyEnded.contract_name
        'grid.emergency-ended'
    """

    site: str
    at: datetime
    unserved_mwh: Energy
    relay_unserved_mwh: Energy
