"""What the tests of access share: a guard in virtual time, and how to show a key to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from steward.access.guard import Guard
from steward.access.identity import Assignment, Identity, Kind
from steward.access.permissions import Role
from steward.access.tokens import Secret
from steward.clock import VirtualClock
from steward.ledger.memory import MemoryLedger

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORIGIN = "https://steward.example"


def numbered() -> Callable[[], bytes]:
    """Return a source of bits that repeats at each run, and never in it."""
    count = 0

    def random() -> bytes:
        nonlocal count
        count += 1
        return bytes([count % 256, count // 256]) * 16

    return random


def bearer(secret: Secret) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + secret.reveal().encode()}


def person(name: str, *roles: Role, teams: str = "") -> Identity:
    return Identity(
        id=name,
        kind=Kind.PERSON,
        display=name.title(),
        teams=frozenset(teams.split()),
        roles=tuple(Assignment(role) for role in roles),
    )


class World:
    """A ledger, a clock, and a guard with one administrator, Ada."""

    def __init__(self, guard: Guard, ledger: MemoryLedger, clock: VirtualClock, ada: Identity, key: Secret) -> None:
        self.guard, self.ledger, self.clock, self.ada, self.key = guard, ledger, clock, ada, key

    async def add(self, who: Identity, *, subjects: tuple[str, ...] = ()) -> Secret:
        """Enrol somebody and return a key of theirs."""
        await self.guard.administration.enrol(self.ada, who, subjects=subjects)
        return (await self.guard.administration.issue_key(self.ada, who.id, label="test")).secret

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.ledger.read()]


async def make_world() -> World:
    ledger, clock = MemoryLedger(), VirtualClock(NOON, seed=1)
    guard = await Guard.open(ledger, clock, random=numbered(), origins=[ORIGIN])
    once = await guard.bootstrap()
    assert once is not None
    key = (await guard.exchange(once.reveal(), id="ada", display="Ada")).secret
    return World(guard, ledger, clock, await guard.identify(bearer(key)), key)
