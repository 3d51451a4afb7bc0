"""Reports: files of their own that load nothing, say everything, and can be printed."""

from __future__ import annotations

import html
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from tests.console.world import Company

from steward.console import printing
from steward.ledger.verify import verify_bundle

EVIL = "<script>alert(1)</script>"


async def asked_and_answered(company: Company) -> str:
    run = await company.refund(700.0, order_id=EVIL)
    for who in ("ana", "ben"):
        asked = (await company.runtime.run(run)).asked
        assert asked is not None
        await company.runtime.approve(run, by=who, reason=f"{EVIL} says {who}", evidence=asked.evidence)
    await company.runtime.advance()
    return str(run)


async def test_a_decision_leaves_as_one_file_with_everything_in_it(company: Company) -> None:
    run = await company.dispatch(90.0)
    await company.meter(1_912.0, run)
    async with company.client() as browser:
        report = await browser.get(f"/decisions/{run}/report")
    assert report.status_code == 200
    assert report.headers["content-disposition"] == f'attachment; filename="decision-{run}.html"'
    for words in ("it brings 1200 EUR", "1,912.00", "price_eur", "saving", "Write setpoint", "Nobody had to be asked"):
        assert words in report.text, words
    assert not re.search(r'(src|href)="', report.text)
    assert "demo data" in report.text.lower()


async def test_its_policy_allows_its_own_style_and_nothing_else(company: Company) -> None:
    run = await company.dispatch(90.0)
    async with company.client() as browser:
        for path in (f"/decisions/{run}/report", "/value/report"):
            report = await browser.get(path)
            [style] = re.findall(r"<style>(.*?)</style>", report.text, re.DOTALL)
            digest = b64encode(sha256(style.encode()).digest()).decode()
            policy = report.headers["content-security-policy"]
            assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
            assert policy in html.unescape(report.text)
            assert " style=" not in report.text


async def test_the_proof_in_it_can_be_verified(company: Company) -> None:
    run = await company.dispatch(90.0)
    async with company.client() as browser:
        report = (await browser.get(f"/decisions/{run}/report")).text
    proof = html.unescape(re.findall(r"<pre>(.*?)</pre>", report, re.DOTALL)[-1])
    assert verify_bundle(proof.encode(), public_key=company.runtime.audit.public_key).ok
    assert str(run) in proof


async def test_what_people_wrote_is_text(company: Company) -> None:
    run = await asked_and_answered(company)
    await company.runtime.stop("*", by="bo", reason=EVIL)
    async with company.client() as browser:
        for path, count in ((f"/decisions/{run}/report", 4), ("/value/report", 1)):
            report = (await browser.get(path)).text
            assert "<script" not in report
            assert report.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= count


async def test_who_agreed_stands_there(company: Company) -> None:
    run = await asked_and_answered(company)
    async with company.client() as browser:
        report = (await browser.get(f"/decisions/{run}/report")).text
    agreed = report[report.index("Who agreed") : report.index("What happened")]
    assert agreed.count("agreed</td>") == 2
    assert "ana" in agreed
    assert "ben" in agreed


async def test_the_value_of_a_time_is_told_with_people_and_stops(company: Company) -> None:
    run = await company.dispatch(90.0)
    await company.meter(100.0, run)
    await asked_and_answered(company)
    await company.runtime.stop("*", by="bo", reason="smoke")
    async with company.client() as browser:
        whole = await browser.get("/value/report")
        before = await browser.get("/value/report?since=2026-06-01&until=2026-06-30")
        wrong = await browser.get("/value/report?since=2026-07-02&until=2026-07-01")
    assert whole.headers["content-disposition"] == 'attachment; filename="value-first-2026-07-01.html"'
    for words in ("100.00", "no interval below 30 outcomes", "Stopped everything", "smoke", "Refund", "Dispatch"):
        assert words in whole.text, words
    assert "Nothing was decided" in before.text
    assert "smoke" not in before.text
    assert wrong.status_code == 422


async def test_it_shows_what_its_reader_may_see(staffed: Company) -> None:
    run, refunded = await staffed.dispatch(90.0), await staffed.refund(20.0)
    async with staffed.client_of("olga") as browser:
        assert (await browser.get(f"/decisions/{run}/report")).status_code == 200
        assert (await browser.get(f"/decisions/{refunded}/report")).status_code == 404
        assert "shop.refund" not in (await browser.get("/value/report")).text
    async with staffed.client_of("bot") as browser:  # a service reads, but proves nothing
        report = (await browser.get(f"/decisions/{run}/report")).text
    assert "steward verify" not in report
    async with staffed.client() as stranger:
        assert (await stranger.get(f"/decisions/{run}/report")).status_code == 303


async def test_without_the_extra_it_says_what_to_install(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "PDF", False)
    async with company.client() as browser:
        missing = await browser.get("/value/report?as=pdf")
        unknown = await browser.get("/value/report?as=docx")
    assert missing.status_code >= 400
    assert "pip install &#39;steward-aios[pdf]&#39;" in missing.text
    assert unknown.status_code == 422


async def test_a_process_that_cannot_print_says_so(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "PDF", True)
    monkeypatch.setattr(printing, "_PROCESS", "steward.nothing_of_that_name")
    async with company.client() as browser:
        failed = await browser.get("/value/report?as=pdf")
    assert failed.status_code >= 500
    assert "could not be printed" in failed.text


@pytest.mark.skipif(not printing.PDF, reason="the extra pdf (WeasyPrint) is not installed")
async def test_it_leaves_as_a_pdf(company: Company) -> None:
    run = await company.dispatch(90.0)
    async with company.client() as browser:
        report = await browser.get(f"/decisions/{run}/report?as=pdf")
    assert report.headers["content-type"] == "application/pdf"
    assert report.headers["content-disposition"].endswith('.pdf"')
    assert report.content.startswith(b"%PDF-")


@pytest.mark.skipif(not printing.PDF, reason="the extra pdf (WeasyPrint) is not installed")
def test_printing_loads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr("urllib.request.OpenerDirector.open", lambda *asked, **more: opened.append(asked))
    style = tmp_path / "other.css"
    style.write_text("p { color: red }")
    named = (
        f'<link rel="stylesheet" href="{style.as_uri()}"><img src="{style.as_uri()}"><img src="http://localhost:1/x">'
    )
    assert printing.pdf_of(named).startswith(b"%PDF-")
    assert opened == []
