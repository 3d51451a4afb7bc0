"""A chat as a registered artefact: messages with places for values, the schema of the answer, and parameters.

The places are ``{name}``, braces are doubled where they are meant: ``{{``. A value goes in as JSON, so that no text of
a sender ends the place that it was given: what is said in quotation marks stays said by somebody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from steward import wire
from steward.clock import Clock
from steward.decision.contract import Contract
from steward.decision.fingerprint import digest
from steward.errors import ContractError, DeclarationError, EngineError, IntegrityError
from steward.models.checked import Checked
from steward.models.manifest import Manifest
from steward.models.registry import FolderRegistry, Registered
from steward.records import FeatureValue

T = TypeVar("T")
KIND: Final = "chat"
MESSAGES, SCHEMA, PARAMETERS = "messages.json", "schema.json", "parameters.json"
MAX_PROMPT_BYTES: Final = 512 * 1024
_PLACE = re.compile(r"\{\{|\}\}|\{([a-z_][a-z0-9_]*)\}|[{}]")


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """A message of the prompt.

    Example:
        >>> Message("user", "Ticket: {subject}").role
        'user'
    """

    role: Literal["system", "user", "assistant"]
    content: str


class Parameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the answer is drawn.

    Attributes:
        max_tokens: The longest answer.
        temperature: How much chance there is; 0 is none.
        top_p: The share of the likeliest tokens that is drawn from.
        seed: Makes chance repeatable, where the server can.

    Example:
        >>> Parameters(max_tokens=200).temperature
        0.0
    """

    max_tokens: Annotated[int, Meta(ge=1, le=100_000)]
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seed: int = 1


class Chat(Struct, frozen=True):
    """What the files of the artefact say.

    Attributes:
        messages: The prompt.
        schema: The JSON Schema of the answer.
        parameters: How it is drawn.

    Example:
        >>> chat = Chat((Message("user", "Is {text} spam?"),), {"type": "object"}, Parameters(max_tokens=8))
        >>> chat.filled({"text": "you won"})[0]
        Message(role='user', content='Is "you won" spam?')
        >>> chat.inputs
        ('text',)
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any]
    parameters: Parameters

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> Chat:
        """Read an artefact's files strictly.

        Raises:
            IntegrityError: They are no chat.
        """
        try:
            messages = msgspec.json.decode(files[MESSAGES], type=tuple[Message, ...])
            schema = msgspec.json.decode(files[SCHEMA], type=dict[str, Any])
            parameters = msgspec.json.decode(files[PARAMETERS], type=Parameters)
            if not messages or set(files) != {MESSAGES, SCHEMA, PARAMETERS}:
                raise ValueError(f"a chat has messages, and is made of {MESSAGES}, {SCHEMA} and {PARAMETERS}")
            for message in messages:
                _places(message.content)
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            raise IntegrityError("these files are no chat", why=str(error), fix="register it again") from error
        return cls(messages, schema, parameters)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its places, in the order in which they come first."""
        return tuple(dict.fromkeys(name for message in self.messages for name in _places(message.content)))

    def filled(self, values: Mapping[str, FeatureValue]) -> list[Message]:
        """Return the messages with their values.

        Raises:
            EngineError: A value is missing, or all of them are too long.
        """
        if missing := [name for name in self.inputs if name not in values]:
            raise EngineError(f"the prompt has no value for {', '.join(missing)}", code="wrong-question")

        def put(match: re.Match[str]) -> str:
            return _text(values[match[1]]) if match[1] else match[0][0]

        messages = [Message(each.role, _PLACE.sub(put, each.content)) for each in self.messages]
        if sum(len(each.content.encode()) for each in messages) > MAX_PROMPT_BYTES:
            raise EngineError(f"a prompt has at most {MAX_PROMPT_BYTES} bytes", code="wrong-question")
        return messages


def _text(value: FeatureValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def _places(content: str) -> list[str]:
    names = []
    for match in _PLACE.finditer(content):
        if match[0] in ("{", "}"):
            raise ValueError(f"a single {match[0]} stands in a message: double it, or name a place as {{name}}")
        if match[1]:
            names.append(match[1])
    return names


def schema_of(returns: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema of an answer's type, as strict as servers want it: every object is closed.

    Raises:
        DeclarationError: It is no type that can be decoded strictly.
    """
    schema: dict[str, Any] = dict(Contract.of(returns).json_schema())
    if schema.get("type") != "object" and "$ref" not in schema:
        raise DeclarationError(f"{returns!r} is no object with fields", fix="declare a struct", field="predict.returns")
    return schema


def decode(content: str, returns: type[T]) -> T:
    """Decode an answer strictly into its declared type.

    Raises:
        ContractError: It does not fit. Of what was said only the place is told: the words may hold anything.
    """
    try:
        return Contract.of(returns).decode(content.encode())
    except (ContractError, UnicodeEncodeError) as error:
        where = error.field if isinstance(error, ContractError) else None
        raise ContractError("the answer does not fit its schema", field=where or "$") from None


def check_returns(chat: Chat, returns: type[Any], name: str) -> None:
    """Refuse a chat whose schema is not that of the type which is declared.

    Raises:
        DeclarationError: They differ.
    """
    if digest(schema_of(returns)) != digest(chat.schema):
        raise DeclarationError(
            f"the chat {name!r} is registered with another schema than that of {returns.__name__}",
            fix="register it again with this type, or declare the one it was made for",
            field="predict.returns",
        )


def register_chat(
    models: FolderRegistry,
    name: str,
    *,
    messages: Sequence[Message],
    returns: type[Any],
    parameters: Parameters,
    clock: Clock,
) -> Registered:
    """Register a chat: from here on it is an artefact like any model, signed and released.

    Args:
        models: The registry.
        name: The model's name.
        messages: The prompt.
        returns: The type of the answer, a struct.
        parameters: How it is drawn.
        clock: Tells when.

    Raises:
        DeclarationError: A place or the type does not fit.
    """
    files = {
        MESSAGES: wire.encode(tuple(messages)),
        SCHEMA: wire.encode(schema_of(returns)),
        PARAMETERS: wire.encode(parameters),
    }
    try:
        chat = Chat.of(files)
    except IntegrityError as error:
        raise DeclarationError(f"the chat {name!r} cannot be registered", why=error.why, field="messages") from error
    return models.register(
        name, kind=KIND, task="chat", files=files, inputs=chat.inputs, clock=clock, check=_prove
    )  # fmt: skip


def _prove(manifest: Manifest, checked: str, files: Mapping[str, bytes]) -> Checked | None:
    Chat.of(files)
    return None
