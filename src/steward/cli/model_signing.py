"""The commands about who vouches for a model: show, sign, verify, card, provenance, keys."""

from __future__ import annotations

from typing import Annotated

import typer

from steward.cli import output
from steward.cli.session import Json, examples, session_of

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name in the registry.")]
Version = Annotated[str, typer.Option("--version", metavar="N", help="A version number, sha256:..., or latest.")]


def add_to(models: typer.Typer) -> None:
    """Add the commands of this file to ``steward models``."""
    models.command(
        epilog=examples("steward models show fraud-gbm", "steward models show fraud-gbm --version 3 --json")
    )(show)


def show(context: typer.Context, name: Name, *, version: Version = "latest", as_json: Json = False) -> None:
    """Show a version: its digest, files, training and statements."""
    from steward.runtime.engines import open_registry  # noqa: PLC0415 - only commands about models need it

    found = open_registry(session_of(context).settings()).fetch(name, version)
    if as_json:
        output.as_json({"version": found.version, "digest": found.digest, "manifest": found.manifest})
        return
    output.line(f"{found.name} version {found.version}  {found.digest}")
