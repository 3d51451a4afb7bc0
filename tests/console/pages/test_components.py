"""The page with every component."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from tests.console.world import STAFF, Company

from steward.console import made_up
from steward.records import Status


async def test_every_component_is_shown_and_said_to_be_made_up(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/dev/components")
    assert page.status_code == 200
    assert "All figures, names and people here are made up." in page.text
    for parts in (
        "button primary",
        "segments",
        "notice bad",
        "notice good",
        "tile",
        "field",
        "facts",
        "timeline",
        "meter",
    ):
        assert re.search(rf'class="[^"]*\b{parts}\b', page.text), parts
    for drawing in ("drawn", "spark", "interval", "contributions", "versus", "stages", "audit-path", "empty"):
        assert re.search(rf'class="[^"]*\b{drawing}\b', page.text), drawing
    assert all(f">{status.value}</span>" in page.text for status in Status)


async def test_it_holds_to_what_every_page_holds_to(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/dev/components")
    assert " style=" not in page.text
    assert "<script>" not in page.text
    assert "<b onclick" not in page.text
    ids = re.findall(r'\sid="([^"]*)"', page.text)
    assert len(ids) == len(set(ids))
    headings = [int(level) for level in re.findall(r"<h([1-6])", page.text.partition("<main")[2])]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


@pytest.mark.parametrize(
    ("query", "expected"), [("", '"gallery"'), ("?theme=dark", '"gallery in-dark"'), ("?theme=x", '"gallery"')]
)
async def test_both_themes_can_be_looked_at(company: Company, query: str, expected: str) -> None:
    async with company.client() as browser:
        page = await browser.get(f"/dev/components{query}")
    assert f"class={expected}" in page.text


async def test_its_table_is_sorted_and_its_rows_leave_as_files(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/dev/components?sort=-confidence")
        rows = await browser.get("/data/made-up.json?sort=-confidence")
        chart = await browser.get("/data/made-up-day.csv")
    assert 'aria-sort="descending"' in page.text
    assert [row["confidence"] for row in rows.json()] == [1.0, 0.81, 0.7, None]
    assert len(chart.text.splitlines()) == 97
    assert "/data/made-up-day.csv?" not in page.text, "the order of the page's table is not the chart's"


async def test_a_timeline_tells_a_day_once_and_every_time_with_its_zone(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/dev/components")
    timeline = page.text.partition('<ol class="timeline"')[2].partition("</ol>")[0]
    assert timeline.count('<li class="day">') == 1
    assert timeline.count('<abbr class="zone" title="Europe/Madrid">CET</abbr>') == len(made_up.HAPPENINGS) - 1
    assert [each for each in re.findall(r'<li class="(\w+)">', timeline) if each != "day"] == [
        "info",
        "pos",
        "warn",
        "neg",
    ]


@pytest.mark.parametrize("name", ["ada", *STAFF])
async def test_everybody_who_is_signed_in_may_look(staffed: Company, name: str) -> None:
    async with staffed.client_of(name) as browser:
        assert (await browser.get("/dev/components")).status_code == 200


async def test_nobody_else_may(staffed: Company) -> None:
    async with staffed.client() as browser:
        page = await browser.get("/dev/components")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2Fdev%2Fcomponents")
