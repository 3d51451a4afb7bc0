"""Which surprises are told, so that few of all that are told are chance: over all series, and over time."""

from __future__ import annotations

from collections.abc import Sequence

from steward.errors import ContractError


class Budget:
    """The false discovery rate of a stretch of time, over all looks at all series in it.

    Args:
        rate: The share (0..1) of discoveries that may be chance, on average over such stretches. Where nothing has
            changed, every discovery is: then it is the chance of any alarm at all.
        hypotheses: Most looks in the stretch, times the series that each looks at.

    Each look takes the most series, k of them, whose evidence is at least hypotheses / (rate (found + k)): e-BH (Wang
    and Ramdas 2022), with what was found before counted in, as in e-LOND (Xu and Ramdas 2024). Every discovery has
    evidence e >= hypotheses / (rate * all found), so false / all found <= sum e * rate / hypotheses, and the mean of e
    is at most 1 where nothing has changed. Nothing was asked about how series, or overlapping windows, depend on each
    other.

    Raises:
        ContractError: The rate is not between 0 and 1, or there are no hypotheses.

    Example:
        >>> budget = Budget(0.01, hypotheses=100)
        >>> budget.discover([3.0, 12_000.0, 6_000.0])
        [False, True, True]
        >>> budget.found
        2
    """

    def __init__(self, rate: float, hypotheses: int) -> None:
        if not 0 < rate < 1 or hypotheses < 1:
            raise ContractError(f"no budget of {rate} over {hypotheses} looks", fix="a rate such as 0.01", field="rate")
        self._bar = hypotheses / rate
        self.found = 0

    def discover(self, evidence: Sequence[float]) -> list[bool]:
        """Say which series of one look are discoveries, from their e-values."""
        falling = sorted(evidence, reverse=True)
        count = max((k for k, e in enumerate(falling, 1) if e * (self.found + k) >= self._bar), default=0)
        self.found += count
        return [count > 0 and e >= falling[count - 1] and e * self.found >= self._bar for e in evidence]
