"""Arms: which release decides for whom, the same one each time."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

from msgspec import Struct

from steward.errors import ContractError

_PARTS: Final = 1 << 64


class Arm(StrEnum):
    """Where in a rollout a decision falls.

    Example:
        >>> Arm.CANARY.value
        'canary'
    """

    CHAMPION = "champion"
    CANARY = "canary"
    HOLDOUT = "holdout"
    """Never gets a challenger, and keeps the champion of the rollout's start after a promotion."""


class Arms(Struct, frozen=True, kw_only=True):
    """How keys are shared out.

    The canary takes from the low end and the holdout from the high one, so that a share that grows takes in keys and
    moves none between the arms that stay.

    Attributes:
        salt: Keeps this assignment independent of every other one; a rollout's name.
        share: The canary's, 0..1.
        holdout: The holdout's, 0..1.

    Raises:
        ContractError: A share does not lie in 0..1, or both are more than everything.

    Example:
        >>> arms = Arms(salt="pay.release/3", share=0.25, holdout=0.1)
        >>> arms.of("customer-7"), arms.of("customer-8"), arms.of("customer-7")
        (<Arm.CHAMPION: 'champion'>, <Arm.CANARY: 'canary'>, <Arm.CHAMPION: 'champion'>)
    """

    salt: str
    share: float = 0.0
    holdout: float = 0.0

    def __post_init__(self) -> None:
        """Check the shares."""
        for name, value in (("share", self.share), ("holdout", self.holdout)):
            if not 0 <= value <= 1:  # NaN lies nowhere
                raise ContractError(f"{name} is {value}", why="a share lies in 0..1", fix="5 % are 0.05", field=name)
        if self.share + self.holdout > 1:
            raise ContractError(
                f"a share of {self.share} and a holdout of {self.holdout} are more than everything",
                fix="make them 1 together, or less",
                field="share",
            )

    def of(self, key: str) -> Arm:
        """Return the arm of a key."""
        place = int.from_bytes(hashlib.sha256(f"{self.salt}\n{key}".encode()).digest()[:8], "big")
        if place < self.share * _PARTS:
            return Arm.CANARY
        return Arm.HOLDOUT if place >= (1 - self.holdout) * _PARTS else Arm.CHAMPION
