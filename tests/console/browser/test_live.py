"""Pages that keep themselves up to date, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office

TABS = 7
ROWS = "#overview-newest tbody tr"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office of its own, in which nothing was decided yet, with short beats."""
    opened = Office(tmp_path_factory.mktemp("quick"), staffed=False)
    opened.console.live.beat_s = 0.1
    yield opened
    opened.close()


@pytest.fixture
def busy(quick: Office) -> Office:
    """The same, after a decision."""
    decide(quick)
    return quick


def decide(office: Office, price_eur: float = 60.0) -> str:
    return str(office.run(office.company.dispatch(price_eur)))


def row(page: Page, run: str) -> str:
    return f'#overview-newest tr[data-key="{run}"]'


def test_the_first_decision_turns_the_empty_page_into_the_overview(quick: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(quick.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing has been decided yet")
    assert violations(page) == []
    run = decide(quick)
    expect(page.locator(row(page, run))).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything runs inside its limits")


def test_seven_tabs_live_by_one_stream(busy: Office, open_page: Open) -> None:
    first = open_page()
    pages = [first, *(first.context.new_page() for _ in range(TABS - 1))]
    for page in pages:
        page.goto(busy.url)
        expect(page.locator("[data-live-state]")).to_have_text("live")
    run = decide(busy)
    for page in pages:
        expect(page.locator(row(page, run))).to_be_visible()
    assert busy.console.live.watching == 1
    for page in pages[1:]:
        page.close()
    run = decide(busy)
    expect(first.locator(row(first, run))).to_be_visible()


def test_without_a_shared_worker_each_tab_has_its_own_stream(busy: Office, open_page: Open) -> None:
    page = open_page()
    page.add_init_script("delete window.SharedWorker")
    page.goto(busy.url)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    run = decide(busy)
    expect(page.locator(row(page, run))).to_be_visible()


def test_nothing_moves_under_the_mouse(busy: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(busy.url)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    page.locator(ROWS).first.hover()
    run = decide(busy)
    news = page.get_by_role("button", name="1 new")
    expect(news).to_be_visible()
    assert page.locator(row(page, run)).count() == 0
    page.mouse.move(0, 0)
    expect(page.locator(row(page, run))).to_be_visible()
    expect(news).to_have_count(0)


def test_nothing_is_taken_from_under_the_keyboard(busy: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(busy.url)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    page.locator(f"{ROWS} a").first.focus()
    run = decide(busy)
    page.get_by_role("button", name="1 new").click()
    expect(page.locator(row(page, run))).to_be_visible()


def test_a_pause_is_remembered(busy: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(busy.url)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-live-state]")).to_have_text("paused")
    run = decide(busy)
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    assert page.locator(row(page, run)).count() == 0
    page.goto(f"{busy.url}/?range=1h")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    run = decide(busy)
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(row(page, run))).to_be_visible()


def test_a_new_question_is_told_everywhere(busy: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{busy.url}/glossary")
    page.wait_for_function("document.documentElement.dataset.events")
    decided = open_page()
    decided.goto(busy.url)
    expect(decided.locator("[data-live-state]")).to_have_text("live")
    decide(busy, price_eur=140.0)
    badge = decided.locator('#side a[href="/approvals"] .badge')
    expect(badge).to_have_text("1")
    expect(badge).to_have_attribute("aria-label", "1 waiting")
    expect(decided.locator("#toast")).to_have_text("A decision waits for you")
    expect(decided.get_by_role("heading", level=1)).to_have_text("1 decision waits for you")
    expect(decided.locator("#overview-urgent .due")).to_have_text(re.compile(r"^(10:00|9:5\d)$"))
    expect(page.locator('#side a[href="/approvals"] .badge')).to_have_text("1")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_overview_is_in_order(busy: Office, open_page: Open, theme: str, width: int) -> None:
    decide(busy, price_eur=140.0)
    page = open_page(width, theme)
    page.goto(busy.url)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_reads_without_scripts(busy: Office, open_page: Open) -> None:
    run = decide(busy)
    page = open_page(scripts=False)
    page.goto(busy.url)
    assert page.locator(row(page, run)).count() == 1
    assert page.locator("svg.chart, .chart svg").count() >= 1
    assert page.get_by_role("button", name="Pause").count() == 0
    page.get_by_role("link", name="7 d").click()
    assert page.url.endswith("?range=7d")
