"""The promises of :mod:`steward.serving.port`, as tests that each serving engine inherits.

Example of a suite for one's own engine::

    class TestMyEngine(ServingConformance):
        async def open(self) -> Served:
            return MyEngine("http://127.0.0.1:9000")

        @asynccontextmanager
        async def hanging(self, engine): ...   # inside it the other side takes questions and does not answer

        @asynccontextmanager
        async def failing(self, engine): ...   # inside it the other side is broken
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import pytest

from steward.errors import EngineError
from steward.serving.port import DEADLINE, Answered, Served

SOON_S = 0.05
"""A deadline that passes while a test waits."""
AT_LAST_S = 30.0
"""A deadline that is never met by anything that works."""


class ServingConformance:
    """One test for each promise of an engine; its suite inherits it and gives the hooks.

    Attributes:
        width: How many inputs the model of the suite has.

    Example:
        >>> len([name for name in vars(ServingConformance) if name.startswith("test_")])
        10
    """

    width: ClassVar[int] = 3

    async def open(self) -> Served[Any]:
        """Open the engine under test, anew at each call, on the same model."""
        raise NotImplementedError

    def hanging(self, engine: Served[Any]) -> AbstractAsyncContextManager[None]:
        """Inside, the other side takes what is asked and does not answer; afterwards it does, after any delay."""
        raise NotImplementedError

    def failing(self, engine: Served[Any]) -> AbstractAsyncContextManager[None]:
        """Inside, the other side fails, or is gone; afterwards it is well."""
        raise NotImplementedError

    def questions(self, count: int) -> list[Any]:
        """Return ``count`` different questions."""
        return [[float(n), n / 7, -1.5 * n][: self.width] + [0.25] * (self.width - 3) for n in range(count)]

    def wrong(self) -> Any:
        """Return a question that cannot be answered."""
        return [1.0] * (self.width + 1)

    async def ask(self, engine: Served[Any], questions: Sequence[Any]) -> list[object]:
        """Return the values of the answers; raise what stopped one of them."""
        values = []
        for answer in await engine.answer(questions, within_s=AT_LAST_S):
            if isinstance(answer, EngineError):
                raise answer
            assert isinstance(answer, Answered)
            assert answer.facts.endpoint == engine.name
            values.append(answer.value)
        return values

    async def test_same_bytes_same_answer(self) -> None:
        """The same question is answered the same, also by an engine that was opened anew."""
        answers = []
        for _ in range(2):
            engine = await self.open()
            try:
                answers += [await self.ask(engine, self.questions(3)) for _ in range(2)]
            finally:
                await engine.close()
        assert answers[1:] == answers[:-1]

    @pytest.mark.parametrize("count", [1, 2, 7, 33])
    async def test_batch_equals_rows(self, count: int) -> None:
        """A batch is answered with what each of its questions is answered with alone, in their order."""
        engine = await self.open()
        try:
            questions = self.questions(count)
            alone = [(await self.ask(engine, [question]))[0] for question in questions]
            assert await self.ask(engine, questions) == alone
        finally:
            await engine.close()

    async def test_nothing_asked_nothing_answered(self) -> None:
        """An empty batch is answered with nothing, and reaches nobody."""
        engine = await self.open()
        try:
            async with self.failing(engine):
                assert list(await engine.answer([], within_s=SOON_S)) == []
        finally:
            await engine.close()

    async def test_deadline_is_kept(self) -> None:
        """Within ``within_s`` there are answers, or an ``EngineError`` with the code ``deadline``."""
        engine = await self.open()
        try:
            async with asyncio.timeout(AT_LAST_S), self.hanging(engine):
                with pytest.raises(EngineError) as raised:
                    _raise(await engine.answer(self.questions(2), within_s=SOON_S))
            assert raised.value.code == DEADLINE
            assert raised.value.retryable
            assert await self.ask(engine, self.questions(1))
        finally:
            await engine.close()

    async def test_wrong_question_is_refused(self) -> None:
        """What cannot be answered at all is an ``EngineError`` that is not retryable."""
        engine = await self.open()
        try:
            with pytest.raises(EngineError) as raised:
                _raise(await engine.answer([self.wrong()], within_s=AT_LAST_S))
            assert not raised.value.retryable
            assert await self.ask(engine, self.questions(1))
        finally:
            await engine.close()

    async def test_failure_is_typed(self) -> None:
        """Whatever happens to the other side is an ``EngineError``."""
        engine = await self.open()
        try:
            async with self.failing(engine):
                with pytest.raises(EngineError) as raised:
                    _raise(await engine.answer(self.questions(2), within_s=AT_LAST_S))
            assert raised.value.code
        finally:
            await engine.close()

    async def test_failed_engine_answers_again(self) -> None:
        """Once the other side is well again, so is the engine, without being opened anew."""
        engine = await self.open()
        try:
            before = await self.ask(engine, self.questions(2))
            async with self.failing(engine):
                with pytest.raises(EngineError):
                    _raise(await engine.answer(self.questions(2), within_s=AT_LAST_S))
            assert await self.ask(engine, self.questions(2)) == before
        finally:
            await engine.close()

    async def test_cancelled_question_leaves_nothing(self) -> None:
        """Who goes away while being answered holds no place, and the next is answered."""
        engine = await self.open()
        try:
            before = await self.ask(engine, self.questions(1))
            async with self.hanging(engine):
                asked = [asyncio.ensure_future(engine.answer(self.questions(1), within_s=AT_LAST_S)) for _ in range(5)]
                await asyncio.sleep(SOON_S)
                for each in asked:
                    each.cancel()
                for each in asked:
                    with pytest.raises(asyncio.CancelledError):
                        await each
            assert await self.ask(engine, self.questions(1)) == before
            async with asyncio.timeout(AT_LAST_S):
                while engine.load:  # noqa: ASYNC110 - the port has no event for it
                    await asyncio.sleep(0.001)
        finally:
            await engine.close()

    async def test_concurrent_questions_are_told_apart(self) -> None:
        """Each of many who ask at once gets the answer to their own question."""
        engine = await self.open()
        try:
            questions = self.questions(20)
            alone = [await self.ask(engine, [question]) for question in questions]
            assert await asyncio.gather(*(self.ask(engine, [question]) for question in questions)) == alone
        finally:
            await engine.close()

    async def test_closed_engine_refuses(self) -> None:
        """After ``close`` every question raises ``EngineError``; closing twice is fine."""
        engine = await self.open()
        await engine.close()
        await engine.close()
        with pytest.raises(EngineError):
            await engine.answer(self.questions(1), within_s=AT_LAST_S)


def _raise(answers: Sequence[Answered | EngineError]) -> None:
    """Raise the first error among answers, as an engine may also put it in the place of one."""
    for answer in answers:
        if isinstance(answer, EngineError):
            raise answer
