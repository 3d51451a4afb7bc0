"""A canary is taken back in the browser: one click, a reason, and the page says what is live."""

from __future__ import annotations

from tests.console.browser.conftest import Open
from tests.console.browser.office import Office
from tests.console.world import DISPATCH


def test_a_rollback_is_one_click_and_a_reason(office: Office, open_page: Open) -> None:
    release = office.run(office.company.try_out(250.0, share=0.2))
    page = open_page()
    page.goto(f"{office.url}/models")
    card = page.locator("section.release", has_text="Dispatch")
    assert "20\N{NO-BREAK SPACE}%" in card.inner_text()
    card.locator("summary", has_text="Roll back").focus()
    page.keyboard.press("Enter")
    card.get_by_label("Why").fill("it holds too often")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{office.url}/models")
    page.locator("section.release", has_text="Champion").first.wait_for()
    assert release[-16:] not in page.locator("section.release", has_text="Dispatch").inner_text()
    assert office.company.runtime.releases.live(DISPATCH).rollout is None
    page.goto(f"{office.url}/compare?decision={DISPATCH}")
    assert "it holds too often" in page.locator("main").inner_text()
