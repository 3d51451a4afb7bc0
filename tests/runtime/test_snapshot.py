"""Snapshots of the feature state are a shortcut: with, without or with a broken one, the features are the same."""

from __future__ import annotations

import pytest
from tests.runtime.shop import CARDS, GREET, Greet, Payment, Visit
from tests.runtime.world import MINUTE, NOON, World

from steward.errors import EngineError
from steward.ledger.port import Commit
from steward.loop.receive import Incoming
from steward.loop.run import Answer


async def visited(world: World, first: int, last: int) -> None:
    await world.runtime.publish(
        [
            world.message("shop.visits", Visit(customer=f"c{n % 3}", at=NOON + n * MINUTE), f"v{n}")
            for n in range(first, last)
        ]
    )
    await world.runtime.advance()


async def features(world: World) -> list[object]:
    world.clock.set(NOON + 60 * MINUTE)
    answers = await world.runtime.decide_batch("shop.greet", [Greet(customer=f"c{n}") for n in range(3)])
    return [answer.record.features for answer in answers if isinstance(answer, Answer)]


@pytest.mark.parametrize("broken", [None, b"", b"nonsense", "cut", "flipped", "gone", "of another version"])
async def test_every_way_back_gives_the_same_features(sqlite: World, broken: bytes | str | None) -> None:
    await sqlite.open(GREET)
    await visited(sqlite, 0, 20)
    await sqlite.runtime._parts.snapshots.save()
    await visited(sqlite, 20, 40)
    expected = await features(sqlite)
    await sqlite.die()
    path = sqlite.folder / "steward.db.features"
    data = path.read_bytes()
    if isinstance(broken, bytes):
        path.write_bytes(broken)
    elif broken == "cut":
        path.write_bytes(data[:-7])
    elif broken == "flipped":
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    elif broken == "of another version":
        path.write_bytes(data.replace(b"\xa7version\x01", b"\xa7version\x02"))
    elif broken == "gone":
        path.unlink()
    await sqlite.open()
    assert await features(sqlite) == expected


async def test_only_what_the_snapshot_lacks_is_read_again(sqlite: World) -> None:
    await sqlite.open(GREET)
    await visited(sqlite, 0, 20)
    await sqlite.runtime._parts.snapshots.save()
    await visited(sqlite, 20, 25)
    assert await sqlite.runtime._parts.snapshots.restore() == 5


async def test_a_folder_in_the_snapshots_place_does_not_stop_the_start(sqlite: World) -> None:
    await sqlite.open(GREET)
    await visited(sqlite, 0, 20)
    expected = await features(sqlite)
    await sqlite.die()
    (sqlite.folder / "steward.db.features").mkdir()
    await sqlite.open()
    assert await features(sqlite) == expected
    with pytest.raises(EngineError) as raised:
        await sqlite.runtime._parts.snapshots.save()
    assert raised.value.code == "engine.snapshot"
    (sqlite.folder / "steward.db.features").rmdir()


async def test_a_snapshot_holds_nothing_that_was_not_made_durable(sqlite: World) -> None:
    await sqlite.open(CARDS)
    payment, parts = Payment(card="c", at=NOON, amount_eur=1.0), sqlite.runtime._parts
    work = parts.decider._begin_alone("cards.check", Incoming(event=payment, source="direct"))

    def fail_what_is_under_way(commit: Commit) -> None:
        parts.decider._settle([work])
        parts.snapshots._restores += 1

    sqlite.ledger.fault_after = fail_what_is_under_way
    await parts.snapshots.save()
    sqlite.ledger.fault_after = lambda commit: None
    await sqlite.crash()
    answer = await sqlite.runtime.decide("cards.check", payment)
    assert answer.record.features["cards_payments_count_1h"] == 1


async def test_what_is_written_while_the_state_is_read_again_is_counted(world: World) -> None:
    runtime = await world.open(CARDS)
    snapshots, ledger = runtime._parts.snapshots, world.ledger
    read_cursor, written = ledger.cursor, False

    async def cursor(name: str) -> int:
        nonlocal written
        if not written and name.startswith("loop:"):  # its messages have been read just now
            written = True
            await runtime.decide("cards.check", Payment(card="c", amount_eur=1.25, at=NOON))
        return await read_cursor(name)

    ledger.cursor = cursor  # type: ignore[method-assign] # somebody else writes at the worst moment
    await snapshots.restore()
    assert written
    answer = await runtime.decide("cards.check", Payment(card="c", amount_eur=1.25, at=NOON))
    assert answer.record.features["cards_payments_count_1h"] == 2
