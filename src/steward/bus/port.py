"""The bus's port: topics of messages that are kept, in order, until their consumers have committed past them.

A consumer's position is not kept here but in the ledger, in the same commit as what the messages caused
(:attr:`steward.ledger.port.Commit.cursors`); so a crash neither loses nor repeats an effect.

Promises, each with a test of that name in :mod:`steward.testing.conformance.bus`:

* ``durable_before_return``: what was acknowledged survives a new opening.
* ``at_least_once``: a message stays readable until a consumer has committed past it, and after.
* ``order_per_key``: messages of one topic and key are read in the order they were published.
* ``replay_from_any_offset``: a topic can be read again from any offset, with the same messages.
* ``duplicates_are_suppressed``: the same (topic, source, id) is stored once, and says so.
* ``topics_are_counted``: ``topics`` tells how many messages each topic has.
* ``back_pressure``: ``publish`` is refused, to be tried again, while a declared consumer lags too far behind.
* ``back_pressure_holds_for_senders_at_once``: they do not together exceed the bound.
* ``batch_beyond_the_bound_is_refused_for_good``: what could never be taken is the sender's error.
* ``dead_letters_block_nothing``: a dead letter is a message like any other, and back-pressure does not stop it.
* ``waiting_ends_when_something_is_new``: ``wait`` returns at once if there is something, and as soon as there is.
* ``nobody_waits_for_a_closed_bus``: ``close`` ends all waiting and refuses every later call.
* ``malformed_messages_are_refused``: a message without an id, or with a time without offset, stores nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from steward.errors import ContractError
from steward.ledger.port import Message, StoredMessage

MAX_DATA_BYTES = 1024 * 1024
"""The largest event that is taken: 1 MiB."""
MAX_NAME_LETTERS = 1024
"""The longest topic, key, source or id."""


class Accepted(Struct, frozen=True):
    """Where published messages ended up.

    Attributes:
        offsets: The offset of each message in its topic, in order; a duplicate has the offset of the first.
        duplicates: How many of them were already there.

    Example:
        >>> Accepted([0, 1, 0], duplicates=1).offsets
        [0, 1, 0]
    """

    offsets: Sequence[int]
    duplicates: int = 0


class Bus(Protocol):
    """Topics of messages; see the module's promises."""

    async def publish(self, messages: Sequence[Message]) -> Accepted:
        """Store messages durably, all or none.

        Raises:
            ContractError: A message is malformed; ``field`` names it, as in ``messages[3].id``.
            EngineError: The bus cannot store them now. With ``retryable`` and the code ``bus.full``, a consumer lags
                too far behind: try again later.
        """
        ...

    async def read(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """Return up to ``limit`` messages of a topic from offset ``start`` on, in order."""
        ...

    async def topics(self) -> Mapping[str, int]:
        """Return the number of messages of each topic."""
        ...

    async def wait(self, positions: Mapping[str, int]) -> frozenset[str]:
        """Return, once there are any, the topics that have a message at or after the given offset."""
        ...

    def declare(self, consumer: str, topic: str) -> None:
        """Make publishing to ``topic`` wait for ``consumer``, the name of a cursor in the ledger; twice is fine."""
        ...

    def wake(self, topics: Iterable[str]) -> None:
        """Tell those who wait that messages came to ``topics`` with a commit of the ledger."""
        ...

    async def close(self) -> None:
        """Release everything, and let nobody wait any longer; twice is fine."""
        ...


def check_messages(messages: Sequence[Message]) -> None:
    """Refuse what no engine stores.

    Raises:
        ContractError: A message is malformed; ``field`` names it.

    Example:
        >>> from datetime import UTC, datetime
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> check_messages([Message("grid.load", "ES", "meter-7", "", b"{}", 1, now, now)])
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: messages[0].id has 0 letters. Why: 1 to 1024 are allowed
    """
    for place, message in enumerate(messages):
        for name in ("topic", "key", "source", "id"):
            letters = len(getattr(message, name))
            if not 1 <= letters <= MAX_NAME_LETTERS:
                where = f"messages[{place}].{name}"
                raise ContractError(
                    f"{where} has {letters} letters", why=f"1 to {MAX_NAME_LETTERS} are allowed", field=where
                )
        for name in ("event_time", "known_at"):
            if getattr(message, name).tzinfo is None:
                where = f"messages[{place}].{name}"
                raise ContractError(f"{where} is a time without an offset", fix="use aware times", field=where)
        if len(message.data) > MAX_DATA_BYTES:
            where = f"messages[{place}].data"
            raise ContractError(
                f"{where} has {len(message.data)} bytes",
                why=f"at most {MAX_DATA_BYTES} are taken",
                field=where,
                code="contract.too-large",
            )
        if message.version < 1:
            where = f"messages[{place}].version"
            raise ContractError(f"{where} is {message.version}", why="versions count from 1", field=where)
