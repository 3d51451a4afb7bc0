"""The commands that start something: init, serve, doctor, demo."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.cli import output
from steward.cli.exits import Exit
from steward.cli.session import Json, examples, session_of
from steward.errors import Conflict, EngineError

if TYPE_CHECKING:
    from steward.cli.running import ServerFacts
    from steward.runtime.project import AnyDecision

_TEMPLATE = {
    "refunds.py": "refunds.py",
    "test_refunds.py.txt": "test_refunds.py",
    "steward.toml.txt": "steward.toml",
    "README.md.txt": "README.md",
    "gitignore.txt": ".gitignore",
}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog=examples("steward init refunds", "cd refunds && steward serve"))(init)
    app.command(epilog=examples("steward serve", "steward serve --port 0", "steward -C my-project serve"))(serve)
    app.command(epilog=examples("steward doctor", "steward doctor --json"))(doctor)


def init(folder: Annotated[Path, typer.Argument(help="The new project's folder.", metavar="DIR")]) -> None:
    """Make a project with one small decision of its own that runs at once."""
    taken = [name for name in _TEMPLATE.values() if (folder / name).exists()]
    if taken:
        raise Conflict(
            f"{folder} already has {', '.join(taken)}", why="nothing is overwritten", fix="choose a new folder"
        )
    source = files("steward.cli.template")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, target in _TEMPLATE.items():
            (folder / target).write_bytes(source.joinpath(name).read_bytes())
    except OSError as error:
        raise EngineError(f"{folder} cannot be written", why=str(error), fix="choose another folder") from error
    output.line(str(folder))
    output.say(f"Made {folder} with the decision refunds.release. Next:\n\n  cd {folder} && steward serve\n")


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0 takes a free one.")] = None,
) -> None:
    """Run the project's decisions, and serve them over HTTP until Ctrl-C."""
    from steward.api.listening import needs_first_key  # noqa: PLC0415 - as below
    from steward.api.server import run  # noqa: PLC0415 - FastAPI takes half a second
    from steward.api.server import serve as listen  # noqa: PLC0415
    from steward.cli.case import cases_of  # noqa: PLC0415
    from steward.cli.running import announced  # noqa: PLC0415
    from steward.console.console import Console  # noqa: PLC0415
    from steward.runtime.project import load_decisions  # noqa: PLC0415
    from steward.runtime.runtime import Runtime  # noqa: PLC0415

    settings = session_of(context).settings(host=host, port=port)
    decisions = load_decisions(settings)

    async def work() -> None:
        runtime = await Runtime.open(decisions, settings=settings)
        with announced(settings) as announce:
            runtime.start()
            guarded = runtime.guard.directory.claimed or needs_first_key(runtime, settings.host)
            await listen(
                runtime,
                rooms=[Console(cases=cases_of(decisions))],
                ready=lambda port: _greet(announce(port), decisions, guarded),
                invite=_invite,
            )

    run(work())
    output.say("Stopped.")


def _invite(one_time_key: str) -> None:
    """Show the one-time key, to whoever started the server; it is nowhere kept."""
    output.say(
        "Nobody administers yet. This one-time key makes you the administrator; it is good for an hour, and once:\n\n"
        f"  {one_time_key}\n\n  steward access claim --id YOU --display 'Your name'   (asks for it)\n"
    )


def _greet(facts: ServerFacts, decisions: Sequence[AnyDecision], guarded: bool) -> None:
    from steward.decision.sample import sample_of  # noqa: PLC0415 - as above

    output.say(f"Steward serves {', '.join(decision.name for decision in decisions)}\n")
    for name, path in (("console", "/"), ("docs", "/docs"), ("decisions", "/v1/decisions"), ("metrics", "/metrics")):
        output.say(f"  {name:9} {facts.url}{path}")
    output.say("")
    for decision in decisions:
        if (sample := sample_of(decision.contract)) is not None:
            body = sample.decode().replace("'", "'\\''")
            output.say(
                f"  curl {facts.url}/v1/decisions/{decision.name} -H 'Content-Type: application/json' -d '{body}'"
                + (' -H "Authorization: Bearer $STEWARD_KEY"' if guarded else "")
            )
    output.say("\nCtrl-C stops it.")
    output.line(facts.url)


def doctor(context: typer.Context, *, as_json: Json = False) -> None:
    """Check the installation and the project, and show the effective settings."""
    from steward.cli.running import running  # noqa: PLC0415
    from steward.clock import SystemClock  # noqa: PLC0415
    from steward.runtime.doctor import Health, examine  # noqa: PLC0415 - as above

    settings = session_of(context).settings()
    facts = running(settings)
    checks = asyncio.run(examine(settings, SystemClock(), served_port=None if facts is None else facts.port))
    effective = settings.effective()
    if as_json:
        listed = {name: {"value": value, "source": settings.source_of(name)} for name, value in effective.items()}
        output.as_json({"checks": checks, "settings": listed})
    else:
        rows = [(check.health.value, check.name, " - ".join(filter(None, (check.what, check.why)))) for check in checks]
        output.table(("", "check", "found"), rows)
        output.line("")
        shown = [(name, _text(value), settings.source_of(name)) for name, value in effective.items()]
        output.table(("setting", "value", "from"), shown)
        for check in checks:
            if check.fix:
                output.say(f"{check.health.value}: {check.name}: next: {check.fix}")
    if any(check.health is Health.FAIL for check in checks):
        raise typer.Exit(int(Exit.FAILED))


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
