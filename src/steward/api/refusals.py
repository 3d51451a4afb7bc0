"""The replies to requests that are not let in: written once, as in an overload each costs what others wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Final

from steward.api.exchange import Reply
from steward.api.problems import problem_reply
from steward.errors import EngineError
from steward.runtime.admission import Reason

RETRY_AFTER_S: Final = (1, 2, 3)
"""Told in turns, so that not all who were refused come back in one moment."""
_WHAT: Final = {
    Reason.FULL: EngineError(
        "the server has more to do than it can",
        retryable=True,
        fix="try again after the seconds of Retry-After, then after twice as many; with the same idempotency key",
        code="overloaded",
    ),
    Reason.SHARE: EngineError(
        "this caller has its share of the server under way, and others call, too",
        retryable=True,
        fix="keep fewer requests under way at once; try again after the seconds of Retry-After",
        code="over-share",
    ),
}


def _written(reason: Reason) -> Iterator[Reply]:
    error, replies = _WHAT[reason], []
    for seconds in RETRY_AFTER_S:
        error.retry_after_s = seconds
        replies.append(problem_reply(error))
    return cycle(replies)


class Refusals:
    """Gives the replies.

    Example:
        >>> refusals = Refusals()
        >>> [refusals.reply(Reason.FULL).headers[0][1] for _ in range(4)], refusals.reply(Reason.SHARE).status
        ([b'1', b'2', b'3', b'1'], 429)
    """

    def __init__(self) -> None:
        self._replies: Mapping[Reason, Iterator[Reply]] = {reason: _written(reason) for reason in Reason}

    def reply(self, reason: Reason) -> Reply:
        """Return the next reply for a reason."""
        return next(self._replies[reason])
