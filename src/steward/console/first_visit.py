"""What somebody can do to see the first decision."""

from __future__ import annotations

from msgspec import Struct

from steward.console.audience import Audience
from steward.decision.sample import sample_of


class Example(Struct, frozen=True):
    """How to have something decided: two lines for a shell.

    Attributes:
        command: With the command line.
        request: Over HTTP.

    Example:
        >>> Example("steward decide pay.release '{}'", "curl ...").command
        "steward decide pay.release '{}'"
    """

    command: str
    request: str


def first_example(audience: Audience, base_url: str) -> Example | None:
    """Return how to decide the first declared decision for which a sample of an event can be made."""
    for name, decision in audience.runtime.decisions.items():
        made = sample_of(decision.contract) if audience.readable is None or name in audience.readable else None
        if made is not None:
            body = made.decode().replace("'", "'\\''")
            command = f"curl {base_url}v1/decisions/{name} -H 'Content-Type: application/json' -d '{body}'"
            return Example(f"steward decide {name} '{body}'", command)
    return None
