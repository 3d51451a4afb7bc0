"""A real server in a thread of its own, and requests that are made from its description."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from tests.api.conftest import NOON, greeting, refund
from tests.api.people import People

from steward.api.server import Server
from steward.clock import VirtualClock
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


class Live:
    """A server in a thread of its own, for clients that block."""

    def __init__(self, populate: Callable[[Runtime], Awaitable[People]] | None = None) -> None:
        self._populate = populate
        self._people: People | None = None
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(20)

    async def _serve(self) -> None:
        chosen = Settings(ledger="memory://", max_body_bytes=64 * 1024, max_batch=20)
        clock = VirtualClock(NOON, seed=7)
        async with await Runtime.open([refund, greeting], settings=chosen, clock=clock) as runtime:
            if self._populate is not None:
                self._people = await self._populate(runtime)
            server = await Server.start(runtime, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.port}"
            self._ready.set()
            await self._stop.wait()
            await server.stop()

    def headers(self, name: str) -> dict[str, str]:
        """Return what shows who somebody is."""
        assert self._people is not None
        return self._people.headers(name)

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()


def operations_of(live: Live, name: str | None = None) -> list[Any]:
    """Return all operations of the description as it is told to somebody."""
    headers = {} if name is None else live.headers(name)
    schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json", headers=headers)
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def fuzz(operation: Any, *, examples: int, headers: Mapping[str, str] | None = None) -> None:
    """Send requests made from a description; each answer must be as described, and no server error."""
    checks = schemathesis.checks.CHECKS
    # What a role may not do is refused whatever is sent, so that is no sign of wrong data.
    excluded = [checks.get_one("positive_data_acceptance"), checks.get_one("ignored_auth")]
    if headers is not None:
        excluded.append(checks.get_one("negative_data_rejection"))

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def answers_as_described(case: Any) -> None:
        case.call_and_validate(excluded_checks=excluded, headers=dict(headers or {}))

    answers_as_described()
