"""What surrounds every page, in a real browser: sign-in, theme, keys, stop switch, tours, and what was typed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office

from steward.access.cookies import COOKIE


@pytest.fixture(scope="module")
def waiting(office: Office) -> Office:
    """One decision waits for a person."""

    async def work() -> None:
        await office.company.dispatch(165.0, 702.0)

    office.run(work())
    return office


def dismissed(page: Page) -> list[str]:
    """Answer every question of the browser with no; return the list of them."""
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", answer)
    return asked


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_browser_keeps_the_sign_in_on_this_machine(staffed_office: Office, chromium: Browser, host: str) -> None:
    url = staffed_office.url.replace("localhost", host)
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{url}/stop?a=b")
    expect(page).to_have_url(f"{url}/sign-in?next=%2Fstop%3Fa%3Db")
    page.get_by_label("Key").fill(staffed_office.company.secrets["ana"])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{url}/stop?a=b")
    [cookie] = [each for each in context.cookies() if each["name"] == COOKIE]
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    assert page.evaluate("document.cookie") == ""
    # A link on another site's page, as in a mail: the browser keeps the cookie back; a page of ours makes up for it.
    page.goto("data:text/html,<title>elsewhere</title>")
    page.evaluate(f"location.href = '{url}/glossary'")
    expect(page).to_have_url(f"{url}/glossary")
    expect(page.locator("h1")).to_have_text("Glossary")
    page.locator("#person > summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{url}/sign-in")
    page.goto(f"{url}/glossary")
    expect(page).to_have_url(re.compile("/sign-in"))
    context.close()


def test_another_sites_form_stops_nothing(staffed_office: Office, chromium: Browser) -> None:
    context = chromium.new_context()
    page = context.new_page()
    staffed_office.sign_in(page, "ana")
    page.goto("data:text/html,<title>elsewhere</title>")
    page.evaluate(
        """url => {
            const form = document.createElement("form");
            form.method = "post";
            form.action = url;
            for (const [name, value] of [["decision", "*"], ["reason", "ha"]]) {
                const field = document.createElement("input");
                [field.name, field.value] = [name, value];
                form.append(field);
            }
            document.body.append(form);
            form.submit();
        }""",
        f"{staffed_office.url}/stop",
    )
    page.wait_for_url(re.compile(staffed_office.url))
    assert not staffed_office.company.runtime.stops.standing()
    context.close()


def test_the_theme_changes_at_once_and_stays(office: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{office.url}/glossary")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#preferences > summary").click()
    with page.expect_response(re.compile("/preferences")):
        page.locator("#preferences").get_by_role("button", name="Dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    expect(page).to_have_url(f"{office.url}/glossary")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("#preferences button[value=dark]")).to_have_attribute("aria-pressed", "true")


@pytest.mark.deep
def test_ones_own_zone_comes_from_the_browser(office: Office, open_page: Open) -> None:
    page = open_page(timezone_id="Asia/Tokyo")
    page.goto(f"{office.url}/glossary")
    page.locator("#preferences > summary").click()
    page.get_by_role("button", name="Mine").click()
    expect(page.locator(".zone-now")).to_have_text("My time")
    expect(page).to_have_url(f"{office.url}/glossary")
    page.locator("#preferences > summary").click()
    expect(page.locator("#preferences")).to_contain_text("Asia/Tokyo")


def test_preferences_need_no_script(office: Office, open_page: Open) -> None:
    page = open_page(scripts=False)
    page.goto(f"{office.url}/glossary")
    page.locator("#preferences > summary").click()
    page.locator("#preferences").get_by_role("button", name="Dark").click()
    expect(page).to_have_url(f"{office.url}/glossary")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_single_keys_go_places(office: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{office.url}/preferences")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("g o?/")
    expect(page.locator("#search")).to_have_value("g o?/")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page).to_have_url(f"{office.url}/")


@pytest.mark.deep
def test_single_keys_that_are_off_go_nowhere(office: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{office.url}/preferences")
    page.get_by_role("button", name="Off").click()
    expect(page.locator("html")).to_have_attribute("data-keys", "off")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_hidden()


@pytest.mark.deep
def test_menus_close_on_escape_and_elsewhere(office: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{office.url}/glossary")
    page.locator("#stop-button > summary").click()
    expect(page.locator("#stop-button select")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#stop-button select")).to_be_hidden()
    expect(page.locator("#stop-button > summary")).to_be_focused()
    page.locator("#person > summary").click()
    expect(page.locator("#person input[name=name]")).to_be_focused()
    page.locator("h1").click()
    expect(page.locator("#person input[name=name]")).to_be_hidden()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_stop_takes_two_steps_and_its_end_two_people(waiting: Office, open_page: Open, *, scripts: bool) -> None:
    page = open_page(scripts=scripts)
    page.goto(f"{waiting.url}/glossary")
    page.locator("#stop-button > summary").click()
    stop = page.locator("#stop-button")
    stop.get_by_role("button", name="Stop now").click()
    assert not waiting.company.runtime.stops.standing(), "nothing was chosen, and no reason given"
    stop.get_by_label("What shall stop?").select_option("*")
    stop.get_by_label("Why?").fill("smoke in the hall")
    stop.get_by_role("button", name="Stop now").click()
    bar = page.locator(".stopped")
    expect(bar).to_contain_text("Every decision is stopped by local")
    expect(bar).to_contain_text("1 waiting approval is frozen")
    expect(page).to_have_url(f"{waiting.url}/glossary")
    if scripts:
        assert violations(page) == []
    for name, label in (("ana", "I want it to go on"), ("ben", "Agree: let it go on")):
        page.locator("#person > summary").click()
        page.get_by_label("Act as").fill(name)
        page.get_by_role("button", name="Use this name").click()
        expect(page.locator("#person .who b")).to_have_text(name)
        page.locator(".resuming > summary").click()
        bar.get_by_label("Why is it safe to go on?").fill("no fire")
        bar.get_by_role("button", name=label).click()
    expect(bar).to_have_count(0)
    assert not waiting.company.runtime.stops.standing()


def test_a_stop_shows_in_every_tab_at_once_even_a_paused_one(office: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{office.url}/glossary")
    page.evaluate("localStorage.setItem('steward-live-paused', 'yes')")
    page.reload()
    # The stream's first word tells where the page stands.
    rendered = page.evaluate("document.documentElement.dataset.now")
    page.wait_for_function("before => document.documentElement.dataset.now !== before", arg=rendered)
    office.run(office.company.runtime.stop("*", by="olga", reason="smoke"))
    expect(page.locator(".stopped")).to_contain_text("Every decision is stopped by olga")
    assert page.locator(".stopped input[name=back]").get_attribute("value") == "/glossary"
    for name in ("ana", "ben"):
        office.run(office.company.runtime.resume("*", by=name, reason="no fire"))
    expect(page.locator(".stopped")).to_have_count(0)


def test_a_reason_that_was_not_sent_is_not_lost_without_a_question(office: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{office.url}/glossary")
    page.locator("#stop-button > summary").click()
    page.locator("#stop-button textarea").fill("half of a reas")
    asked = dismissed(page)
    with page.expect_event("dialog"):
        page.evaluate("location.href = '/preferences'")
    assert asked == ["beforeunload"]
    expect(page.locator("#stop-button textarea")).to_have_value("half of a reas")
    page.locator("#stop-button textarea").fill("")
    page.goto(f"{office.url}/preferences")
    assert asked == ["beforeunload"]


@pytest.mark.deep
def test_a_page_without_something_typed_is_left_without_a_question(office: Office, open_page: Open) -> None:
    page = open_page()
    asked = dismissed(page)
    page.goto(f"{office.url}/preferences")
    page.locator("#search").fill("what somebody looks for")
    page.goto(f"{office.url}/glossary")
    assert asked == []


def test_at_phone_width_every_page_is_reachable(office: Office, open_page: Open) -> None:
    page = open_page(390)
    page.goto(f"{office.url}/glossary")
    shown = set()
    for link in page.locator("#side a:visible").all():
        shown.add(link.get_attribute("href"))
    page.locator(".more-menu > summary").click()
    assert violations(page) == []
    for link in page.locator("#side a:visible").all():
        shown.add(link.get_attribute("href"))
    wide = open_page(1440)
    wide.goto(f"{office.url}/glossary")
    assert shown >= {link.get_attribute("href") for link in wide.locator("#side a:visible:not(.brand)").all()}
    page.locator(".more-menu").get_by_role("link", name="Settings").click()
    expect(page).to_have_url(f"{office.url}/settings")


@pytest.mark.deep
def test_the_open_menus_keep_the_rules_of_access(office: Office, open_page: Open) -> None:
    for theme in ("light", "dark"):
        page = open_page(1440, theme)
        page.goto(f"{office.url}/stop")
        for menu in ("#stop-button", "#preferences", "#person"):
            page.locator(f"{menu} > summary").click()
            assert violations(page) == [], menu
            page.keyboard.press("Escape")


def test_a_tour_leads_through_the_page_by_keys(office: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{office.url}/stop")
    page.get_by_text("What am I looking at?").click()
    page.get_by_role("button", name="Show me around").click()
    tour = page.get_by_role("dialog", name="Tour of this page")
    expect(tour).to_contain_text("1 of 2")
    assert violations(page) == []
    expect(tour.get_by_role("button", name="Next")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tour).to_contain_text("2 of 2")
    page.keyboard.press("ArrowLeft")
    expect(tour).to_contain_text("1 of 2")
    page.keyboard.press("Escape")
    expect(tour).to_have_count(0)
    expect(page.get_by_role("button", name="Show me around")).to_be_focused()


@pytest.mark.deep
def test_without_scripts_a_tour_is_text_at_the_parts(office: Office, open_page: Open) -> None:
    page = open_page(scripts=False)
    page.goto(f"{office.url}/stop")
    text = "getComputedStyle(document.querySelector('[data-tour]'), '::before').content"
    assert page.evaluate(text) == "none"
    page.get_by_text("What am I looking at?").click()
    assert page.evaluate(text).startswith('"1. Choose one decision')


def test_countdowns_go_by_the_runtimes_clock(waiting: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{waiting.url}/glossary")
    page.evaluate(
        """() => {
            const due = document.createElement("span");
            due.id = "due";
            due.dataset.due = new Date(Date.parse(document.documentElement.dataset.now) + 7_200_000).toISOString();
            document.querySelector("main").append(due);
        }"""
    )
    expect(page.locator("#due")).to_have_text(re.compile("1 h 59 min|2 h 0 min"))
    page.evaluate(
        """() => {
            const later = Date.parse(document.querySelector("#due").dataset.due) - 65_000;
            document.documentElement.dataset.now = new Date(later).toISOString();
        }"""
    )
    expect(page.locator("#due")).to_have_text(re.compile(r"1:0\d"))
    expect(page.locator("#due")).to_have_class("soon")


@pytest.mark.deep
def test_a_word_of_the_trade_is_explained_on_a_touch_and_stays_on_the_screen(waiting: Office, open_page: Open) -> None:
    page = open_page(390, has_touch=True)
    page.goto(f"{waiting.url}/")
    terms = page.locator("main .term:visible")
    assert terms.count()
    for term in terms.all():
        term.tap()
        expect(term).to_be_focused()
        assert term.evaluate("each => getComputedStyle(each, '::after').content").startswith('"')
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("Escape")
    assert terms.last.evaluate("each => getComputedStyle(each, '::after').display") == "none"


@pytest.mark.deep
def test_the_focus_stays_where_it_was_when_a_part_is_exchanged(office: Office, open_page: Open) -> None:
    page = open_page()
    page.goto(f"{office.url}/preferences")
    page.locator("main button[name=keys]").first.focus()
    exchange = """() => {
        document.dispatchEvent(new CustomEvent("htmx:before:swap"));
        const main = document.querySelector("main");
        main.innerHTML = main.innerHTML.replace("</h1>", "</h1><p data-toast>Kept.</p>");
        document.dispatchEvent(new CustomEvent("htmx:after:swap"));
        return document.activeElement.name;
    }"""
    assert page.evaluate(exchange) == "keys"
    expect(page.locator("#toast")).to_have_text("Kept.")
