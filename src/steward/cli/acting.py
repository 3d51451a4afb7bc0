"""The commands about effects: dead-letters, redrive, abort, signal, undo."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from steward.cli import output
from steward.cli.session import Json, bytes_of, examples, run_id, session_of
from steward.errors import ContractError

if TYPE_CHECKING:
    from steward.cli.desk import Desk

Id = Annotated[str, typer.Argument(metavar="ID", help="The decision's id, as steward show has it.")]
By = Annotated[str | None, typer.Option(help="Who; by default who is logged in.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("dead-letters", epilog=examples("steward dead-letters", "steward dead-letters --json"))(dead_letters)
    app.command(
        epilog=examples("steward redrive ID --reason 'the gateway is back'", "steward redrive 3 --reason 'mended'")
    )(redrive)
    app.command(epilog=examples("steward abort ID --reason 'storm warning'"))(abort)
    app.command(epilog=examples("""steward signal ID crew-clear '{"crew": 3}'"""))(signal)
    app.command(epilog=examples("steward undo ID --reason 'paid twice'"))(undo)


def dead_letters(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="The most that are shown.")] = 100,
    as_json: Json = False,
) -> None:
    """List what did not come through: runs that failed, halt or are in doubt, and events nobody could handle."""
    found = _desk(context).send("GET", f"/v1/dead-letters?limit={limit}")
    if as_json:
        output.as_json(found)
        return
    told: dict[str, list[dict[str, Any]]] = msgspec.json.decode(found)
    output.table(
        ("since (UTC)", "id", "decision", "status", "code", "why"),
        [
            (run["at"][:19], run["decision_id"], run["decision"], run["status"], run["code"], run["reason"])
            for run in told["runs"]
        ],
    )
    output.table(
        ("since (UTC)", "letter", "topic", "event", "code", "why"),
        [
            (each["at"][:19], str(each["offset"]), each["topic"], each["id"], each["code"], each["reason"])
            for each in told["messages"]
        ],
        right=("letter",),
    )
    if not told["runs"] and not told["messages"]:
        output.say("There are none.")


def redrive(
    context: typer.Context,
    which: Annotated[str, typer.Argument(metavar="ID|LETTER", help="A decision's id, or the number of a dead event.")],
    reason: Reason,
    *,
    adopt: Annotated[bool, typer.Option("--adopt", help="Go on with today's code, if the run's own is gone.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Let a failed or halted run go on, or publish a dead event once more."""
    if which.isdecimal():
        desk = _desk(context)
        taken = desk.send("POST", f"/v1/dead-letters/{which}/redrive", _said(desk, by, reason=reason))
        output.as_json(taken) if as_json else output.line(f"published again: dead letter {which}")
        return
    adopting = {"adopt_current_code": True} if adopt else {}
    _tell(context, which, "redrive", by, as_json=as_json, reason=reason, **adopting)


def abort(context: typer.Context, decision_id: Id, reason: Reason, *, by: By = None, as_json: Json = False) -> None:
    """End a run under way; what was done is taken back in reverse order."""
    _tell(context, decision_id, "abort", by, as_json=as_json, reason=reason)


def signal(
    context: typer.Context,
    decision_id: Id,
    name: Annotated[str, typer.Argument(help="The signal that the run waits for, or will wait for.")],
    payload: Annotated[str, typer.Argument(help="JSON, @FILE, or - for stdin.")] = "null",
    *,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Tell a run what it waits for."""
    from urllib.parse import quote  # noqa: PLC0415 - only this command needs it

    try:
        told = msgspec.json.decode(bytes_of(payload))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError("the payload is not JSON", why=str(error), fix="write text in quotes: '\"ok\"'") from error
    _tell(context, decision_id, f"signals/{quote(name, safe='')}", by, as_json=as_json, payload=told)


def undo(context: typer.Context, decision_id: Id, reason: Reason, *, by: By = None, as_json: Json = False) -> None:
    """Take back what a decision's action did."""
    _tell(context, decision_id, "undo", by, as_json=as_json, reason=reason)


def _desk(context: typer.Context) -> Desk:
    from steward.cli.desk import open_desk  # noqa: PLC0415 - only commands that write need it

    return open_desk(session_of(context).settings())


def _said(desk: Desk, by: str | None, **words: Any) -> dict[str, Any]:
    return {**words, "by": by or getpass.getuser()} if by or not desk.shows_a_key else words


def _tell(context: typer.Context, written: str, verb: str, by: str | None, *, as_json: bool, **words: Any) -> None:
    desk, target = _desk(context), f"/v1/decisions/{run_id(written)}"
    desk.send("POST", f"{target}/{verb}", _said(desk, by, **words))
    shown = desk.send("GET", target)  # as it stands once what was due is done
    if as_json:
        output.as_json(shown)
        return
    run = msgspec.json.decode(shown)
    output.line(f"{run['status']}: {output.short(run['choice'])}")
    output.say(f"  steward show {run['decision_id']}")
