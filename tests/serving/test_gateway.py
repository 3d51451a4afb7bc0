"""The gateway: the order, why it was left, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from steward.clock import VirtualClock
from steward.downstream.breaker import Breaker
from steward.downstream.bulkhead import Bulkhead
from steward.errors import EngineError, HeldBack
from steward.records import ServingFacts
from steward.serving.budget import DayBudget, micro_of, money
from steward.serving.gateway import Gateway, Hop
from steward.serving.port import Answered, Charged

CLOCK = VirtualClock(datetime(2026, 1, 1, 12, tzinfo=UTC))


class Engine:
    """Answers with its name, or as it is told."""

    def __init__(self, name: str, *, confidence: float | None = None, cost: int | None = None) -> None:
        self.name, self.confidence = name, confidence
        self.cost = None if cost is None else money(cost, "EUR")
        self.load = 0.0
        self.error: EngineError | None = None
        self.fails_alone: set[object] = set()
        self.asked: list[list[object]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.is_closed = False

    async def answer(self, questions: Sequence[Any], *, within_s: float) -> Sequence[Answered | EngineError]:
        self.asked.append(list(questions))
        try:
            async with asyncio.timeout(within_s):
                await self.go.wait()
        except TimeoutError:
            raise EngineError("too late", retryable=True, code="deadline") from None
        if self.error is not None:
            raise self.error
        facts = ServingFacts(endpoint=self.name)
        return [
            EngineError("no", code="alone")
            if question in self.fails_alone
            else Answered([self.name, question], facts, self.confidence, self.cost)
            for question in questions
        ]

    async def close(self) -> None:
        self.is_closed = True


def told(answers: Sequence[Answered | EngineError]) -> list[tuple[object, object]]:
    return [
        (each.code, "") if isinstance(each, EngineError) else (each.facts.endpoint, each.facts.reason or "")
        for each in answers
    ]


async def ask(gateway: Gateway, *questions: object, within_s: float = 5) -> list[tuple[object, object]]:
    return told(await gateway.answer(questions or ("q",), within_s=within_s))


async def test_the_first_answers_and_gives_no_reason() -> None:
    first, second = Engine("first"), Engine("second")
    assert await ask(Gateway("m", [Hop(first), Hop(second)])) == [("first", "")]
    assert second.asked == []


async def test_the_next_answers_where_the_first_fails() -> None:
    first, second = Engine("first"), Engine("second")
    first.error = EngineError("it is ill", retryable=True)
    assert await ask(Gateway("m", [Hop(first), Hop(second)])) == [("second", "first: it is ill")]


async def test_only_what_failed_is_asked_again() -> None:
    first, second = Engine("first"), Engine("second")
    first.fails_alone = {"b"}
    gateway = Gateway("m", [Hop(first), Hop(second)])
    assert await ask(gateway, "a", "b", "c") == [("first", ""), ("second", "first: no"), ("first", "")]
    assert second.asked == [["b"]]


async def test_nobody_answers() -> None:
    first, second = Engine("first"), Engine("second")
    first.error, second.error = EngineError("ill", retryable=True), EngineError("gone", code="gone")
    with pytest.raises(EngineError, match=r"no engine has answered.*first: ill; second: gone") as raised:
        await ask(Gateway("m", [Hop(first), Hop(second)]))
    assert (raised.value.code, raised.value.retryable) == ("gone", False)


async def test_who_is_not_sure_is_asked_again_of_the_next() -> None:
    first, second = Engine("first", confidence=0.62), Engine("second", confidence=0.5)
    gateway = Gateway("m", [Hop(first), Hop(second)], escalate_below=0.8)
    assert await ask(gateway) == [("second", "first was 0.62 sure, below 0.8")]
    first.confidence = 0.8
    assert await ask(gateway) == [("first", "")]


async def test_an_unsure_answer_is_better_than_none() -> None:
    first, second = Engine("first", confidence=0.62), Engine("second")
    second.error = EngineError("ill", retryable=True)
    gateway = Gateway("m", [Hop(first), Hop(second)], escalate_below=0.8)
    assert await ask(gateway) == [("first", "first was 0.62 sure, below 0.8; second: ill")]


async def test_a_full_engine_spills_to_the_next() -> None:
    first, second = Engine("first"), Engine("second")
    first.load = 0.9
    gateway = Gateway("m", [Hop(first), Hop(second)], spill_above=0.9)
    assert await ask(gateway) == [("second", "first has 90% of its places taken")]
    second.load = 5.0
    assert (await ask(gateway))[0][0] == "second", "the last one always takes it"


async def test_an_ill_engine_is_spared() -> None:
    first, second = Engine("first"), Engine("second")
    first.error = EngineError("ill", retryable=True)
    breaker = Breaker(failures=2, open_for=timedelta(seconds=5), now=CLOCK.now)
    gateway = Gateway("m", [Hop(first, breaker), Hop(second)])
    for _ in range(3):
        await ask(gateway)
    assert len(first.asked) == 2
    assert await ask(gateway) == [("second", "first: it is spared until 12:00:05 UTC")]
    CLOCK.advance(timedelta(seconds=5))
    first.error = None
    assert await ask(gateway) == [("first", "")]


async def test_each_engine_has_its_time_and_its_places() -> None:
    first, second = Engine("first"), Engine("second")
    first.go.clear()
    bulkhead = Bulkhead(at_once=1, waiting=0)
    gateway = Gateway("m", [Hop(first, bulkhead=bulkhead), Hop(second)], each_s=0.02)
    answers = await asyncio.gather(ask(gateway), ask(gateway))
    assert list(answers) == [[("second", "first: too late")], [("second", "first: the queue is full")]]
    assert bulkhead.under_way == 0


async def test_all_of_it_keeps_the_deadline() -> None:
    first, second = Engine("first"), Engine("second")
    first.go.clear()
    second.go.clear()
    with pytest.raises(EngineError) as raised:
        await ask(Gateway("m", [Hop(first), Hop(second)]), within_s=0.02)
    assert raised.value.code == "deadline"


async def test_what_was_denied_is_said() -> None:
    gateway = Gateway("m", [Hop(Engine("ours"))], denied=("theirs: it is managed, and the decision is private",))
    assert await ask(gateway) == [("ours", "theirs: it is managed, and the decision is private")]


async def test_closing_closes_all() -> None:
    engines = [Engine("first"), Engine("second")]
    gateway = Gateway("m", [Hop(each) for each in engines])
    await gateway.close()
    assert all(each.is_closed for each in engines)
    with pytest.raises(EngineError):
        await ask(gateway)


class Books:
    """Durable totals."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.history: list[int] = []

    async def keep(self, some: Mapping[str, int]) -> None:
        self.totals.update(some)
        self.history += some.values()

    async def kept(self, name: str) -> int:
        return self.totals.get(name, 0)

    def budget(self, limit: int, clock: VirtualClock = CLOCK) -> DayBudget:
        return DayBudget("spent/pay/m", limit, clock.now, self.keep, self.kept)


