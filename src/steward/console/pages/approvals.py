"""Approvals: what people are asked, what runs out first at the top, and the page on which they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from msgspec import Struct

from steward.access.permissions import Permission
from steward.api import desk
from steward.api.admission import TheRun, headers_of
from steward.api.entrance import peer_of
from steward.api.problems import Problem, problem
from steward.console.asked import Shown, brief, seen_before, shown, until
from steward.console.choice_forms import read_choice
from steward.console.choices import chosen
from steward.console.forms import fitted, sends
from steward.console.sheets import Column, Kind, Sheet
from steward.console.view import Looking, View, back_to
from steward.errors import ContractError, NotFound, StewardError
from steward.insight.questions import Asker, QuestionRow, Which

router = APIRouter()
ROWS_PER_PAGE: Final = 40
_MOST_ROWS: Final = 10_000
"""In a file of the list."""
_TABS: Final[Mapping[str, str]] = {
    Which.MINE: "Mine",
    Which.TEAM: "Team",
    Which.ESCALATED: "Escalated",
    Which.SNOOZED: "Snoozed",
    Which.DONE: "Done",
}
EMPTY: Final[Mapping[Which, str]] = {
    Which.MINE: "Nothing waits for you. What a gate asks you will be here, what runs out first at the top.",
    Which.TEAM: "Nothing waits. What a gate asks people will be here until it is answered.",
    Which.ESCALATED: "Nothing is escalated. What the first group did not answer in time will be here.",
    Which.SNOOZED: "Nothing is snoozed. What you want to be reminded of later will be here until then.",
    Which.DONE: "Nothing has been answered yet. Answers will be here, with who gave them, why, and how fast.",
}


class Answered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody typed into one of the forms.

    Attributes:
        reason: Why; of a question or a reply, its text.
        evidence: What they were shown.
        key: Their key, where they must sign in anew.
        to: Whom else to ask.
        minutes: For how long they do not want to be reminded.
        until: Until when they do not, in their own zone.
        choice: The parts of their own choice, as text.
        tab: The list they came from.

    Example:
        >>> Answered(reason="too dear", choice={"power_mw": "20"}).minutes is None
        True
    """

    reason: str = ""
    evidence: str = ""
    key: str = ""
    to: str = ""
    minutes: int | None = None
    until: str = ""
    choice: dict[str, str] = {}
    tab: str = ""


class Refused(Struct, frozen=True, kw_only=True):
    """An answer that was not taken.

    Attributes:
        way: Which form was sent.
        typed: What it said.
        wrong: Why it was not taken.
        before: What they had been shown, in words, if that is not what is asked any more.

    Example:
        >>> Refused(way="approve", typed=Answered(), wrong=problem(NotFound("it is gone")), before=None).wrong.status
        404
    """

    way: str
    typed: Answered
    wrong: Problem
    before: str | None


class Tab(Struct, frozen=True, kw_only=True):
    """One list of questions: its name, how many there are, and whether it is shown.

    Example:
        >>> Tab(which=Which.MINE, label="Mine", count=3, is_current=True).count
        3
    """

    which: Which
    label: str
    count: int | None
    is_current: bool


class Queue(Struct, frozen=True, kw_only=True):
    """The list at the left.

    Attributes:
        which: Which list.
        tabs: All lists.
        rows: This page of it.
        page: Which page that is, from 1.
        total: How many questions it has.

    Example:
        >>> second = Queue(which=Which.MINE, tabs=(), rows=(), page=2, total=81)
        >>> second.first, second.has_more
        (41, True)
    """

    which: Which
    tabs: Sequence[Tab]
    rows: Sequence[QuestionRow]
    page: int
    total: int

    @property
    def first(self) -> int:
        """The place of the first row, from 1."""
        return (self.page - 1) * ROWS_PER_PAGE + 1

    @property
    def has_more(self) -> bool:
        """Whether there is another page."""
        return self.page * ROWS_PER_PAGE < self.total


