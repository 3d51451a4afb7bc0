"""A process that decides under load until it is killed: ``python -m tests.crash.worker FOLDER ROUND``.

It prints one line for each thing that was acknowledged: ``decided KEY ID`` and ``published EVENT_ID``. Its action
writes the idempotency key of each step to a file, as a receiver in the outside world would see it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

from steward import (
    Action,
    Call,
    Choice,
    Decision,
    Event,
    Feature,
    Features,
    Prediction,
    Receipt,
    Risk,
    Steps,
    Stream,
    hours,
)
from steward.clock import SystemClock
from steward.ledger.port import Message
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

SENDERS = 6
CARDS = 4


class Payment(Event):
    """Somebody pays."""

    card: str
    amount_eur: float


payments = Stream("cards.payments", Payment, key="card")


def allow(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Allow everything, and say how many came before."""
    return Choice("allow", reasons=(f"{features['cards_payments_count_1h']} payments",))


def decision(effects: Path) -> Decision[Payment, None, str]:
    """Return the decision, whose action has two steps; each appends its key to a file, and can read it back."""

    def write(call: Call) -> Receipt:
        target = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(target, f"{call.key}\n".encode())
        os.close(target)
        return Receipt(reference=call.key)

    def reserve(choice: str, call: Call) -> Receipt:
        return write(call)

    def pay(choice: str, call: Call) -> Receipt:
        return write(call)

    def look(choice: str, call: Call) -> Receipt | None:
        known = effects.read_text().splitlines() if effects.exists() else []
        return Receipt(reference=call.key) if call.key in known else None

    return Decision(
        name="cards.pay",
        owner="cards",
        purpose="Pay",
        risk=Risk.LOW,
        event=Payment,
        features=(Feature("amount_eur"), payments.count(over=hours(1))),
        policy=allow,
        action=Steps(Action(do=reserve, verify=look), Action(do=pay, verify=look), name="pay"),
    )


def store(folder: Path) -> Path:
    """Return the ledger's file; its disk is a folder of its own, as it may lose power while the world goes on."""
    return folder / "disk" / "steward.db"


def settings(folder: Path) -> Settings:
    """Return the settings of this folder; snapshots are taken often, to be caught in the middle of one."""
    disk = store(folder)
    return Settings(ledger=f"sqlite:////{disk}", snapshot_every_s=0.02, root=disk.parent)


def say(line: str) -> None:
    """Tell the parent at once."""
    os.write(1, f"{line}\n".encode())


async def send_directly(runtime: Runtime, name: str) -> None:
    """Ask with an idempotency key, again and again."""
    number = 0
    while True:
        key = f"{name}-{number}"
        answer = await runtime.decide("cards.pay", Payment(card=f"c{number % CARDS}", amount_eur=1.0), key=key)
        say(f"decided {key} {answer.record.decision_id}")
        number += 1


async def publish(runtime: Runtime, name: str) -> None:
    """Put events on the bus, three at once, the last of them twice."""
    clock, number = SystemClock(), 0
    while True:
        now = clock.now()
        ids = [f"{name}-{number + place}" for place in range(3)]
        data = b'{"card":"c1","amount_eur":2.0}'
        messages = [Message("cards.payments", "c1", "till", id, data, 1, now, now) for id in (*ids, ids[-1])]
        await runtime.publish(messages)
        for id in ids:
            say(f"published {id}")
        number += 3
        await asyncio.sleep(0)


async def main(folder: Path, turn: str) -> None:
    """Run until killed."""
    async with await Runtime.open([decision(folder / "effects")], settings=settings(folder)) as runtime:
        runtime.start()
        say("ready")
        senders = [send_directly(runtime, f"d{turn}.{n}") for n in range(SENDERS)]
        await asyncio.gather(*senders, publish(runtime, f"b{turn}"))


def run_of(key: str) -> UUID:
    """Return the run that a step's idempotency key belongs to."""
    return UUID(key.split("/")[1])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
