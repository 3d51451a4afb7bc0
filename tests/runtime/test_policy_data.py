"""A decision with a policy as data, through the whole runtime: the row and the digest are in the record."""

from __future__ import annotations

from pathlib import Path

from steward import Decision, Event, Feature, Risk, Rules
from steward.policies.demo import REFUNDS
from steward.policies.policy import Policy
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


class Refund(Event):
    amount_eur: float
    segment: str
    prediction: float


async def test_the_record_names_row_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "refunds.json"
    file.write_bytes(REFUNDS)
    decision = Decision(
        name="pay.refund",
        owner="payments",
        purpose="Pay a refund",
        risk=Risk.LOW,
        event=Refund,
        features=(Feature[Refund]("amount_eur"), Feature[Refund]("segment"), Feature[Refund]("prediction")),
        policy=Rules.of(file, choices=str),
    )
    place = {"ledger": f"sqlite:////{tmp_path}/steward.db", "registry": str(tmp_path), "data_dir": str(tmp_path)}
    settings = Settings(root=tmp_path, **place)  # type: ignore[arg-type]  # texts only
    async with await Runtime.open([decision], settings=settings) as runtime:
        answer = await runtime.decide("pay.refund", Refund(amount_eur=20.0, segment="new", prediction=0.1))
    assert (answer.record.choice, answer.record.policy.rule) == ("pay", "small")
    assert answer.record.policy.hash == Policy.read(REFUNDS).digest
