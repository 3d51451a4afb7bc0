"""The retry budget: how many calls may be repeated at once, so that repeats never multiply an outage.

Retries help against faults that pass, and make outages worse: three tries of everybody are three times the load, at
the worst moment. So a destination has one budget for all who call it: each call pays in a share of a retry, each retry
takes out a whole one. See *Site Reliability Engineering*, chapter 21, "Handling Overload" (a client's retries stay
below 10 % of its requests), and Finagle's ``RetryBudget``. Those forget what was paid in after some seconds. Here only
calls are counted and what can be saved up has a bound, so no clock is needed, and the promise is exact:
retries <= ``floor`` + ``share`` x calls.
"""

from __future__ import annotations

from fractions import Fraction

from steward.errors import DeclarationError


class RetryBudget:
    """Allows retries as a share of calls.

    Args:
        share: How many retries each call pays for.
        floor: What is in it at first, and so how many retries a quiet time allows.
        most: How many retries can be saved up.

    Attributes:
        balance: How many retries are allowed now.

    Example:
        >>> budget = RetryBudget(share=Fraction(1, 10), floor=1, most=5)
        >>> budget.take(), budget.take()
        (True, False)
        >>> for _ in range(10):
        ...     budget.pay_in()
        >>> budget.take(), budget.take()
        (True, False)
    """

    def __init__(self, *, share: Fraction = Fraction(1, 10), floor: int = 10, most: int = 100) -> None:
        if share < 0 or floor < 0 or most < floor:
            raise DeclarationError(f"a budget needs 0 <= floor <= most and share >= 0, got {floor}, {most}, {share}")
        # Whole numbers, as ten tenths that are floats are not one.
        self._paid, self._price = share.numerator, share.denominator
        self._tokens, self._most = floor * self._price, most * self._price

    @property
    def balance(self) -> int:
        """How many retries are allowed now."""
        return self._tokens // self._price

    def pay_in(self) -> None:
        """Count one call that is no retry."""
        self._tokens = min(self._tokens + self._paid, self._most)

    def take(self) -> bool:
        """Return whether one more retry is allowed, and count it."""
        if self._tokens < self._price:
            return False
        self._tokens -= self._price
        return True
