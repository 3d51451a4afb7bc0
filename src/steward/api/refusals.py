"""The replies to requests that are not let in: written once, as in an overload each costs what others wait for."""

from __future__ import annotations

from collections.abc import Mapping
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


def _written(error: EngineError) -> tuple[Reply, ...]:
    replies = []
    for error.retry_after_s in RETRY_AFTER_S:
        replies.append(problem_reply(error))
    return tuple(replies)


REFUSALS: Final[Mapping[Reason, tuple[Reply, ...]]] = {reason: _written(error) for reason, error in _WHAT.items()}
"""The replies for each reason, to be sent in turns."""
