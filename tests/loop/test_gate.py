"""The gate's verdicts as pure functions of a run: no clock, no store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from tests.runtime.desk import part_refund
from tests.runtime.shop import refund
from tests.runtime.world import MINUTE, NOON, Till

from steward import Choice, Features, Interval, Prediction
from steward.entries import Approved, Asked, Body, Changed, Escalated
from steward.errors import ContractError, Denied, StewardError
from steward.ledger.port import Entry
from steward.ledger.run import Run
from steward.loop import gate, verdicts
from steward.loop.asks import Approval
from steward.loop.encode import draft, encode, own_code
from steward.loop.verdicts import Said
from steward.records import GateFacts, Money, PolicyFacts, Provenance, Record, Rung, Status

ID = UUID(int=7)


def record(*, by: str | None = None, **changes: Any) -> Record:
    facts: dict[str, Any] = {
        "needed": True,
        "impact": Money.of_minor(90_000, "EUR"),
        "approvers": "desk",
        "deadline": NOON + 10 * MINUTE,
        "otherwise": 0.0,
        "ladder": (Rung("lead", NOON + 3 * MINUTE), Rung("boss", NOON + 6 * MINUTE)),
    }
    return Record(
        decision_id=ID,
        decision="shop.refund",
        release="shop.refund@ab",
        decided_at=NOON,
        status=Status.WAITING,
        event={"amount_eur": 900.0},
        features={"amount_eur": 900.0},
        choice=900.0,
        reasons=("asked for",),
        propensity=1.0,
        policy=PolicyFacts("sha256:ab"),
        gate=GateFacts(**{**facts, **changes}),
        provenance=Provenance(event_id="1", source="t", contract="refund", contract_version=1, by=by or UNSET),
    )


def asked(*, by: str | None = None, author: str = gate.SYSTEM, **changes: Any) -> Run:
    told = record(by=by, **changes)
    return folded([(told, None), *gate.ask(told, encode(told), author=author)])


def folded(steps: list[gate.Keyed]) -> Run:
    drafts = [draft(*step) for step in steps]
    return Run.of([Entry(index, each.kind, each.run_id, each.body) for index, each in enumerate(drafts)], ID)


def then(run: Run, *bodies: Body) -> Run:
    for body in bodies:
        run = run.after(msgspec.json.decode(encode(body), type=type(body)))
    return run


def said(run: Run, by: str = "ana", *, at: datetime = NOON, **more: Any) -> Said:
    evidence = None if run.asked is None else run.asked.evidence
    return Said(**{"by": by, "at": at, "reason": "r", "evidence": evidence, **more})


def bodies(steps: list[gate.Keyed]) -> list[Body]:
    return [body for body, _ in steps]


def test_one_person_takes_the_key_of_the_round_only() -> None:
    run = asked()
    steps = verdicts.approve(run, said(run, at=NOON + MINUTE))
    ((approved, key),) = steps
    assert isinstance(approved, Approved)
    assert (key, approved.waited_s, approved.choice) == (gate.answer_key(ID), 60.0, 900.0)


@pytest.mark.parametrize(("approvals", "four_eyes", "kinds"), [(1, True, 2), (2, False, 1), (2, True, 1)])
def test_where_more_matters_each_person_takes_a_part(approvals: int, four_eyes: bool, kinds: int) -> None:
    run = asked(approvals=approvals, four_eyes=four_eyes)
    steps = verdicts.approve(run, said(run))
    assert steps[0][1] == gate.part_key(ID, 0, "ana")
    assert len(steps) == kinds
    run = then(run, *bodies(steps))
    if approvals == 2:
        assert run.is_waiting
        run = then(run, *bodies(verdicts.approve(run, said(run, "bo"))))
    assert run.status is Status.APPROVED


@given(st.integers(1, 4), st.booleans(), st.lists(st.sampled_from("abcdefg"), max_size=12))
def test_approved_with_the_last_that_is_needed(approvals: int, four_eyes: bool, people: list[str]) -> None:
    run = asked(approvals=approvals, four_eyes=four_eyes, by="a", author="b")
    agreed: list[str] = []
    for person in people:
        may = person != "a" and not (four_eyes and person == "b") and person not in agreed and run.is_waiting
        try:
            steps = verdicts.approve(run, said(run, person))
        except StewardError:
            assert not may
            continue
        assert may
        agreed.append(person)
        run = then(run, *bodies(steps))
        assert (run.status is Status.APPROVED) == (len(agreed) == approvals)
        if run.is_waiting:
            assert gate.settle(run) is None
    assert run.is_waiting == (len(agreed) < approvals)


def test_enough_who_agreed_are_settled_the_same_way_by_anybody() -> None:
    run = asked(approvals=2)
    for person in ("ana", "bo"):
        run = then(run, verdicts.approve(run, said(run, person))[0][0])
    settled = gate.settle(run)
    assert settled is not None
    approved, key = settled
    assert isinstance(approved, Approved)
    assert (approved.by, approved.choice, key) == ("bo", 900.0, gate.answer_key(ID))
    assert gate.settle(then(run, approved)) is None


def test_each_change_is_another_question() -> None:
    decision = part_refund(Till(), approvals=2)
    run, seen = asked(approvals=2), set()
    for round, euro in enumerate((500.0, 400.0, 500.0), 1):
        changed, *_ = bodies(verdicts.change(run, said(run, f"p{round}"), decision, euro))
        assert isinstance(changed, Changed)
        assert (changed.round, changed.impact) == (round, Money.rounded(euro, "EUR"))
        run = then(run, changed)
        seen.add(changed.evidence)
    assert len(seen) == 3
    assert gate.answer_key(ID, run.round) == f"answer:{ID}:3"


def pay_seen(features: Features, prediction: Prediction[tuple[int, int]]) -> Choice[float]:
    return Choice(1.0, reasons=("seen",))


def test_the_money_at_stake_is_weighed_by_what_the_model_said() -> None:
    def by_prediction(features: object, prediction: Prediction[Any], choice: float) -> float:
        assert (prediction.value, prediction.confidence, prediction.interval) == ((1, 2), 0.5, Interval(0, 1, 0.9))
        return choice * 2

    decision = part_refund(Till())
    assert decision.gate is not None
    decision = replace(decision, policy=pay_seen, gate=replace(decision.gate, impact=by_prediction))
    told = msgspec.structs.replace(record(), prediction=[1, 2], confidence=0.5, interval=Interval(0, 1, 0.9))
    assert gate.weigh_again(decision, told, 3.0) == Money.rounded(6, "EUR")


def test_four_eyes_bar_in_every_round() -> None:
    run = asked(four_eyes=True, by="pia", author="art")
    assert run.barred == {"pia": "proposer", "art": "author"}
    steps = verdicts.change(run, said(run, "ed"), part_refund(Till(), four_eyes=True), 400.0)
    assert {key for _, key in steps[1:]} == {gate.part_key(ID, 1, person) for person in ("ed", "pia", "art")}
    run = then(run, *bodies(steps))
    assert run.barred == {"ed": "editor", "pia": "proposer", "art": "author"}


def test_nobody_is_barred_by_the_system_itself() -> None:
    run = asked(four_eyes=True, by=gate.SYSTEM)
    assert run.barred == {}
    with pytest.raises(Denied):
        asked(four_eyes=True, by="art", author="art")


@given(st.integers(-1, 11))
def test_the_ladder_has_its_times(minutes: int) -> None:
    run, climbed = asked(), list[str]()
    at = NOON + timedelta(minutes=minutes)
    while (step := gate.escalate(run, at)) is not None:
        body, key = step
        assert isinstance(body, Escalated)
        assert key == f"escalated:{ID}:{len(climbed)}"
        climbed.append(body.to)
        run = then(run, body)
    assert climbed == [group for group, due in (("lead", 3), ("boss", 6)) if minutes >= due]
    assert gate.asked_groups(run) == ("desk", *climbed)


@pytest.mark.parametrize(("told", "left"), [("lead", ["boss"]), ("boss", ["lead"])])
def test_the_ladder_asks_nobody_whom_a_person_has_asked(told: str, left: list[str]) -> None:
    run = asked()
    run = then(run, *bodies(verdicts.escalate(run, said(run, reason="help"), told)))
    climbed = list[str]()
    while len(climbed) < 3 and (step := gate.escalate(run, NOON + 7 * MINUTE)) is not None:
        assert isinstance(step[0], Escalated)
        assert step[1] == f"escalated:{ID}:{len(climbed)}"
        climbed.append(step[0].to)
        run = then(run, step[0])
    assert climbed == left


def test_the_document_says_all() -> None:
    run = asked(approvals=2, four_eyes=True, by="pia", author="art")
    run = then(run, verdicts.approve(run, said(run))[0][0])
    run = then(run, *bodies(verdicts.question(run, said(run, reason="why?"))))
    run = then(run, *bodies(verdicts.escalate(run, said(run, reason="help"), "boss")))
    run = then(run, *bodies(verdicts.snooze(run, said(run), NOON + MINUTE)))
    ask = Approval.of(run)
    assert (ask.needed, [each.by for each in ask.agreed], ask.four_eyes) == (2, ["ana"], True)
    assert (ask.asked, [rung.to for rung in ask.ladder]) == (("desk", "boss"), ["lead"])
    assert ask.barred == {"pia": "proposer", "art": "author"}
    assert (ask.question and ask.question.question, ask.snoozed) == ("why?", {"ana": NOON + MINUTE})
    assert msgspec.json.decode(msgspec.json.encode(ask))["evidence"] == ask.evidence


def test_the_proposer_is_told_of_without_four_eyes_too() -> None:
    assert Approval.of(asked(by="pia")).barred == {"pia": "proposer"}


def test_whose_code_failed_is_said() -> None:
    with pytest.raises(ContractError), own_code("gate.limits"):
        raise ContractError("no")
    with pytest.raises(StewardError, match=r"gate\.limits failed: KeyError") as raised, own_code("gate.limits"):
        raise KeyError("x")
    assert raised.value.code == "gate-failed"


def test_an_unneeded_gate_asks_nobody() -> None:
    weigh = gate.weigher(refund(Till()))
    assert weigh is not None
    assert gate.weigher(refund(Till(), gate=None)) is None
    assert isinstance(asked().asked, Asked)
