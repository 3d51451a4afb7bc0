"""Where commands that write go: to the API, of the running server or of a runtime of their own.

Both ways ask the same doors, so a command may exactly what its route allows to whoever shows the key.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.access.tokens import Secret
from steward.cli.credentials import key_of
from steward.cli.running import ServerFacts, call, running
from steward.errors import Conflict, ContractError, Denied, EngineError, NotFound, StewardError
from steward.runtime.settings import Settings


def open_desk(settings: Settings) -> Desk:
    """Return the desk that this project's writes go to."""
    facts, key = running(settings), key_of(settings)
    return LocalDesk(settings, key) if facts is None else ServerDesk(facts, key)


class Desk:
    """Takes what people and programs write; every method answers with the JSON of the HTTP API.

    Args:
        key: What is shown to say who asks; ``None`` where no identities are known.
    """

    def __init__(self, key: Secret | None = None) -> None:
        self._key = key

    @property
    def shows_a_key(self) -> bool:
        """Whether it says who asks; nobody else can be named then."""
        return self._key is not None

    def send(self, method: str, target: str, body: Any = None, *, key: str = "") -> bytes:
        """Send one request to the API.

        Args:
            method: The HTTP method.
            target: The path with its query, percent-encoded.
            body: JSON as bytes, or what is encoded as such.
            key: An idempotency key.

        Raises:
            StewardError: What the API answered, if it is a problem.
        """
        headers = {"idempotency-key": f'"{key}"'} if key else {}
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.reveal()}"
        content = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        status, answer = self._send(method, target, content, headers)
        if status >= 400:
            raise _problem(status, answer)
        return answer

    def _send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        raise NotImplementedError

    def decide(self, name: str, event: bytes, *, key: str | None) -> bytes:
        """Decide one event."""
        return self.send("POST", f"/v1/decisions/{quote(name, safe='')}", event, key=key or "")

    def answer(self, verb: str, decision_id: UUID, **words: Any) -> bytes:
        """Answer for a person; ``verb`` is the route's, and what is ``None`` is left out."""
        said = {name: word for name, word in words.items() if word is not None}
        return self.send("POST", f"/v1/approvals/{decision_id}/{verb}", said)

    def observe(self, name: str, outcome: bytes, *, outcome_id: str, decision_id: UUID | None) -> bytes:
        """Take an outcome."""
        try:
            # Raw keeps the sender's own bytes, so they must be one JSON value and nothing more.
            msgspec.json.decode(outcome)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ContractError("the outcome is not JSON", why=str(error)) from error
        body: dict[str, Any] = {"decision": name, "outcome_id": outcome_id, "outcome": msgspec.Raw(outcome)}
        if decision_id is not None:
            body["decision_id"] = decision_id
        return self.send("POST", "/v1/outcomes", body)


class ServerDesk(Desk):
    """Sends everything to the running server.

    Args:
        facts: Where it listens.
        key: What is shown to it.

    Example:
        >>> ServerDesk(ServerFacts(host="127.0.0.1", port=1, pid=1)).decide("pay.release", b"{}", key=None)
        Traceback (most recent call last):
            ...
        steward.errors.EngineError: the server at http://127.0.0.1:1 does not answer...
    """

    def __init__(self, facts: ServerFacts, key: Secret | None = None) -> None:
        super().__init__(key)
        self._facts = facts

    def _send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        return call(self._facts, method, target, body, headers=headers)


class LocalDesk(Desk):
    """Opens the project's own runtime for one request; whatever is due is done before it closes.

    Args:
        settings: The project's settings.
        key: What is shown to it.

    Example:
        >>> LocalDesk(Settings()).decide("pay.release", b"{}", key=None)
        Traceback (most recent call last):
            ...
        steward.errors.DeclarationError: no decisions are named...
    """

    def __init__(self, settings: Settings, key: Secret | None = None) -> None:
        super().__init__(key)
        self._settings = settings

    def answer(self, verb: str, decision_id: UUID, **words: Any) -> bytes:
        """Answer, and return the decision as it stands once what is due is done."""
        super().answer(verb, decision_id, **words)
        return self.send("GET", f"/v1/decisions/{decision_id}")

    def _send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        from steward.api.app import create_app  # noqa: PLC0415 - not needed beside a server
        from steward.api.inprocess import ask  # noqa: PLC0415
        from steward.runtime.project import load_decisions  # noqa: PLC0415
        from steward.runtime.runtime import Runtime  # noqa: PLC0415

        async def main() -> tuple[int, bytes]:
            async with await Runtime.open(load_decisions(self._settings), settings=self._settings) as runtime:
                # Whoever can open the ledger's file is at this machine, wherever its server listens.
                answered = await ask(create_app(runtime, "127.0.0.1"), method, target, body, headers)
                await runtime.advance()
                await runtime.guard.sweep()
                return answered

        return asyncio.run(main())


class _Problem(Struct, frozen=True, kw_only=True):
    detail: str
    code: str
    next: str = ""
    field: str | None = None


_KINDS: dict[int, type[StewardError]] = {401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 429: Denied}


def _problem(status: int, answer: bytes) -> StewardError:
    try:
        told = msgspec.json.decode(answer, type=_Problem)
    except msgspec.DecodeError:
        return EngineError(f"the server answered {status}", why=answer[:200].decode(errors="replace"))
    kind = _KINDS.get(status, ContractError if status < 500 else EngineError)
    fix = "set STEWARD_KEY to your key" if status == 401 else told.next
    return kind(told.detail, fix=fix, code=told.code, field=told.field)
