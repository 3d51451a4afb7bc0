"""What people answer when they are asked: each answer is checked here and becomes entries, or an error that says why.

Nothing is written here, and nothing is decided by looking first and writing later: every entry that must not meet
another carries a ledger key, so the database refuses what two people do at the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from msgspec import UNSET

from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.entries import (
    Approved,
    Asked,
    Barred,
    Changed,
    Endorsed,
    Escalated,
    Questioned,
    Rejected,
    Replied,
    Snoozed,
)
from steward.errors import Conflict, ContractError, DeclarationError, Denied, GateExpired
from steward.ledger.run import Run
from steward.loop.act import typed_choice
from steward.loop.encode import encode, own_code
from steward.loop.gate import (
    SYSTEM,
    Keyed,
    answer_key,
    asked_groups,
    bars,
    evidence_of,
    part_key,
    proposer_of,
    weigh_again,
)
from steward.records import Money

ALL_GROUPS: Final = frozenset({"*"})
"""The groups of whoever is not told apart: where no identities are configured."""

_LONGEST_NAME: Final = 200
"""In letters; it stands in keys of the ledger."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """Who answers, when and why: what all answers have in common.

    Attributes:
        by: The person.
        at: When.
        reason: Why; for a question, a reply or the like, its text.
        groups: The groups that the person belongs to; ``*`` is all.
        evidence: The digest of what they were shown.
        confirmed_up_to: The money at stake, in the gate's unit, up to which their sign-in is fresh enough to agree;
            ``None`` for any amount.

    Example:
        >>> from datetime import UTC
        >>> Said(by="ana", at=datetime(2026, 1, 1, tzinfo=UTC), reason="I know them").groups
        frozenset({'*'})
    """

    by: str
    at: datetime
    reason: str
    groups: frozenset[str] = ALL_GROUPS
    evidence: str | None = None
    confirmed_up_to: float | None = None


def approve(run: Run, said: Said) -> list[Keyed]:
    """Agree with what is asked; with several needed, or four eyes, it is approved with the last of them.

    Raises:
        ContractError: There is no name, no reason, or no evidence where it is needed.
        Conflict: Somebody has answered already, this person among them, or something else is asked by now.
        Denied: The person is not asked, or had another part in it; or so much is at stake that they must sign in anew
            (``code`` is ``reauthenticate``).
        GateExpired: The deadline has passed.
    """
    asked = _bound(run, said)
    _confirmed(said, asked.gate.impact)
    if any(endorsed.by == said.by for endorsed in run.endorsed):
        raise Conflict(f"{said.by} agreed already", fix="somebody else must agree too", code="already-endorsed")
    return _agree(run, said, asked)


def reject(run: Run, said: Said) -> list[Keyed]:
    """Refuse what is asked; the gate's ``otherwise`` is done instead. Raises as :func:`approve`."""
    asked = _bound(run, said)
    rejected = Rejected(
        **_common(run, said),
        reason=said.reason,
        evidence=asked.evidence,
        choice=asked.gate.otherwise,
        waited_s=_waited_s(run, said.at),
    )
    return [(rejected, answer_key(run.record.decision_id, run.round))]


def change(run: Run, said: Said, decision: Decision[Any, Any, Any], choice: object) -> list[Keyed]:
    """Put a choice of one's own, as plain data, in the place of what is asked; what was agreed to before is void.

    The change is its editor's own agreement. With four eyes it is not: as many others must agree as the gate says.

    Raises:
        ContractError: As :func:`approve`; the choice does not fit, is what is asked anyway, or is beyond the limits.
        Conflict: As :func:`approve`, or the gate lets nobody change anything (``code`` is ``no-change``).
        Denied: As :func:`approve`.
        GateExpired: As :func:`approve`.
        StewardError: The gate cannot weigh the new choice.
    """
    asked = _bound(run, said)
    wanted = _within_limits(run, asked, decision, choice)
    gate, impact = asked.gate, weigh_again(decision, run.record, wanted)
    _confirmed(said, impact)
    changed = Changed(
        **_common(run, said),
        reason=said.reason,
        proposed=asked.choice,
        choice=choice,
        evidence=evidence_of(encode([asked.evidence, choice])),
        round=run.round + 1,
        impact=impact,
        waited_s=_waited_s(run, said.at),
    )
    steps: list[Keyed] = [(changed, answer_key(run.record.decision_id, run.round))]
    after = run.after(changed)
    assert after.asked is not None
    if gate.four_eyes:
        parts = {said.by: "editor"}
        again = bars(run.record, parts, after.round, said.at)
        return [*steps, *again, *bars(run.record, _first_parts(run), after.round, said.at)]
    return [*steps, *_agree(after, said, after.asked, waited=False)]


