"""What charts.js adds to a chart: the values at a moment. And what a chart is without it, on a phone, on paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office

FIGURE = "figure[data-chart=made-up-day]"


def chart_on(page: Page, office: Office, theme: str = "") -> Locator:
    page.goto(f"{office.url}/dev/components?theme={theme}")
    figure = page.locator(FIGURE)
    figure.scroll_into_view_if_needed()
    return figure


def test_the_pointer_reads_all_panels_at_a_moment(office: Office, open_page: Open) -> None:
    page = open_page()
    figure = chart_on(page, office)
    box = figure.locator(".plot").bounding_box()
    assert box is not None
    readout = figure.locator(".readout")
    expect(readout).to_be_empty()
    page.mouse.move(box["x"] + box["width"] * 50.5 / 96, box["y"] + 40)
    expect(readout.locator("b")).to_have_text("12:30:00 CET")
    assert readout.locator("dt").all_inner_texts()[3:] == ["Load", "Price", "Discharge", "Charge", "State of charge"]
    row = figure.locator("tbody tr").nth(50).locator("td").all_text_contents()
    assert readout.locator("dd").all_inner_texts() == [cell.strip() for cell in row[1:]]
    cross = figure.locator(".cross").bounding_box()
    assert cross is not None
    assert cross["x"] == pytest.approx(box["x"] + box["width"] * 50 / 96, abs=1)
    assert cross["height"] > 500, "it goes through all panels"
    page.mouse.move(0, 0)
    expect(readout).to_be_empty()
    expect(figure.locator(".cross")).to_have_count(0)


def test_the_arrow_keys_read_it_too_and_say_it_aloud(office: Office, open_page: Open) -> None:
    page = open_page()
    figure = chart_on(page, office)
    slider = figure.get_by_role("slider", name="Values at a moment: Load, price and battery of a made-up day")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(figure.locator(".readout b")).to_have_text("00:15:00 CET")
    told = slider.get_attribute("aria-valuetext") or ""
    assert told.startswith("00:15:00 CET: 90 % interval: low ")
    assert "State of charge 50" in told
    page.keyboard.press("Escape")
    expect(figure.locator(".readout")).to_be_empty()


@pytest.mark.deep
def test_a_chart_that_came_later_is_read_as_well_and_reading_breaks_no_rule_of_access(
    office: Office, open_page: Open
) -> None:
    page = open_page()
    figure = chart_on(page, office)
    figure.evaluate(
        """figure => { const again = figure.cloneNode(true);
        for (const each of again.querySelectorAll(".seek, .readout")) each.remove();
        delete again.querySelector(".drawn").dataset.dressed; figure.replaceWith(again); }"""
    )
    expect(page.locator(f"{FIGURE} .seek")).to_have_count(1)
    page.locator(f"{FIGURE} .plot").hover()
    expect(page.locator(f"{FIGURE} .readout b")).to_be_visible()
    assert violations(page) == []


SMALL = """() => [...document.querySelectorAll("main svg text")].filter((each) => each.checkVisibility())
    .map((each) => [each.textContent, parseFloat(getComputedStyle(each).fontSize) * each.getScreenCTM().a])
    .filter(([, size]) => size < 8.5)"""
OVERLAPS = """() => [...document.querySelectorAll(".plot, .scale")].flatMap((plot) => {
    const boxes = [...plot.querySelectorAll("text")].filter((each) => each.checkVisibility())
        .map((each) => [each.textContent, each.getBoundingClientRect()]);
    return boxes.flatMap(([name, a], at) => boxes.slice(at + 1)
        .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1)
        .filter(([, b]) => a.top < b.bottom - 3 && b.top < a.bottom - 3)
        .map(([other]) => `${name} | ${other}`));
})"""


@pytest.mark.deep
def test_labels_keep_their_size_and_their_distance_on_a_screen_and_on_a_phone(office: Office, open_page: Open) -> None:
    page = open_page()
    chart_on(page, office)
    for width in (1440, 1101, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERLAPS) == [], width
        assert page.evaluate(SMALL) == [], width


def test_without_scripts_the_chart_and_its_table_are_there(office: Office, open_page: Open) -> None:
    page = open_page(scripts=False)
    figure = chart_on(page, office)
    assert figure.locator(".plane").count() == 4
    figure.locator("summary").click()
    expect(figure.locator("tbody tr").nth(95)).to_be_visible()
    assert figure.locator(".seek").count() == 0


@pytest.mark.deep
def test_on_paper_there_is_the_chart_and_nothing_of_the_script(office: Office, open_page: Open) -> None:
    page = open_page(800)
    figure = chart_on(page, office)
    figure.locator(".plot").hover()
    page.emulate_media(media="print")
    expect(figure.locator(".plane").first).to_be_visible()
    expect(figure.locator(".readout")).to_be_hidden()
    expect(figure.locator(".files")).to_be_hidden()
