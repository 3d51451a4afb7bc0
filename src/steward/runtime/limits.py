"""What an event's contract says of the values that a feature may have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from steward.decision.feature import Feature
from steward.loop.prepare import Prepared
from steward.records import FeatureValue


class Limits(Struct, frozen=True, kw_only=True):
    """What a contract declares for a feature that is one of its fields.

    Attributes:
        low: The least it may be; ``None`` if that is not said.
        high: The most.
        is_low_out: Whether the least is itself too low.
        is_high_out: Whether the most is itself too high.
        listed: The values it may have, if only some are.

    Example:
        >>> Limits(low=0.0).allow(-1.0), Limits(low=0.0).allow(0.0), Limits(low=0.0, is_low_out=True).allow(0.0)
        (False, True, False)
    """

    low: float | None = None
    high: float | None = None
    is_low_out: bool = False
    is_high_out: bool = False
    listed: Sequence[FeatureValue] = ()

    def allow(self, value: float) -> bool:
        """Return whether a number may be had."""
        if self.low is not None and (value < self.low or (self.is_low_out and value == self.low)):
            return False
        return self.high is None or value < self.high or (value == self.high and not self.is_high_out)


def limits_of(prepared: Prepared, feature: str) -> Limits:
    """Return what is declared for a feature; nothing if it is not simply a field of the event."""
    declared = next((each for each in prepared.decision.features if each.name == feature), None)
    if not isinstance(declared, Feature) or declared.field is None:
        return Limits()
    schema = prepared.contract.json_schema()
    definitions: dict[str, Any] = schema.get("$defs", {})
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    said: dict[str, Any] = schema.get("properties", {}).get(declared.field, {})
    if "$ref" in said:
        said = definitions[said["$ref"].rpartition("/")[2]]
    return Limits(
        low=said.get("minimum", said.get("exclusiveMinimum")),
        high=said.get("maximum", said.get("exclusiveMaximum")),
        is_low_out="exclusiveMinimum" in said,
        is_high_out="exclusiveMaximum" in said,
        listed=said.get("enum", ()),
    )
