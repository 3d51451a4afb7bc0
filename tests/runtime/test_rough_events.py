"""Events as the world sends them: doubled, out of order and poisoned, while clocks jump and the process dies."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steward import Action, Call, Choice, Decision, Event, Feature, Features, Prediction, Receipt, Risk, Stream, hours
from steward.bus.deadletters import DEAD_LETTERS, DeadLetter
from steward.clock import VirtualClock
from steward.entries import decode_body
from steward.ledger.port import Message
from steward.records import Record
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DOUBLED, REORDERED, POISONED, JUMPS, CRASHES = 0.2, 0.3, 0.02, 0.1, 0.05
FARTHEST = 50
JUMP = (timedelta(hours=1), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1))
NOT_JSON, NOT_DECIDABLE = b'{"card":', 13.0


class Payment(Event):
    """Somebody pays."""

    card: str
    amount_eur: float
    at: datetime


payments = Stream("rough.payments", Payment, key="card", time="at")


@dataclass
class Rough:
    """What became of the events.

    Attributes:
        sent: How many different good ones there were, and how many poisoned ones.
        lost: How many good ones were never decided, or poisoned ones not put aside.
        doubled: How many were decided, acted on or put aside more than once.
        miscounted: How many decisions saw another number of payments than had come.
    """

    sent: tuple[int, int]
    lost: int
    doubled: int
    miscounted: int


def decision(effects: Counter[str]) -> Decision[Payment, None, str]:
    """Return a decision that counts, and acts in a world that keeps what was done."""

    def allow(features: Features, prediction: Prediction[None]) -> Choice[str]:
        if features.number("amount_eur") == NOT_DECIDABLE:
            raise ValueError("nobody pays thirteen")
        return Choice("allow", reasons=("always",))

    def pay(choice: str, call: Call) -> Receipt:
        effects[call.key] += 1
        return Receipt(reference=call.key)

    def look(choice: str, call: Call) -> Receipt | None:
        return Receipt(reference=call.key) if call.key in effects else None

    return Decision(
        name="rough.pay",
        owner="tests",
        purpose="Pay",
        risk=Risk.LOW,
        event=Payment,
        features=(Feature("amount_eur"), payments.count(over=hours(1))),
        policy=allow,
        action=Action(do=pay, verify=look),
    )


def arrivals(chance: random.Random, count: int) -> list[Message]:
    """Return messages in the order of their arrival, known when they happened."""
    made = []
    for number in range(count):
        at = NOON + timedelta(seconds=10 * number)
        poison = chance.random() < POISONED
        amount = NOT_DECIDABLE if poison and chance.random() < 0.5 else 20.0
        text = f'{{"card":"c{number % 5}","amount_eur":{amount},"at":"{at.isoformat()}"}}'
        data = NOT_JSON if poison and amount == 20.0 else text.encode()
        made.append(Message("rough.payments", f"c{number % 5}", "till", f"e{number}", data, 1, at, at))
    places = [n + chance.uniform(0, FARTHEST) * (chance.random() < REORDERED) for n in range(count)]
    late = [(n + chance.uniform(0, FARTHEST), made[n]) for n in range(count) if chance.random() < DOUBLED]
    order = sorted([*zip(places, made, strict=True), *late], key=lambda item: item[0])
    return [message for _, message in order]


async def rough(folder: Path, seed: int, count: int, *, jumps: bool = True) -> Rough:
    """Send events the rough way and return what became of them."""
    chance, effects, clock = random.Random(seed), Counter[str](), VirtualClock(NOON, seed=seed)
    settings = Settings(ledger=f"sqlite:////{folder}/{seed}.db", root=folder)
    messages, start = arrivals(chance, count), 0
    runtime = await Runtime.open([decision(effects)], settings=settings, clock=clock)
    while start < len(messages):
        end = start + chance.randint(1, 40)
        # Past the check at the door, as another process would put them there.
        await runtime.bus.publish(messages[start:end])
        start = end
        clock.advance(timedelta(seconds=chance.uniform(0, 60)))
        if jumps and chance.random() < JUMPS:
            clock.advance(chance.choice(JUMP))
        if chance.random() < 0.7:
            await runtime.advance()
        if chance.random() < CRASHES:
            runtime._closed = True  # nothing is saved on the way out
            runtime.views.close()
            await runtime.ledger.close()
            runtime = await Runtime.open([decision(effects)], settings=settings, clock=clock)
    clock.advance(timedelta(days=3))
    await runtime.advance()
    found = await judged(runtime, messages, effects)
    await runtime.close()
    return found


async def judged(runtime: Runtime, messages: list[Message], effects: Counter[str]) -> Rough:
    """Compare what was sent with what the ledger and the world have."""
    first = {message.id: message for message in reversed(messages)}
    undecidable = f'"amount_eur":{NOT_DECIDABLE}'.encode()
    poisoned = {id for id, message in first.items() if message.data == NOT_JSON or undecidable in message.data}
    bodies = [decode_body(entry.body) for entry in await runtime.ledger.read(0, 1_000_000, kind="decided")]
    decided = Counter(body.provenance.event_id for body in bodies if isinstance(body, Record))
    letters = await runtime.ledger.messages(DEAD_LETTERS, 0, 2 * len(first))
    aside = Counter(DeadLetter.of(each.message).message.id for each in letters)
    good = first.keys() - poisoned
    acted = Counter(entry.run_id for entry in await runtime.ledger.read(0, 1_000_000, kind="acted"))
    lost = len(good - decided.keys()) + len(poisoned - aside.keys()) + len(good) - len(acted)
    twice = [n for counts in (decided, aside, acted, effects) for n in counts.values() if n > 1]
    wrong = len(decided.keys() - good) + len(aside.keys() - poisoned) + abs(len(effects) - len(good))
    return Rough((len(good), len(poisoned)), lost, len(twice) + wrong, miscounted(messages, bodies, poisoned))


def miscounted(messages: list[Message], bodies: list[object], poisoned: set[str]) -> int:
    """Count decisions that saw another number of payments than had come by then, each once, in the hour before."""
    seen: dict[str, list[datetime]] = {}
    wanted: dict[str, int] = {}
    for message in messages:
        if message.id in wanted or message.data == NOT_JSON:
            continue
        times = seen.setdefault(message.key, [])
        times.append(message.event_time)
        since = message.event_time - timedelta(hours=1)
        wanted[message.id] = sum(since < at <= message.event_time for at in times)
    records = [body for body in bodies if isinstance(body, Record)]
    return sum(
        record.features["rough_payments_count_1h"] != wanted[record.provenance.event_id]
        for record in records
        if record.provenance.event_id not in poisoned
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("jumps", [False, True])
async def test_nothing_is_lost_nothing_twice(tmp_path: Path, seed: int, *, jumps: bool) -> None:
    found = await rough(tmp_path, seed, 400, jumps=jumps)
    assert found.sent[0] > 350
    assert found.sent[1] > 0
    assert (found.lost, found.doubled, found.miscounted) == (0, 0, 0)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 120))
def test_nothing_is_lost_nothing_twice_very_often(tmp_path: Path, seed: int) -> None:
    found = asyncio.run(rough(tmp_path, seed, 5_000))
    assert (found.lost, found.doubled, found.miscounted) == (0, 0, 0)
