"""What a plant can be told: the calls behind a dispatch's steps, whatever protocol carries them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from steward.cases.grid.streams import Setpoint
from steward.records import Receipt


class Orders(Protocol):
    """Takes control and set-points for an interval, each once under its idempotency key, and proves them.

    :class:`~steward.cases.grid.dispatch.plant.SimulatedPlant` is one; a server gives one to a protocol.
    """

    def obstacle(self, at: datetime) -> str | None:
        """Tell what keeps the interval that starts at ``at`` from being decided, if anything."""
        ...

    def take_control(self, at: datetime, *, key: str) -> Receipt:
        """Hand the interval over."""
        ...

    def has_control(self, at: datetime, *, key: str) -> Receipt | None:
        """Return the receipt of what was handed over under ``key``, if it was."""
        ...

    def release_control(self, at: datetime, *, key: str) -> Receipt:
        """Give the interval back."""
        ...

    def take(self, setpoint: Setpoint, *, at: datetime, key: str) -> Receipt:
        """Hold a set-point in the interval; the same key again changes nothing."""
        ...

    def read_back(self, at: datetime, *, key: str) -> Receipt | None:
        """Return the receipt of what was taken under ``key``, if it was."""
        ...

    def standing(self, at: datetime) -> Receipt | None:
        """Return the receipt of the set-point that stands, whoever wrote it."""
        ...

    def forget(self, at: datetime, *, key: str) -> Receipt:
        """Take a set-point back."""
        ...
