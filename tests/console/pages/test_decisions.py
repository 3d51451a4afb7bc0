"""The list of decisions: each filter, exact pages, files, news, and that nobody sees what is not theirs."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from tests.console.world import DISPATCH, REFUND, Company

from steward.console.filtering import RANGES, stretch_of
from steward.console.pages.decisions import ROWS
from steward.insight.listing import SORTS, Filter
from steward.records import Status


def ids(page: httpx.Response) -> list[str]:
    """Return the decisions that a page lists, in order."""
    return re.findall(r'<tr data-key="([0-9a-f-]+)"', page.text)


async def get(company: Company, path: str, who: str | None = None) -> httpx.Response:
    browser = company.client() if who is None else company.client_of(who)
    async with browser:
        return await browser.get(path)


async def some(company: Company) -> dict[str, UUID]:
    """Make one decision of each kind, an hour apart."""
    made = {"held": await company.dispatch(price_eur=50.0)}
    await company.later(timedelta(hours=1))
    made["sold"] = await company.dispatch(price_eur=80.0)
    await company.meter(700.0, made["sold"])
    await company.later(timedelta(hours=1))
    made["asks"] = await company.dispatch(price_eur=140.0)
    made["paid"] = await company.refund(20.0)
    return made


async def test_the_newest_come_first_with_links_to_each(company: Company) -> None:
    made = await some(company)
    page = await get(company, "/decisions")
    assert ids(page) == [str(made[name]) for name in ("paid", "asks", "sold", "held")]
    assert page.status_code == 200
    for run_id in made.values():
        assert f'href="/decisions/{run_id}"' in page.text
    assert "16:00:00" in page.text, "times stand in the zone of the site"
    assert "€700" in page.text
    assert len(page.content) < 60_000


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("decision=grid.dispatch", ["asks", "sold", "held"]),
        ("decision=unknown", []),
        ("status=waiting", ["asks"]),
        ("status=waiting,acted", ["paid", "asks", "sold", "held"]),
        ("status=acted&decision=shop.refund", ["paid"]),
        ("status=failed", []),
        ("q=brings", ["asks", "sold", "held"]),
        ("q=brings+nothing", ["held"]),
        ("q=KNOWN+customer", ["paid"]),
        ("q=shop.ref", ["paid"]),
        ("range=1h", ["paid", "asks", "sold"]),
        ("range=today", ["paid", "asks", "sold", "held"]),
        ("range=7d", ["paid", "asks", "sold", "held"]),
        ("range=30d&status=waiting", ["asks"]),
        # 15:00 in Madrid is 13:00 by UTC.
        ("since=2026-07-01T15:00", ["paid", "asks", "sold"]),
        ("until=2026-07-01T15:00", ["held"]),
        ("since=2026-07-01T13:00Z&until=2026-07-01T13:00:01%2B00:00", ["sold"]),
        ("sort=time", ["held", "sold", "asks", "paid"]),
        ("sort=-saving", ["sold", "paid", "asks", "held"]),
        ("sort=saving&decision=grid.dispatch", ["sold", "asks", "held"]),
        ("sort=-confidence", ["paid", "asks", "sold", "held"]),
    ],
)
async def test_each_filter_shows_what_it_says(company: Company, query: str, names: list[str]) -> None:
    made = await some(company)
    page = await get(company, f"/decisions?{query}")
    assert ids(page) == [str(made[name]) for name in names]
    if not names:
        assert "Nothing matches" in page.text


async def test_each_status_can_be_filtered_by_and_is_kept_in_links(company: Company) -> None:
    await some(company)
    for status in Status:
        page = await get(company, f"/decisions?status={status.value}&q=e")
        assert page.status_code == 200
        assert f'<input type="hidden" name="status" value="{status.value}">' in page.text
        assert 'href="/decisions?status=' in page.text
    both = await get(company, "/decisions?status=waiting")
    assert 'href="/decisions?status=waiting%2Cacted"' in both.text, "a second status is added"
    assert 'href="/decisions" aria-current="true">waiting' in both.text, "the first is taken out"


async def test_a_run_is_found_by_the_end_of_its_id(company: Company) -> None:
    made = await some(company)
    for text in (str(made["sold"]), str(made["sold"])[-8:]):
        assert ids(await get(company, f"/decisions?q={text}")) == [str(made["sold"])]


@pytest.mark.parametrize("sort", ["-time", "time", "-saving"])
async def test_pages_leave_nothing_out(company: Company, sort: str) -> None:
    made = [str(await company.dispatch(price_eur=50.0)) for _ in range(2 * ROWS + 3)]
    if sort != "time":
        made.reverse()
    path, seen, pages = f"/decisions?sort={sort}", [], 0
    async with company.client() as browser:
        while path:
            page = await browser.get(path)
            seen += ids(page)
            pages += 1
            found = re.search(r'rel="next" href="([^"]+)"', page.text)
            path = found[1].replace("&amp;", "&") if found else ""
    assert (seen, pages) == (made, 3)


@pytest.mark.parametrize(
    "query",
    [
        "status=rubbish",
        "range=2h",
        "since=yesterday",
        "until=2026-13-01",
        "since=2026-07-02T00:00&until=2026-07-01T00:00",
        "sort=choice",
        "sort=--time",
        "before=7",
        "skip=-1",
        "skip=99999999999999999999",
        "skip=%C2%B2",
    ],
)
async def test_what_a_url_cannot_mean_is_said_on_a_page(company: Company, query: str) -> None:
    for path in (f"/decisions?{query}", f"/decisions/news?{query}", f"/data/decisions.csv?{query}"):
        page = await get(company, path)
        assert page.status_code == 422, path
        assert "text/html" in page.headers["content-type"]


async def test_a_form_without_javascript_leads_to_the_address_of_a_link(company: Company) -> None:
    page = await get(company, "/decisions?q=&decision=&since=&until=&status=waiting&status=acted")
    assert (page.status_code, page.headers["location"]) == (303, "/decisions?status=waiting%2Cacted")
    page = await get(company, "/decisions?range=1h&since=2026-07-01T00:00")
    assert page.headers["location"] == "/decisions?range=1h"
    assert (await get(company, "/decisions?q=&decision=")).headers["location"] == "/decisions"


async def test_words_of_others_are_shown_as_words(company: Company) -> None:
    evil = "<script>alert(1)</script>"
    await company.refund(20.0, order_id=evil)
    page = await get(company, f"/decisions?q={evil}&decision={evil}")
    assert page.status_code == 200
    assert evil not in page.text
    assert "&lt;script&gt;" in page.text


async def test_an_empty_page_says_what_will_be_here(company: Company) -> None:
    page = await get(company, "/decisions")
    assert "Here will be every decision" in page.text
    assert "make demo" in page.text


async def test_files_have_the_rows_of_the_filter(company: Company) -> None:
    made = await some(company)
    rows = (
        await get(company, "/data/decisions.json?q=brings&sort=time&before=7&skip=3".replace("before=7&", ""))
    ).json()
    assert [row["decision_id"] for row in rows] == [str(made[name]) for name in ("held", "sold", "asks")]
    assert rows[1] | {"saving": 700.0, "saving_unit": "EUR", "status": "acted", "choice": "Discharge"} == rows[1]
    newest = (await get(company, f"/data/decisions.json?before={made['asks']}")).json()
    assert len(newest) == 4, "a file has all pages"
    text = (await get(company, "/data/decisions.csv?status=waiting")).text
    assert text.splitlines()[0].startswith("time,decision,choice,status")
    assert len(text.splitlines()) == 2
    assert (await get(company, "/data/decisions.parquet")).content[:4] == b"PAR1"


async def test_the_histogram_counts_by_what_became_of_them(company: Company) -> None:
    await some(company)
    rows = (await get(company, "/data/decisions-over-time.json?range=today")).json()
    assert sum(row["went its way"] for row in rows) == 3
    assert sum(row["waits for somebody"] for row in rows) == 1
    only = (await get(company, "/data/decisions-over-time.json?status=waiting&decision=grid.dispatch")).json()
    assert set(only[0]) == {"x", "waits for somebody"}
    assert sum(row["waits for somebody"] for row in only) == 1
    assert (await get(company, "/data/decisions-confidence.json")).json() == []


@pytest.mark.parametrize("hours", [0.01, 1, 5, 24, 24 * 7, 24 * 30, 24 * 365, 24 * 365 * 200])
def test_a_histogram_has_few_steps_however_long_it_is(hours: float) -> None:
    from tests.console.world import NOON

    stretch = stretch_of(Filter(since=NOON - timedelta(hours=hours)), NOON)
    assert 1 <= (stretch.until - stretch.since) / stretch.step <= 48 or hours < 0.02
    assert stretch_of(Filter(until=NOON), NOON).until == NOON


async def test_news_are_counted_and_do_not_move_the_list(company: Company) -> None:
    made = await some(company)
    page = await get(company, "/decisions?decision=grid.dispatch")
    found = re.search(r'hx-get="(/decisions/news[^"]+)"', page.text)
    assert found is not None
    path = found[1].replace("&amp;", "&")
    assert f"before={made['asks']}" in path
    quiet = await get(company, path)
    assert "new decision" not in quiet.text
    assert 'id="news"' in quiet.text
    await company.refund(20.0)
    assert "new decision" not in (await get(company, path)).text, "another decision is no news here"
    await company.dispatch(price_eur=50.0)
    told = (await get(company, path)).text
    assert '<a href="/decisions?decision=grid.dispatch">1 new decision: show</a>' in told
    await company.dispatch(price_eur=50.0)
    assert "2 new decisions: show" in (await get(company, path)).text
    older = await get(company, f"/decisions?before={made['asks']}")
    assert "/decisions/news" not in older.text, "an older page has no news"


async def test_a_team_sees_its_own_decisions_only(staffed: Company) -> None:
    await some(staffed)
    for path in ("/decisions", "/decisions?q=known", "/decisions?decision=shop.refund", "/decisions?sort=-saving"):
        mine, theirs = await get(staffed, path, "ana"), await get(staffed, path, "bot")
        assert "known customer" in mine.text
        assert theirs.status_code in {200, 403}
        assert "known customer" not in theirs.text
        assert REFUND not in theirs.text.replace("decision=shop.refund", ""), "not even its name"
    hidden = await get(staffed, "/data/decisions.json", "audra")
    assert REFUND not in hidden.text
    assert DISPATCH in hidden.text
    counted = await get(staffed, "/data/decisions-over-time.json?range=today", "audra")
    assert sum(row["went its way"] for row in counted.json()) == 2
    news = await get(staffed, "/decisions/news", "audra")
    assert "3 new decisions" in news.text


async def test_nobody_sees_it_without_signing_in(staffed: Company) -> None:
    for path in ("/decisions?q=secret", "/decisions/news", "/data/decisions.csv"):
        page = await get(staffed, path)
        assert (page.status_code, page.headers["location"][:14]) == (303, "/sign-in?next=")


def test_what_can_be_chosen_is_known() -> None:
    assert set(RANGES) == {"1h", "today", "7d", "30d"}
    assert SORTS == ("time", "confidence", "saving")
