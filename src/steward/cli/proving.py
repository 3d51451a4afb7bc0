"""The commands that prove and repair: verify, rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
import typer

from steward.cli import output
from steward.cli.exits import Exit
from steward.cli.session import Json, catch_up, examples, reading, session_of
from steward.errors import ContractError, NotFound

if TYPE_CHECKING:
    from steward.ledger.verify import Proven, Report
    from steward.runtime.settings import Settings


def _usable_key(public_key: str | None) -> str | None:
    if public_key is not None:
        from steward.ledger.verify import check_key  # noqa: PLC0415 - only this option needs it

        try:
            check_key(public_key)
        except ContractError as error:
            raise typer.BadParameter(str(error)) from error
    return public_key


Key = Annotated[
    str | None,
    typer.Option("--public-key", callback=_usable_key, help="The key you trust; else the one that is there."),
]
Outside = Annotated[Path | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere, to compare with.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog=examples("steward verify --all", "steward verify ID", "steward verify proof.json"))(verify)
    app.command(epilog=examples("steward rebuild"))(rebuild)


def verify(
    context: typer.Context,
    what: Annotated[str | None, typer.Argument(metavar="[ID|BUNDLE]", help="A decision, or a proof's file.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="The whole ledger; also without an argument.")] = False,
    public_key: Key = None,
    checkpoint: Outside = None,
    as_json: Json = False,
) -> None:
    """Prove that nothing was changed, with code of its own; exit code 6 names what was."""
    if what is not None and everything:
        raise ContractError("--all is the whole ledger, the argument a part of it", fix="leave one of them out")
    if what is None:
        _verify_all(session_of(context).settings(), public_key, checkpoint, as_json)
    elif (run := _as_id(what)) is not None:
        _verify_run(session_of(context).settings(), run, public_key, checkpoint, as_json)
    else:
        _verify_bundle(Path(what), public_key, as_json)


def _as_id(what: str) -> UUID | None:
    try:
        return UUID(what)
    except ValueError:
        return None


def _verify_all(settings: Settings, public_key: str | None, checkpoint: Path | None, as_json: bool) -> None:
    from steward.ledger.verify import verify_store  # noqa: PLC0415 - only this command needs it
    from steward.runtime.engines import ledger_file  # noqa: PLC0415

    path = ledger_file(settings)
    with output.progress("verifying") as advance:
        report = verify_store(path, checkpoint_file=checkpoint, public_key=public_key, progress=advance)
    _tell(report, f"{report.entries:,} entries of {path}", as_json)


def _verify_bundle(path: Path, public_key: str | None, as_json: bool) -> None:
    from steward.ledger.verify import verify_bundle  # noqa: PLC0415 - as above

    try:
        bundle = path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"{path} is neither the id of a decision nor a file", why=str(error), fix="list the ids: steward show"
        ) from error
    report = verify_bundle(bundle, public_key=public_key)
    if report.ok and public_key is None:
        output.say(
            "Signed by the key in the proof itself, which anybody can make. Next: --public-key, the one you trust"
        )
    _tell(report, f"the proof in {path}", as_json)


def _tell(report: Report, what: str, as_json: bool) -> None:
    if as_json:
        output.as_json({"ok": report.ok, **msgspec.to_builtins(report)})
    elif report.ok:
        output.line(f"ok: {what} verified, {report.signed_entries:,} under a signed head")
        output.say(f"  ledger {report.origin}\n  root   {report.root}")
    if not report.ok:
        _broken([str(each) for each in report.breaks], as_json)


def _verify_run(settings: Settings, run: UUID, public_key: str | None, checkpoint: Path | None, as_json: bool) -> None:
    from steward.ledger.verify import verify_entry  # noqa: PLC0415 - as above
    from steward.runtime.engines import ledger_file  # noqa: PLC0415

    proofs = verify_entry(ledger_file(settings), run, checkpoint_file=checkpoint, public_key=public_key)
    if as_json:
        output.as_json({"ok": all(proof.ok for proof in proofs), "entries": proofs})
    else:
        rows = [_proof_row(proof) for proof in proofs]
        output.table(("entry", "kind", "proof", "holds", "signed"), rows, right=("entry",))
    if broken := [str(each) for proof in proofs for each in proof.breaks]:
        _broken(broken, as_json)


def _proof_row(proof: Proven) -> tuple[str, ...]:
    steps = f"{len(proof.path)} hashes up to the root of {proof.size:,}"
    return (str(proof.index), proof.kind, steps, "yes" if proof.ok else "NO", "yes" if proof.signed else "not yet")


def _broken(breaks: list[str], as_json: bool) -> None:
    if not as_json:
        for each in breaks:
            output.line(f"BROKEN: {each}")
        output.say("What was decided can no longer be proven. Next: stop the server, restore a backup, and compare.")
    raise typer.Exit(int(Exit.NOT_VERIFIED))


def rebuild(context: typer.Context, *, as_json: Json = False) -> None:
    """Make all views (runs, approvals, values) again from the ledger."""
    from steward.clock import SystemClock  # noqa: PLC0415 - as above
    from steward.insight.views import Views  # noqa: PLC0415
    from steward.runtime.engines import views_path  # noqa: PLC0415

    settings = session_of(context).settings()
    clock = SystemClock()
    started = clock.now()
    with reading(settings) as reader:
        views = Views(views_path(settings))
        try:
            entries = catch_up(views, reader, again=True)
        finally:
            views.close()
    seconds = (clock.now() - started).total_seconds()
    if as_json:
        output.as_json({"entries": entries, "seconds": round(seconds, 3)})
    else:
        output.line(f"{entries:,} entries in {seconds:.1f} s")
