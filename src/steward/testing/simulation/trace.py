"""The trace: what happened, in order, and a digest that tells whether two runs were the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from steward.testing.simulation.loop import VirtualLoop

Fact = str | int | bytes


class Trace:
    """Notes what happens in a simulation. Two runs with one digest did the same at the same times.

    Args:
        loop: Says when.

    Example:
        >>> import random
        >>> trace = Trace(VirtualLoop(random.Random(1)))
        >>> trace.note("asked", "ann")
        >>> trace.last(1), trace.digest()[:8]
        (['    0.000000 s  asked ann'], '22dc9715')
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._notes: list[tuple[int, str, tuple[Fact, ...]]] = []

    def __len__(self) -> int:
        return len(self._notes)

    def __iter__(self) -> Iterator[tuple[str, tuple[Fact, ...]]]:
        return ((what, facts) for _, what, facts in self._notes)

    def note(self, what: str, *facts: Fact) -> None:
        """Remember that something happened now."""
        self._notes.append((self._loop.now_us, what, facts))

    def last(self, number: int) -> list[str]:
        """Return the last notes as lines, oldest first."""
        return [
            f"{us / 1e6:12.6f} s  {' '.join(map(str, (what, *facts)))}" for us, what, facts in self._notes[-number:]
        ]

    def digest(self) -> str:
        """Return the SHA-256 of all notes."""
        return hashlib.sha256("\n".join(map(repr, self._notes)).encode()).hexdigest()
