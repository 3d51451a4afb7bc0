"""The page Models, and a model's own: what is live, who may go back, and where a model comes from."""

from __future__ import annotations

import pytest
from tests.console.world import DISPATCH, REFUND, STAFF, Company

from steward.console.pages.models import adoption, parts_of
from steward.entries import RolledBack


async def test_it_says_what_is_live_and_which_models_there_are(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/models")
        data = await browser.get("/data/models.json")
    assert page.status_code == 200
    assert "Development mode" in page.text
    assert company.runtime.running[DISPATCH].release[-16:] in page.text
    assert "Roll back" not in page.text
    [row] = data.json()["rows"] if isinstance(data.json(), dict) else data.json()
    assert (row["name"], row["live"], row["newest"]) == ("saving", "1", "1")


@pytest.mark.parametrize("name", STAFF)
async def test_everybody_sees_the_decisions_of_their_teams(staffed: Company, name: str) -> None:
    async with staffed.client_of(name) as browser:
        page = await browser.get("/models")
    assert page.status_code == 200
    assert (staffed.runtime.running[REFUND].release[-16:] in page.text) == ("payments-desk" in STAFF[name][1])


async def test_a_canary_shows_its_share_and_can_be_taken_back_with_a_reason(company: Company) -> None:
    release = await company.try_out(500.0, share=0.25)
    async with company.client() as browser:
        page = await browser.get("/models")
        assert release[-16:] in page.text
        assert "newest is live" not in page.text
        number = str(company.runtime.releases.live(DISPATCH).number)
        form = {"number": number, "back": "/models", "reason": ""}
        without = await browser.post(f"/compare/{DISPATCH}/rollback", data=form)
        assert (without.status_code, company.runtime.releases.live(DISPATCH).rollout is None) == (422, False)
        done = await browser.post(f"/compare/{DISPATCH}/rollback", data={**form, "reason": "it holds too often"})
        assert (done.status_code, done.headers["location"]) == (303, "/models")
    assert company.runtime.releases.live(DISPATCH).rollout is None
    last = (await company.runtime.releases.history(DISPATCH))[-1]
    assert isinstance(last, RolledBack)
    assert last.reason == "it holds too often"


async def test_what_was_changed_meanwhile_is_not_undone(company: Company) -> None:
    await company.try_out(500.0, share=0.25)
    seen = company.runtime.releases.live(DISPATCH).number
    await company.runtime.rollouts.share(DISPATCH, 0.1, by="ben", reason="slower")
    async with company.client() as browser:
        form = {"number": str(seen), "reason": "old news"}
        answer = await browser.post(f"/compare/{DISPATCH}/rollback", data=form)
    assert answer.status_code == 409
    assert "changed meanwhile" in answer.text
    assert "old news" in answer.text  # what was typed is kept


async def test_a_models_page_tells_its_versions_and_what_is_missing(company: Company) -> None:
    await company.try_out(500.0, share=0.25)
    async with company.client() as browser:
        newest = await browser.get("/models/saving")
        first = await browser.get("/models/saving?version=1")
        none = await browser.get("/models/nothing")
        other = await browser.get("/models/saving?version=9")
    assert (newest.status_code, first.status_code, none.status_code, other.status_code) == (200, 200, 404, 404)
    assert "Version 2 of 2, linear." in newest.text
    assert "Version 1 of 2, linear." in first.text
    assert "Nobody has written its card yet" in newest.text
    assert "not signed" in newest.text


async def test_a_model_of_another_team_does_not_exist(staffed: Company) -> None:
    ada = await staffed.runtime.guard.identify({b"authorization": f"Bearer {staffed.secrets['ada']}".encode()})
    await staffed.runtime.guard.administration.limit(ada, DISPATCH, ["grid-desk"])
    async with staffed.client_of("olga") as browser:
        assert (await browser.get("/models/saving")).status_code == 200
    async with staffed.client_of("paula") as browser:
        assert (await browser.get("/models/saving")).status_code == 404
        assert "saving" not in (await browser.get("/models")).text


async def test_adoption_is_a_fold_of_what_happened(company: Company) -> None:
    release = await company.try_out(500.0, share=0.25, holdout=0.1)
    await company.runtime.rollouts.promote(DISPATCH, by="ben", reason="good")
    live = company.runtime.releases.live(DISPATCH)
    assert [(part.arm, part.share) for part in parts_of(live)] == [("champion", 0.9), ("holdout", 0.1)]
    figure = adoption(DISPATCH, await company.runtime.releases.history(DISPATCH))
    bars = {series.name: list(series.values) for series in figure.panels[0].series}  # type: ignore[union-attr] # bars
    own = company.runtime.lineups.own[DISPATCH]
    assert bars == {own[-16:]: [100.0, 75.0, 10.0], release[-16:]: [0.0, 25.0, 90.0]}
