"""References: what other ways of deciding would have saved with the same cases, so that a saving can be judged."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from steward.records import Money


class Reference(Struct, frozen=True, kw_only=True):
    """What another way of deciding would have saved against the same baseline, over the days that a page shows.

    Attributes:
        decision: The decision it is compared with.
        name: What it is called: ``rule`` for a simple rule, ``limit`` for the best that was possible.
        amount: What it would have saved against the baseline.
        steward: What Steward saved over the very same cases, as a case may know its references for whole days only.
        about: How it was computed, in a sentence.
        since: The first day (UTC) it was computed for, ...
        until: ... and the last one.

    Example:
        >>> Reference(decision="grid.battery-dispatch", name="rule", amount=Money.of_minor(80_000, "EUR"),
        ...           steward=Money.of_minor(90_000, "EUR"), about="charge at night, discharge in the evening").name
        'rule'
    """

    decision: str
    name: str
    amount: Money
    steward: Money
    about: str
    since: date | None = None
    until: date | None = None
