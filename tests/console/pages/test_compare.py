"""The page Compare: what differs, what is known, and what a person can do about it."""

from __future__ import annotations

import pytest
from tests.console.world import DISPATCH, REFUND, STAFF, Company

from steward.console.pages.compare import differences


async def dispatches(company: Company, times: int = 6) -> None:
    for number in range(times):
        run = await company.dispatch(70.0 + number, region=f"R{number}")
        await company.meter(100.0 * number, run)


async def test_without_a_rollout_it_says_how_to_begin_one(company: Company) -> None:
    async with company.client() as browser:
        every = await browser.get("/compare")
        one = await browser.get(f"/compare?decision={DISPATCH}")
    assert "steward rollout start" in every.text
    assert "One release decides all of it." in one.text
    assert "Promote" not in one.text


async def test_a_canary_is_compared_and_promoted(company: Company) -> None:
    release = await company.try_out(500.0, share=0.5)
    await dispatches(company)
    async with company.client() as browser:
        page = await browser.get(f"/compare?decision={DISPATCH}")
        assert "Errors and fallbacks" in page.text
        assert "planned decisions, nothing breached" in page.text
        assert "Model saving" in page.text  # the only thing that differs
        assert "Event" not in page.text.split("Only what differs")[1].split("</table>")[0]
        number = str(company.runtime.releases.live(DISPATCH).number)
        form = {"share": "80", "reason": "more of it"}
        assert (await browser.post(f"/compare/{DISPATCH}/share", data=form)).status_code == 303
        late = await browser.post(f"/compare/{DISPATCH}/promote", data={"number": number, "reason": "seen enough"})
        assert late.status_code == 409
        number = str(company.runtime.releases.live(DISPATCH).number)
        done = await browser.post(f"/compare/{DISPATCH}/promote", data={"number": number, "reason": "seen enough"})
        assert (done.status_code, done.headers["location"]) == (303, f"/compare?decision={DISPATCH}")
        assert "Promoted by" in (await browser.get(f"/compare?decision={DISPATCH}")).text
    assert company.runtime.releases.live(DISPATCH).champion == release


async def test_a_shadow_tells_where_it_would_have_decided_otherwise(company: Company) -> None:
    release = await company.try_out(800.0, is_shadow=True)
    await dispatches(company)
    await company.runtime.advance()
    async with company.client() as browser:
        page = await browser.get(f"/compare?decision={DISPATCH}")
        data = await browser.get(f"/data/disagreements.json?decision={DISPATCH}")
        shares = await browser.get(f"/data/adoption.csv?decision={DISPATCH}")
        hidden = await browser.get("/data/disagreements.json?decision=shop.nothing")
        stopped = await browser.post(f"/compare/{DISPATCH}/stop", data={"reason": "seen enough"})
    assert f"Shadow {release[-16:]}" in page.text
    assert "asked 6 times" in page.text
    assert (data.status_code, shares.status_code, hidden.status_code) == (200, 200, 404)
    assert release[-16:] not in shares.text  # it had no share
    assert stopped.status_code == 303
    assert company.runtime.releases.live(DISPATCH).rollout is None


async def test_only_what_differs_is_shown(company: Company) -> None:
    release = await company.try_out(800.0, share=0.5)
    live = company.runtime.releases.live(DISPATCH)
    assert [each.what for each in differences(live, release)] == ["Model saving"]
    assert differences(live, live.champion) == []


@pytest.mark.parametrize("name", STAFF)
async def test_who_may_not_promote_is_offered_nothing_and_refused(staffed: Company, name: str) -> None:
    await staffed.try_out(500.0, share=0.5)
    async with staffed.client_of(name) as browser:
        page = await browser.get(f"/compare?decision={DISPATCH}")
        answer = await browser.post(f"/compare/{DISPATCH}/stop", data={"reason": "no"})
        hidden = await browser.get(f"/compare?decision={REFUND}")
    offered = "Make it the champion" in page.text
    assert offered == (answer.status_code == 303), (name, answer.status_code)
    assert answer.status_code in (303, 403)
    assert (hidden.status_code == 200) == ("payments-desk" in STAFF[name][1])


async def test_reasons_are_text_and_nothing_else(company: Company) -> None:
    await company.try_out(500.0, share=0.5)
    async with company.client() as browser:
        form = {"share": "20", "reason": "<script>alert(1)</script>"}
        await browser.post(f"/compare/{DISPATCH}/share", data=form)
        page = await browser.get(f"/compare?decision={DISPATCH}")
    assert "<script>alert(1)" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
