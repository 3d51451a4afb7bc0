"""What is live is the fold of the entries, at any time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import UNSET

from steward.entries import Distrusted, Launched, Promoted, Proposed, Published, RolledBack, Stopped
from steward.releases.live import Live, key_of, live_of, run_of

NAME, A, B, C = "pay.release", "pay.release@a", "pay.release@b", "pay.release@c"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minutes: int) -> dict[str, Any]:
    return {"decision_id": run_of(NAME), "decision": NAME, "at": NOON + timedelta(minutes=minutes)}


def published(minutes: int, release: str, *, serves: bool = False) -> Published:
    return Published(**at(minutes), release=release, description={}, by="ana", serves=serves)


def launched(minutes: int, **changes: Any) -> Launched:
    return Launched(**{**at(minutes), "rollout": f"{NAME}/2", "champion": A, "by": "ana", "reason": "try", **changes})


BEGIN = [published(0, A, serves=True), published(1, B)]


def fold(*bodies: object, until: int | None = None) -> Live:
    when = None if until is None else NOON + timedelta(minutes=until)
    return live_of(NAME, [*BEGIN, *bodies], at=when)


def test_the_first_that_serves_is_the_champion() -> None:
    live = fold()
    assert (live.champion, live.former, live.rollout, live.number) == (A, (), None, 2)
    assert live_of(NAME, []).champion == ""


def test_a_rollout_keeps_its_beginning_while_its_shares_change() -> None:
    live = fold(launched(2, canary=B, share=0.05, holdout=0.1), launched(3, canary=B, share=0.5, holdout=0.1, by="bo"))
    assert live.rollout is not None
    assert (live.rollout.started_by, live.rollout.by, live.rollout.share) == ("ana", "bo", 0.5)
    assert live.rollout.started_at == NOON + timedelta(minutes=2)
    assert live.rollout.champion == A


def test_a_promotion_ends_it_unless_somebody_is_held_out() -> None:
    promoted = Promoted(**at(4), release=B, before=A, by="bo", reason="better")
    live = fold(launched(2, canary=B, share=0.05), promoted)
    assert (live.champion, live.former, live.by, live.rollout) == (B, (A,), "bo", None)
    held = fold(launched(2, canary=B, share=0.05, holdout=0.1), promoted).rollout
    assert held is not None
    assert (held.champion, held.canary, held.share, held.holdout, held.challengers) == (A, UNSET, 0.0, 0.1, ())


def test_a_rollout_of_nothing_has_ended() -> None:
    assert fold(launched(2, shadows=(B,)), launched(3)).rollout is None


def test_the_way_back_goes_further_each_time() -> None:
    steps = [
        Promoted(**at(2), release=B, before=A, reason="x"),
        published(3, C),
        Promoted(**at(4), release=C, before=B, reason="x"),
    ]
    back = RolledBack(**at(5), release=B, withdrawn=C, reason="x")
    assert (fold(*steps, back).champion, fold(*steps, back).former) == (B, (A,))
    again = RolledBack(**at(6), release=A, withdrawn=B, reason="x")
    assert (fold(*steps, back, again).champion, fold(*steps, back, again).former) == (A, ())


def test_a_canary_that_is_withdrawn_leaves_the_champion() -> None:
    live = fold(launched(2, canary=B, share=0.1), RolledBack(**at(3), release=A, withdrawn=B, by="ana", reason="x"))
    assert (live.champion, live.former, live.rollout) == (A, (), None)


def test_what_was_live_then_can_be_asked() -> None:
    steps = (launched(2, canary=B, share=0.1), Promoted(**at(4), release=B, before=A, reason="x"))
    assert [fold(*steps, until=minute).champion for minute in (-1, 0, 3, 4)] == ["", A, A, B]
    assert [fold(*steps, until=minute).rollout is None for minute in (1, 2, 3, 4)] == [True, False, False, True]


def test_a_proposal_waits_and_is_published_with_who_agreed() -> None:
    proposed = Proposed(**at(2), release=C, document={"x": 1}, by="ana", reason="better", envelope={"payload": ""})
    waiting = fold(proposed)
    assert [known.release for known in waiting.waiting] == [C]
    agreed = Published(
        **at(3), release=C, description={}, document={"x": 1}, by="ana", approved_by="bo", reason="ok", serves=False
    )
    known = fold(proposed, agreed).known[C]
    assert (known.is_published, known.is_approved, known.approved_by, known.reason) == (True, True, "bo", "better")
    assert known.envelope == {"payload": ""}
    assert fold(proposed, agreed).champion == A


def test_new_code_in_service_ends_the_comparison() -> None:
    live = fold(launched(2, canary=B, share=0.1), published(3, C, serves=True))
    assert (live.champion, live.former, live.rollout) == (C, (A,), None)


def test_what_was_refused_is_said() -> None:
    refused = Distrusted(**at(2), release=B, code="model-distrusted", reason="the key is revoked")
    assert fold(refused).known[B].distrusted == "the key is revoked"
    assert fold(Stopped(**at(2), reason="not ours")).number == 2


def test_keys_are_numbered() -> None:
    assert key_of(NAME, fold().number) == "releases/pay.release/2"
    assert run_of(NAME) != run_of("pay.other")
    assert run_of(NAME).version == 8
