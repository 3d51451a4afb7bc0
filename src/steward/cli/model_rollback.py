"""The way back: ``steward models rollback``."""

from __future__ import annotations

from typing import Annotated

import typer

from steward.cli.release import By, Name, Reason
from steward.cli.rollout import switch
from steward.cli.session import Json, examples


def add_to(models: typer.Typer) -> None:
    """Add the command of this file."""
    models.command(epilog=examples("steward models rollback NAME --reason 'refuses too much'"))(rollback)


def rollback(
    context: typer.Context,
    name: Name,
    reason: Reason,
    *,
    to: Annotated[str, typer.Option(help="A former champion; by default the one before.")] = "",
    by: By = None,
    as_json: Json = False,
) -> None:
    """Go back to the release before, at once; no request is dropped."""
    switch(context, name, "rollback", by, as_json=as_json, release=to, reason=reason)
