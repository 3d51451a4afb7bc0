"""Every page, in both themes and at phone width: no violation of axe-core, no error, nothing that sticks out."""

from __future__ import annotations

import pytest
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office

PAGES = {
    "overview": "/",
    "decisions": "/decisions",
    "approvals": "/approvals",
    "inventory": "/inventory",
    "value": "/value",
    "audit": "/audit",
    "settings": "/settings",
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
        done = await company.dispatch(110.0)
        await company.meter(1_912.0, done)
        for price_eur in (40.0, 118.0, 55.0):
            await company.dispatch(price_eur)
        await company.dispatch(165.0, 702.0)
        await company.refund(1_120.0)

    office.run(work())
    return office


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1440, "dark"), (390, "light")])
def test_page(busy: Office, open_page: Open, expected: list[str], name: str, width: int, theme: str) -> None:
    if name == "not-found":
        expected.append("404")
    page = open_page(width, theme)
    answered = page.goto(f"{busy.url}{PAGES[name]}", wait_until="load")
    assert answered is not None
    assert answered.ok or name == "not-found"
    assert page.locator("h1").count() == 1
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"


def test_the_page_of_a_decision(busy: Office, open_page: Open) -> None:
    [row, *_] = busy.company.runtime.views.runs(decision="grid.dispatch", limit=1)
    for width, theme in ((1440, "light"), (1440, "dark"), (390, "light")):
        page = open_page(width, theme)
        page.goto(f"{busy.url}/decisions/{row.decision_id}")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_can_be_read_without_scripts(busy: Office, open_page: Open) -> None:
    page = open_page(scripts=False)
    for path in PAGES.values():
        if path != "/nowhere":
            page.goto(f"{busy.url}{path}")
            assert page.locator("h1").count() == 1
            assert page.locator("main").inner_text().strip()
