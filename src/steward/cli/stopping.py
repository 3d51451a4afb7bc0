"""The commands of the stop switch: stop, resume, stops."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from steward.cli import output
from steward.cli.session import Json, examples, reading, session_of

if TYPE_CHECKING:
    from steward.runtime.stops import Stop

Which = Annotated[str, typer.Option("--decision", help="Which decision; by default every one.")]
By = Annotated[str | None, typer.Option(help="Who; by default who is logged in.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(
        epilog=examples("steward stop --reason 'smoke in the hall'", "steward stop --decision NAME --reason …")
    )(stop)
    app.command(epilog=examples("steward resume --reason 'all clear'"))(resume)
    app.command(epilog=examples("steward stops", "steward stops --json"))(stops)


def stop(
    context: typer.Context, reason: Reason, *, decision: Which = "*", by: By = None, as_json: Json = False
) -> None:
    """Dispatch nothing more, at once; two people lift it. Decisions are still computed."""
    _switch(context, "/v1/stops", decision, reason, by, as_json=as_json)


def resume(
    context: typer.Context, reason: Reason, *, decision: Which = "*", by: By = None, as_json: Json = False
) -> None:
    """Want a stop to be lifted; it is with the second person."""
    _switch(context, "/v1/stops/resume", decision, reason, by, as_json=as_json)


def stops(context: typer.Context, *, as_json: Json = False) -> None:
    """List what is stopped."""
    from steward.runtime.stops import STOPS_RUN, stops_of  # noqa: PLC0415 - only this command needs it

    with reading(session_of(context).settings()) as reader:
        found = list(stops_of(asyncio.run(reader.of_run(STOPS_RUN))).values())
    output.as_json(found) if as_json else _list(found)


def _switch(context: typer.Context, target: str, decision: str, reason: str, by: str | None, *, as_json: bool) -> None:
    from steward.cli.desk import open_desk  # noqa: PLC0415 - only commands that write need it
    from steward.runtime.stops import Stop  # noqa: PLC0415

    desk = open_desk(session_of(context).settings())
    said: dict[str, Any] = {"decision": decision, "reason": reason}
    if by or not desk.shows_a_key:
        said["by"] = by or getpass.getuser()
    found = msgspec.json.decode(desk.send("POST", target, said), type=dict[str, list[Stop]])["stops"]
    output.as_json(found) if as_json else _list(found)


def _list(found: Sequence[Stop]) -> None:
    output.table(
        ("stopped", "since (UTC)", "by", "why", "to be lifted by"),
        [
            (
                "everything" if each.decision == "*" else each.decision,
                f"{each.at:%Y-%m-%d %H:%M:%S}",
                each.by,
                each.reason,
                f"{each.resuming_by} and somebody else" if each.resuming_by else "two people",
            )
            for each in found
        ],
    )
    if not found:
        output.say("Nothing is stopped.")