def question(run: Run, said: Said) -> list[Keyed]:
    """Ask back; the deadline stays. Raises as :func:`approve`."""
    _open(run, said)
    return [(Questioned(**_common(run, said), question=said.reason), None)]


def reply(run: Run, said: Said) -> list[Keyed]:
    """Answer the open question of those who are asked; anybody may.

    Raises:
        ContractError: There is no name or no text.
        Conflict: There is no open question.
        GateExpired: The deadline has passed.
    """
    _open(run, said, members=False)
    if open_question(run) is None:
        raise Conflict("there is no open question", fix="read the ask again", code="no-question")
    return [(Replied(**_common(run, said), reply=said.reason), None)]


def escalate(run: Run, said: Said, to: str | None = None) -> list[Keyed]:
    """Ask another group too: the next of the gate's ladder, or one of it by name.

    Only groups that the gate declares can be named, as whoever is asked may also agree. Raises as :func:`approve`, and
    ``Conflict`` if nobody is left to be asked.
    """
    asked = _open(run, said)
    left = [rung.to for rung in asked.gate.ladder if rung.to not in asked_groups(run)]
    if to is not None and to not in left:
        raise Conflict(
            f"{to!r} cannot be asked too",
            why="it is asked already" if to in asked_groups(run) else "the gate does not name it",
            fix=f"choose one of {', '.join(left)}" if left else "declare it in the gate: escalate_to=(...)",
            code="no-rung",
        )
    if not left:
        raise Conflict("nobody is left who could be asked", fix="answer it, or ask a question", code="no-rung")
    return [(Escalated(**_common(run, said), to=to or left[0], reason=said.reason), None)]


def snooze(run: Run, said: Said, until: datetime) -> list[Keyed]:
    """Do not remind this person before ``until``; the deadline stays. Raises as :func:`approve`."""
    asked = _open(run, said)
    deadline = asked.gate.deadline
    if not said.at < until or (isinstance(deadline, datetime) and until >= deadline):
        raise ContractError(
            f"{until.isoformat()} does not lie between now and the deadline",
            fix=f"choose a time before {deadline.isoformat() if isinstance(deadline, datetime) else 'it'}",
            field="until",
        )
    return [(Snoozed(**_common(run, said), reason=said.reason, until=until), None)]


def open_question(run: Run) -> Questioned | None:
    """Return the last question that nobody has replied to."""
    talk = [placed.body for placed in run.history if isinstance(placed.body, Questioned | Replied)]
    return talk[-1] if talk and isinstance(talk[-1], Questioned) else None


def refuse_part(run: Run, person: str) -> None:
    """Refuse an answer of somebody who had another part in the decision.

    With four eyes the same is refused by the keys of the entries, whatever stands here.

    Raises:
        Denied: They proposed it, published its release, or changed it (``code`` is ``self-approval`` or ``four-eyes``).
    """
    if person == proposer_of(run.record):
        raise Denied(
            f"{person} asked for this decision", why="nobody agrees to what they proposed", code="self-approval"
        )
    if part := run.barred.get(person):
        raise had_part(person, part)


def had_part(person: str, part: str) -> Denied:
    """Return the error for somebody who is barred."""
    return Denied(
        f"{person} is its {part}",
        why="the gate wants four eyes: proposer, author, editor and approvers are different people",
        fix="let somebody else answer",
        code="four-eyes",
    )


def _agree(run: Run, said: Said, asked: Asked, *, waited: bool = True) -> list[Keyed]:
    waited_s = _waited_s(run, said.at) if waited else UNSET
    run_id, needed = run.record.decision_id, asked.gate.approvals
    approved = Approved(
        **_common(run, said), reason=said.reason, evidence=asked.evidence, choice=asked.choice, waited_s=waited_s
    )
    settled = (approved, answer_key(run_id, run.round))
    if needed == 1 and not asked.gate.four_eyes:
        return [settled]
    endorsed = Endorsed(
        **_common(run, said), reason=said.reason, evidence=asked.evidence, round=run.round, waited_s=waited_s
    )
    agreed = (endorsed, part_key(run_id, run.round, said.by))
    return [agreed, settled] if len(run.endorsed) + 1 >= needed else [agreed]


