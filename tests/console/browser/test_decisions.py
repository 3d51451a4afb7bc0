"""The list and the page of decisions in a real browser: looked into by keyboard, news, the slider, no scripts."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from playwright.sync_api import expect
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office


@pytest.fixture(scope="module")
def runs(office: Office) -> list[UUID]:
    """Three dispatches, the oldest first."""

    async def work() -> list[UUID]:
        return [await office.company.dispatch(price_eur) for price_eur in (50.0, 80.0, 100.0)]

    return office.run(work())


def test_one_looks_into_a_decision_without_leaving_the_list(office: Office, open_page: Open, runs: list[UUID]) -> None:
    page = open_page()
    page.goto(f"{office.url}/decisions?decision=grid.dispatch")
    peek = page.locator("#peek")
    expect(peek).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(peek.get_by_role("heading", name=re.compile("Discharge"))).to_be_visible()
    expect(peek).to_contain_text(str(runs[1]))
    assert page.url.endswith("/decisions?decision=grid.dispatch")
    assert violations(page) == []
    page.keyboard.press("j")
    expect(peek).to_contain_text(str(runs[0]))
    page.keyboard.press("k")
    expect(peek).to_contain_text(str(runs[1]))
    page.keyboard.press("Escape")
    expect(peek).to_be_hidden()
    assert page.evaluate("document.activeElement.matches('a[data-peek]')"), "the focus is where it was"
    page.locator(f'tr[data-key="{runs[2]}"] td').nth(3).click()
    expect(peek).to_contain_text(str(runs[2]))
    page.get_by_role("link", name="Open the decision").click()
    expect(page.locator("h1")).to_contain_text("Discharge")
    assert page.url.endswith(f"/decisions/{runs[2]}")


def test_the_panel_fits_a_phone(office: Office, open_page: Open, runs: list[UUID]) -> None:
    page = open_page(390)
    page.goto(f"{office.url}/decisions")
    page.locator("a[data-peek]").first.click()
    expect(page.locator("#peek")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Close").last.click()
    expect(page.locator("#peek")).to_be_hidden()


def test_new_decisions_wait_above_the_list(office: Office, open_page: Open, runs: list[UUID]) -> None:
    page = open_page()
    page.goto(f"{office.url}/decisions?decision=grid.dispatch&q=brings")
    first = page.locator("#decisions tbody tr").first.get_attribute("data-key")
    expect(page.locator("[data-live-state]")).to_have_text("live")

    async def more() -> None:
        await office.company.dispatch(81.0)

    office.run(more())
    news = page.get_by_role("link", name=re.compile(r"new decision"))
    expect(news).to_be_visible()
    assert page.locator("#decisions tbody tr").first.get_attribute("data-key") == first, "nothing has moved"
    news.click()
    expect(page.locator("#decisions tbody tr").first).not_to_have_attribute("data-key", first or "")
    assert page.url.endswith("/decisions?decision=grid.dispatch&q=brings")


def test_the_slider_decides_again_and_it_is_told_where_the_choice_flips(
    office: Office, open_page: Open, runs: list[UUID]
) -> None:
    page = open_page()
    page.goto(f"{office.url}/decisions/{runs[1]}")
    expect(page.locator("#flips")).to_contain_text("Flips to “Hold” below 60")
    result = page.locator("#what-if-result")
    expect(result).to_contain_text("It chose")
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("Home")
    expect(result).to_contain_text("Instead of: Discharge")
    expect(page.locator("#moved")).to_have_value("0")
    slider.press("End")
    expect(result).to_contain_text("a person would be asked")
    page.locator("#moved").fill("90")
    expect(result).to_contain_text("it brings 1200 EUR")
    expect(slider).to_have_value("90")
    page.locator("#vary").select_option("load_mw")
    expect(page.locator("#flips")).to_contain_text("The choice stays the same")
    expect(page.get_by_role("slider")).to_be_visible()
    assert violations(page) == []


def test_brackets_lead_to_the_decisions_beside(office: Office, open_page: Open, runs: list[UUID]) -> None:
    page = open_page()
    page.goto(f"{office.url}/decisions/{runs[1]}")
    page.keyboard.press("[")
    page.wait_for_url(f"**/decisions/{runs[0]}")
    page.keyboard.press("]")
    page.wait_for_url(f"**/decisions/{runs[1]}")


def test_without_scripts_links_and_forms_do_it(office: Office, open_page: Open, runs: list[UUID]) -> None:
    page = open_page(scripts=False)
    page.goto(f"{office.url}/decisions")
    page.get_by_label("Search", exact=True).fill("brings nothing")
    page.get_by_role("button", name="Filter").click()
    assert page.url.endswith("/decisions?q=brings+nothing")
    page.locator("a[data-peek]").first.click()
    assert page.url.endswith(f"/decisions/{runs[0]}")
    page.locator("#moved").fill("90")
    page.get_by_role("button", name="Decide again").click()
    expect(page.locator("#what-if-result")).to_contain_text("Discharge")
    page.get_by_role("link", name="Where does it flip?").click()
    expect(page.locator("#flips")).to_contain_text("Flips to “Discharge” from 60")
    page.locator(".act summary", has_text="Take it back").click()
    page.locator("#actions").get_by_label("Why?").fill("as a test")
    page.locator("#actions").get_by_role("button", name="Take it back").click()
    expect(page.locator("h1")).to_contain_text("undone")
