"""The commands that decide, answer and tell what happened: decide, approvals, approve, reject, outcomes."""

from __future__ import annotations

import getpass
import hashlib
from datetime import timedelta
from typing import Annotated, Any

import msgspec
import typer

from steward.cli import output
from steward.cli.exits import Exit
from steward.cli.session import Json, bytes_of, examples, run_id, session_of, viewing
from steward.errors import ContractError

Id = Annotated[str, typer.Argument(metavar="ID", help="The decision's id, as steward approvals shows it.")]
By = Annotated[str | None, typer.Option(help="Who answers; by default who is logged in.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger.")]
Evidence = Annotated[str | None, typer.Option(help="Digest of what was shown; refused if that has changed.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples("""steward decide pay.release '{"amount_eur": 50}'""", "steward decide NAME @event.json")
    )(decide)
    app.command(epilog=examples("steward approvals", "steward approvals --json"))(approvals)
    app.command(epilog=examples("steward approve ID --reason 'known customer'"))(approve)
    app.command(epilog=examples("steward reject ID --reason 'wrong account'"))(reject)
    app.command(
        epilog=examples("""steward outcomes pay.release '{"paid": true}'""", "steward outcomes NAME @many.jsonl")
    )(outcomes)


def decide(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The decision.")],
    event: Annotated[str, typer.Argument(help="JSON, @FILE, or - for stdin.")] = "-",
    *,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same key gets the same answer.")] = None,
    as_json: Json = False,
) -> None:
    """Decide one event; exit code 4 says that a person must agree first."""
    from steward.cli.desk import open_desk  # noqa: PLC0415 - only commands that write need a runtime

    answer = open_desk(session_of(context).settings()).decide(name, bytes_of(event), key=key)
    record: dict[str, Any] = msgspec.json.decode(answer)
    if as_json:
        output.as_json(answer)
    else:
        output.line(output.short(record["choice"]))
        output.say("\n".join(f"  because {reason}" for reason in record["reasons"]))
        output.say(f"  {record['status']}: steward show {record['decision_id']}")
    if record["status"] == "waiting":
        output.say(f"  A person must agree first: steward approve {record['decision_id']} --reason '...'")
        raise typer.Exit(int(Exit.NEEDS_APPROVAL))


def approvals(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most that are shown.")] = 100,
    as_json: Json = False,
) -> None:
    """List the decisions that wait for a person, the next deadline first."""
    from steward.clock import SystemClock  # noqa: PLC0415 - as below
    from steward.insight.value import as_text  # noqa: PLC0415

    with viewing(session_of(context).settings()) as views:
        rows = views.waiting(limit)
    if as_json:
        output.as_json(rows)
        return
    now = SystemClock().now()
    output.table(
        ("left", "id", "decision", "choice", "at stake", "otherwise", "who", "why"),
        [
            (
                left(row.deadline - now),
                str(row.decision_id),
                row.decision,
                output.short(row.choice),
                as_text(row.impact),
                output.short(row.otherwise),
                " and ".join(filter(None, (row.approvers, row.escalated_to))),
                "; ".join(row.reasons),
            )
            for row in rows
        ],
        right=("left", "at stake"),
    )
    if not rows:
        output.say("Nothing waits for a person.")


def approve(
    context: typer.Context,
    decision_id: Id,
    reason: Reason,
    *,
    by: By = None,
    evidence: Evidence = None,
    as_json: Json = False,
) -> None:
    """Agree to a decision that waits; its action follows."""
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


def _answer(context: typer.Context, verb: str, written: str, by: str | None, *, as_json: bool, **said: Any) -> None:
    from steward.cli.desk import open_desk  # noqa: PLC0415 - as above

    desk = open_desk(session_of(context).settings())
    shown = desk.answer(verb, run_id(written), by=by or getpass.getuser(), **said)
    if as_json:
        output.as_json(shown)
        return
    run = msgspec.json.decode(shown)
    output.line(f"{run['status']}: {output.short(run['choice'])}")
    output.say(f"  steward show {run['decision_id']}")


def outcomes(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The decision.")],
    outcome: Annotated[str, typer.Argument(help="JSON, one a line; @FILE; or - for stdin.")] = "-",
    *,
    outcome_id: Annotated[str | None, typer.Option(help="The sender's name for it; by default its digest.")] = None,
    decision_id: Annotated[str | None, typer.Option(help="The very run it belongs to; else joined by key.")] = None,
    as_json: Json = False,
) -> None:
    """Tell what really happened after decisions; the same outcome is taken once."""
    from steward.cli.desk import open_desk  # noqa: PLC0415 - as above

    desk = open_desk(session_of(context).settings())
    lines = _lines(bytes_of(outcome))
    if len(lines) != 1 and (outcome_id or decision_id):
        raise ContractError(
            f"{len(lines)} outcomes cannot share one id", fix="send one, or leave --outcome-id and --decision-id out"
        )
    run = None if decision_id is None else run_id(decision_id)
    with output.progress("telling outcomes") as advance:
        for done, each in enumerate(lines, 1):
            named = outcome_id or f"sha256:{hashlib.sha256(each).hexdigest()}"
            joined = msgspec.json.decode(desk.observe(name, each, outcome_id=named, decision_id=run))["joined"]
            advance(done, len(lines))
            if as_json:
                output.as_json({"outcome_id": named, "joined": joined})
            else:
                output.line(" ".join(joined) or "kept until its decision comes")


def _lines(data: bytes) -> list[bytes]:
    """Split JSON Lines; one outcome may also be spread over several lines."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError:
        return [each for each in data.splitlines() if each.strip()]
    return [data]


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
