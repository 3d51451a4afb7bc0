"""ADWIN: the mean of a stream of errors over a window that is as long as nothing has changed."""

from __future__ import annotations

import math
from typing import Final

from steward.errors import ContractError

_PER_ROW: Final = 5
_CHECK_EVERY: Final = 32


class Adwin:
    """Tells when the mean of a bounded stream changes (Bifet and Gavaldà 2007), in memory of its logarithm.

    The window is kept as blocks of 1, 2, 4 ... values, at most five of each length. It is cut wherever the means of its
    two parts differ by more than chance explains (Bernstein's bound, shared among all cuts), and the old part dropped.

    Args:
        chance: The chance (0..1) of a cut at any one check where nothing has changed.

    Raises:
        ContractError: The chance is not between 0 and 1, or a value is not.

    Example:
        >>> stream = Adwin(0.001)
        >>> any(stream.add(0.1) for _ in range(1000)), [stream.add(0.9) for _ in range(200)].count(True) > 0
        (False, True)
        >>> stream.events < 400, stream.mean > 0.5
        (True, True)
    """

    def __init__(self, chance: float = 1e-4) -> None:
        if not 0 < chance < 1:
            raise ContractError(f"{chance} is no chance", fix="pass Adwin(1e-4)", field="chance")
        self._chance = chance
        self._rows: list[list[tuple[float, float]]] = [[]]  # of each length: sums and sums of squares, newest first
        self._seen = 0
        self.events = 0
        self._sum = self._squares = 0.0

    @property
    def mean(self) -> float:
        """The mean of the window, 0 without any."""
        return self._sum / max(self.events, 1)

    def add(self, error: float) -> bool:
        """Take an error (0..1); return whether the mean has changed."""
        if not 0 <= error <= 1:
            raise ContractError(
                f"an error is between 0 and 1, got {error}", fix="divide by the greatest", field="error"
            )
        self._rows[0].insert(0, (error, error * error))
        self.events += 1
        self._seen += 1
        self._sum += error
        self._squares += error * error
        self._carry()
        return self._seen % _CHECK_EVERY == 0 and self._shrink()

    def _carry(self) -> None:
        for place, row in enumerate(self._rows):
            if len(row) <= _PER_ROW:
                return
            oldest, older = row.pop(), row.pop()
            if place + 1 == len(self._rows):
                self._rows.append([])
            self._rows[place + 1].insert(0, (oldest[0] + older[0], oldest[1] + older[1]))

    def _shrink(self) -> bool:
        is_cut = False
        while (keep := self._cut()) is not None:
            is_cut = True
            while self.events > keep:
                total, squares = self._rows[-1].pop()
                self.events -= 1 << (len(self._rows) - 1)
                self._sum -= total
                self._squares -= squares
                while len(self._rows) > 1 and not self._rows[-1]:
                    self._rows.pop()
        return is_cut

    def _cut(self) -> int | None:
        """Return how many of the newest values stay, if those before them differ."""
        spread = max(self._squares / max(self.events, 1) - self.mean**2, 0.0)
        doubt = math.log(2 * math.log(max(self.events, 3)) / self._chance)
        newer, newer_sum = 0, 0.0
        for place, row in enumerate(self._rows):
            for total, _ in row:
                newer += 1 << place
                newer_sum += total
                older = self.events - newer
                if older < _PER_ROW:
                    return None
                weight = 1 / newer + 1 / older
                bound = math.sqrt(2 * weight * spread * doubt) + 2 / 3 * weight * doubt
                if abs(newer_sum / newer - (self._sum - newer_sum) / older) > bound:
                    return newer
        return None
