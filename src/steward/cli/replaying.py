"""The command that tries another release on the past: replay."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from steward.cli import output
from steward.cli.session import Json, examples, reading, session_of
from steward.errors import NotFound

if TYPE_CHECKING:
    from steward.runtime.project import AnyDecision
    from steward.runtime.replay import Replayed


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(
        epilog=examples("steward replay refunds.release", "steward replay refunds.release --with new.py:strict")
    )(replay)


def replay(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The decision.")],
    *,
    other: Annotated[
        str | None, typer.Option("--with", metavar="MODULE:ATTRIBUTE", help="The other release; else the declared one.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day (UTC).")] = None,
    keep: Annotated[int, typer.Option(min=0, help="How many of the different choices are listed.")] = 20,
    as_json: Json = False,
) -> None:
    """Decide past events again with another release: what would differ, and what it would have been worth."""
    from steward.runtime import replay as engine  # noqa: PLC0415 - only this command needs them
    from steward.runtime.engines import open_registry  # noqa: PLC0415
    from steward.runtime.project import load, load_decisions  # noqa: PLC0415

    settings = session_of(context).settings()
    decision = _named(name, load_decisions(settings) if other is None else load(other, settings.root))
    registry = open_registry(settings)
    start = None if since is None else since.replace(tzinfo=UTC)
    with reading(settings) as ledger, output.progress("replaying") as advance:

        async def work() -> Replayed:
            size = await ledger.size()
            return await engine.replay(
                ledger, registry, decision, since=start, keep=keep, progress=lambda done: advance(done, size)
            )

        found = asyncio.run(work())
    output.as_json(found) if as_json else _tell(found)


def _named(name: str, decisions: Sequence[AnyDecision]) -> AnyDecision:
    from steward.decision.checks import nearest  # noqa: PLC0415 - as above

    by_name = {decision.name: decision for decision in decisions}
    if name not in by_name:
        raise NotFound(f"no decision is named {name!r} there", fix=nearest(name, by_name), field="name")
    return by_name[name]


def _tell(found: Replayed) -> None:
    from steward.insight.value import as_text  # noqa: PLC0415 - as above

    different = found.runs - found.agreed - found.failed
    output.table(
        ("release", "decisions", "same", "different", "failed", "with outcome", "earned", "would have earned"),
        [
            (
                found.release,
                f"{found.runs:,}",
                f"{found.agreed:,}",
                f"{different:,}",
                f"{found.failed:,}",
                f"{found.valued:,}",
                as_text(found.value_before),
                as_text(found.value_after),
            )
        ],
    )
    if found.differences:
        output.line("")
        rows = [
            (str(each.decision_id), output.short(each.before), output.short(each.after), as_text(each.value_change))
            for each in found.differences
        ]
        output.table(("id", "chosen", "would choose", "would change"), rows, right=("would change",))
    for failure in found.failures:
        output.say(f"failed: {failure}")
    if found.valued:
        output.say("What would have been earned takes the outcomes as they came, whatever had been chosen.")