def paid(books: Books, engine: Engine, limit: int, *more: Hop) -> Gateway:
    return Gateway("m", [Hop(engine, worst=lambda asked: 100 * len(asked)), *more], purse=books.budget(limit))


async def test_a_call_is_reserved_before_and_settled_after() -> None:
    books, llm = Books(), Engine("llm", cost=30)
    await ask(paid(books, llm, 1000), "a", "b")
    assert books.history == [200, 60]


async def test_what_a_call_might_cost_must_be_left() -> None:
    books, llm, own = Books(), Engine("llm", cost=30), Engine("own")
    gateway = paid(books, llm, 150, Hop(own))
    answers = [(await ask(gateway))[0] for _ in range(3)]
    assert [name for name, _ in answers] == ["llm", "llm", "own"]
    assert "the budget of pay/m is spent" in str(answers[2][1])
    with pytest.raises(HeldBack) as raised:
        await ask(paid(books, llm, 150))
    assert raised.value.code == "budget-spent"


@pytest.mark.parametrize(
    ("error", "spent"),
    [
        (EngineError("late", retryable=True, code="deadline"), 100),
        (EngineError("cut", retryable=True, code="cut-off"), 100),
        (EngineError("no", code="refused-400"), 0),
        (EngineError("away", retryable=True, code="unreachable"), 0),
        (Charged("misfit", cost=money(27, "EUR"), code="chat-misfit"), 27),
        (ZeroDivisionError(), 100),
    ],
)
async def test_what_may_have_been_charged_counts(error: Any, spent: int) -> None:
    books, llm = Books(), Engine("llm")
    llm.error = error
    with pytest.raises(type(error)):
        await ask(paid(books, llm, 1000))
    assert books.totals == {"spent/pay/m/2026-01-01": spent}


async def test_who_goes_away_has_paid() -> None:
    books, llm = Books(), Engine("llm")
    llm.go.clear()
    asked = asyncio.ensure_future(ask(paid(books, llm, 1000)))
    await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert books.totals == {"spent/pay/m/2026-01-01": 100}


async def test_a_restart_forgets_nothing_and_a_day_ends() -> None:
    books, clock = Books(), VirtualClock(datetime(2026, 1, 1, 23, 59, tzinfo=UTC))
    day = await books.budget(100, clock).reserve(60)
    again = books.budget(100, clock)
    with pytest.raises(HeldBack):
        await again.reserve(60)
    clock.advance(timedelta(minutes=2))
    assert await again.reserve(60) == "2026-01-02"
    await again.settle(day, 60, 10)
    assert books.totals == {"spent/pay/m/2026-01-01": 10, "spent/pay/m/2026-01-02": 60}


async def test_many_at_once_never_spend_more_than_the_budget() -> None:
    books, llm = Books(), Engine("llm", cost=100)
    gateway = paid(books, llm, 1000)
    answers = await asyncio.gather(*(ask(gateway) for _ in range(30)), return_exceptions=True)
    assert sum(isinstance(each, HeldBack) for each in answers) == 20
    assert books.totals == {"spent/pay/m/2026-01-01": 1000}


async def test_the_cost_of_an_answer_that_was_not_used_is_in_the_cost() -> None:
    first, second = Engine("first", confidence=0.5, cost=30), Engine("second", cost=200)
    gateway = Gateway("m", [Hop(first), Hop(second)], escalate_below=0.8)
    [answer] = await gateway.answer(["q"], within_s=5)
    assert isinstance(answer, Answered)
    assert answer.cost is not None
    assert micro_of(answer.cost) == 230
    first.error = Charged("misfit", cost=money(27, "EUR"), code="chat-misfit")
    [answer] = await gateway.answer(["q"], within_s=5)
    assert isinstance(answer, Answered)
    assert answer.cost is not None
    assert micro_of(answer.cost) == 227
