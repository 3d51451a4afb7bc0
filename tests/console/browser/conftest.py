"""Tests in a real browser: Debian's Chromium, driven by Playwright. No page may log an error or ask anybody else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.console.browser.office import Office

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PICTURES = Path(__file__).parents[3] / "build" / "screenshots"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Open = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here: `make test-browser` runs it, as it takes as long as a quarter of all the rest."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a file; while Playwright runs, no asynchronous test can run in its process."""
    if not CHROMIUM.exists():
        missing = f"there is no {CHROMIUM}: apt-get install chromium, or set CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Nobody is enrolled: everybody at the machine may do everything."""
    opened = Office(tmp_path_factory.mktemp("office"), staffed=False)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def staffed_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Ada administers, and there is somebody of each role."""
    opened = Office(tmp_path_factory.mktemp("staffed"), staffed=True)
    yield opened
    opened.close()


@pytest.fixture
def expected() -> list[str]:
    """Patterns of console messages that a test provokes on purpose; add to it in the test."""
    return []


@pytest.fixture
def open_page(chromium: Browser, request: pytest.FixtureRequest, expected: list[str]) -> Iterator[Open]:
    """Open pages in browsers of their own; afterwards a picture is kept, and nothing bad may have happened."""
    contexts: list[BrowserContext] = []
    pages: list[Page] = []
    bad: list[str] = []

    def listen(page: Page) -> None:
        pages.append(page)
        page.on("console", lambda m: bad.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: bad.append(f"error in a script: {error}"))
        page.on("request", lambda r: None if re.match(r"http://localhost|data:|blob:", r.url) else bad.append(r.url))

    def open_page(width: int = 1440, theme: str = "light", *, scripts: bool = True, **options: Any) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,  # type: ignore[arg-type] # a word of Playwright's own
            java_script_enabled=scripts,
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(10_000)
        context.on("page", listen)
        contexts.append(context)
        return context.new_page()

    yield open_page
    PICTURES.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(each for each in pages if not each.is_closed()):
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
        page.screenshot(path=PICTURES / f"{name}{f'-{number}' if number else ''}.png", full_page=True)
    for context in contexts:
        context.close()
    assert [each for each in bad if not any(re.search(pattern, each) for pattern in expected)] == []


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with a page, a line each."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['target']} {node['html'][:120]}" for each in found for node in each["nodes"]]
