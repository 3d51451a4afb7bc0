"""The worked cases that ship with Steward."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
