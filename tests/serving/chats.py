"""The chat of the tests: is a text spam?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from steward import wire
from steward.serving.prompt import MESSAGES, PARAMETERS, SCHEMA, Chat, Message, Parameters, schema_of


class Verdict(Struct, frozen=True, forbid_unknown_fields=True):
    label: Literal["spam", "ham"]
    urgent: bool


class Sure(Struct, frozen=True, forbid_unknown_fields=True):
    label: Literal["spam", "ham"]
    confidence: Annotated[float, Meta(ge=0, le=1)]


PROMPT = (Message("system", "Answer in JSON: {{...}}"), Message("user", "Is {text} by sender {sender} spam?"))


def files(returns: type[Any] = Verdict, **parameters: Any) -> dict[str, bytes]:
    return {
        MESSAGES: wire.encode(PROMPT),
        SCHEMA: wire.encode(schema_of(returns)),
        PARAMETERS: wire.encode(Parameters(max_tokens=200, **parameters)),
    }


def chat(returns: type[Any] = Verdict, **parameters: Any) -> Chat:
    return Chat.of(files(returns, **parameters))


def texts(count: int) -> list[dict[str, Any]]:
    return [{"text": f"message {number}", "sender": number} for number in range(count)]
