"""Every command names what it needs; one that does not is not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from steward.api.doors import DOORS
from steward.cli.doors import COMMANDS, Asks, check_command
from steward.cli.main import app
from steward.errors import Denied


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the words of every command."""
    within = getattr(command, "commands", None)
    if within is None:
        yield " ".join(words)
        return
    for name, each in within.items():
        yield from commands(each, (*words, name))


def test_every_command_names_its_permission_and_no_other_is_named() -> None:
    there = set(commands(get_command(app)))
    assert there - COMMANDS.keys() == set(), "these commands name no permission: add them to steward.cli.doors"
    assert COMMANDS.keys() - there == set(), "these are no commands"


def test_a_command_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(Denied, match="open to nobody"):
        check_command("launder")


def test_what_the_api_asks_is_what_the_command_says() -> None:
    asked = {door.permission for door in DOORS.values()}
    for words, door in COMMANDS.items():
        if door.asks is Asks.API:
            assert door.permission in asked, words
        assert (door.permission is None) <= (
            words in {"init", "demo", "models keys new"} or words.startswith(("access", "case grid"))
        )
