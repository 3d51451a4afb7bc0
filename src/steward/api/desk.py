"""The desk at which people answer: every face hands their answers in here, so that one rule holds for all of them.

:data:`WAYS` has each way to answer, by its name in URLs, with what must be sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from math import isfinite
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from steward.access.permissions import Permission
from steward.api.answers import ChangeIn, EscalationIn, PersonsAnswer, QuestionIn, ReplyIn, SnoozeIn
from steward.api.entrance import UNKNOWN_PEER, Caller
from steward.api.service import Service
from steward.errors import Denied, StewardError
from steward.ledger.run import Run
from steward.runtime.answers import Answers, Words

Sent = PersonsAnswer | ChangeIn | QuestionIn | ReplyIn | EscalationIn | SnoozeIn


class Way(NamedTuple):
    """One way to answer.

    Attributes:
        takes: What must be sent.
        permission: What whoever answers must be allowed, of the run's decision.
        about: What it does.
        give: Hands it on.

    Example:
        >>> WAYS["reply"].takes.__name__, WAYS["reply"].permission.value
        ('ReplyIn', 'read')
    """

    takes: type[Struct]
    permission: Permission
    about: str
    give: Callable[[Answers, UUID, Any, Words], Awaitable[Run]]


WAYS: Final[Mapping[str, Way]] = {
    "approve": Way(
        PersonsAnswer,
        Permission.APPROVE,
        "Agree to a decision that waits; with the last one needed, its action is due.",
        lambda answers, run_id, sent, words: answers.approve(run_id, **words),
    ),
    "reject": Way(
        PersonsAnswer,
        Permission.APPROVE,
        "Refuse a decision that waits; the gate's `otherwise` is done instead.",
        lambda answers, run_id, sent, words: answers.reject(run_id, **words),
    ),
    "change": Way(
        ChangeIn,
        Permission.APPROVE,
        "Put a choice of your own in the place of what is asked, within the gate's limits; it is recorded as yours.",
        lambda answers, run_id, sent, words: answers.change(run_id, sent.choice, **words),
    ),
    "question": Way(
        QuestionIn,
        Permission.APPROVE,
        "Ask back before you answer; the deadline stays.",
        lambda answers, run_id, sent, words: answers.question(run_id, **words),
    ),
    "reply": Way(
        ReplyIn,
        Permission.READ,
        "Reply to the open question of those who are asked.",
        lambda answers, run_id, sent, words: answers.reply(run_id, **words),
    ),
    "escalate": Way(
        EscalationIn,
        Permission.APPROVE,
        "Have others asked too: the next of the gate's ladder, or one of it by name.",
        lambda answers, run_id, sent, words: answers.escalate(run_id, to=sent.to, **words),
    ),
    "snooze": Way(
        SnoozeIn,
        Permission.APPROVE,
        "Do not be reminded before some time; the deadline stays.",
        lambda answers, run_id, sent, words: answers.snooze(run_id, until=sent.until, **words),
    ),
}
"""Every way to answer, by its name in URLs."""


async def answer(service: Service, caller: Caller, way: str, run_id: UUID, sent: Sent) -> Run:
    """Take an answer of whoever calls, and return the run as it stands then.

    Args:
        service: What is answered to.
        caller: Who answers; that they have the way's permission was asked before.
        way: One of :data:`WAYS`.
        run_id: The run that asks.
        sent: What was sent, of the type that the way takes.

    Raises:
        ContractError: It names somebody else, or does not fit.
        Denied: A service cannot answer; or so much money is at stake that the caller must sign in anew (``code`` is
            ``reauthenticate``); or as :func:`steward.loop.verdicts.approve`.
        Conflict: As :func:`steward.loop.verdicts.approve`, or the decision is stopped.
        GateExpired: The deadline has passed.
    """
    words = _words(service, caller, caller.person(sent.by), _text(sent))
    if isinstance(sent, PersonsAnswer):
        words["evidence"] = sent.evidence
    return await WAYS[way].give(service.runtime.answers, run_id, sent, words)


def obstacle(service: Service, caller: Caller, run: Run, by: str) -> StewardError | None:
    """Return why whoever calls could not agree to what a run asks now; ``None`` if they can.

    That they must sign in anew is no obstacle: see :func:`must_sign_in`.

    Args:
        service: What is answered to.
        caller: Who would answer.
        run: The folded run.
        by: The name they would answer by.
    """
    decision = run.record.decision
    if not caller.may(Permission.APPROVE, decision):
        return Denied(
            f"{by} may not approve {decision}", why="no role allows it", fix="ask an administrator to be approver"
        )
    try:
        person = caller.person(by)
    except StewardError as error:
        return error
    words = _words(service, caller, person, "as shown")
    words["confirmed_up_to"] = None
    return service.runtime.answers.obstacle(run, **words)


def must_sign_in(service: Service, caller: Caller, run: Run) -> bool:
    """Tell whether the caller must sign in anew before they can agree to what a run asks now."""
    most = _confirmed_up_to(service, caller)
    return most is not None and run.is_waiting and run.asked is not None and abs(run.asked.gate.impact.amount) > most


async def sign_in_anew(
    service: Service, caller: Caller, headers: Mapping[bytes, bytes], *, key: str, address: str
) -> tuple[Caller, str]:
    """Let whoever uses a session show a key or token of their own again; return them, and the new session's cookie.

    Args:
        service: What is signed in to.
        caller: Who uses the session.
        headers: The request's, whose session ends with this.
        key: The key or token.
        address: Where the request comes from.

    Raises:
        Denied: As :meth:`steward.access.guard.Guard.sign_in`; the key of somebody else is refused, too.
    """
    guard = service.runtime.guard
    shown = {**headers, b"authorization": b"Bearer " + key.strip().encode("latin-1", "replace")}
    try:
        opened = await guard.sign_in(shown, address=address, only=caller.identity.id)
    except Denied as error:
        # The session is still good: whoever mistyped a key is not signed out by it.
        raise Denied(error.what, why=error.why, fix=error.fix, code=_refusal(error.code), field="key") from error
    cookie = opened.set_cookie()
    shown = {b"cookie": cookie.partition(";")[0].encode()}
    return await service.entrance.admit(shown, "GET", UNKNOWN_PEER), cookie


def _refusal(code: str) -> str:
    return "reauthenticate" if code == "unauthenticated" else code


def _words(service: Service, caller: Caller, by: str, reason: str) -> Words:
    return Words(by=by, reason=reason, groups=caller.teams, confirmed_up_to=_confirmed_up_to(service, caller))


def _text(sent: Sent) -> str:
    if isinstance(sent, QuestionIn):
        return sent.question
    return sent.reply if isinstance(sent, ReplyIn) else sent.reason


def _confirmed_up_to(service: Service, caller: Caller) -> float | None:
    """Return the money up to which the caller's sign-in is fresh enough; ``None`` for any amount."""
    settings = service.runtime.settings
    if not isfinite(settings.reauth_above):
        return None
    return settings.reauth_above if caller.is_session_older(timedelta(seconds=settings.reauth_within_s)) else None
