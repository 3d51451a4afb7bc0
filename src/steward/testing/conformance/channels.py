"""The promises of :mod:`steward.people.port`, as tests that each channel of notifications inherits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import pytest

from steward.errors import EngineError
from steward.people.notice import Notice
from steward.people.port import Channel

ASKED: Final = Notice(
    id="run/7",
    about="asked",
    decision="grid.dispatch",
    run_id=UUID(int=1),
    to=("desk",),
    title="grid.dispatch asks until 12:10",
    lines=("At stake: 900.00 EUR.",),
    at=datetime(2026, 1, 1, 12, tzinfo=UTC),
    deadline=datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(minutes=10),
)


class Outside(Protocol):
    """A real server that a channel hands notices to, and how it is told to refuse or to go away."""

    channel: Channel
    address: str

    def taken(self) -> Sequence[tuple[str, str]]:
        """Return the id and the text of each notice that it has taken."""
        ...

    def refuse(self, *, for_now: bool) -> None:
        """Refuse from now on: in a way that may pass, or for good."""
        ...

    def leave(self) -> None:
        """Stop listening."""
        ...


class ChannelConformance:
    """One test for each promise; a channel's suite inherits it and gives ``serve``.

    Example:
        >>> sorted(name for name in vars(ChannelConformance) if name.startswith("test_"))[-1]
        'test_sent_means_taken'
    """

    def serve(self, stack: ExitStack) -> Outside:
        """Start the server; what is to be stopped afterwards is put on ``stack``."""
        raise NotImplementedError

    @pytest.fixture
    def outside(self) -> Iterator[Outside]:
        """Run the server for one test."""
        with ExitStack() as stack:
            yield self.serve(stack)

    async def test_sent_means_taken(self, outside: Outside) -> None:
        """What was sent is there when ``send`` returns."""
        await outside.channel.send(ASKED, outside.address)
        ((_, text),) = outside.taken()
        assert ASKED.lines[0] in text

    @pytest.mark.parametrize("for_now", [True, False])
    async def test_failure_is_told(self, outside: Outside, for_now: bool) -> None:
        """A refusal is raised, and whether it may pass."""
        outside.refuse(for_now=for_now)
        with pytest.raises(EngineError) as raised:
            await outside.channel.send(ASKED, outside.address)
        assert raised.value.retryable is for_now
        assert outside.taken() == []

    async def test_a_server_that_is_gone_is_told(self, outside: Outside) -> None:
        """It may come back, so another try may succeed."""
        outside.leave()
        with pytest.raises(EngineError) as raised:
            await outside.channel.send(ASKED, outside.address)
        assert raised.value.retryable

    async def test_same_notice_same_id(self, outside: Outside) -> None:
        """So that a receiver can drop one."""
        for _ in range(2):
            await outside.channel.send(ASKED, outside.address)
        (first, _), (second, _) = outside.taken()
        assert first == second != ""
