"""A real server in a thread of its own, for tests in a real browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Page
from tests.console.world import Company

from steward.api.server import Server
from steward.clock import SystemClock
from steward.console.console import Console

T = TypeVar("T")
_LONG_S = 30.0


class Office:
    """The company of :mod:`tests.console.world`, served on a port of its own, by the machine's clock.

    Attributes:
        company: To be touched through :meth:`run` only, as it lives in another thread.
        console: What is served there.
        url: Where the console is.
    """

    company: Company
    console: Console

    def __init__(self, root: Path, *, staffed: bool) -> None:
        self._root, self._staffed = root, staffed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="office", daemon=True)
        self._thread.start()
        self.url = self.run(self._open())

    async def _open(self) -> str:
        self.company = await Company.open(self._root, clock=SystemClock())
        if self._staffed:
            await self.company.enrol()
        self.company.runtime.start()
        self.console = Console(about="test data")
        self._server = await Server.start(self.company.runtime, "127.0.0.1", 0, rooms=[self.console])
        return f"http://localhost:{self._server.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_LONG_S)

    def sign_in(self, page: Page, name: str, then: str = "/") -> None:
        """Sign somebody in, as a person does."""
        page.goto(f"{self.url}/sign-in?next={then}")
        page.get_by_label("Key", exact=False).first.fill(self.company.secrets[name])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self.url}{then}")

    def close(self) -> None:
        """Stop the server and end the thread."""
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LONG_S)
        self._loop.close()

    async def _close(self) -> None:
        await self._server.stop()
        await self.company.runtime.close()
