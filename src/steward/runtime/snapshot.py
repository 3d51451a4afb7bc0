"""Snapshots of the feature state, so that a start need not read the whole bus again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from steward.errors import ContractError, EngineError, StewardError
from steward.features.online import OnlineFeatures
from steward.ledger.port import Commit, Ledger, StoredMessage
from steward.runtime.decider import DIRECT
from steward.runtime.pump import Pump
from steward.wire import UNREADABLE


class Snapshot(Struct, frozen=True, forbid_unknown_fields=True):
    """The feature state after the first ``positions[topic]`` messages of each topic."""

    version: int
    positions: dict[str, int]
    state: bytes


_VERSION = 1


def cursor_name(topic: str) -> str:
    """Return the name of the loop's position on a topic."""
    return f"loop:{topic}"


class Snapshots:
    """Saves and restores the feature state; what a snapshot lacks is read from the bus again.

    Args:
        online: The state.
        ledger: Holds the messages and how far each topic was handled.
        path: The snapshot's file; ``None`` keeps none.
    """

    def __init__(self, online: OnlineFeatures, ledger: Ledger, path: Path | None) -> None:
        self._online, self._ledger, self._path = online, ledger, path
        self._empty = online.snapshot()
        self._handled: dict[str, int] = {}
        self._restores = 0
        self.pumps: Mapping[str, Pump] = {}
        self.observe_again: Callable[[], None] = lambda: None
        self.settled: Callable[[], int] = lambda: 0

    async def restore(self) -> int:
        """Bring the feature state to where the loop had come; return how many messages were read again."""
        self._restores += 1
        snapshot = self._load()
        places = {name: snapshot.positions.get(name, 0) for name, pump in self.pumps.items() if pump.topic.stream}
        missing: list[tuple[Pump, StoredMessage]] = []
        settled = -1
        # A commit that ends while this waits is neither read here nor observed again as one under way.
        while settled != self.settled():
            settled = self.settled()
            while new := [(name, stored) for name in places for stored in await self._read_on(name, places)]:
                missing += [(self.pumps[name], stored) for name, stored in new]
        # From here on nothing waits, so that nobody reads a state that is only half restored.
        self._online.restore(snapshot.state)
        for pump, stored in missing:
            handled = stored.offset < self._handled[pump.topic.name]
            if handled or stored.message.source.startswith(DIRECT):
                with suppress(ContractError):  # it is among the dead letters already
                    pump.observe(stored.message)
        for pump in self.pumps.values():
            pump.observe_again()
        self.observe_again()
        return len(missing)

    async def save(self) -> None:
        """Write a snapshot; the old one stays until the new one is whole.

        Raises:
            EngineError: It cannot be written; without it a start only takes longer.
        """
        if self._path is None:
            return
        positions = {name: await self._ledger.cursor(cursor_name(name)) for name in self.pumps}
        data = msgspec.msgpack.encode(Snapshot(_VERSION, positions, self._online.snapshot()))
        # What the state has seen was handed to the ledger before this; once this is durable, so is that.
        restores = self._restores
        await self._ledger.append(Commit())
        if self._restores != restores:
            return  # or it failed, and the state was restored: the next snapshot will do
        try:
            await asyncio.to_thread(write_whole, self._path, data)
        except OSError as error:
            raise EngineError(
                f"the features could not be kept in {self._path}",
                why=str(error),
                fix="make room; until then a start reads the events again",
                retryable=True,
                code="engine.snapshot",
            ) from error

    def _load(self) -> Snapshot:
        """Return the kept snapshot; a snapshot is a shortcut, so what cannot be used is left aside."""
        nothing = Snapshot(_VERSION, {}, self._empty)
        if self._path is None or not self._path.exists():
            return nothing
        try:
            snapshot = msgspec.msgpack.decode(self._path.read_bytes(), type=Snapshot)
            self._online.restore(snapshot.state)
        except (OSError, *UNREADABLE, StewardError):
            return nothing
        return snapshot if snapshot.version == _VERSION else nothing

    async def _read_on(self, topic: str, places: dict[str, int]) -> Sequence[StoredMessage]:
        """Return the messages after a topic's place, and move it on."""
        batch = await self._ledger.messages(topic, places[topic])
        places[topic] += len(batch)
        # What comes after this position was not seen yet, but for events that were decided at another door.
        self._handled[topic] = await self._ledger.cursor(cursor_name(topic))
        return batch


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it finds the old one or the new one, whole."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
