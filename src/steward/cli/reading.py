"""The commands that read the ledger: show, tail, value."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from steward.cli import output
from steward.cli.session import Json, examples, reading, run_id, session_of, viewing
from steward.errors import ContractError

if TYPE_CHECKING:
    from uuid import UUID

    from steward.insight.rows import RunRow
    from steward.insight.value import ValueSummary
    from steward.ledger.port import Entry
    from steward.runtime.reader import LedgerReader
    from steward.runtime.settings import Settings

_LOOK_EVERY = timedelta(milliseconds=250)
Name = Annotated[str | None, typer.Option("--decision", help="Only this decision.")]
Since = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day (UTC).")]
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day (UTC).")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog=examples("steward show", "steward show --status waiting", "steward show ID --json"))(show)
    app.command(epilog=examples("steward tail", "steward tail -f", "steward tail -n 100 --json"))(tail)
    app.command(epilog=examples("steward value", "steward value --since 2026-01-01", "steward value --by-day"))(value)


def show(
    context: typer.Context,
    decision_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One decision; else the newest.")] = None,
    *,
    decision: Name = None,
    status: Annotated[str | None, typer.Option(help="Only decisions that stand so: waiting, acted, failed ...")] = None,
    before: Annotated[str | None, typer.Option(metavar="ID", help="Only older ones: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most that are shown.")] = 20,
    counterfactuals: Annotated[
        bool, typer.Option("--counterfactuals", help="What would have changed the choice of the one decision.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show one decision with its history, or list the newest ones."""
    settings = session_of(context).settings()
    if decision_id is not None:
        if not (counterfactuals and as_json):
            _show_run(settings, run_id(decision_id), as_json)
        if counterfactuals:
            from steward.cli.counterfactuals import show_counterfactuals  # noqa: PLC0415 - as above

            show_counterfactuals(settings, run_id(decision_id), as_json=as_json)
        return
    with viewing(settings) as views:
        rows = views.runs(
            decision=decision, status=_status(status), before=None if before is None else run_id(before), limit=limit
        )
    if as_json:
        output.as_json(rows)
    else:
        _list_runs(rows, limit)


def _status(written: str | None) -> str | None:
    from steward.decision.checks import nearest  # noqa: PLC0415
    from steward.records import Status  # noqa: PLC0415

    known = [status.value for status in Status]
    if written is not None and written not in known:
        raise ContractError(f"there is no status {written!r}", fix=nearest(written, known), field="status")
    return written


def _list_runs(rows: Sequence[RunRow], limit: int) -> None:
    from steward.insight.value import as_text  # noqa: PLC0415 - as above

    output.table(
        ("decided at (UTC)", "id", "decision", "status", "choice", "saved", "why"),
        [
            (
                f"{row.decided_at:%Y-%m-%d %H:%M:%S}",
                str(row.decision_id),
                row.decision,
                row.status.value,
                output.short(row.choice),
                as_text(row.saving),
                "; ".join(row.reasons),
            )
            for row in rows
        ],
        right=("saved",),
    )
    if len(rows) == limit:
        output.say(f"There may be more: steward show --before {rows[-1].decision_id}")
    if not rows:
        output.say("There are none.")


def _show_run(settings: Settings, wanted: UUID, as_json: bool) -> None:
    from steward.api.answers import run_document  # noqa: PLC0415 - the API's own document
    from steward.ledger.run import Run  # noqa: PLC0415
    from steward.runtime.stops import STOPS_RUN, concerns, stops_of  # noqa: PLC0415

    with reading(settings) as reader:
        found = Run.of(asyncio.run(reader.of_run(wanted)), wanted)
        is_stopped = concerns(stops_of(asyncio.run(reader.of_run(STOPS_RUN))), found.record.decision)
        document = run_document(found, is_stopped=is_stopped)
    if as_json:
        output.as_json(document)
        return
    run: dict[str, Any] = msgspec.json.decode(document)
    history: list[dict[str, Any]] = run.pop("history")
    output.table(("field", "value"), [(name, output.short(part)) for name, part in run.items() if name != "kind"])
    output.line("")
    output.table(
        ("entry", "at", "by", "what", "facts"),
        [
            (str(step["index"]), step["at"], step.get("by", ""), step["kind"], output.short(step["facts"]))
            for step in history
        ],
        right=("entry",),
    )
    if run["status"] == "halted":
        asked = next(step["facts"] for step in reversed(history) if step["kind"] == "halted")
        adopt = " --adopt" * (asked["code"] == "code-gone")
        output.say(f"It stands still: {asked['question']}\n  steward redrive {wanted} --reason '...'{adopt}")
    if is_stopped and run["status"] not in ("acted", "failed", "undone"):
        output.say("It is stopped: steward stops")
    elif approval := run.get("approval"):
        output.say(f"It waits for people: steward approve {wanted} --reason '...' --evidence {approval['evidence']}")
    output.say(f"Its proof: steward verify {wanted}")


