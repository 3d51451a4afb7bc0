"""The ``steward`` command: its options, its commands, and how errors end it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from steward.cli import (
    access,
    acting,
    answering,
    case,
    deciding,
    models,
    output,
    policy,
    proving,
    reading,
    release,
    replaying,
    rollout,
    starting,
    stopping,
)
from steward.cli.exits import exit_of
from steward.cli.session import Session, examples, pairs
from steward.errors import StewardError

_AS_DATA = "steward.as-data"


class _Group(TyperGroup):
    """Ends every command that fails on purpose with what, why and what next, and its exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        ctx.meta[_AS_DATA] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StewardError as error:
            output.error(error, as_data=ctx.meta[_AS_DATA])
            raise typer.Exit(int(exit_of(error))) from error


app = typer.Typer(
    cls=_Group,
    help="Steward runs business decisions, from event to value, and keeps one provable ledger.",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 needs approval, 5 denied, 6 verification failed.\n\n"
    + examples("steward init my-project", "cd my-project && steward serve", "steward COMMAND --help"),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from steward import __version__  # noqa: PLC0415 - asked for only here

        output.line(f"steward {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    project: Annotated[
        Path | None, typer.Option("-C", "--project", help="The folder with steward.toml; else looked for upwards.")
    ] = None,
    ledger: Annotated[str | None, typer.Option(help="The ledger's URL.")] = None,
    decisions: Annotated[list[str] | None, typer.Option(help="module:attribute or file.py:attribute.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("-s", "--set", metavar="NAME=VALUE", help="Any setting; see steward doctor.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Take what all commands have in common."""
    flags = {**pairs(setting or []), "ledger": ledger, "decisions": tuple(decisions) if decisions else None}
    given = {name: value for name, value in flags.items() if value is not None}
    context.obj = Session(folder=project, flags=given)


for _part in (
    starting,
    deciding,
    answering,
    acting,
    stopping,
    reading,
    replaying,
    proving,
    policy,
    release,
    rollout,
    models,
    access,
    case,
):
    _part.add_to(app)


def main() -> None:
    """Run the command."""
    app(prog_name="steward")
