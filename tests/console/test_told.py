"""Every kind of entry has a sentence, and a run's history reads in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from tests.console.world import Company

from steward import entries
from steward.console.choices import chosen
from steward.console.telling import Told
from steward.console.told import TOLD, history, waits
from steward.console.zones import UTC_ZONE, Zone
from steward.entries import Body
from steward.records import ActionFacts, GateFacts, Money, PolicyFacts, Provenance, Receipt, Status
from steward.workflow.next import Next

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
EURO = Money.of_minor(100_000, "EUR")
VALUES: dict[str, Any] = {
    "decision_id": UUID(int=1),
    "decision": "pay.release",
    "at": NOON,
    "decided_at": NOON,
    "until": NOON + timedelta(hours=1),
    "about": UUID(int=2),
    "status": Status.DECIDED,
    "gate": GateFacts(needed=True, impact=EURO, approvers="desk", otherwise="hold", deadline=NOON, approvals=2),
    "action": ActionFacts(name="pay", key="k"),
    "receipt": Receipt(reference="r-1", detail={"mw": "4"}),
    "value": EURO,
    "baseline": EURO,
    "saving": EURO,
    "policy": PolicyFacts("sha256:ab", "small"),
    "provenance": Provenance(event_id="7", source="shop", contract="payment", contract_version=1),
    "attribution": {"amount_eur": 1.0},
    "features": {"amount_eur": 1.0},
    "description": {},
    "reasons": ("small",),
    "round": 0,
    "attempt": 2,
    "position": 1,
    "failures": 5,
    "propensity": 1.0,
    "late": True,
    "restates": True,
    "result": {"reference": "b-7"},
    "model_id": "fraud",
}


def made(kind: type[Any], **changes: Any) -> Any:
    """Make an entry of any kind, with every field that must be there."""
    given = {
        field.name: changes.get(field.name, VALUES.get(field.name, f"<{field.name}>"))
        for field in msgspec.structs.fields(kind)
        if field.required or field.name in changes or field.name == "reason"
    }
    return kind(**given)


def test_every_kind_of_entry_has_a_sentence() -> None:
    assert set(TOLD) == set(get_args(Body)), "a kind of entry has no sentence in steward.console.told"


@pytest.mark.parametrize("kind", get_args(Body), ids=lambda kind: kind.__name__)
def test_a_sentence_says_what_happened_and_why(kind: type[Any]) -> None:
    told = TOLD[kind](made(kind))
    assert isinstance(told, Told)
    assert told.at == NOON
    assert told.tone in {"", "pos", "warn", "neg", "info"}
    assert len(told.title) > 6
    text = f"{told.title} {told.detail}"
    assert "None" not in text
    assert "UNSET" not in text
    if "reason" in kind.__struct_fields__:
        assert "<reason>" in text, "the reason is not told"


@pytest.mark.parametrize(
    ("kind", "changes", "title", "detail"),
    [
        (entries.Stepped, {"step": "open_breaker", "attempt": 2}, "Open breaker: done", "step 2 · b-7 · at try 2"),
        (entries.Stepped, {"step": "settle", "attempt": 0, "result": None}, "Settle: fine", "step 2"),
        (entries.Doubted, {"step": "write"}, "Write: in doubt", None),
        (entries.Undone, {"step": "write"}, "Write: taken back", None),
        (entries.Escalated, {"to": "duty", "reason": ""}, "duty asked, too", "nobody had answered"),
        (entries.Escalated, {"to": "duty", "by": "ana", "reason": "late"}, "duty asked, too", "by ana · “late”"),
        (entries.Notified, {"to": "ana", "channel": "smtp", "failed": "no route"}, "ana could not be told", None),
        (entries.Approved, {"by": "ana", "waited_s": 47.0}, "Approved by ana", "“<reason>” · after 47 s"),
        (entries.Approved, {"by": "ana", "waited_s": 600.0}, "Approved by ana", "“<reason>” · after 10 min"),
        (entries.Redriven, {"by": "bo", "code": "ab12"}, "Let go on by bo", "“<reason>” · with today's code ab12"),
        (entries.Valued, {"saving": Money.of_minor(-500, "EUR")}, "Worth −5.00\xa0EUR", None),
        (entries.Signalled, {"signal": "crew-clear", "payload": {"crew": 3}}, "Signal “Crew clear” came", None),
    ],
)
def test_what_an_entry_says_more_is_told_too(
    kind: type[Any], changes: dict[str, Any], title: str, detail: str | None
) -> None:
    told = TOLD[kind](made(kind, **changes))
    assert told.title == title
    assert detail in (None, told.detail)


async def test_a_run_reads_in_order_and_says_what_it_waits_for(tmp_path: Path) -> None:
    company = await Company.open(tmp_path)
    async with company.runtime as runtime:
        waiting = await runtime.run(await company.dispatch(price_eur=140.0))
        told = history(waiting, Zone("site", "Europe/Madrid"))
        assert [each.title for each in told] == [
            "Event received",
            "Features computed",
            "Model answered",
            "Chose: Discharge",
            "grid-desk asked",
            "Waits for grid-desk",
        ]
        assert told[-1].at is None
        assert told[-1].detail == "until 14:10:00 CEST"
        done = history(await runtime.run(await company.dispatch(price_eur=70.0)), UTC_ZONE)
        assert [each.title for each in done][3:] == [
            "Chose: Discharge",
            "Is safe: fine",
            "Write setpoint: done",
            "Done: Is safe > write setpoint",
        ]


@pytest.mark.parametrize(
    ("following", "text"),
    [
        (Next(waits_for="signal", name="crew-clear"), "Waits for the signal “Crew clear”"),
        (Next(waits_for="time", name="settle"), "Waits: Settle"),
        (Next(waits_for="try", name="open"), "Does: Open"),
        (Next(waits_for="try", name="open/undo"), "Takes back: Open"),
        (Next(waits_for="operator", name="stopped"), "Stands still: it is stopped"),
        (Next(waits_for="operator", name="code-gone"), "Waits for an operator: code gone"),
    ],
)
def test_what_a_run_waits_for_is_told(following: Next, text: str) -> None:
    assert waits(following) == text


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ("discharge", "Discharge"),
        ("<script>", "<script>"),
        (False, "No"),
        (-4.25, "−4.25"),
        (None, "–"),
        ({"power_mw": 40.0, "minutes": 30}, "Power 40\xa0MW, minutes 30"),
        ([1, 2], "1, 2"),
    ],
)
def test_choices_are_said_with_their_units(choice: object, text: str) -> None:
    assert chosen(choice) == text
