"""The port of notifications: a channel hands one notice to one address.

Promises, each with a test of that name in :mod:`steward.testing.conformance.channels`:

* ``sent_means_taken``: when ``send`` returns, the server outside has taken the message.
* ``failure_is_told``: a server that refuses, hangs or is gone raises ``EngineError``; ``retryable`` tells whether
  another try may succeed.
* ``same_notice_same_id``: a notice sent twice carries the same id, so that receivers can drop one.
"""

from __future__ import annotations

from typing import Protocol

from steward.people.notice import Notice


class Channel(Protocol):
    """Tells people; see the module's promises."""

    async def send(self, notice: Notice, address: str) -> None:
        """Hand a notice to one address.

        Raises:
            EngineError: It was not taken.
        """
        ...
