"""The ledger in memory: for tests and simulations, and the reference that other engines are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from steward.errors import Conflict, EngineError
from steward.ledger.limits import check_commit, check_range
from steward.ledger.merkle import Frontier, consistency_path, inclusion_path, leaf_hash, root_at
from steward.ledger.note import Signer, checkpoint_text
from steward.ledger.port import Checkpoint, Commit, Committed, Entry, Message, StoredMessage


class MemoryLedger:
    """Keeps everything in lists; gone when the process ends.

    Args:
        signer: Signs the checkpoints; a new key if left out.

    Example:
        >>> import asyncio
        >>> from steward.ledger.port import Draft
        >>> async def main() -> tuple[int, str]:
        ...     ledger = MemoryLedger()
        ...     await ledger.append(Commit(entries=[Draft("decided", UUID(int=1), b"{}", key="order-17")]))
        ...     return await ledger.size(), (await ledger.root()).hex()[:8]
        >>> asyncio.run(main())
        (1, '28a3a18f')
    """

    def __init__(self, *, signer: Signer | None = None) -> None:
        self._signer = signer or Signer.generate("steward.local/memory")
        self._entries: list[Entry] = []
        self._by_key: dict[str, Entry] = {}
        self._by_run: dict[UUID, list[Entry]] = {}
        self._nodes: list[list[bytes]] = []
        self._frontier = Frontier()
        self._topics: dict[str, list[Message]] = {}
        self._offsets: dict[tuple[str, str, str], int] = {}
        self._cursors: dict[str, int] = {}
        self._closed = False

    @property
    def public_key(self) -> str:
        """The key that checks this ledger's checkpoints, as a signed-note verifier key."""
        return self._signer.vkey

    @property
    def failures(self) -> int:
        """How many times appending has failed: never."""
        return 0

    async def append(self, commit: Commit) -> Committed:
        """Write ``commit``; see the port."""
        self._check_open()
        check_commit(commit)
        self._check_keys(commit)
        first = len(self._entries)
        for index, draft in enumerate(commit.entries, first):
            entry = Entry(index, draft.kind, draft.run_id, draft.body, draft.key)
            self._entries.append(entry)
            self._by_run.setdefault(draft.run_id, []).append(entry)
            if draft.key is not None:
                self._by_key[draft.key] = entry
        made = self._frontier.extend([leaf_hash(draft.body) for draft in commit.entries])
        self._nodes.extend([] for _ in range(len(made) - len(self._nodes)))
        for known, new in zip(self._nodes, made, strict=False):
            known.extend(new)
        known_before = len(self._offsets)
        offsets = [self._store(message) for message in commit.messages]
        self._cursors.update(commit.cursors)
        return Committed(first, offsets, len(offsets) - (len(self._offsets) - known_before))

    def _check_keys(self, commit: Commit) -> None:
        new: set[str] = set()
        for draft in commit.entries:
            if draft.key is not None:
                if draft.key in self._by_key or draft.key in new:
                    raise Conflict(f"the key {draft.key!r} is already taken", field=draft.key)
                new.add(draft.key)

    def _store(self, message: Message) -> int:
        log = self._topics.setdefault(message.topic, [])
        offset = self._offsets.setdefault((message.topic, message.source, message.id), len(log))
        if offset == len(log):
            log.append(message)
        return offset

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the ledger is closed", fix="open it again", code="engine.closed")

    def _node(self, height: int, index: int) -> bytes:
        return self._nodes[height][index]

    async def size(self) -> int:
        """Return the number of entries."""
        self._check_open()
        return len(self._entries)

    async def read(self, start: int = 0, limit: int = 1000, *, kind: str | None = None) -> Sequence[Entry]:
        """Return up to ``limit`` entries from index ``start`` on, in order, of one ``kind`` if given."""
        self._check_open()
        if kind is None:
            return self._entries[max(start, 0) : max(start, 0) + max(limit, 0)]
        return [entry for entry in self._entries[max(start, 0) :] if entry.kind == kind][: max(limit, 0)]

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Return all entries of one run, in order."""
        self._check_open()
        return list(self._by_run.get(run_id, ()))

    async def by_key(self, key: str) -> Entry | None:
        """Return the entry that took ``key``, if any."""
        self._check_open()
        return self._by_key.get(key)

    async def cursor(self, name: str) -> int:
        """Return a consumer's position, 0 if it has none."""
        self._check_open()
        return self._cursors.get(name, 0)

    async def messages(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """Return up to ``limit`` messages of a topic from offset ``start`` on, in order."""
        self._check_open()
        start = max(start, 0)
        chosen = self._topics.get(topic, [])[start : start + max(limit, 0)]
        return [StoredMessage(offset, message) for offset, message in enumerate(chosen, start)]

    async def topics(self) -> Mapping[str, int]:
        """Return the number of messages of each topic."""
        self._check_open()
        return {topic: len(log) for topic, log in self._topics.items()}

    async def root(self, size: int | None = None) -> bytes:
        """Return the Merkle root (32 bytes, RFC 6962) over the first ``size`` entries, all by default."""
        self._check_open()
        size = len(self._entries) if size is None else size
        check_range(size, len(self._entries))
        return root_at(self._node, size)

    async def inclusion(self, index: int, size: int | None = None) -> Sequence[bytes]:
        """Return the audit path of an entry in the tree of ``size`` entries (RFC 6962, 2.1.1)."""
        self._check_open()
        size = len(self._entries) if size is None else size
        check_range(size, len(self._entries), index=index)
        return inclusion_path(self._node, index, size)

    async def consistency(self, first: int, second: int | None = None) -> Sequence[bytes]:
        """Return the proof that the tree of ``first`` entries is a prefix of that of ``second`` (2.1.2)."""
        self._check_open()
        second = len(self._entries) if second is None else second
        check_range(second, len(self._entries), first=first)
        return consistency_path(self._node, first, second)

    async def checkpoint(self) -> Checkpoint:
        """Sign the current head and return it."""
        self._check_open()
        size, root = self._frontier.size, self._frontier.root()
        return Checkpoint(size, root, self._signer.sign(checkpoint_text(self._signer.name, size, root)))

    async def close(self) -> None:
        """Refuse every further call; calling it twice is fine."""
        self._closed = True
