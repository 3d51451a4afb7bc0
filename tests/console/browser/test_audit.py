"""Audit and proofs in a real browser: progress comes by itself, and a proof's file is taken."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect
from tests.console.browser.conftest import Open, violations
from tests.console.browser.office import Office


def test_verifying_shows_what_was_found_without_a_reload(office: Office, open_page: Open) -> None:
    office.run(office.company.dispatch(110.0))
    page = open_page()
    page.goto(f"{office.url}/audit")
    page.evaluate("window.kept = true")
    page.get_by_role("button", name="Verify all now").click()
    expect(page.locator("#verified")).to_contain_text("0 gaps", timeout=15_000)
    expect(page.locator("#verification progress")).to_have_count(0, timeout=15_000)
    assert page.evaluate("window.kept")
    assert violations(page) == []


def test_the_file_of_a_proof_is_checked(office: Office, open_page: Open, tmp_path: Path) -> None:
    run = office.run(office.company.dispatch(110.0))
    page = open_page()
    page.goto(f"{office.url}/audit")
    proof = tmp_path / "proof.json"
    proof.write_text(page.request.get(f"{office.url}/v1/decisions/{run}/proof").text())
    page.get_by_label("or its file").set_input_files(proof)
    expect(page.locator("#bundle-text")).to_have_value(proof.read_text())
    page.get_by_role("button", name="Check it").click()
    expect(page.locator("#bundle .notice")).to_contain_text("It holds.")
    expect(page.get_by_label("or its file")).to_be_visible()
    assert violations(page) == []
    # The field is new by now, and so is the file's.
    proof.write_text(proof.read_text().replace("dispatch", "dispotch", 1))
    page.get_by_label("or its file").set_input_files(proof)
    expect(page.locator("#bundle-text")).to_have_value(proof.read_text())
    page.get_by_role("button", name="Check it").click()
    expect(page.locator("#bundle .notice")).to_contain_text("It does not hold.")


def test_the_way_of_an_entry_is_drawn(office: Office, open_page: Open) -> None:
    run = office.run(office.company.dispatch(110.0))
    page = open_page()
    page.goto(f"{office.url}/audit")
    page.get_by_label("Its index, or the id of its decision").fill(str(run))
    page.get_by_role("button", name="Prove").click()
    expect(page.locator("#entry")).to_contain_text("verified now")
    assert page.locator("#entry .audit-path").count() == 1
    assert str(run) in page.url
    assert violations(page) == []


def test_a_report_opens_by_itself_under_its_own_policy(
    office: Office, open_page: Open, expected: list[str], tmp_path: Path
) -> None:
    run = office.run(office.company.dispatch(110.0))
    page = open_page()
    report = tmp_path / "report.html"
    expected.append("^file:")
    report.write_text(page.request.get(f"{office.url}/decisions/{run}/report").text())
    page.goto(report.as_uri())
    size = page.locator("h1").evaluate("each => getComputedStyle(each).fontSize")
    assert size == "24px", "its style is applied"
    assert violations(page) == []