def _common(run: Run, said: Said) -> dict[str, Any]:
    return {
        "decision_id": run.record.decision_id,
        "decision": run.record.decision,
        "at": said.at,
        "by": said.by,
    }


def _open(run: Run, said: Said, *, members: bool = True) -> Asked:
    """Return what is asked, if this person may say something about it now."""
    for name, value in (("by", said.by), ("reason", said.reason)):
        if not value.strip():
            raise ContractError(f"an answer needs {name}", fix="say who answers and why", field=name)
    if said.by != said.by.strip() or said.by == SYSTEM or len(said.by) > _LONGEST_NAME:
        raise ContractError(f"{said.by!r} is nobody's name", fix="write the person's id as it is", field="by")
    if run.asked is None or not run.is_waiting:
        raise run.answered_by()
    deadline = run.asked.gate.deadline
    if isinstance(deadline, datetime) and said.at >= deadline:
        raise GateExpired(f"the deadline was {deadline.isoformat()}", fix="its declared default is taken")
    groups = asked_groups(run)
    if members and not ALL_GROUPS & said.groups and not said.groups.intersection(groups):
        raise Denied(
            f"{said.by} is not asked",
            why=f"asked is {' and '.join(groups)}",
            fix="let one of them answer, or escalate it",
            code="not-asked",
        )
    return run.asked


def _bound(run: Run, said: Said) -> Asked:
    """Return what is asked, if this person may settle it and was shown just this."""
    asked = _open(run, said)
    if said.evidence is None and (asked.gate.four_eyes or asked.gate.approvals > 1):
        raise ContractError(
            "the answer does not say what was shown",
            why="several people must answer the same question",
            fix="read the ask and send its evidence: steward show ID, GET /v1/approvals/ID",
            code="evidence-missing",
            field="evidence",
        )
    if said.evidence is not None and said.evidence != asked.evidence:
        raise evidence_changed()
    refuse_part(run, said.by)
    return asked


def _confirmed(said: Said, impact: Money) -> None:
    if said.confirmed_up_to is not None and abs(impact.amount) > said.confirmed_up_to:
        raise Denied(
            f"{impact.amount} {impact.unit} are at stake, and {said.by} signed in a while ago",
            why=f"above {said.confirmed_up_to:g} {impact.unit} the sign-in must be fresh",
            fix="sign in again with your key, then answer",
            code="reauthenticate",
            field="key",
        )


def evidence_changed() -> Conflict:
    """Return the error for an answer to something that is not asked any more."""
    return Conflict("what was shown is not what is asked", fix="read the ask again", code="evidence-changed")


def _within_limits(run: Run, asked: Asked, decision: Decision[Any, Any, Any], choice: object) -> Any:
    if decision.gate is None or decision.gate.limits is None:
        raise Conflict(
            f"{decision.name!r} lets nobody change a choice",
            fix="approve or reject it; or declare limits=... in its gate",
            code="no-change",
        )
    proposed = typed_choice(decision, asked.choice)
    try:
        wanted = typed_choice(decision, choice)
    except DeclarationError as error:
        raise ContractError(f"{choice!r} is no choice of {decision.name!r}", why=error.why, field="choice") from error
    if encode(wanted) == encode(proposed):
        raise ContractError("this is what is asked anyway", fix="approve it", field="choice")
    with own_code("gate.limits"):
        decision.gate.limits(Features(run.record.features), proposed, wanted)
    return wanted


def _first_parts(run: Run) -> dict[str, str]:
    """Return who proposed the decision and who published its release, if that bars them."""
    first = [placed.body for placed in run.history if isinstance(placed.body, Barred) and placed.body.round == 0]
    return {barred.person: barred.part for barred in first}


def _waited_s(run: Run, at: datetime) -> float:
    """Return how long the question stood, as it is asked now."""
    since = next((placed.body.at for placed in reversed(run.history) if isinstance(placed.body, Asked | Changed)), at)
    return max(0.0, (at - since).total_seconds())
