"""The settings, a decision's card and its value in a real browser: axe, both themes, phone width, and real clicks."""

from __future__ import annotations

import pytest
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office

PATHS = {
    "people": "/settings/people",
    "person": "/settings/people/ana",
    "keys": "/settings/keys",
    "gates": "/settings/gates",
    "notifications": "/settings/notifications",
    "rights": "/settings/rights?permission=stop",
    "system": "/settings/system?look=now",
    "card": "/inventory/grid.dispatch",
    "value-of-one": "/value?decision=grid.dispatch",
}


@pytest.mark.deep
@pytest.mark.parametrize("name", PATHS)
def test_page(staffed_office: Office, open_page: Open, name: str) -> None:
    for width, theme in ((1440, "light"), (390, "dark")):
        page = open_page(width, theme)
        staffed_office.sign_in(page, "ada", PATHS[name])
        for summary in page.locator("main details.fold > summary").all():
            summary.click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"


def test_enrol_somebody_and_hand_over_their_key(staffed_office: Office, open_page: Open) -> None:
    page = open_page()
    staffed_office.sign_in(page, "ada", "/settings/people")
    page.get_by_text("Enrol somebody").click()
    page.get_by_label("Id", exact=True).fill("nina")
    page.get_by_label("Name", exact=True).fill("Nina Roth")
    page.get_by_role("checkbox", name="Auditor").check()
    page.get_by_role("button", name="Enrol").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Nina Roth"
    page.get_by_role("link", name="Issue one").click()
    page.get_by_label("For", exact=False).first.fill("laptop")
    page.get_by_role("button", name="Issue", exact=True).click()
    secret = page.locator("#secret").input_value()
    assert secret.startswith("stw_")
    assert secret not in page.url
    assert violations(page) == []
    page.get_by_role("link", name="It is kept: go on").click()
    assert "laptop" in page.locator("#keys").inner_text()
    assert secret not in page.content()