@router.get("/approvals")
async def approvals(view: Looking) -> Response:
    """Show what waits, with what runs out first open."""
    await view.runtime.catch_up()
    queue = _queue(view, view.parameters.get("tab", ""))
    first = await view.runtime.run(queue.rows[0].decision_id) if queue.rows else None
    return await _page(view, queue, None if first is None else shown(view, first), is_chosen=False)


@router.get("/approvals/{decision_id}")
async def approval(view: Looking, run: TheRun, decision_id: str) -> Response:
    """Show one question, open to be answered, beside the others."""
    await view.runtime.catch_up()
    return await _page(view, _queue(view, view.parameters.get("tab", "")), shown(view, run))


def _offer(way: str) -> None:
    read = sends(Answered)

    async def answer(view: Looking, request: Request, run: TheRun, decision_id: str, sent: Any = read) -> Response:
        return await _answer(view, request, way, run.record.decision_id, sent)

    router.post(f"/approvals/{{decision_id}}/{way}", name=f"console-{way}")(answer)


for _way in desk.WAYS:
    _offer(_way)


async def _answer(view: View, request: Request, way: str, run_id: UUID, sent: Answered) -> Response:
    cookie, error = "", None
    try:
        if sent.key:
            view, cookie = await _signed_in(view, request, sent.key)
        assert view.caller is not None
        await desk.answer(view.service, view.caller, way, run_id, await _wanted(view, way, run_id, sent))
    except NotFound:
        raise
    except StewardError as refused:
        error = refused
    tab = f"?tab={sent.tab}" if sent.tab else ""
    response = back_to(f"/approvals/{run_id}{tab}") if error is None else await _refused(view, way, run_id, sent, error)
    if cookie:
        response.headers.append("set-cookie", cookie)  # also if the answer was refused: the session before has ended
    return response


async def _signed_in(view: View, request: Request, key: str) -> tuple[View, str]:
    headers, service = headers_of(request), view.service
    assert view.caller is not None
    address = service.entrance.address_of(peer_of(request.scope), headers)
    caller, cookie = await desk.sign_in_anew(service, view.caller, headers, key=key, address=address)
    return View(request, view.console, service, caller), cookie


async def _wanted(view: View, way: str, run_id: UUID, sent: Answered) -> desk.Sent:
    """Return what was typed as what the desk takes, by the same rules as over HTTP."""
    fields: dict[str, Any] = {"by": view.person}
    text = {"question": "question", "reply": "reply"}.get(way, "reason")
    if sent.reason:
        fields[text] = sent.reason
    if way in ("approve", "reject", "change") and sent.evidence:
        fields["evidence"] = sent.evidence
    if way == "escalate" and sent.to:
        fields["to"] = sent.to
    if way == "snooze":
        try:
            fields["until"] = until(view, sent.minutes, sent.until)
        except (ValueError, OverflowError) as error:
            raise ContractError("this is no time", fix="choose until when", field="until") from error
    if way == "change":
        asked = shown(view, await view.runtime.run(run_id))
        fields["choice"] = read_choice(asked.fields, sent.choice) if asked.fields else sent.choice
    wanted: Any = fitted(desk.WAYS[way].takes, fields)  # of the way's own type
    taken: desk.Sent = wanted
    return taken


async def _refused(view: View, way: str, run_id: UUID, sent: Answered, error: StewardError) -> Response:
    """Show the page again as things stand now, with what was typed, and what was wrong with it."""
    await view.runtime.catch_up()
    run = await view.runtime.run(run_id)
    wrong = problem(error)
    before = seen_before(run, sent.evidence) if wrong.code == "evidence-changed" else None
    refused = Refused(way=way, typed=sent, wrong=wrong, before=before)
    return await _page(view, _queue(view, sent.tab), shown(view, run), refused=refused)


