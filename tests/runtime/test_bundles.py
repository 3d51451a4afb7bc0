"""What is said of a proof that somebody brings: what holds, what does not, and what cannot be told."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.test_audit import draft, filled

from steward.errors import ContractError, NotFound
from steward.ledger.bundle import bundle
from steward.ledger.memory import MemoryLedger
from steward.ledger.note import Signer, checkpoint_text
from steward.ledger.port import Commit, Draft
from steward.runtime.audit import Audit
from steward.runtime.bundles import Judged, Verdict, judge, places_of

OURS = Signer.of_seed("tests.local/ours", bytes(32))
THEIRS = Signer.of_seed("tests.local/theirs", bytes([1] * 32))


async def ledger_of(signer: Signer, count: int = 20) -> MemoryLedger:
    ledger = MemoryLedger(signer=signer)
    await filled(ledger, count)
    return ledger


async def bundled(ledger: MemoryLedger, index: int = 7) -> bytes:
    [entry] = await ledger.read(index, 1)
    return await bundle(ledger, entry)


def held(judged: Judged) -> list[bool | None]:
    return [each.holds for each in judged.statements]


async def test_a_proof_of_this_ledger_holds_also_after_it_has_grown() -> None:
    ledger = await ledger_of(OURS)
    proof = await bundled(ledger)
    await filled(ledger, 50)
    judged = await judge(Audit(ledger), proof)
    assert (judged.verdict, judged.is_ours, judged.index, judged.size) == (Verdict.HOLDS, True, 7, 20)
    assert (judged.kind, judged.decision_id) == ("acted", UUID(int=7))
    assert held(judged) == [True] * 5


@pytest.mark.parametrize("part", ["body", "index", "size", "proof", "checkpoint", "public_key"])
async def test_a_tampered_proof_does_not_hold(part: str) -> None:
    audit = Audit(await ledger_of(OURS))
    plain: dict[str, Any] = json.loads(await bundled(await ledger_of(OURS)))
    if part == "body":
        plain["entry"]["body"] = plain["entry"]["body"].replace("mark-7", "mark-8")
    elif part == "index":
        plain["entry"]["index"] = 6
    elif part == "size":
        plain["size"] = 21
    elif part == "proof":
        plain["proof"] = plain["proof"][::-1]
    elif part == "checkpoint":
        plain["checkpoint"] = plain["checkpoint"].replace("\n20\n", "\n21\n")
    else:
        plain["public_key"] = THEIRS.vkey
    judged = await judge(audit, json.dumps(plain).encode())
    assert judged.verdict is Verdict.BROKEN
    assert held(judged)[:2] == [True, False]


async def test_a_proof_of_another_ledger_needs_its_key() -> None:
    audit, proof = Audit(await ledger_of(OURS)), await bundled(await ledger_of(THEIRS))
    judged = await judge(audit, proof)
    assert (judged.verdict, judged.is_ours, judged.key) == (Verdict.UNVOUCHED, False, "tests.local/theirs")
    assert "Ask its owner for the key" in judged.statements[-1].why
    assert (await judge(audit, proof, public_key=THEIRS.vkey)).verdict is Verdict.HOLDS
    assert (await judge(audit, proof, public_key=OURS.vkey)).verdict is Verdict.BROKEN
    with pytest.raises(ContractError, match="malformed"):
        await judge(audit, proof, public_key="my key")


async def test_a_proof_shows_that_the_ledger_was_cut_off_or_rewritten() -> None:
    proof = await bundled(await ledger_of(OURS))
    shorter = await judge(Audit(await ledger_of(OURS, 10)), proof)
    assert (shorter.verdict, held(shorter)) == (Verdict.BROKEN, [True, True, True, False])
    assert "only 10 entries" in shorter.statements[-1].why
    other = MemoryLedger(signer=OURS)
    await other.append(Commit(entries=[draft(number + (number == 7)) for number in range(20)]))
    rewritten = await judge(Audit(other), proof)
    assert (rewritten.verdict, held(rewritten)) == (Verdict.BROKEN, [True, True, True, False, False])


def self_signed(size: int, nodes: int) -> bytes:
    """Make what anybody can: a head over any number of entries, under a key of one's own."""
    note = THEIRS.sign(checkpoint_text(THEIRS.name, size, bytes(32)))
    entry = {"index": 1, "body": "{}"}
    proof = ["A" * 43 + "="] * nodes
    parts = {"format": "steward.bundle/1", "entry": entry, "size": size, "proof": proof}
    return json.dumps({**parts, "checkpoint": note, "public_key": THEIRS.vkey}).encode()


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"rubbish",
        b"{}",
        b"[" * 200_000,
        b'{"format":' * 50_000,
        b"\xff\xfe",
        b'{"format":1}',
        b'{"size":' + b"9" * 5_000 + b"}",
        self_signed(2**5_000, 3_000),
        self_signed(0, 0),
    ],
    ids=["empty", "text", "object", "deep", "deeper", "bytes", "types", "digits", "endless", "nothing"],
)
async def test_rubbish_is_told_to_be_rubbish(rubbish: bytes) -> None:
    judged = await judge(Audit(await ledger_of(OURS)), rubbish)
    assert judged.verdict is Verdict.BROKEN
    assert all(len(each.why) < 400 for each in judged.statements)


async def test_entries_are_found_by_their_place_and_by_their_run() -> None:
    ledger = await ledger_of(OURS)
    await ledger.append(Commit(entries=[Draft("failed", UUID(int=7), b"{}")]))
    assert await places_of(ledger, " 7 ") == (7,)
    assert await places_of(ledger, str(UUID(int=7))) == (7, 20)
    for text in ("21", "-1", "x", "", "9" * 40, str(UUID(int=99)), "²"):
        with pytest.raises(NotFound, match="names no entry"):
            await places_of(ledger, text)
