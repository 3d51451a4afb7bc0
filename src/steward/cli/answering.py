"""The commands of people who are asked: approvals, approve, reject, change, ask, reply, escalate, snooze, people."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from steward.cli import output
from steward.cli.session import Json, bytes_of, examples, reading, run_id, session_of, viewing
from steward.errors import ContractError

if TYPE_CHECKING:
    from steward.insight.answers import PeopleReport
    from steward.loop.asks import Approval

Id = Annotated[str, typer.Argument(metavar="ID", help="The decision's id, as steward approvals shows it.")]
By = Annotated[str | None, typer.Option(help="Who answers; by default who is logged in.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger.")]
Evidence = Annotated[str | None, typer.Option(help="Digest of what was shown; refused if that has changed.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog=examples("steward approvals", "steward approvals --json"))(approvals)
    app.command(epilog=examples("steward approve ID --reason 'known customer'"))(approve)
    app.command(epilog=examples("steward reject ID --reason 'wrong account'"))(reject)
    app.command(epilog=examples("""steward change ID '{"power_mw": 2.0}' --reason 'half is enough'"""))(change)
    app.command(epilog=examples("steward ask ID 'Is the feeder in service?'"))(ask)
    app.command(epilog=examples("steward reply ID 'Yes, since 10:00'"))(reply)
    app.command(epilog=examples("steward escalate ID --reason 'too much for me'"))(escalate)
    app.command(epilog=examples("steward snooze ID --until 2026-01-02T10:00 --reason 'in a call'"))(snooze)
    app.command(epilog=examples("steward people", "steward people --json"))(people)


def approvals(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most that are shown.")] = 100,
    as_json: Json = False,
) -> None:
    """List the decisions that wait for people, the next deadline first."""
    from steward.runtime.answers import approvals as asked  # noqa: PLC0415 - only this command needs it
    from steward.runtime.stops import STOPS_RUN, concerns, stops_of  # noqa: PLC0415 - as above

    settings = session_of(context).settings()
    with viewing(settings) as views, reading(settings) as reader:
        is_stopped = partial(concerns, stops_of(asyncio.run(reader.of_run(STOPS_RUN))))
        found = asyncio.run(asked(views, reader, limit, is_stopped=is_stopped))
    output.as_json(found) if as_json else _list_approvals(found)


def _list_approvals(found: Sequence[Approval]) -> None:
    from steward.clock import SystemClock  # noqa: PLC0415 - as below
    from steward.insight.value import as_text  # noqa: PLC0415

    now = SystemClock().now()
    output.table(
        ("left", "id", "decision", "choice", "at stake", "otherwise", "who", "agreed", "why", "open question"),
        [
            (
                _left(row, now),
                str(row.decision_id),
                row.decision,
                output.short(row.choice),
                as_text(row.impact),
                output.short(row.otherwise),
                " and ".join(row.asked),
                f"{len(row.agreed)}/{row.needed}" + (" four eyes" if row.four_eyes else ""),
                f"changed by {row.changed.by}: {row.changed.reason}" if row.changed else "; ".join(row.reasons),
                f"{row.question.by}: {row.question.question}" if row.question else "",
            )
            for row in found
        ],
        right=("left", "at stake"),
    )
    if not found:
        output.say("Nothing waits for a person.")
    if any(row.stopped for row in found):
        output.say("What is stopped cannot be answered, and does not expire, until that is lifted: steward stops")


def _left(ask: Approval, now: datetime) -> str:
    if ask.stopped:
        return "stopped"
    return left(ask.deadline - now) if isinstance(ask.deadline, datetime) else "-"


def approve(
    context: typer.Context,
    decision_id: Id,
    reason: Reason,
    *,
    by: By = None,
    evidence: Evidence = None,
    as_json: Json = False,
) -> None:
    """Agree to a decision that waits; with the last one needed, its action follows."""
    _answer(context, "approve", decision_id, by, reason=reason, evidence=evidence, as_json=as_json)


def reject(
    context: typer.Context,
    decision_id: Id,
    reason: Reason,
    *,
    by: By = None,
    evidence: Evidence = None,
    as_json: Json = False,
) -> None:
    """Refuse a decision that waits; what the gate names otherwise is done instead."""
    _answer(context, "reject", decision_id, by, reason=reason, evidence=evidence, as_json=as_json)


def change(
    context: typer.Context,
    decision_id: Id,
    choice: Annotated[str, typer.Argument(help="JSON, @FILE, or - for stdin.")],
    reason: Reason,
    *,
    by: By = None,
    evidence: Evidence = None,
    as_json: Json = False,
) -> None:
    """Put a choice of your own in the place of what is asked, within the gate's limits."""
    try:
        wanted = msgspec.json.decode(bytes_of(choice))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError("the choice is not JSON", why=str(error), fix="write text in quotes: '\"hold\"'") from error
    _answer(context, "change", decision_id, by, choice=wanted, reason=reason, evidence=evidence, as_json=as_json)


