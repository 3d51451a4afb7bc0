"""Where commands that write go: to the running server, which owns the ledger, or to a runtime of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.cli.running import ServerFacts, call, running
from steward.errors import Conflict, ContractError, Denied, EngineError, NotFound, StewardError
from steward.runtime.settings import Settings

if TYPE_CHECKING:
    from steward.runtime.runtime import Runtime


class Desk(Protocol):
    """Takes what people and programs write; every method answers with the JSON of the HTTP API."""

    def decide(self, name: str, event: bytes, *, key: str | None) -> bytes:
        """Decide one event."""
        ...

    def answer(self, verb: str, decision_id: UUID, *, by: str, reason: str, evidence: str | None) -> bytes:
        """Approve or reject; ``verb`` says which."""
        ...

    def observe(self, name: str, outcome: bytes, *, outcome_id: str, decision_id: UUID | None) -> bytes:
        """Take an outcome."""
        ...


def open_desk(settings: Settings) -> Desk:
    """Return the desk that this project's writes go to."""
    facts = running(settings)
    return LocalDesk(settings) if facts is None else ServerDesk(facts)


class ServerDesk:
    """Sends everything to the running server.

    Args:
        facts: Where it listens.

    Example:
        >>> ServerDesk(ServerFacts(host="127.0.0.1", port=1, pid=1)).decide("pay.release", b"{}", key=None)
        Traceback (most recent call last):
            ...
        steward.errors.EngineError: the server at http://127.0.0.1:1 does not answer...
    """

    def __init__(self, facts: ServerFacts) -> None:
        self._facts = facts

    def decide(self, name: str, event: bytes, *, key: str | None) -> bytes:
        """Decide one event."""
        return self._post(f"/v1/decisions/{quote(name, safe='')}", event, key=key or "")

    def answer(self, verb: str, decision_id: UUID, *, by: str, reason: str, evidence: str | None) -> bytes:
        """Approve or reject."""
        body = {"by": by, "reason": reason, **({} if evidence is None else {"evidence": evidence})}
        return self._post(f"/v1/approvals/{decision_id}/{verb}", msgspec.json.encode(body))

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
        return self._post("/v1/outcomes", msgspec.json.encode(body))

    def _post(self, path: str, body: bytes, *, key: str = "") -> bytes:
        status, answer = call(self._facts, "POST", path, body, key=key)
        if status >= 400:
            raise _problem(status, answer)
        return answer


class LocalDesk:
    """Opens the project's own runtime for one call; whatever is due is done before it closes.

    Args:
        settings: The project's settings.

    Example:
        >>> LocalDesk(Settings()).decide("pay.release", b"{}", key=None)
        Traceback (most recent call last):
            ...
        steward.errors.DeclarationError: no decisions are named...
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def decide(self, name: str, event: bytes, *, key: str | None) -> bytes:
        """Decide one event."""

        async def work(runtime: Runtime) -> bytes:
            answer = await runtime.decide(name, event, key=key)
            await runtime.advance()
            return answer.json()

        return self._with(work)

    def answer(self, verb: str, decision_id: UUID, *, by: str, reason: str, evidence: str | None) -> bytes:
        """Approve or reject."""
        from steward.api.answers import run_document  # noqa: PLC0415 - the API's own document, needed here only

        async def work(runtime: Runtime) -> bytes:
            verdict = runtime.approve if verb == "approve" else runtime.reject
            await verdict(decision_id, by=by, reason=reason, evidence=evidence)
            await runtime.advance()
            return run_document(await runtime.run(decision_id))

        return self._with(work)

    def observe(self, name: str, outcome: bytes, *, outcome_id: str, decision_id: UUID | None) -> bytes:
        """Take an outcome."""

        async def work(runtime: Runtime) -> bytes:
            joined = await runtime.observe(name, outcome, outcome_id=outcome_id, decision_id=decision_id)
            await runtime.advance()
            return msgspec.json.encode({"joined": joined})

        return self._with(work)

    def _with(self, work: Callable[[Runtime], Awaitable[bytes]]) -> bytes:
        from steward.runtime.project import load_decisions  # noqa: PLC0415 - not needed beside a server
        from steward.runtime.runtime import Runtime  # noqa: PLC0415

        async def main() -> bytes:
            async with await Runtime.open(load_decisions(self._settings), settings=self._settings) as runtime:
                return await work(runtime)

        return asyncio.run(main())


class _Problem(Struct, frozen=True, kw_only=True):
    detail: str
    code: str
    next: str = ""
    field: str | None = None


def _problem(status: int, answer: bytes) -> StewardError:
    try:
        told = msgspec.json.decode(answer, type=_Problem)
    except msgspec.DecodeError:
        return EngineError(f"the server answered {status}", why=answer[:200].decode(errors="replace"))
    kind = {403: Denied, 404: NotFound, 409: Conflict}.get(status, ContractError if status < 500 else EngineError)
    return kind(told.detail, fix=told.next, code=told.code, field=told.field)
