"""The commands about models: each file adds its own to the one sub-app, ``steward models``."""

from __future__ import annotations

import typer

from steward.cli import model_files, model_keys, model_rollback, model_signing

PARTS = (model_files, model_rollback, model_signing, model_keys)
"""The files whose ``add_to`` adds commands to ``steward models``, in the order of its help page."""


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    models = typer.Typer(
        help="Registered models: what they are, who vouches for them.", no_args_is_help=True, rich_markup_mode=None
    )
    for part in PARTS:
        part.add_to(models)
    app.add_typer(models, name="models")
