"""The commands that decide and tell what happened: decide, outcomes."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec
import typer

from steward.cli import output
from steward.cli.exits import Exit
from steward.cli.session import Json, bytes_of, examples, run_id, session_of
from steward.errors import ContractError


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples("""steward decide pay.release '{"amount_eur": 50}'""", "steward decide NAME @event.json")
    )(decide)
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
        output.say(_how_to_agree(record))
        raise typer.Exit(int(Exit.NEEDS_APPROVAL))


def _how_to_agree(record: dict[str, Any]) -> str:
    gate, run = record["gate"], record["decision_id"]
    if gate.get("four_eyes") or gate.get("approvals", 1) > 1:  # their answers must name what they were shown
        return f"  People must agree first; what they are asked, and how they answer: steward show {run}"
    return f"  A person must agree first: steward approve {run} --reason '...'"


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
