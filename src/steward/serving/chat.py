"""An engine: chats over the API that OpenAI's has become the pattern of (llama.cpp, vLLM, Ollama, most providers).

A small client of our own in the place of a library: it sends exactly what was registered, to addresses that were
checked, reads a bounded answer, decodes it strictly, and says in the record by its hash what was asked and said. The
words themselves are in no error, no log and no record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from steward.errors import ContractError, EngineError
from steward.records import FeatureValue, Money, ServingFacts
from steward.serving.budget import money
from steward.serving.caller import Caller
from steward.serving.endpoints import Endpoint
from steward.serving.port import Answered, Charged
from steward.serving.prompt import Chat, Message, decode

Values = Mapping[str, FeatureValue]
"""A question to a chat: the values of its places."""
_PER_MESSAGE_TOKENS: Final = 16
"""What a server's template adds to a message, at most."""


class _Format(Struct, frozen=True):
    json_schema: Mapping[str, Any]
    type: str = "json_schema"


class _Request(Struct, frozen=True, kw_only=True):
    model: str
    messages: Sequence[Message]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    response_format: _Format
    stream: bool = False


class _Said(Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct, frozen=True):
    message: _Said
    finish_reason: str | None = None


class _Usage(Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Response(Struct, frozen=True):
    choices: tuple[_Choice, ...]
    usage: _Usage | None = None


_decode_response: Final = msgspec.json.Decoder(_Response).decode


class ChatEngine:
    """A chat at one endpoint.

    Args:
        name: The endpoint's name.
        endpoint: What the file says of it.
        model: The registered name.
        chat: What was registered.
        returns: The type that answers are decoded to.
        caller: Calls the endpoint; nothing is sent before the first question.

    Raises:
        DeclarationError: The endpoint's address or token does not fit.
    """

    def __init__(
        self, name: str, endpoint: Endpoint, *, model: str, chat: Chat, returns: type[Any], caller: Caller | None = None
    ) -> None:
        self.name = name
        self._endpoint, self._chat, self._returns = endpoint, chat, returns
        self._caller = caller or Caller(name, endpoint)
        self._model = endpoint.model or model

    @property
    def load(self) -> float:
        """The share of the endpoint's places that is taken."""
        return self._caller.under_way / self._endpoint.at_once

    def worst_micro(self, questions: Sequence[Values]) -> int:
        """Return the most that the answers may cost, in millionths of the price's unit.

        A token has at least one byte, so a prompt has at most as many tokens as bytes.
        """
        price = self._endpoint.price
        if price is None:
            return 0
        total = 0
        for question in questions:
            messages = self._chat.filled(question)
            most_in = sum(len(each.content.encode()) + _PER_MESSAGE_TOKENS for each in messages)
            total += price.micro(most_in, self._chat.parameters.max_tokens)
        return total

    async def answer(self, questions: Sequence[Values], *, within_s: float) -> Sequence[Answered | EngineError]:
        """Answer each question by a call of its own; see :class:`steward.serving.port.Served`."""
        if not questions:
            return []
        tasks = [asyncio.ensure_future(self._one(question, within_s)) for question in questions]
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, EngineError):
                raise result
        told: list[Answered | EngineError] = [each for each in results if isinstance(each, Answered | EngineError)]
        if len(told) == 1 and isinstance(told[0], EngineError):
            raise told[0]
        return told

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    async def _one(self, question: Values, within_s: float) -> Answered:
        messages, parameters = self._chat.filled(question), self._chat.parameters
        schema = {"name": "answer", "strict": True, "schema": self._chat.schema}
        prompt = msgspec.json.encode(messages)
        body = msgspec.json.encode(
            _Request(
                model=self._model,
                messages=messages,
                max_tokens=parameters.max_tokens,
                temperature=parameters.temperature,
                top_p=parameters.top_p,
                seed=parameters.seed,
                response_format=_Format(schema),
            )
        )
        answer = await self._caller.call(
            "POST", "/chat/completions", body, [("content-type", "application/json")], within_s=within_s
        )
        return self._read(answer.body, _hash(prompt))

    def _read(self, body: bytes, prompt: str) -> Answered:
        try:
            response = _decode_response(body)
            choice = response.choices[0]
        except (msgspec.MsgspecError, IndexError):
            # Not its cause: that may repeat what was said.
            raise EngineError(
                f"what {self.name} answered cannot be read", why="it is no chat completion", retryable=True,
                code="answer-unreadable",
            ) from None  # fmt: skip
        usage, price = response.usage, self._endpoint.price
        cost = None
        if price is not None and usage is not None:
            cost = money(price.micro(usage.prompt_tokens, usage.completion_tokens), price.unit)
        said = choice.message.content or ""
        value = self._value(choice, said, cost)
        facts = ServingFacts(
            endpoint=self.name,
            region=self._endpoint.region or UNSET,
            prompt=prompt,
            answer=_hash(said.encode()),
            tokens_in=UNSET if usage is None else usage.prompt_tokens,
            tokens_out=UNSET if usage is None else usage.completion_tokens,
        )
        return Answered(value, facts, _confidence(value), cost)

    def _value(self, choice: _Choice, said: str, cost: Money | None) -> object:
        if choice.finish_reason == "length":
            raise Charged(
                f"{self.name} has answered half", why="max_tokens were reached", fix="allow more", cost=cost,
                code="chat-cut-short",
            )  # fmt: skip
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise Charged(f"{self.name} refuses to answer", fix="mend the prompt", cost=cost, code="chat-refused")
        try:
            return decode(said, self._returns)
        except ContractError as error:
            raise Charged(
                f"{self.name} has answered what does not fit the schema", why=f"at {error.field}",
                fix="mend the prompt, or ask a better model", cost=cost, code="chat-misfit",
            ) from None  # fmt: skip


def _confidence(value: object) -> float | None:
    """Return the field ``confidence`` of an answer, if it has one that can be a probability: what it says of itself."""
    told = getattr(value, "confidence", None)
    return float(told) if isinstance(told, float | int) and 0 <= told <= 1 else None


def _hash(content: bytes) -> str:
    return "sha256:" + sha256(content).hexdigest()
