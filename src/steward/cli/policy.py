"""The commands for policies as data: test, diff, check, register."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.cli import output
from steward.cli.exits import Exit
from steward.cli.session import Json, bytes_of, examples, session_of

if TYPE_CHECKING:
    from steward.policies.policy import Policy

_What = Annotated[str, typer.Argument(metavar="POLICY", help="A file, or a registered name, as NAME or NAME=VERSION.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    policy = typer.Typer(
        help="Policies as data: decision tables and thresholds that are tested, compared, checked and registered.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    policy.command(epilog=examples("steward policy test refunds.json refunds.tests.toml"))(test)
    policy.command(epilog=examples("steward policy diff refund-rules=1 refunds.json"))(diff)
    policy.command(epilog=examples("steward policy check refunds.json"))(check)
    policy.command(epilog=examples("steward policy register refunds.json --name refund-rules"))(register)
    app.add_typer(policy, name="policy")


def test(
    context: typer.Context,
    what: _What,
    tests: Annotated[Path, typer.Argument(help="The tests, TOML or JSON.")],
    *,
    as_json: Json = False,  # noqa: PT028 - a command, not a test
) -> None:
    """Run the unit tests of a policy; exit code 1 if one fails."""
    from steward.policies.bound import Bound  # noqa: PLC0415 - only this command needs the engine
    from steward.policies.cases import read_cases, run_case  # noqa: PLC0415

    bound = Bound(_policy(context, what), name=what)
    cases = read_cases(bytes_of(f"@{tests}"), is_toml=tests.suffix == ".toml")
    found = [run_case(bound, case) for case in cases]
    failed = [each for each in found if not each.passed]
    if as_json:
        rows = [{"name": each.name, "passed": each.passed, "wrong": each.wrong, "rule": each.rule} for each in found]
        output.as_json({"tests": len(found), "failed": len(failed), "cases": rows})
    else:
        for each in failed:
            output.line(f"FAILED {each.name}: {each.wrong}")
        output.line(f"{len(found) - len(failed)} of {len(found)} tests passed")
    _end(wrong=bool(failed))


def diff(
    context: typer.Context,
    old: _What,
    new: Annotated[str, typer.Argument(metavar="OTHER", help="The other version.")],
    *,
    as_json: Json = False,
) -> None:
    """Say what differs between two versions, row by row; exit code 1 if something does."""
    from steward.policies.difference import difference  # noqa: PLC0415 - as above

    before, after = _policy(context, old), _policy(context, new)
    found = difference(before, after)
    if as_json:
        output.as_json({"old": before.digest, "new": after.digest, "changes": [vars(each) for each in found]})
    elif found:
        output.table(("change", "where", "what"), [(each.kind, each.where, each.told) for each in found])
    else:
        output.line("the same policy")
    _end(wrong=bool(found))


def check(
    context: typer.Context,
    what: _What,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Conflicts and what cannot be told count, too.")] = False,
    as_json: Json = False,
) -> None:
    """Look for gaps, unreachable rows and conflicts; exit code 1 for gaps and unreachable rows."""
    from steward.policies.coverage import check as find  # noqa: PLC0415 - as above

    policy = _policy(context, what)
    found = find(policy)
    if as_json:
        output.as_json({"digest": policy.digest, "findings": [vars(each) for each in found]})
    elif found:
        output.table(("finding", "table", "what"), [(each.kind, each.table, each.told) for each in found])
    else:
        output.line("no gap, no unreachable row, no conflict")
    _end(wrong=any(each.is_wrong or strict for each in found))


def register(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The policy, JSON.")],
    *,
    name: Annotated[str, typer.Option(help="Its name in the registry.")],
    as_json: Json = False,
) -> None:
    """Register a policy in its canonical form; sign it with steward models sign."""
    from steward.clock import SystemClock  # noqa: PLC0415 - as above
    from steward.models.registry import FolderRegistry  # noqa: PLC0415
    from steward.policies import jdm  # noqa: PLC0415
    from steward.policies.bound import Bound  # noqa: PLC0415
    from steward.policies.policy import Policy  # noqa: PLC0415

    settings = session_of(context).settings()
    policy = Policy.read(bytes_of(f"@{file}"))
    made = FolderRegistry(settings.path(settings.registry)).register(
        name,
        kind=jdm.KIND,
        task="policy",
        files={jdm.FILE: policy.canonical()},
        inputs=policy.inputs or ("nothing",),
        clock=SystemClock(),
        check=lambda manifest, digest, files: Bound(Policy.read(files[jdm.FILE])),
    )
    if as_json:
        output.as_json({"name": made.name, "version": made.version, "digest": made.digest})
    else:
        output.line(f"{made.name} version {made.version}, {made.digest}")


def _policy(context: typer.Context, what: str) -> Policy:
    from steward.policies import jdm  # noqa: PLC0415 - as above
    from steward.policies.policy import Policy  # noqa: PLC0415

    session = session_of(context)
    if Path(what).is_file() or what.endswith(".json"):
        return Policy.read(bytes_of(f"@{what}"))
    from steward.runtime.engines import open_registry  # noqa: PLC0415

    name, _, version = what.partition("=")
    found = open_registry(session.settings()).fetch(name, version or "latest")
    return Policy.read(found.files.get(jdm.FILE, b"{}"))


def _end(*, wrong: bool) -> None:
    if wrong:
        raise typer.Exit(int(Exit.FAILED))
