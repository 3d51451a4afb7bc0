"""Whoever is needed is told, at least once, and the ledger says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.runtime.shop import Refund, refund
from tests.runtime.world import MINUTE, Till, World

from steward import Action
from steward.errors import EngineError
from steward.people.notice import Notice
from steward.people.port import Channel
from steward.runtime.runtime import Runtime

BOOK = """
page = "https://steward.example"
[groups.desk]
people = ["ana", "bo"]
[groups.manager]
people = ["cy"]
[groups.payments]
people = ["dee"]
[people.ana]
smtp = "ana@example.org"
[people.bo]
smtp = "bo@example.org"
[people.cy]
smtp = "cy@example.org"
[people.dee]
smtp = "dee@example.org"
[smtp]
host = "localhost"
sender = "steward@example.org"
"""


class Post:
    """A channel that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Notice]] = []
        self.fails: list[EngineError] = []

    async def send(self, notice: Notice, address: str) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append((address, notice))

    def told(self, about: str) -> list[str]:
        return sorted(address for address, notice in self.sent if notice.about == about)


@pytest.fixture
def post(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Post:
    path = tmp_path / "people.toml"
    path.write_text(BOOK, encoding="utf-8")
    world.settings = replace(world.settings, people=str(path))
    post = Post()

    def channels(*_: object) -> dict[str, Channel]:
        return {"smtp": post}

    monkeypatch.setattr("steward.runtime.channels.open_channels", channels)
    return post


async def ask(runtime: Runtime, order: str = "o1") -> None:
    await runtime.decide("shop.refund", Refund(order_id=order, amount_eur=900.0))


async def test_who_is_asked_is_told_what_is_at_stake(world: World, till: Till, post: Post) -> None:
    await ask(await world.open(refund(till)))
    await world.later()
    assert post.told("asked") == ["ana@example.org", "bo@example.org"]
    notice = post.sent[0][1]
    text = notice.text("https://steward.example")
    assert notice.title == "[Steward] shop.refund asks until 2026-01-01 12:10 UTC"
    assert "At stake: 900.00 EUR." in text
    assert "If nobody answers until 2026-01-01 12:10 UTC: hold." in text
    assert f"https://steward.example/approvals/{notice.run_id}" in text
    bodies = await world.bodies("notified")
    assert sorted((body.to, body.channel, body.about, body.failed) for body in bodies) == [
        ("ana", "smtp", "asked", ""),
        ("bo", "smtp", "asked", ""),
    ]


async def test_the_next_rung_is_told_when_the_ladder_is_climbed(world: World, till: Till, post: Post) -> None:
    await ask(await world.open(refund(till)))
    await world.later()
    assert post.told("escalated") == []
    await world.later(5 * MINUTE)
    assert post.told("escalated") == ["cy@example.org"]


async def test_whom_it_was_escalated_to_is_told_of_a_change_too(world: World, till: Till, post: Post) -> None:
    asking = refund(till).gate
    assert asking is not None
    gate = replace(asking, limits=lambda features, proposed, wanted: None, approvals=2)
    runtime = await world.open(refund(till, gate=gate))
    await ask(runtime)
    await world.later(5 * MINUTE)
    (shown,) = await runtime.approvals()
    await runtime.answers.change(shown.decision_id, "hold", by="cy", reason="unknown", evidence=shown.evidence)
    await world.later()
    assert post.told("changed") == ["ana@example.org", "bo@example.org", "cy@example.org"]


async def test_who_asked_back_is_told_the_reply(world: World, till: Till, post: Post) -> None:
    runtime = await world.open(refund(till))
    await ask(runtime)
    (shown,) = await runtime.approvals()
    await runtime.answers.question(shown.decision_id, by="bo", reason="Is it a known customer?")
    await world.later()
    assert post.told("questioned") == ["dee@example.org"]
    await runtime.answers.reply(shown.decision_id, by="dee", reason="For ten years")
    await world.crash()
    await world.later()
    assert post.told("replied") == ["bo@example.org"]
    assert "dee replied: For ten years" in post.sent[-1][1].lines


async def test_an_answered_question_is_told_to_nobody_any_more_but_who_was_not_reached_is_said(
    world: World, till: Till, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = await world.open(refund(till))
    post.fails = [EngineError("busy", retryable=True)] * 2
    await ask(runtime)
    await world.later()
    assert post.sent == []
    (asked,) = await world.bodies("asked")
    await runtime.approve(asked.decision_id, by="ana", reason="fine")
    await world.later(MINUTE)
    assert post.sent == []
    assert [(body.about, body.failed) for body in await world.bodies("notified")] == [("asked", "busy")] * 2
    assert "ana is not told of" in caplog.text


async def test_a_question_answered_at_once_is_told_to_nobody(world: World, till: Till, post: Post) -> None:
    runtime = await world.open(refund(till))
    answer = await runtime.decide("shop.refund", Refund(order_id="o1", amount_eur=900.0))
    await runtime.approve(answer.record.decision_id, by="ana", reason="fine")
    await world.later()
    assert post.sent == []
    assert await world.bodies("notified") == []


async def test_a_busy_server_is_tried_again_and_a_dead_one_is_written_down(
    world: World, till: Till, post: Post
) -> None:
    await world.open(refund(till, gate=None, action=None, economics=None))
    runtime = await world.restart(refund(till))
    post.fails = [
        EngineError("busy", retryable=True),
        EngineError("no such person"),
        EngineError("busy", retryable=True),
    ]
    await ask(runtime)
    await world.later()
    (failed,) = await world.bodies("notified")
    assert "no such person" in failed.failed
    await world.later(timedelta(seconds=16))
    assert len(post.sent) == 0
    await world.later(timedelta(seconds=31))
    assert len(post.sent) == 1
    assert sorted(bool(body.failed) for body in await world.bodies("notified")) == [False, True]


async def test_a_crash_forgets_nobody_and_tells_nobody_twice(world: World, till: Till, post: Post) -> None:
    runtime = await world.open(refund(till))
    post.fails = [EngineError("busy", retryable=True)]
    await ask(runtime)
    await world.later()
    assert len(post.sent) == 1
    await world.crash()
    await world.later()
    assert post.told("asked") == ["ana@example.org", "bo@example.org"]
    await world.crash()
    await world.later(MINUTE)
    assert len(post.sent) == 2


async def test_a_dead_letter_is_told_to_the_owner(world: World, till: Till, post: Post) -> None:
    runtime = await world.open(refund(till))
    till.fails = [RuntimeError("no paper")] * 3
    await runtime.decide("shop.refund", Refund(order_id="o1", amount_eur=20.0))
    for _ in range(3):
        await world.later(MINUTE)
    assert post.told("failed") == ["dee@example.org"]
    assert "no paper" in "\n".join(post.sent[-1][1].lines)


async def test_a_notice_does_not_hide_that_an_action_may_have_taken_effect(
    world: World, till: Till, post: Post
) -> None:
    runtime = await world.open(refund(till, action=Action(do=till.pay, attempts=1)))
    till.fails = [TimeoutError()]
    await runtime.decide("shop.refund", Refund(order_id="o1", amount_eur=20.0))
    for _ in range(3):
        await world.later(MINUTE)
    assert post.told("failed") == ["dee@example.org"]
    assert "may have taken effect" in post.sent[-1][1].lines[0]


async def test_without_an_address_book_nobody_is_told(world: World, till: Till) -> None:
    await ask(await world.open(refund(till)))
    await world.later()
    assert await world.bodies("notified") == []
