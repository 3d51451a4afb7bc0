"""Approvals in a real browser: by keyboard alone, by mouse, on a phone, without scripts, and as read out."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from playwright.sync_api import Page, Request, expect
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office

from steward.records import Status

HEARD = "document.addEventListener('steward:now', () => { document.documentElement.dataset.heard = 'yes'; });"


def waiting(office: Office, *prices_eur: float) -> list[UUID]:
    """Answer whatever waits, then have people asked about some dispatches."""

    async def work() -> list[UUID]:
        company = office.company
        await company.runtime.catch_up()
        for row in company.runtime.views.waiting(100):
            await company.runtime.answers.reject(row.decision_id, by="tidy", reason="made way", evidence=row.evidence)
        return [await company.dispatch(price_eur) for price_eur in prices_eur]

    return office.run(work())


def status(office: Office, run: UUID) -> Status:
    """Return how far a run has come."""
    return office.run(office.company.runtime.run(run)).status


def answered(office: Office, run: UUID) -> tuple[str, str]:
    """Return the kind of the answer that was given, and its reason."""
    answer = office.run(office.company.runtime.run(run)).answer
    return type(answer).__name__, getattr(answer, "reason", "")


def focused(page: Page) -> str:
    """Return what has the focus: its id, or else its text."""
    told: str = page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
    return told


def test_by_keyboard_alone(office: Office, open_page: Open) -> None:
    first, second, third = waiting(office, 140.0, 150.0, 160.0)
    page = open_page()
    page.goto(f"{office.url}/approvals")
    page.keyboard.press("j")
    assert focused(page) == f"ask-{second}", "the next one after the one that is open"
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert focused(page) == f"ask-{third}", "it ends at the end"
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/approvals/{second}"))
    expect(page.locator(f"#ask-{second}")).to_have_attribute("aria-current", "true")

    page.keyboard.press("a")
    assert focused(page) == "reason"
    expect(page.locator("#meant")).to_contain_text("Enter approves")
    page.keyboard.type("Peak tariff, and a full battery")
    page.keyboard.press("Enter")
    expect(page.locator(".result")).to_contain_text("Approved by local: “Peak tariff, and a full battery”")
    expect(page.locator("#toast")).to_contain_text("Approved by local")
    assert answered(office, second) == ("Approved", "Peak tariff, and a full battery")
    expect(page.locator(".ask")).to_have_count(2)
    expect(page.locator("#side .badge")).to_contain_text("2")
    assert focused(page).startswith("Next: "), "Enter goes on"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/approvals/{first}"))

    page.keyboard.press("r")
    page.keyboard.type("a")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    assert status(office, first) is Status.WAITING, "there is no reason yet"
    page.keyboard.type("too dear")
    page.keyboard.press("Escape")
    assert focused(page) == f"ask-{first}"
    page.keyboard.press("r")
    expect(page.locator(".result")).to_contain_text("Rejected by local: “too dear”")
    assert answered(office, first) == ("Rejected", "too dear")
    assert status(office, third) is Status.WAITING


@pytest.mark.deep
def test_enter_in_the_reason_answers_nothing_by_itself(office: Office, open_page: Open) -> None:
    [run] = waiting(office, 140.0)
    for scripts in (True, False):
        page = open_page(scripts=scripts)
        page.goto(f"{office.url}/approvals/{run}")
        sent: list[str] = []

        def note(request: Request, sent: list[str] = sent) -> None:
            sent.append(request.method)

        page.on("request", note)
        page.locator("#reason").fill("too dear, I think")
        page.locator("#reason").press("Enter")
        page.locator("#reason").press("Tab")
        assert "POST" not in sent
        assert status(office, run) is Status.WAITING


@pytest.mark.deep
def test_keys_can_be_turned_off_and_never_act_while_somebody_types(office: Office, open_page: Open) -> None:
    [run] = waiting(office, 140.0)
    page = open_page()
    page.goto(f"{office.url}/approvals/{run}")
    page.locator("#reason").fill("x")
    page.locator("#reason").press("r")
    expect(page.locator("#reason")).to_have_value("xr")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    assert status(office, run) is Status.WAITING
    page.context.add_cookies([{"name": "steward-keys", "value": "off", "url": office.url}])
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{office.url}/approvals/{run}")
    page.keyboard.press("a")
    assert focused(page) != "reason"
    assert status(office, run) is Status.WAITING


def test_every_answer_by_mouse(office: Office, open_page: Open, expected: list[str]) -> None:
    expected.append("422")
    asked, snoozed, raised = waiting(office, 140.0, 150.0, 160.0)
    page = open_page()
    page.goto(f"{office.url}/approvals/{asked}")
    page.get_by_text("Ask back", exact=True).click()
    page.get_by_label("Your question").fill("Is the feeder in service?")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".asked-back")).to_contain_text("local asks: “Is the feeder in service?”")
    page.get_by_label("Reply").fill("Since six")
    page.get_by_role("button", name="Reply").click()
    expect(page.locator(".asked-back")).to_have_count(0)

    page.locator(f"#ask-{snoozed}").click()
    expect(page.locator(f"#ask-{snoozed}")).to_have_attribute("aria-current", "true")
    page.get_by_text("Snooze", exact=True).click()
    form = page.locator("form[action$=snooze]")
    form.get_by_label("Reason").fill("after lunch")
    form.get_by_role("button", name="15 min").click()
    expect(form.get_by_role("alert")).to_contain_text("does not lie between now and the deadline")
    expect(form.get_by_label("Reason")).to_have_value("after lunch")
    assert violations(page) == []

    page.locator(f"#ask-{raised}").click()
    expect(page.locator(f"#ask-{raised}")).to_have_attribute("aria-current", "true")
    page.get_by_text("Escalate", exact=True).click()
    form = page.locator("form[action$=escalate]")
    form.get_by_label("Reason").fill("not alone")
    form.get_by_role("button").last.click()
    expect(page.locator(".facts").first).to_contain_text("grid-desk and duty")
    page.get_by_role("link", name="Escalated").click()
    expect(page).to_have_url(f"{office.url}/approvals/{raised}?tab=escalated")
    expect(page.locator(".ask")).to_have_count(1)
    page.go_back()
    expect(page.locator(".ask")).to_have_count(3)


def test_what_others_answer_shows_at_once_and_leaves_what_is_typed_alone(office: Office, open_page: Open) -> None:
    run, other = waiting(office, 140.0, 150.0)
    page = open_page()
    page.add_init_script(HEARD)
    page.goto(f"{office.url}/approvals")
    expect(page).to_have_url(f"{office.url}/approvals/{run}?tab=mine")
    page.locator("#reason").fill("I think")
    expect(page.locator("html")).to_have_attribute("data-heard", "yes")  # the stream has told where this page stands

    async def reject() -> None:
        await office.company.runtime.answers.reject(run, by="ben", reason="too dear")

    office.run(reject())
    expect(page.locator("#standing")).to_contain_text("Rejected by ben: “too dear”", timeout=9_000)
    expect(page.locator("#reason")).to_have_value("I think")
    expect(page.locator("#ask-title")).to_be_visible()
    expect(page.locator(f"#ask-{other}")).to_be_visible()
    expect(page.locator(f"#ask-{run}")).to_have_count(0)
    page.on("dialog", lambda dialog: dialog.accept())  # of what was typed


def test_somebody_else_was_first(office: Office, open_page: Open, expected: list[str]) -> None:
    expected.append("409")
    [run] = waiting(office, 140.0)
    page = open_page()
    page.goto(f"{office.url}/approvals/{run}")
    page.locator("#reason").fill("go on")

    async def reject() -> None:
        await office.company.runtime.answers.reject(run, by="ben", reason="too dear")

    office.run(reject())
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("Your answer was not taken: ben was first.")
    expect(page.locator(".result")).to_contain_text("Rejected by ben")
    expect(page.get_by_role("alert")).to_contain_text("You wrote: “go on”")


@pytest.mark.deep
def test_what_was_typed_survives_a_page_that_only_says_what_went_wrong(
    office: Office, open_page: Open, expected: list[str]
) -> None:
    expected.append("500")
    [run] = waiting(office, 140.0)
    page = open_page()
    page.goto(f"{office.url}/approvals/{run}")
    body = "<main><h1>An engine failed</h1><p class=sentence>the disk is full</p></main>"
    page.route("**/approve", lambda route: route.fulfill(status=500, content_type="text/html", body=body))
    page.locator("#reason").fill("fine")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#toast")).to_have_text("It was not taken: the disk is full")
    expect(page.locator("#reason")).to_have_value("fine")
    page.unroute("**/approve")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".result")).to_contain_text("Approved by local")


@pytest.mark.parametrize("scripts", [True, False])
def test_on_a_phone_the_list_and_then_the_question(office: Office, open_page: Open, *, scripts: bool) -> None:
    first, second = waiting(office, 140.0, 150.0)
    page = open_page(390, "dark", scripts=scripts)
    page.goto(f"{office.url}/approvals")
    expect(page.locator(".detail")).to_be_hidden()
    page.locator(f"#ask-{second}").click()
    expect(page).to_have_url(re.compile(str(second)))
    expect(page.locator(".queue")).to_be_hidden()
    expect(page.locator("#ask-title")).to_have_text("Discharge")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390 if scripts else True
    page.get_by_role("link", name="All approvals").click()
    expect(page.locator(".queue")).to_be_visible()
    page.locator(f"#ask-{first}").click()
    page.locator("#reason").fill("fine")
    button = page.get_by_role("button", name="Approve")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 40, "a thumb must hit it"
    button.click()
    expect(page.locator(".result")).to_contain_text("Approved by local")
    assert answered(office, first) == ("Approved", "fine")


def test_without_scripts_everything_is_answered(office: Office, open_page: Open) -> None:
    run, other = waiting(office, 140.0, 150.0)
    page = open_page(scripts=False)
    page.goto(f"{office.url}/approvals")
    page.locator("#reason").fill("fine")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator(".result")).to_contain_text("Rejected by local: “fine”")
    assert answered(office, run) == ("Rejected", "fine")
    page.get_by_role("link", name="Next: ").click()
    expect(page).to_have_url(re.compile(str(other)))


@pytest.mark.deep
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_is_wrong_for_readers(office: Office, open_page: Open, width: int, theme: str) -> None:
    run, _ = waiting(office, 140.0, 150.0)
    page = open_page(width, theme)
    page.goto(f"{office.url}/approvals/{run}")
    for summary in ("What happened, and what was known", "Ask back"):
        page.get_by_text(summary, exact=True).click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#reason").fill("fine")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".result")).to_be_visible()
    assert violations(page) == []
    page.goto(f"{office.url}/approvals?tab=done")
    assert violations(page) == []
