"""The grid case's page in a real browser, on the demo as it is shipped: days, drills, and a page that does not jump."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page
from tests.console.browser.conftest import Open
from tests.console.browser.test_every_page import looks_right

from steward.cases.grid.live import demo, show
from steward.cases.grid.live.view import PlainView

WATCHED_SHIFTS = """() => {
  window.shifted = 0;
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
  }).observe({type: "layout-shift"});
}"""


class Silent(PlainView):
    def tell(self, text: str) -> None:
        pass


@dataclass
class Played:
    """A demo with eight days behind it, in which an hour takes two seconds."""

    url: str


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    listening = threading.Event()
    ports: list[int] = []
    playing: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]]] = []

    def ready(port: int) -> None:
        ports.append(port)
        listening.set()

    options = demo.DemoOptions(
        hours_per_s=0.5,
        warm_days=8,
        port=0,
        by_wire=False,
        folder=tmp_path_factory.mktemp("demo"),
        ready=ready,
        view=Silent(),
        run_for=timedelta(minutes=5),
    )

    async def play() -> None:
        task = asyncio.ensure_future(demo.play(options))
        playing.append((asyncio.get_running_loop(), task))
        with suppress(asyncio.CancelledError):
            await task

    def until_over() -> None:
        try:
            asyncio.run(play())
        finally:
            listening.set()

    with pytest.MonkeyPatch.context() as patch:
        small: dict[str, Any] = {"_ROUNDS": 20, "_TRAINED_DAYS": 90, "_DAYS": 110}
        for name, value in small.items():
            patch.setattr(demo, name, value)
        patch.setattr(demo, "approve_above_eur", lambda *of_the_market: 1e6)
        patch.setattr(show.Show, "_stopping_by_signal", lambda self: nullcontext())
        thread = threading.Thread(target=until_over, name="demo", daemon=True)
        thread.start()
        assert listening.wait(60)
        assert ports, "the demo did not start"
        yield Played(f"http://localhost:{ports[0]}")
        [(loop, task)] = playing
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)


def day_of(page: Page) -> str:
    return page.locator("h1").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_in_order_in_both_themes_and_on_a_phone(played: Played, open_page: Open, theme: str) -> None:
    page = open_page(1280, theme)
    page.goto(f"{played.url}/grid")
    assert page.locator("#grid-chart svg path.band").count() == 2, "of load and of price"
    assert page.get_by_text("Spread of prices").is_visible()
    assert page.get_by_role("heading", name="Try it").is_visible()
    looks_right(page)


def test_days_are_stepped_through_by_keys_and_the_url_tells_which(played: Played, open_page: Open) -> None:
    page = open_page(1280)
    page.goto(f"{played.url}/grid")
    page.keyboard.press("[")
    page.wait_for_url("**/grid?day=*")
    yesterday = day_of(page)
    page.keyboard.press("[")
    page.wait_for_function("before => document.querySelector('h1').innerText !== before", arg=yesterday)
    page.wait_for_load_state("load")
    assert day_of(page) != yesterday
    page.keyboard.press("]")
    page.wait_for_function("then => document.querySelector('h1').innerText === then", arg=yesterday)
    page.reload()
    assert day_of(page) == yesterday
    page.keyboard.press("?")
    assert page.get_by_text("Day before, day after").is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_somebody_plays_an_outage_and_sees_it(played: Played, open_page: Open, *, scripts: bool) -> None:
    page = open_page(390 if scripts else 1280, scripts=scripts)
    page.goto(f"{played.url}/grid")
    before = page.locator("#grid-events li", has_text="Outage").count()
    form = page.locator("#drill")
    form.get_by_label("What").select_option("outage")
    form.get_by_label("For").select_option("1")
    if scripts:
        page.get_by_role("button", name="Play it").focus()
        page.keyboard.press("Enter")
    else:
        page.get_by_role("button", name="Play it").click()
    page.wait_for_url("**/grid#drill")
    told = page.locator("#grid-events li", has_text="Outage")
    assert told.count() == before + 1
    assert page.locator("#grid-chart .stripe.neg").count() >= 4
    told.last.get_by_role("link").click()
    page.wait_for_url("**/decisions/*")
    assert "grid.drill" in page.content()


def test_days_and_links_work_without_scripts(played: Played, open_page: Open) -> None:
    page = open_page(1280, scripts=False)
    page.goto(f"{played.url}/grid")
    newest = day_of(page)
    page.locator("a[rel=prev]").click()
    assert "?day=" in page.url
    assert day_of(page) != newest


def test_what_keeps_itself_up_to_date_does_not_move_the_page(played: Played, open_page: Open) -> None:
    page = open_page(1280)
    page.goto(f"{played.url}/grid")
    page.wait_for_timeout(500)
    page.evaluate(WATCHED_SHIFTS)
    metered = page.locator("#grid-saved").inner_text()
    page.wait_for_function("then => document.getElementById('grid-saved').innerText !== then", arg=metered)
    page.wait_for_timeout(3_000)
    assert page.evaluate("window.shifted") < 0.01
