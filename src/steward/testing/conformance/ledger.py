"""What every ledger engine must keep: one test for each promise in :mod:`steward.ledger.port`.

An engine inherits the suites and says how it is made::

    class TestMemory(LedgerConformance):
        @pytest.fixture
        async def ledger(self) -> AsyncIterator[Ledger]:
            ledger = MemoryLedger()
            yield ledger
            await ledger.close()

An engine that outlives its process inherits :class:`DurableLedgerConformance` too and gives it ``reopen``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from steward.errors import Conflict, ContractError, EngineError, NotFound
from steward.ledger.merkle import EMPTY_ROOT, holds_consistency, holds_inclusion, leaf_hash
from steward.ledger.note import parse_checkpoint
from steward.ledger.port import Commit, Committed, Draft, Entry, Ledger, Message

Reopen = Callable[[], Awaitable[Ledger]]
_AT = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def draft(number: int, *, key: str | None = None, kind: str = "decided", body: bytes | None = None) -> Draft:
    """Return an entry to append; its run is number ``number // 2``.

    Example:
        >>> draft(3).run_id == draft(2).run_id
        True
    """
    run_id = UUID(int=number // 2)
    if body is None:
        body = f'{{"kind":"{kind}","decision_id":"{run_id}","decision":"test","n":{number}}}'.encode()
    return Draft(kind, run_id, body, key)


def message(topic: str, number: int, *, source: str = "meter-7") -> Message:
    """Return an event number ``number`` of a source.

    Example:
        >>> message("grid.load", 3).id
        '3'
    """
    data = b'{"load_mw":%d}' % number
    return Message(topic, "ES", source, str(number), data, 2, _AT, _AT.replace(microsecond=1), "00-ab-cd-01")


async def entries_of(ledger: Ledger) -> Sequence[Entry]:
    """Return all entries of a small ledger."""
    return await ledger.read(0, 1_000_000)


class LedgerConformance:
    """The promises of every ledger; a subclass named ``Test…`` gives the fixture ``ledger``: an empty one.

    Example:
        >>> sum(name.startswith("test_") for name in vars(LedgerConformance)) >= 10
        True
    """

    async def test_append_is_atomic(self, ledger: Ledger) -> None:
        """Entries, messages and cursors of a refused commit leave no trace."""
        await ledger.append(Commit(entries=[draft(0, key="a")]))
        refused = Commit(
            entries=[draft(1, key="b"), draft(2, key="a")], messages=[message("load", 1)], cursors={"loop": 9}
        )
        with pytest.raises(Conflict):
            await ledger.append(refused)
        assert await ledger.size() == 1
        assert await ledger.by_key("b") is None
        assert await ledger.topics() == {}
        assert await ledger.messages("load") == []
        assert await ledger.cursor("loop") == 0
        too_large = Commit(entries=[draft(1), draft(2, body=bytes(16 * 1024 * 1024 + 1))])
        with pytest.raises(ContractError):
            await ledger.append(too_large)
        with pytest.raises(ContractError):
            await ledger.append(Commit(entries=[draft(1), draft(2, key="k" * 257)]))
        assert await ledger.size() == 1

    async def test_append_conflicts_on_known_key(self, ledger: Ledger) -> None:
        """A key is taken once, in one commit or in two; the error names it."""
        await ledger.append(Commit(entries=[draft(0, key="order-17")]))
        with pytest.raises(Conflict) as taken:
            await ledger.append(Commit(entries=[draft(1, key="order-17")]))
        assert taken.value.field == "order-17"
        with pytest.raises(Conflict) as twice:
            await ledger.append(Commit(entries=[draft(1, key="x"), draft(2, key="x")]))
        assert twice.value.field == "x"
        found = await ledger.by_key("order-17")
        assert found == Entry(0, "decided", UUID(int=0), draft(0).body, "order-17")
        await ledger.append(Commit(entries=[draft(1, key="x"), draft(2), draft(3)]))
        assert await ledger.size() == 4

    async def test_concurrent_appends_are_independent(self, ledger: Ledger) -> None:
        """Of many commits at once, exactly those with a taken key fail."""
        commits = [Commit(entries=[draft(n, key=f"key-{n % 50}"), draft(n)]) for n in range(100)]
        answers = await asyncio.gather(*(ledger.append(commit) for commit in commits), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Conflict)]
        assert len(refused) == 50
        assert not [a for a in answers if isinstance(a, BaseException) and not isinstance(a, Conflict)]
        assert await ledger.size() == 100
        assert sorted(str(error.field) for error in refused) == sorted(f"key-{n}" for n in range(50))
        keyed = [await ledger.by_key(f"key-{n}") for n in range(50)]
        assert sorted(entry.index for entry in keyed if entry) == list(range(0, 100, 2))

    async def test_urgent_commits_keep_every_promise(self, ledger: Ledger) -> None:
        """Whatever goes first: each commit keeps its order, of two rivals one is refused, a message is stored once."""
        commits = [
            Commit(entries=[draft(2 * n, key=f"key-{n}"), draft(2 * n + 1)], messages=[message("load", n)])
            for n in range(20)
        ]
        commits += [
            Commit(
                entries=[draft(100 + n, key=key), draft(200 + n), draft(300 + n)],
                messages=[message("load", n), message("load", 100)],
                cursors={key: n},
                urgent=True,
            )
            for n, key in enumerate(["stop", "stop", "key-3", "go"], 1)
        ]
        answers = await asyncio.gather(*(ledger.append(commit) for commit in commits), return_exceptions=True)
        assert sorted(str(answer.field) for answer in answers if isinstance(answer, Conflict)) == ["key-3", "stop"]
        written = [(c, a) for c, a in zip(commits, answers, strict=True) if isinstance(a, Committed)]
        assert len(written) == len(commits) - 2
        stored, log = await entries_of(ledger), await ledger.messages("load")
        for commit, answer in written:
            own = stored[answer.first_index : answer.first_index + len(commit.entries)]
            assert [(e.body, e.key) for e in own] == [(d.body, d.key) for d in commit.entries]
            assert [log[offset].message for offset in answer.offsets] == list(commit.messages)
            assert {name: await ledger.cursor(name) for name in commit.cursors} == commit.cursors
        assert [entry.index for entry in stored] == list(range(sum(len(commit.entries) for commit, _ in written)))
        sent = [each.id for commit, _ in written for each in commit.messages]
        assert sorted(each.message.id for each in log) == sorted(set(sent))
        assert sum(answer.duplicates for _, answer in written) == len(sent) - len(set(sent))
        with pytest.raises(Conflict):
            await ledger.append(Commit(entries=[draft(0, key="stop")], urgent=True))

    async def test_basis_of_now_is_accepted(self, ledger: Ledger) -> None:
        """Commits made from what is known now are written, many from one basis too, and also behind a conflict."""
        basis = ledger.failures
        await ledger.append(Commit(entries=[draft(0, key="a")], basis=basis))
        commits = [Commit(entries=[draft(n, key="a" if n == 3 else None)], basis=basis) for n in range(1, 7)]
        answers = await asyncio.gather(*(ledger.append(commit) for commit in commits), return_exceptions=True)
        assert [n for n, answer in enumerate(answers, 1) if not isinstance(answer, Committed)] == [3]
        assert isinstance(answers[2], Conflict)
        assert ledger.failures == basis
        await ledger.append(Commit(entries=[draft(7)], basis=ledger.failures, urgent=True))
        assert await ledger.size() == 7

    async def test_indexes_have_no_gaps(self, ledger: Ledger) -> None:
        """The first index of each commit is where the one before ended."""
        first = await ledger.append(Commit(entries=[draft(0), draft(1)]))
        with pytest.raises(Conflict):
            await ledger.append(Commit(entries=[draft(2, key="x"), draft(3, key="x")]))
        empty = await ledger.append(Commit())
        last = await ledger.append(Commit(entries=[draft(2), draft(3), draft(4)]))
        assert (first.first_index, empty.first_index, last.first_index) == (0, 2, 2)
        assert [entry.index for entry in await entries_of(ledger)] == [0, 1, 2, 3, 4]

    async def test_read_is_ordered(self, ledger: Ledger) -> None:
        """Entries come by index, from a start, up to a limit, of a kind, of a run; messages by offset."""
        kinds = ["decided", "acted", "valued"]
        for n in range(12):
            await ledger.append(Commit(entries=[draft(n, kind=kinds[n % 3])], messages=[message("load", n)]))
        assert [entry.index for entry in await ledger.read()] == list(range(12))
        assert [entry.index for entry in await ledger.read(3, 4)] == [3, 4, 5, 6]
        assert [entry.index for entry in await ledger.read(2, 2, kind="acted")] == [4, 7]
        assert [entry.index for entry in await ledger.read(2, 99, kind="decided")] == [3, 6, 9]
        assert [entry.index for entry in await ledger.of_run(UUID(int=2))] == [4, 5]
        assert await ledger.of_run(UUID(int=77)) == []
        assert await ledger.read(12) == []
        assert await ledger.read(0, 0) == []
        assert await ledger.read(kind="unheard") == []
        assert [stored.offset for stored in await ledger.messages("load", 9, 99)] == [9, 10, 11]
        assert [stored.offset for stored in await ledger.messages("load", 2, 2)] == [2, 3]
        assert await ledger.messages("unheard") == []

    async def test_body_is_bytes_exact(self, ledger: Ledger) -> None:
        """Bodies, keys and messages come back as they went in, whatever the bytes."""
        bodies = [b"", b"\x00", bytes(range(256)), b'{"a": 1.0 }\n', "ü€😀".encode(), b"x" * 100_000]
        drafts = [draft(n, body=body, key=f"ü\x00 '{n}") for n, body in enumerate(bodies)]
        event = Message("τ", "", "s\x00", "\x00i", bytes(range(256)), 7, _AT, _AT.replace(year=1969))
        await ledger.append(Commit(entries=drafts, messages=[message("load", 1), event]))
        stored = await entries_of(ledger)
        assert [entry.body for entry in stored] == bodies
        assert [(e.kind, e.run_id, e.key) for e in stored] == [(d.kind, d.run_id, d.key) for d in drafts]
        assert [await ledger.by_key(str(d.key)) for d in drafts] == stored
        assert [one.message for one in await ledger.messages("load")] == [message("load", 1)]
        assert [one.message for one in await ledger.messages("τ")] == [event]

    async def test_cursors_move_with_the_commit(self, ledger: Ledger) -> None:
        """A position is stored with the entries it belongs to, or not at all; it may move back."""
        assert await ledger.cursor("loop/load") == 0
        await ledger.append(Commit(entries=[draft(0, key="a")], cursors={"loop/load": 5, "bill": 2**62}))
        with pytest.raises(Conflict):
            await ledger.append(Commit(entries=[draft(1, key="a")], cursors={"loop/load": 6}))
        assert await ledger.cursor("loop/load") == 5
        await ledger.append(Commit(cursors={"loop/load": 3}))
        assert await ledger.cursor("loop/load") == 3
        assert await ledger.cursor("bill") == 2**62
        with pytest.raises(ContractError):
            await ledger.append(Commit(cursors={"bill": -1}))

    async def test_messages_have_no_gaps(self, ledger: Ledger) -> None:
        """Each topic counts for itself, over commits and within one."""
        first = await ledger.append(Commit(messages=[message("a", 0), message("b", 0), message("a", 1)]))
        second = await ledger.append(Commit(messages=[message("b", 1), message("a", 2), message("a", 0)]))
        assert list(first.offsets) == [0, 0, 1]
        assert list(second.offsets) == [1, 2, 0]
        assert await ledger.topics() == {"a": 3, "b": 2}
        assert [one.offset for one in await ledger.messages("a")] == [0, 1, 2]
        assert [one.message.id for one in await ledger.messages("b")] == ["0", "1"]

    async def test_duplicate_messages_are_stored_once(self, ledger: Ledger) -> None:
        """The same (topic, source, id) keeps its first data and offset; another source or topic is another message."""
        await ledger.append(Commit(messages=[message("a", 0), message("a", 1)]))
        again = await ledger.append(
            Commit(messages=[message("a", 1), message("a", 1, source="meter-8"), message("a", 7), message("a", 7)])
        )
        assert list(again.offsets) == [1, 2, 3, 3]
        assert again.duplicates == 2
        assert await ledger.topics() == {"a": 4}
        tricky = [Message("t", "", s, i, b"1", 1, _AT, _AT) for s, i in [("a", "bc"), ("ab", "c"), ("a b", "c")]]
        assert (await ledger.append(Commit(messages=tricky))).duplicates == 0

    async def test_proofs_hold(self, ledger: Ledger) -> None:
        """Every entry, and every older tree, is proven against the root of every later one."""
        assert await ledger.root() == EMPTY_ROOT
        bodies = [b'{"n":%d}' % n for n in range(300)]
        roots = [await ledger.root()]
        for n, body in enumerate(bodies[:40]):
            await ledger.append(Commit(entries=[draft(n, body=body)]))
            roots.append(await ledger.root())
        await ledger.append(Commit(entries=[draft(n, body=body) for n, body in enumerate(bodies[40:], 40)]))
        for size in (1, 2, 3, 16, 31, 40):
            assert await ledger.root(size) == roots[size]
            for index in range(size):
                path = await ledger.inclusion(index, size)
                assert holds_inclusion(leaf_hash(bodies[index]), index, size, path, roots[size])
        full = await ledger.root()
        for index in (0, 39, 255, 256, 299):
            path = await ledger.inclusion(index)
            assert holds_inclusion(leaf_hash(bodies[index]), index, 300, path, full)
            assert not holds_inclusion(leaf_hash(b"other"), index, 300, path, full)
        for first in range(1, 41):
            assert holds_consistency(first, 300, await ledger.consistency(first), roots[first], full)
        with pytest.raises(NotFound):
            await ledger.inclusion(300)
        with pytest.raises(NotFound):
            await ledger.root(301)
        with pytest.raises(NotFound):
            await ledger.consistency(41, 40)
        head = await ledger.checkpoint()
        assert (head.size, head.root) == (300, full)
        assert parse_checkpoint(head.note)[1:] == (300, full)

    async def test_closed_ledger_refuses(self, ledger: Ledger) -> None:
        """After close, every call raises EngineError; closing again is fine."""
        await ledger.append(Commit(entries=[draft(0)]))
        await ledger.close()
        await ledger.close()
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: ledger.append(Commit(entries=[draft(1)])),
            ledger.size,
            ledger.read,
            lambda: ledger.of_run(UUID(int=0)),
            lambda: ledger.by_key("a"),
            lambda: ledger.cursor("a"),
            lambda: ledger.messages("a"),
            ledger.topics,
            ledger.root,
            lambda: ledger.inclusion(0),
            lambda: ledger.consistency(0),
            ledger.checkpoint,
        ]
        for call in calls:
            with pytest.raises(EngineError):
                await call()


class DurableLedgerConformance:
    """The promises of ledgers that outlive their process; a subclass gives ``ledger`` and ``reopen``.

    ``reopen`` is a fixture: a function that opens the store of ``ledger`` anew, as the next process would after a
    clean end or a crash.

    Example:
        >>> [name for name in vars(DurableLedgerConformance) if name.startswith("test_")]
        ['test_append_is_durable_before_return', 'test_urgent_is_durable_before_return']
    """

    async def test_append_is_durable_before_return(self, ledger: Ledger, reopen: Reopen) -> None:
        """What was acknowledged is there again, and goes on from there."""
        commit = Commit(
            entries=[draft(n, key=f"k{n}") for n in range(5)],
            messages=[message("load", 0), message("load", 1)],
            cursors={"loop": 2},
        )
        await ledger.append(commit)
        root, before = await ledger.root(), await entries_of(ledger)
        again = await reopen()
        assert await entries_of(again) == before
        assert await again.root() == root
        assert await again.cursor("loop") == 2
        assert await again.topics() == {"load": 2}
        with pytest.raises(Conflict):
            await again.append(Commit(entries=[draft(9, key="k3")]))
        more = await again.append(Commit(entries=[draft(5)], messages=[message("load", 1), message("load", 2)]))
        assert (more.first_index, list(more.offsets), more.duplicates) == (5, [1, 2], 1)
        assert holds_consistency(5, 6, await again.consistency(5), root, await again.root())

    async def test_urgent_is_durable_before_return(self, ledger: Ledger, reopen: Reopen) -> None:
        """Handed over last, before others that wait: once it is acknowledged, it is there again, whole."""
        waiting = [asyncio.ensure_future(ledger.append(Commit(entries=[draft(n), draft(n)]))) for n in range(50)]
        await asyncio.sleep(0)
        stop = Commit(
            entries=[draft(100, key="stop"), draft(101)],
            messages=[message("load", 0)],
            cursors={"loop": 2},
            urgent=True,
        )
        first = (await ledger.append(stop)).first_index
        root, size = await ledger.root(first + 2), first + 2
        again = await reopen()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert [entry.body for entry in await again.read(first, 2)] == [each.body for each in stop.entries]
        assert await again.root(size) == root
        assert (await again.cursor("loop"), await again.topics()) == (2, {"load": 1})
        with pytest.raises(Conflict):
            await again.append(Commit(entries=[draft(9, key="stop")]))
