"""What the commands have in common: the settings of the project they run in, and its ledger read without a lock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID

import typer

from steward.cli import output
from steward.cli.doors import check_command
from steward.errors import ContractError, EngineError, NotFound
from steward.runtime.settings import FILE_NAME, Settings, find_file

if TYPE_CHECKING:
    from steward.insight.views import Views
    from steward.runtime.reader import LedgerReader

Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]


def examples(*lines: str) -> str:
    r"""Return the end of a help page; ``\b`` keeps its lines as they are.

    Example:
        >>> examples("steward show").splitlines()[-1]
        '  steward show'
    """
    return "\b\nExamples:\n" + "\n".join(f"  {each}" for each in lines)


@dataclass
class Session:
    """One call of the command.

    Args:
        folder: Where it looks for ``steward.toml``, upwards; by default the current one.
        flags: Settings given before the command.

    Example:
        >>> Session(flags={"port": 9000}).settings().port
        9000
    """

    folder: Path | None = None
    flags: Mapping[str, object] = field(default_factory=dict)

    def settings(self, **flags: object) -> Settings:
        """Gather the settings; ``flags`` of the command itself go first, ``None`` means not given.

        Raises:
            DeclarationError: A setting is unknown or does not fit, or the folder given has no ``steward.toml``.
        """
        given = {**self.flags, **{name: value for name, value in flags.items() if value is not None}}
        if self.folder is not None:
            return Settings.load(given, os.environ, self.folder / FILE_NAME)
        return Settings.load(given, os.environ, find_file(Path.cwd()))


def session_of(context: typer.Context) -> Session:
    """Return the session of this call; refuses a command that names no permission."""
    check_command(context.command_path.partition(" ")[2])
    return cast(Session, context.find_root().obj)


@contextmanager
def reading(settings: Settings) -> Iterator[LedgerReader]:
    """Open the project's ledger for reading, beside the server that may write it.

    Raises:
        NotFound: There is none, or it is not kept in a file.
    """
    from steward.runtime.engines import ledger_file  # noqa: PLC0415
    from steward.runtime.reader import LedgerReader  # noqa: PLC0415 - only commands that read need it

    reader = LedgerReader(ledger_file(settings))
    try:
        yield reader
    finally:
        asyncio.run(reader.close())


@contextmanager
def viewing(settings: Settings) -> Iterator[Views]:
    """Open the views and bring them up to the ledger's end."""
    from steward.insight.views import Views  # noqa: PLC0415 - as above
    from steward.runtime.engines import views_path  # noqa: PLC0415

    with reading(settings) as reader:
        try:
            views = Views(views_path(settings))
        except EngineError as error:
            output.say(f"The views are made in memory, which takes longer: {error.why}")
            views = Views(":memory:")
        try:
            catch_up(views, reader)
            yield views
        finally:
            views.close()


def catch_up(views: Views, reader: LedgerReader, *, again: bool = False) -> int:
    """Bring views up to the ledger's end, all over ``again`` if wanted; return how many entries that took."""

    async def main() -> int:
        size = await reader.size()
        work = views.rebuild if again else views.catch_up
        with output.progress("reading the ledger") as advance:
            return await work(reader, progress=lambda position: advance(position, size))

    return asyncio.run(main())


def run_id(text: str) -> UUID:
    """Return the id that the user wrote.

    Raises:
        NotFound: It is no id at all.
    """
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"{text!r} is not the id of a decision", fix="list them: steward show") from None


def bytes_of(argument: str) -> bytes:
    """Return what an argument stands for: ``-`` is stdin, ``@FILE`` a file, anything else itself.

    Raises:
        NotFound: There is no such file.
        ContractError: It cannot be read.
    """
    if argument == "-":
        return typer.get_binary_stream("stdin").read()
    if not argument.startswith("@"):
        return argument.encode()
    try:
        return Path(argument[1:]).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no file {argument[1:]}", fix="write the JSON itself, @FILE, or - for stdin"
        ) from error
    except OSError as error:
        raise ContractError(f"the file {argument[1:]} cannot be read", why=str(error)) from error


def pairs(settings: list[str]) -> dict[str, Any]:
    """Return ``NAME=VALUE`` arguments by name.

    Example:
        >>> pairs(["max_batch=500"])
        {'max_batch': '500'}
    """
    found: dict[str, Any] = {}
    for pair in settings:
        name, sign, value = pair.partition("=")
        if not sign:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--set")
        found[name.strip().replace("-", "_")] = value
    return found