async def _page(
    view: View, queue: Queue, open: Shown | None, *, is_chosen: bool = True, refused: Refused | None = None
) -> Response:
    others = [row for row in queue.rows if open is None or row.decision_id != open.run_id]
    return await view.page(
        "approvals.html",
        status=200 if refused is None else refused.wrong.status,
        queue=queue,
        open=open,
        is_chosen=is_chosen,
        next=others[0] if others and queue.which.is_open else None,
        refused=refused,
        typed=Answered() if refused is None else refused.typed,
        risks={name: decision.risk.value for name, decision in view.runtime.decisions.items()},
        empty=EMPTY[queue.which],
        chosen=chosen,
        brief=brief,
    )


def _queue(view: View, tab: str) -> Queue:
    asker, views = _asker(view), view.runtime.views
    answers = view.may_anywhere(Permission.APPROVE)
    which = Which(tab) if tab in _TABS else Which.MINE if answers else Which.TEAM
    counts = {each: views.question_count(asker, each) for each in Which if each.is_open or each is which}
    page = _page_number(view.parameters.get("page", ""), counts[which])
    return Queue(
        which=which,
        tabs=[Tab(which=each, label=_TABS[each], count=counts.get(each), is_current=each is which) for each in Which],
        rows=views.questions(asker, which, limit=ROWS_PER_PAGE, offset=(page - 1) * ROWS_PER_PAGE),
        page=page,
        total=counts[which],
    )


def _asker(view: View) -> Asker:
    assert view.caller is not None
    names = view.runtime.decisions
    answerable = [name for name in names if view.may(Permission.APPROVE, name)]
    return Asker(
        person=view.acting,
        groups=view.caller.teams,
        at=view.now,
        readable=view.readable,
        answerable=None if len(answerable) == len(names) else answerable,
    )


def _page_number(text: str, total: int) -> int:
    last = max(1, -(-total // ROWS_PER_PAGE))
    return min(int(text), last) if text.isdecimal() and len(text) < 10 and int(text) else 1


async def _listed(view: View) -> Sheet[QuestionRow]:
    await view.runtime.catch_up()
    which = _queue(view, view.parameters.get("tab", "")).which
    return Sheet(
        name="approvals",
        title=f"Approvals: {_TABS[which].lower()}",
        empty=EMPTY[which],
        rows=view.runtime.views.questions(_asker(view), which, limit=_MOST_ROWS),
        key=lambda row: str(row.decision_id),
        columns=[
            Column(key="decision_id", label="Id", value=lambda row: str(row.decision_id), kind=Kind.CODE),
            Column(key="decision", label="Decision", value=lambda row: row.decision),
            Column(key="asked_at", label="Asked", value=lambda row: row.asked_at, kind=Kind.TIME),
            Column(key="deadline", label="Deadline", value=lambda row: row.deadline, kind=Kind.TIME),
            Column(key="choice", label="Proposed", value=lambda row: row.choice),
            Column(key="otherwise", label="Otherwise", value=lambda row: row.otherwise),
            Column(key="impact", label="At stake", value=lambda row: row.impact, kind=Kind.MONEY),
            Column(key="asked", label="Asked are", value=lambda row: ", ".join(row.groups)),
            Column(key="agreed", label="Agreed", value=lambda row: row.agreed, kind=Kind.NUMBER),
            Column(key="needed", label="Needed", value=lambda row: row.needed, kind=Kind.NUMBER),
            Column(key="verdict", label="Verdict", value=lambda row: row.verdict),
            Column(key="settled_at", label="Answered", value=lambda row: row.settled_at, kind=Kind.TIME),
            Column(key="by", label="By", value=lambda row: row.person or None),
            Column(key="reason", label="Reason", value=lambda row: row.reason or None),
            Column(key="waited_s", label="Waited (s)", value=lambda row: row.waited_s, kind=Kind.NUMBER),
        ],
    )  # fmt: skip


SOURCES = {"approvals": _listed}
