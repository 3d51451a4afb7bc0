"""Approvals: every answer, what keeps one from being taken, and how the page says so."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Final

import httpx
import msgspec
from tests.console.approving import asks, evidence, look, say, text_of
from tests.console.world import DISPATCH, Company

from steward.api.desk import WAYS

# Answering


async def test_an_approval_is_shown_and_the_next_one_waits(firm: Company) -> None:
    run, other = await firm.dispatch(140.0), await firm.dispatch(141.0)
    async with firm.client(cookie="steward-acting=mara") as browser:
        sent = await browser.post(f"/approvals/{run}/approve", data={"reason": "Peak tariff", "tab": "mine"})
        assert (sent.status_code, sent.headers["location"]) == (303, f"/approvals/{run}?tab=mine")
        page = await browser.get(sent.headers["location"])
    said = text_of(page)
    assert "Approved by mara: “Peak tariff”" in said
    index = (await firm.runtime.run(run)).history[-1].index
    assert re.search(r"Recorded as ledger entry #\d+ at 14:00:00 CEST. Next: Discharge", said), said
    assert index > 0
    assert asks(page) == [str(other)]
    assert f'autofocus href="/approvals/{other}?tab=mine"' in page.text
    assert 'id="answer"' not in page.text
    assert '<b class="badge">1' in page.text
    [row] = (await look(firm, "/data/approvals.json?tab=done")).json()
    assert (row["by"], row["reason"]) == ("mara", "Peak tariff")


async def test_a_rejection_is_as_easy(firm: Company) -> None:
    run = await firm.dispatch(140.0)
    form = (await look(firm, f"/approvals/{run}")).text
    form = form[form.index('id="answer"') : form.index("</form>", form.index('id="answer"'))]
    assert re.findall(r'data-way="(\w+)"', form) == ["approve", "reject"]
    assert (await say(firm, run, "reject", reason="too dear")).status_code == 303
    said = text_of(await look(firm, f"/approvals/{run}?tab=done"))
    assert "Rejected by local: “too dear”" in said
    assert "In force: Hold" in said
    assert "rejected Dispatch · by local after 0 s “too dear”" in said


async def test_nothing_is_approved_by_enter_alone(firm: Company) -> None:
    run = await firm.dispatch(140.0)
    page = (await look(firm, f"/approvals/{run}")).text
    forms = re.findall(r'<form class="form[^>]* action="/approvals/.*?</form>', page, re.DOTALL)
    assert len(forms) == 5
    for form in forms:
        assert form.index("<button disabled hidden>") < form.index("formaction")


async def test_an_answer_without_a_reason_is_asked_for_one_and_keeps_the_rest(firm: Company) -> None:
    run = await firm.dispatch(140.0)
    kept = {
        "approve": ({}, "autofocus"),
        "reject": ({}, "autofocus"),
        "question": ({}, '<details class="way" open><summary class="button">Ask back'),
        "change": ({"choice.value": '"hold"'}, "selected>Hold"),
        "escalate": ({"to": "plant-lead"}, "<option selected>plant-lead"),
        "snooze": ({"until": "2026-07-01T14:07"}, 'value="2026-07-01T14:07"'),
    }
    assert kept.keys() == WAYS.keys() - {"reply"}
    for way, (typed, shown) in kept.items():
        page = await say(firm, run, way, **typed)
        assert page.status_code == 422
        assert "is missing. Fill it in." in text_of(page)
        assert page.text.count('aria-invalid="true"') == 1
        assert shown in page.text
        assert page.text.count('<details class="way" open>') == (way not in ("approve", "reject"))
    assert len((await firm.runtime.run(run)).history) == 2, "nothing but that it was asked"


WRONG: Final = [
    ("change", {"choice.value": '"charge"'}, 422, "the battery is full. Hold it."),
    ("change", {"choice.value": '"sell"'}, 422, "is no choice of"),
    ("change", {"choice.value": "{"}, 422, "is not one of the choices"),
    ("change", {"choice.other": "1"}, 422, "the choice has no field 'other'"),
    ("change", {"choice.value": '"discharge"'}, 422, "this is what is asked anyway"),
    ("change", {}, 422, "Choice is missing"),
    ("escalate", {"to": "nobody"}, 409, "the gate does not name it"),
    ("snooze", {"until": "2026-07-01T15:00"}, 422, "does not lie between now and the deadline"),
    ("snooze", {"until": "soon"}, 422, "this is no time"),
    ("snooze", {"minutes": "60"}, 422, "does not lie between now and the deadline"),
    ("snooze", {"minutes": "1" + "0" * 15}, 422, "this is no time"),
    ("snooze", {"minutes": "-5"}, 422, "does not lie between now and the deadline"),
    ("snooze", {"until": "0001-01-01T00:00"}, 422, "does not lie between now and the deadline"),
    ("snooze", {"until": "9999-12-31T23:59"}, 422, "does not lie between now and the deadline"),
    ("approve", {"evidence": "sha256:short"}, 422, "does not fit"),
]


async def test_wrong_input_keeps_what_was_typed(firm: Company) -> None:
    run = await firm.dispatch(140.0)
    for way, typed, status, told in WRONG:
        page = await say(firm, run, way, reason="because I say so", shown=typed.pop("evidence", None), **typed)
        assert page.status_code == status
        assert told in text_of(page)
        assert 'value="because I say so"' in page.text
    assert len((await firm.runtime.run(run)).history) == 2


async def test_a_form_that_makes_no_sense_is_refused(firm: Company) -> None:
    run = await firm.dispatch(140.0)
    async with firm.client() as browser:
        for body in ("reason=a&reason=b", "choice=1&choice.value=2", "by=somebody&reason=x", "minutes=soon&reason=x"):
            headers = {"content-type": "application/x-www-form-urlencoded"}
            sent = await browser.post(f"/approvals/{run}/approve", content=body, headers=headers)
            assert sent.status_code == 422, body
        assert (await browser.post(f"/approvals/{run}/approve", json={"reason": "x"})).status_code == 415
    assert (await firm.runtime.run(run)).is_waiting


async def test_a_change_is_shown_as_before_and_after(office: Company) -> None:
    run = await office.refund(900.0)
    form = (await look(office, f"/approvals/{run}", "ana")).text
    assert re.search(r'name="choice.amount_eur" type="number" step="any"[^>]* value="900.0" required', form)
    assert '<select name="choice.pay" required>' in form
    assert "Limits: At most what is asked." in unescape(form)
    typed = {"choice.pay": "true", "choice.amount_eur": "450"}
    assert (await say(office, run, "change", "ana", reason="half", **typed)).status_code == 303
    said = text_of(await look(office, f"/approvals/{run}", "ben"))
    assert "Changed by ana: Pay yes, amount 900 EUR → Pay yes, amount 450 EUR" in said
    assert "“half”" in said
    assert (await office.runtime.run(run)).asked.choice == {"pay": True, "amount_eur": 450.0}  # type: ignore[union-attr] # it is asked


async def test_a_change_within_one_persons_power_settles_it(firm: Company) -> None:
    run = await firm.dispatch(140.0)
    assert (await say(firm, run, "change", reason="rather not", **{"choice.value": '"hold"'})).status_code == 303
    assert "Approved by local: “rather not” In force: Hold" in text_of(await look(firm, f"/approvals/{run}"))


async def test_questions_are_asked_and_replied_to(office: Company) -> None:
    run = await office.dispatch(140.0)
    assert (await say(office, run, "question", "ana", reason="Is the feeder in service?")).status_code == 303
    for name in ("ben", "olga"):
        assert "ana asks: “Is the feeder in service?”" in text_of(await look(office, f"/approvals/{run}", name))
    assert (await say(office, run, "reply", "olga", shown="", reason="Since six")).status_code == 303
    assert "ana asks" not in text_of(await look(office, f"/approvals/{run}", "ben"))
    late = await say(office, run, "reply", "olga", shown="", reason="Again")
    assert late.status_code == 409
    assert "there is no open question" in text_of(late)


async def test_others_are_asked_too(office: Company) -> None:
    run = await office.dispatch(140.0)
    assert (await say(office, run, "escalate", "ana", to="duty", reason="not alone")).status_code == 303
    page = await look(office, f"/approvals/{run}?tab=escalated", "ana")
    assert asks(page) == [str(run)]
    assert "Asked grid-desk and duty; goes to plant-lead at" in text_of(page)
    assert '<b class="num">1</b></a>' in page.text


async def test_a_snoozed_question_comes_back(office: Company) -> None:
    run = await office.dispatch(140.0)
    # 14:05 in Madrid, where the site is.
    assert (await say(office, run, "snooze", "ana", until="2026-07-01T14:05", reason="in a meeting")).status_code == 303
    assert asks(await look(office, "/approvals?tab=mine", "ana")) == []
    assert asks(await look(office, "/approvals?tab=snoozed", "ana")) == [str(run)]
    assert "ana until 14:05:00 CEST" in text_of(await look(office, f"/approvals/{run}", "ana"))
    assert asks(await look(office, "/approvals?tab=mine", "ben")) == [str(run)]
    await office.later(timedelta(minutes=5))
    assert asks(await look(office, "/approvals?tab=mine", "ana")) == [str(run)]
    long = await office.refund(900.0)
    assert (await say(office, long, "snooze", "ana", minutes="15", reason="later")).status_code == 303
    run_now = await office.runtime.run(long)
    assert run_now.history[-1].body.until == office.clock.now() + timedelta(minutes=15)  # type: ignore[union-attr] # a Snoozed


# What keeps an answer from being taken


async def test_an_answer_to_what_is_not_asked_any_more_is_void_and_says_what_changed(office: Company) -> None:
    run = await office.refund(900.0)
    shown = evidence(await look(office, f"/approvals/{run}", "ben"))
    typed = {"choice.pay": "true", "choice.amount_eur": "450"}
    await say(office, run, "change", "ana", reason="half is enough", **typed)
    page = await say(office, run, "approve", "ben", shown=shown, reason="all of it, please")
    said = text_of(page)
    assert page.status_code == 409
    assert "Your answer was not taken: something else is asked by now." in said
    assert "You were shown “Pay yes, amount 900 EUR”; asked is now “Pay yes, amount 450 EUR”." in said
    assert "ana changed it at 14:00:00 CEST: “half is enough”." in said
    assert 'value="all of it, please"' in page.text
    assert evidence(page) != shown
    assert (await say(office, run, "approve", "ben", shown=evidence(page), reason="half, then")).status_code == 303


async def test_the_second_answer_hears_who_was_first(office: Company) -> None:
    run = await office.dispatch(140.0)
    shown = evidence(await look(office, f"/approvals/{run}", "ben"))
    await say(office, run, "reject", "ana", reason="too dear")
    await office.later(timedelta(seconds=12))
    page = await say(office, run, "approve", "ben", shown=shown, reason="go on")
    said = text_of(page)
    assert page.status_code == 409
    assert "Your answer was not taken: ana was first." in said
    assert "It was rejected at 14:00:00 CEST, 12 s before you. In force is “Hold”." in said
    assert "You wrote: “go on”" in said
    assert "Rejected by ana: “too dear”" in said


async def test_an_answer_after_the_deadline_hears_what_was_done(firm: Company) -> None:
    run = await firm.dispatch(140.0)
    shown = evidence(await look(firm, f"/approvals/{run}"))
    await firm.later(timedelta(minutes=11))
    page = await say(firm, run, "approve", shown=shown, reason="go on")
    assert page.status_code == 409
    assert "nobody had answered in time" in text_of(page)
    assert "Expired: nobody answered in time In force: Hold" in text_of(page)


async def test_two_people_with_four_eyes_agree(office: Company) -> None:
    run = await office.refund(900.0)
    page = await look(office, f"/approvals/{run}", "ana")
    assert "0 of 2 agreed" in text_of(page)
    assert (await say(office, run, "approve", "ana", reason="known")).status_code == 303
    page = await look(office, f"/approvals/{run}", "ana")
    said = text_of(page)
    assert "1 of 2 agreed, yours among them. ana at 14:00:00 CEST: “known”" in said
    assert "You cannot answer this. Ana agreed already. Somebody else must agree too." in said
    assert 'id="answer"' not in page.text
    assert asks(await look(office, "/approvals?tab=mine", "ana")) == []
    again = await say(office, run, "approve", "ana", shown="", reason="again")
    assert again.status_code in (409, 422)
    assert "1 of 2 agreed. ana at" in text_of(await look(office, f"/approvals/{run}", "ben"))
    assert (await say(office, run, "approve", "ben", reason="me too")).status_code == 303
    assert "Approved by ben: “me too”" in text_of(await look(office, f"/approvals/{run}", "ben"))


async def test_whoever_changed_it_cannot_agree_to_it(office: Company) -> None:
    run = await office.refund(900.0)
    await say(office, run, "change", "ana", reason="half", **{"choice.pay": "true", "choice.amount_eur": "450"})
    page = await look(office, f"/approvals/{run}", "ana")
    assert "You cannot answer this. Ana is its editor: the gate wants four eyes" in text_of(page)
    assert "May not answer ana (editor)" in text_of(page)
    shown = re.search(r"sha256:[0-9a-f]{64}", page.text)
    assert shown
    sent = await say(office, run, "approve", "ana", shown=shown[0], reason="and yes")
    assert sent.status_code == 403
    assert "ana is its editor" in text_of(sent)


async def test_whoever_is_in_no_group_that_is_asked_hears_who_is(office: Company) -> None:
    ada = await office.runtime.guard.identify({b"authorization": f"Bearer {office.secrets['ada']}".encode()})
    known = office.runtime.guard.directory.identity("ana")
    assert known

    elsewhere = msgspec.structs.replace(known, teams=frozenset({"payments-desk"}))
    await office.runtime.guard.administration.alter(ada, elsewhere)
    run = await office.dispatch(140.0)
    page = await look(office, f"/approvals/{run}", "ana")
    assert "Ana is not asked: asked is grid-desk. Let one of them answer, or escalate it." in text_of(page)
    assert asks(await look(office, "/approvals?tab=mine", "ana")) == []
    assert asks(await look(office, "/approvals?tab=team", "ana")) == [str(run)]


async def test_what_is_stopped_is_frozen(office: Company) -> None:
    run = await office.dispatch(140.0)
    shown = evidence(await look(office, f"/approvals/{run}", "ana"))
    await office.runtime.stop(DISPATCH, by="ana", reason="storm")
    page = await look(office, f"/approvals/{run}", "ana")
    assert "Frozen: Dispatch is stopped." in text_of(page)
    assert "You cannot answer this." in text_of(page)
    sent = await say(office, run, "approve", "ana", shown=shown, reason="go")
    assert sent.status_code == 409
    assert "is stopped" in text_of(sent)
    assert (await office.runtime.run(run)).is_waiting


# Signing in anew


async def signed_in(company: Company, name: str) -> httpx.AsyncClient:
    async with company.client_of(name) as browser:
        opened = await browser.post("/v1/session")
    return company.client(cookie=opened.headers["set-cookie"].partition(";")[0])


async def test_much_money_takes_the_key_again_in_the_same_form(strict: Company) -> None:
    much = await strict.dispatch(140.0)
    async with await signed_in(strict, "ana") as browser:
        assert 'name="key"' not in (await browser.get(f"/approvals/{much}")).text
        await strict.later(timedelta(seconds=61))
        page = await browser.get(f"/approvals/{much}")
        assert re.search(r'name="key" type="password" autocomplete="off" required', page.text)
        assert "so much is at stake that you must sign in again" in text_of(page)
        typed = {"reason": "fine", "evidence": evidence(page), "tab": "mine"}
        refused = await browser.post(f"/approvals/{much}/approve", data=typed)
        assert refused.status_code == 403
        assert "signed in a while ago" in text_of(refused)
        assert 'value="fine"' in refused.text
        for key in (strict.secrets["ben"], "stw_wrong"):
            wrong = await browser.post(f"/approvals/{much}/approve", data={**typed, "key": key})
            assert wrong.status_code == 403
            assert key not in wrong.text
            assert 'value="fine"' in wrong.text
            assert "set-cookie" not in wrong.headers
        taken = await browser.post(f"/approvals/{much}/approve", data={**typed, "key": strict.secrets["ana"]})
    assert taken.status_code == 303
    assert taken.headers["set-cookie"].startswith("__Host-steward=")
    run = await strict.runtime.run(much)
    assert run.answer is not None
    assert run.answer.by == "ana"


async def test_a_new_session_is_kept_even_if_the_answer_is_refused(strict: Company) -> None:
    much = await strict.dispatch(140.0)
    async with await signed_in(strict, "ana") as browser:
        await strict.later(timedelta(seconds=61))
        typed = {"reason": "fine", "evidence": "sha256:" + "0" * 64, "key": strict.secrets["ana"]}
        refused = await browser.post(f"/approvals/{much}/approve", data=typed)
    assert refused.status_code == 409
    cookie = refused.headers["set-cookie"].partition(";")[0]
    async with strict.client(cookie=cookie) as browser:
        page = await browser.get(f"/approvals/{much}")
        assert page.status_code == 200
        assert 'name="key"' not in page.text


async def test_little_money_and_a_no_need_no_key(strict: Company) -> None:
    little, much = await strict.dispatch(125.0), await strict.dispatch(140.0)
    async with await signed_in(strict, "ana") as browser:
        await strict.later(timedelta(seconds=61))
        assert 'name="key"' not in (await browser.get(f"/approvals/{little}")).text
        assert (await browser.post(f"/approvals/{little}/approve", data={"reason": "ok"})).status_code == 303
        page = (await browser.get(f"/approvals/{much}")).text
        assert re.search(r'data-way="reject"[^>]* formnovalidate>', page), "the empty key must not keep from saying no"
        assert (await browser.post(f"/approvals/{much}/reject", data={"reason": "no"})).status_code == 303
