"""Every page, in both themes and at phone width: no violation of axe-core, no error, nothing that sticks out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office

PHONE = 390
PAGES = {
    "overview": "/",
    "decisions": "/decisions",
    "approvals": "/approvals",
    "models": "/models",
    "model": "/models/saving",
    "compare": "/compare?decision=grid.dispatch",
    "inventory": "/inventory",
    "value": "/value",
    "audit": "/audit",
    "settings": "/settings",
    "people": "/settings/people",
    "keys": "/settings/keys",
    "gates": "/settings/gates",
    "notifications": "/settings/notifications",
    "rights": "/settings/rights",
    "system": "/settings/system",
    "glossary": "/glossary",
    "components": "/dev/components",
    "sign-in": "/sign-in",
    "not-found": "/nowhere",
}


@pytest.fixture(scope="module")
def busy(office: Office) -> Office:
    """Some dispatches, one of them waiting, one with its outcome."""

    async def work() -> None:
        company = office.company
        await company.try_out(200.0, share=0.1)
        await company.try_out(400.0, is_shadow=True)
        done = await company.dispatch(110.0)
        await company.meter(1_912.0, done)
        for price_eur in (40.0, 118.0, 55.0):
            await company.dispatch(price_eur)
        await company.dispatch(165.0, 702.0)
        await company.refund(1_120.0)

    office.run(work())
    return office


def looks_right(page: Page) -> None:
    """Look at a page in both themes and at phone width: for readers, and for whatever sticks out."""
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    page.set_viewport_size({"width": PHONE, "height": 844})
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, "the page is wider than the screen"


@pytest.mark.parametrize("name", PAGES)
def test_page(busy: Office, open_page: Open, expected: list[str], name: str) -> None:
    if name == "not-found":
        expected.append("404")
    page = open_page()
    answered = page.goto(f"{busy.url}{PAGES[name]}", wait_until="load")
    assert answered is not None
    assert answered.ok or name == "not-found"
    assert page.locator("h1").count() == 1
    looks_right(page)


def test_the_page_of_a_decision(busy: Office, open_page: Open) -> None:
    [row, *_] = busy.company.runtime.views.runs(decision="grid.dispatch", limit=1)
    page = open_page()
    page.goto(f"{busy.url}/decisions/{row.decision_id}")
    looks_right(page)


def test_everything_can_be_read_without_scripts(busy: Office, open_page: Open) -> None:
    page = open_page(scripts=False)
    for path in PAGES.values():
        if path != "/nowhere":
            page.goto(f"{busy.url}{path}")
            assert page.locator("h1").count() == 1
            assert page.locator("main").inner_text().strip()
