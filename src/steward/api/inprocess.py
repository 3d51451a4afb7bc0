"""Requests without a network: to the application of a runtime in this very process."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from steward.api.entrance import PEER, Peer
from steward.api.exchange import App, Message

_THIS_MACHINE = Peer("127.0.0.1")


async def ask(
    app: App, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Send one request; return the status and body of its answer.

    Args:
        app: Who answers: what :func:`steward.api.app.create_app` made.
        method: The HTTP method.
        target: The path, percent-encoded as in a URL, with its query.
        body: JSON.
        headers: More headers.
    """
    path, _, query = target.partition("?")
    sent = {
        "host": "localhost",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **(headers or {}),
    }
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
        PEER: _THIS_MACHINE,
    }
    status, answer = 0, bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        answer.extend(message.get("body", b""))

    await app(scope, receive, send)
    return status, bytes(answer)