def tail(
    context: typer.Context,
    *,
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last entries.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    decision: Name = None,
    kind: Annotated[str | None, typer.Option(help="Only entries of this kind: decided, asked, acted ...")] = None,
    as_json: Json = False,
) -> None:
    """Show the last entries of the ledger; with --json one object a line."""

    def write(entries: Sequence[Entry]) -> None:
        for entry in entries:
            body: dict[str, Any] = msgspec.json.decode(entry.body)
            if kind in (None, entry.kind) and decision in (None, body.get("decision")):
                output.as_json({"index": entry.index, **body}) if as_json else output.line(_entry_line(entry, body))

    with reading(session_of(context).settings()) as reader:
        asyncio.run(_tail(reader, count, follow, write))


async def _tail(reader: LedgerReader, count: int, follow: bool, write: Any) -> None:
    from steward.clock import SystemClock  # noqa: PLC0415 - as above

    clock = SystemClock()
    position = max(0, await reader.size() - count)
    while True:
        while entries := await reader.read(position):
            write(entries)
            position = entries[-1].index + 1
        if not follow:
            return
        await clock.sleep_until(clock.now() + _LOOK_EVERY)


def _entry_line(entry: Entry, body: dict[str, Any]) -> str:
    at = str(body.get("at") or body.get("decided_at", ""))[:19]
    told = next((body[name] for name in ("saving", "receipt", "outcome", "reason", "choice") if name in body), "")
    return f"{entry.index:>8}  {at}  {entry.kind:<10} {body['decision']}  {entry.run_id}  {output.short(told)}"


def value(
    context: typer.Context,
    *,
    decision: Name = None,
    since: Since = None,
    until: Until = None,
    by_day: Annotated[bool, typer.Option("--by-day", help="A line for each day.")] = False,
    as_json: Json = False,
) -> None:
    """Tell what decisions were worth against their baseline, next to how many of them have an outcome."""
    from steward.insight.value import summary  # noqa: PLC0415 - as above

    first, last = (None if day is None else day.date() for day in (since, until))
    with viewing(session_of(context).settings()) as views:
        if by_day:
            days = views.value_by_day(decision, since=first, until=last)
            output.as_json(days) if as_json else _list_days(days)
            return
        found = summary(views, decision=decision, since=first, until=last)
    output.as_json(found) if as_json else _list_value(found)


def _list_value(found: Sequence[ValueSummary]) -> None:
    from steward.insight.value import as_text  # noqa: PLC0415 - as above

    rows: list[tuple[str, ...]] = []
    for each in found:
        mean = "-" if each.each is None else as_text(each.each.mean)
        if each.each is not None and each.each.low is not None and each.each.high is not None:
            mean += f" ({each.each.low.amount:,}..{each.each.high.amount:,} at {each.each.level:.0%})"
        money = (as_text(amount) for amount in (each.saving, each.value, each.baseline))
        rows.append((each.decision, f"{each.runs:,}", f"{each.valued:,}", f"{each.asked:,}", *money, mean))
    columns = ("decision", "decided", "with outcome", "asked", "saved", "earned", "baseline", "saved each")
    output.table(columns, rows, right=columns[1:])
    if not rows:
        output.say("Nothing was decided in that time.")


def _list_days(days: Sequence[Any]) -> None:
    from steward.insight.value import as_text  # noqa: PLC0415 - as above

    rows = [
        (day.day.isoformat(), day.decision, f"{day.runs:,}", f"{worth.valued:,}", as_text(worth.saving))
        for day in days
        for worth in day.worth
    ]
    output.table(
        ("day (UTC)", "decision", "decided", "with outcome", "saved"), rows, right=("decided", "with outcome", "saved")
    )