def ask(
    context: typer.Context,
    decision_id: Id,
    question: Annotated[str, typer.Argument(help="What you want to know first.")],
    *,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Ask back before you answer; the deadline stays."""
    _answer(context, "question", decision_id, by, question=question, as_json=as_json)


def reply(
    context: typer.Context,
    decision_id: Id,
    reply: Annotated[str, typer.Argument(help="The answer to the open question.")],
    *,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Reply to the open question of those who are asked."""
    _answer(context, "reply", decision_id, by, reply=reply, as_json=as_json)


def escalate(
    context: typer.Context,
    decision_id: Id,
    reason: Reason,
    *,
    to: Annotated[str | None, typer.Option(help="A group of the gate's ladder; by default the next.")] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Have others asked too."""
    _answer(context, "escalate", decision_id, by, reason=reason, to=to, as_json=as_json)


def snooze(
    context: typer.Context,
    decision_id: Id,
    reason: Reason,
    until: Annotated[datetime, typer.Option(help="In UTC, before the deadline.")],
    *,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Do not be reminded before some time; the deadline stays."""
    _answer(context, "snooze", decision_id, by, reason=reason, until=until.replace(tzinfo=UTC), as_json=as_json)


def _answer(context: typer.Context, verb: str, written: str, by: str | None, *, as_json: bool, **said: Any) -> None:
    from steward.cli.desk import open_desk  # noqa: PLC0415 - only commands that write need it

    desk = open_desk(session_of(context).settings())
    # Whoever shows a key answers as themselves.
    by = by or (None if desk.shows_a_key else getpass.getuser())
    shown = desk.answer(verb, run_id(written), by=by, **said)
    if as_json:
        output.as_json(shown)
        return
    run = msgspec.json.decode(shown)
    output.line(f"{run['status']}: {output.short(run['choice'])}")
    if asked := run.get("approval"):
        output.say(f"  {len(asked['agreed'])} of {asked['needed']} agree to {output.short(asked['choice'])}")
    output.say(f"  steward show {run['decision_id']}")


def people(context: typer.Context, *, as_json: Json = False) -> None:
    """Tell how people answer: how fast, how often they overrule, and what wrong asks they noticed."""
    with viewing(session_of(context).settings()) as views:
        report = views.people()
    output.as_json(report) if as_json else _list_people(report)


def _list_people(report: PeopleReport) -> None:
    rows = [
        (
            row.person,
            f"{row.answers:,}",
            "-" if row.agreement is None else f"{row.agreement:.0%}",
            f"{row.rejected:,}",
            f"{row.changed:,}",
            *("-" if wait is None else left(timedelta(seconds=wait)) for wait in (row.median_s, row.p95_s)),
            f"{row.caught}/{row.checks}",
        )
        for row in report.people
    ]
    columns = ("person", "answers", "agreed", "refused", "changed", "half within", "95 % within", "checks caught")
    output.table(columns, rows, right=columns[1:])
    output.say(f"Nobody answered {report.expired:,} questions. Of {report.checks} checks {report.caught} were caught.")


def left(time: timedelta) -> str:
    """Write how much time is left.

    Example:
        >>> left(timedelta(minutes=9, seconds=5)), left(timedelta(days=2, hours=3)), left(timedelta(seconds=-1))
        ('9:05', '2d 3h', 'over')
    """
    seconds = int(time.total_seconds())
    if time < timedelta(0):
        return "over"
    if seconds >= 86_400:
        return f"{seconds // 86_400}d {seconds % 86_400 // 3600}h"
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
