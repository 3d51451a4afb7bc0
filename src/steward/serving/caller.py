"""Calls of an endpoint over HTTP: its token, its time, and what its refusals mean."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from steward.downstream.addresses import Allowed, Target
from steward.downstream.connections import Connections
from steward.downstream.transport import HttpAnswer, Resolve, Transport, resolve
from steward.errors import DeclarationError, EngineError, HeldBack
from steward.serving.endpoints import Endpoint
from steward.serving.port import closed, too_late

_MAY_PASS: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_MOST_TOKEN_BYTES: Final = 16 * 1024


class Caller:
    """Calls one endpoint; every failure is an ``EngineError`` that says whether it may pass.

    Args:
        name: The endpoint's name.
        endpoint: What the file says of it.
        resolve: Finds its host's addresses.

    Attributes:
        prefix: What stands before each path.
        under_way: How many calls are under way.
    """

    def __init__(self, name: str, endpoint: Endpoint, resolve: Resolve = resolve) -> None:
        target = Target.of(endpoint.address)
        allow = list(endpoint.allow)
        if target.address is not None:  # the operator has written the very address
            allow.append(str(ip_address(target.address)))
        transport = Transport(allowed=Allowed.of(allow), ports=[target.port], resolve=resolve)
        self._name, self._token = name, _token(name, endpoint.token_file)
        self._connections = Connections(transport, target, most_idle=endpoint.at_once)
        self.prefix = target.path.rstrip("/")
        self.under_way = 0
        self._is_closed = False

    async def call(
        self, method: str, path: str, body: bytes, headers: Sequence[tuple[str, str]] = (), *, within_s: float
    ) -> HttpAnswer:
        """Return the answer to a request that was accepted.

        Raises:
            EngineError: ``deadline``, ``refused-<status>``, or what :class:`Connections` raises.
        """
        if self._is_closed:
            raise closed(self._name)
        own = [("authorization", f"Bearer {self._token}")] if self._token else []
        self.under_way += 1
        try:
            answer = await self._connections.send(method, self.prefix + path, [*own, *headers], body, within_s=within_s)
        except TimeoutError:
            raise too_late(self._name, within_s) from None
        except DeclarationError as error:
            raise EngineError(
                f"{self._name} may not be called", why=str(error), fix="see allow in its entry", code=error.code
            ) from error
        finally:
            self.under_way -= 1
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        self._is_closed = True
        await self._connections.close()
        await asyncio.sleep(0)

    def _refused(self, answer: HttpAnswer) -> EngineError:
        """Return what a status means; not the body, which may repeat what was sent."""
        status = answer.status
        code = f"refused-{status}"
        if status == 429:
            error: EngineError = HeldBack(f"{self._name} has too much to do", why="it answered 429", code=code)
        else:
            error = EngineError(
                f"{self._name} refused the request",
                why=f"it answered {status}",
                fix="look into its log" if status >= 500 else "check the model's name, version and token",
                retryable=status in _MAY_PASS,
                code=code,
            )
        with suppress(ValueError):
            error.retry_after_s = (
                max(1, int(answer.headers["retry-after"])) if "retry-after" in answer.headers else None
            )
        return error


def _token(name: str, file: str) -> str:
    if not file:
        return ""
    try:
        content = Path(file).expanduser().read_bytes()
    except OSError as error:
        raise DeclarationError(
            f"the token of {name} cannot be read", why=str(error), fix="check token_file", field="serving"
        ) from error
    token = content.decode("ascii", "replace").strip()
    if not token or len(content) > _MOST_TOKEN_BYTES or not token.isprintable() or " " in token or not token.isascii():
        raise DeclarationError(f"the file of {name} holds no token", fix="one line of printable ASCII", field="serving")
    return token
