"""The commands that bring models in and out: register, list, export, import, compare."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from steward.cli import output
from steward.cli.model_keys import Key, private_key, trust_of
from steward.cli.model_signing import Name, Version
from steward.cli.session import Json, examples, session_of
from steward.errors import Conflict, ContractError, EngineError, NotFound

if TYPE_CHECKING:
    from steward.models.comparing import Side
    from steward.models.manifest import Trained
    from steward.models.registry import FolderRegistry, Registered
    from steward.models.untrusted.intake import Told
    from steward.runtime.settings import Settings

_DAYS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
From = Annotated[datetime | None, typer.Option(formats=_DAYS, help="The first time in the training data (UTC).")]
Until = Annotated[datetime | None, typer.Option(formats=_DAYS, help="The last time in it (UTC).")]


def add_to(models: typer.Typer) -> None:
    """Add the commands of this file to ``steward models``."""
    trains = "steward models register load model.txt --task regression --metric mae_mw=412 --data train.parquet"
    models.command(
        epilog=examples(
            "steward models register fraud-gbm fraud.txt --task binary",
            "steward models register churn churn.onnx --task binary --inputs age,tenure",
            f"{trains} \\\n    --trained-from 2024-01-01 --trained-until 2025-12-31 --rows 17520",
        )
    )(register)
    models.command("list", epilog=examples("steward models list", "steward models list fraud-gbm --json"))(list_models)
    models.command(
        epilog=examples("steward models export fraud-gbm", "steward models export fraud-gbm --to - | ssh ...")
    )(export)
    models.command("import", epilog=examples("steward models import fraud-gbm-3.steward-model"))(import_models)
    compares = "steward models compare fraud-gbm=3 fraud-gbm=4"
    models.command(epilog=examples(compares, "steward models compare fraud-gbm", f"{compares} --json"))(compare)


def register(
    context: typer.Context,
    name: Name,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The model's file, with what goes with it.")],
    *,
    task: Annotated[str, typer.Option(help="What it answers: regression, binary, multiclass ...")],
    kind: Annotated[str, typer.Option(help="The engine; told by the files otherwise.")] = "",
    inputs: Annotated[
        list[str] | None, typer.Option(help="Its input columns, in order: a,b,c; as in the file otherwise.")
    ] = None,
    outputs: Annotated[list[str] | None, typer.Option(help="The labels of a multiclass model: a,b,c.")] = None,
    metric: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A figure of its training.")] = None,
    trained_from: From = None,
    trained_until: Until = None,
    rows: Annotated[int | None, typer.Option(min=0, help="How many rows the training data had.")] = None,
    data: Annotated[Path | None, typer.Option(help="The training data; only its SHA-256 is kept.")] = None,
    key: Key = None,
    sign: Annotated[bool, typer.Option("--sign", help="Sign it with the only key there is; --key names one.")] = False,
    as_json: Json = False,
) -> None:
    """Register files as the next version of a model; the same files again are the version that they are."""
    from steward.clock import SystemClock  # noqa: PLC0415 - only commands about models need them
    from steward.models.untrusted import intake  # noqa: PLC0415
    from steward.models.untrusted.spool import check_quota  # noqa: PLC0415
    from steward.runtime.engines import open_registry  # noqa: PLC0415

    settings = session_of(context).settings()
    registry = open_registry(settings)
    before = set(registry.versions(name)) if name in registry.names() else set()
    with ExitStack() as opened, output.stages() as advance:
        given = [(path.name, opened.enter_context(_opened(path))) for path in files]
        check_quota(sum(os.fstat(file.fileno()).st_size for _, file in given), settings.max_model_bytes)
        advance("looking at the files", 0, 3)
        told = {each: intake.told(each, file) for each, file in given}
        advance("hashing the training data", 1, 3)
        known = intake.draft(
            name,
            kind=kind or _kind(told),
            task=task,
            inputs=_listed(inputs) or _own_inputs(told),
            outputs=_listed(outputs),
            metrics=_figures(metric),
            trained=_trained(trained_from, trained_until, rows, data),
        )
        advance("comparing with the original", 2, 3)
        named = {told[each].name: file for each, file in given}
        private = private_key(settings, key) if sign or key else None
        made = intake.register(registry, known, named, clock=SystemClock(), key=private)
    _tell(made, as_json, "is registered already as" if made.version in before else "is registered as")


def _kind(told: Mapping[str, Told]) -> str:
    kinds = sorted({each.kind for each in told.values() if each.kind})
    if len(kinds) != 1:
        raise ContractError(
            f"the files are of {'several kinds: ' + ', '.join(kinds) if kinds else 'no kind of model'}",
            fix="give the files of one model, or name its --kind",
            field="kind",
        )
    return kinds[0]


def _own_inputs(told: Mapping[str, Told]) -> Sequence[str]:
    found = next((each.inputs for each in told.values() if each.inputs), ())
    if not found:
        raise ContractError(
            "the file does not name its inputs", fix="name them as it was trained: --inputs age,tenure", field="inputs"
        )
    return found


def _listed(given: Sequence[str] | None) -> Sequence[str]:
    return [name.strip() for each in given or () for name in each.split(",") if name.strip()]


def _figures(given: Sequence[str] | None) -> Mapping[str, float]:
    figures = {}
    for each in given or ():
        name, _, value = each.partition("=")
        try:
            figures[name.strip()] = float(value)
        except ValueError as error:
            raise typer.BadParameter(f"{each!r} is not NAME=VALUE with a number", param_hint="--metric") from error
    return figures


def _trained(since: datetime | None, until: datetime | None, rows: int | None, data: Path | None) -> Trained | None:
    """Return what it was trained on; all of it, or nothing."""
    from steward.models.manifest import Trained  # noqa: PLC0415 - only commands about models need it

    if since is None and until is None and rows is None and data is None:
        return None
    if since is None or until is None or rows is None or data is None:
        raise ContractError(
            "what a model was trained on is told whole or not at all",
            fix="give --trained-from, --trained-until, --rows and --data",
            field="trained",
        )
    digest = sha256()
    with _opened(data) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    first, last = since.replace(tzinfo=UTC), until.replace(tzinfo=UTC)
    return Trained(since=first, until=last, rows=rows, data=f"sha256:{digest.hexdigest()}")


def list_models(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="All versions of one; else all models.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """List registered models with their newest version, or the versions of one."""
    from steward.errors import IntegrityError  # noqa: PLC0415 - only commands about models need them
    from steward.runtime.engines import open_registry  # noqa: PLC0415

    registry = open_registry(session_of(context).settings())
    wanted = [(name, each) for each in reversed(registry.versions(name))] if name else _newest(registry)
    rows: list[dict[str, Any]] = []
    for model, version in wanted:
        try:
            found = registry.show(model, version)
        except IntegrityError as error:
            rows.append({"name": model, "version": version, "broken": f"{error.what}: {error.why}"})
            continue
        facts = found.manifest
        size = sum(each.size_bytes for each in facts.files.values())
        told = {"kind": facts.kind, "task": facts.task, "bytes": size, "created_at": facts.created_at}
        rows.append({"name": model, "version": version, **told, "digest": found.digest})
    if as_json:
        output.as_json(rows)
        return
    output.table(
        ("model", "version", "kind", "task", "bytes", "registered (UTC)", "digest"),
        [
            (each["name"], each["version"], "BROKEN", "", "", "", each["broken"])
            if "broken" in each
            else (
                each["name"],
                each["version"],
                each["kind"],
                each["task"],
                f"{each['bytes']:,}",
                f"{each['created_at']:%Y-%m-%d %H:%M}",
                each["digest"][:19],
            )
            for each in rows
        ],
        right=("version", "bytes"),
    )
    if not rows:
        output.say("There are none. Next: steward models register NAME FILE --task ...")


def _newest(registry: FolderRegistry) -> list[tuple[str, str]]:
    return [(name, registry.versions(name)[-1]) for name in registry.names()]


def export(
    context: typer.Context,
    name: Name,
    *,
    version: Version = "latest",
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; - is stdout. NAME-N by default.")] = None,
    as_json: Json = False,
) -> None:
    """Write a version to one file: its files, manifest and statements; the same version gives the same bytes."""
    from steward.models.untrusted.archive import MAX_ARCHIVE_BYTES, SUFFIX  # noqa: PLC0415 - only commands about models need them
    from steward.models.untrusted.intake import take_out  # noqa: PLC0415
    from steward.models.untrusted.spool import spool  # noqa: PLC0415
    from steward.runtime.engines import open_registry  # noqa: PLC0415

    found = open_registry(session_of(context).settings()).show(name, version)
    path = to or Path(f"{found.name}-{found.version}{SUFFIX}")
    folder = Path.cwd() if str(path) == "-" else path.parent
    with spool(folder, quota_bytes=MAX_ARCHIVE_BYTES) as packed, output.progress("exporting"):
        take_out(found, packed.file)
        packed.file.seek(0)
        _put(packed.file, path)
    if str(path) == "-":
        return
    if as_json:
        output.as_json({"name": found.name, "version": found.version, "digest": found.digest, "file": str(path)})
    else:
        output.say(f"{path} holds version {found.version} of {found.name}.\n  digest {found.digest}")


def _put(content: IO[bytes], path: Path) -> None:
    from shutil import copyfileobj  # noqa: PLC0415 - only this command needs it

    if str(path) == "-":
        copyfileobj(content, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    try:
        with path.open("xb") as target:
            copyfileobj(content, target)
    except FileExistsError as error:
        raise Conflict(f"{path} exists already", fix="remove it, or name another file with --to") from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise EngineError(f"{path} cannot be written", why=error.strerror or str(error)) from error


def import_models(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What export has written; - is stdin.")],
    *,
    as_json: Json = False,
) -> None:
    """Take exported versions in, under their own names, numbers and digests; what is there already stays."""
    from steward.clock import SystemClock  # noqa: PLC0415 - only commands about models need them
    from steward.models.untrusted.intake import take_in  # noqa: PLC0415
    from steward.models.untrusted.spool import copy, spool  # noqa: PLC0415
    from steward.runtime.engines import open_registry  # noqa: PLC0415

    settings = session_of(context).settings()
    registry = open_registry(settings)
    for path in files:
        with (
            spool(registry.root, quota_bytes=settings.max_model_bytes) as upload,
            _opened(path, or_stdin=True) as source,
            output.progress(f"reading {path}"),
        ):
            copy(source, upload)
            made = take_in(registry, upload.file, clock=SystemClock())
        _tell(made, as_json, "is there as")


def compare(
    context: typer.Context,
    one: Annotated[str, typer.Argument(metavar="A", help="NAME=VERSION; NAME alone is the newest.")],
    other: Annotated[str | None, typer.Argument(metavar="[B]", help="What with; else the version before.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show what differs between two versions: inputs, metrics, training, speed, card; nothing else."""
    from steward.models.comparing import differences  # noqa: PLC0415 - only this command needs it

    settings = session_of(context).settings()
    first, second = (one, other) if other is not None else _last_two(settings, one)
    (mine, my_side), (theirs, their_side) = _side(settings, first), _side(settings, second)
    found = differences(my_side, their_side)
    if as_json:
        output.as_json({"a": mine, "b": theirs, "differs": found})
        return
    rows = [(field, *(_cell(value) for value in values)) for field, values in found.items()]
    output.table(("", mine, theirs), rows)
    if not found:
        output.say("They do not differ.")


def _cell(value: object) -> str:
    return "" if value is None else output.short(value)


def _last_two(settings: Settings, name: str) -> tuple[str, str]:
    from steward.runtime.engines import open_registry  # noqa: PLC0415 - only commands about models need it

    model = _named(name)[0]
    known = open_registry(settings).versions(model)
    if len(known) < 2:
        raise NotFound(f"{model} has only one version", fix="name what to compare it with: A B")
    return f"{model}={known[-2]}", f"{model}={known[-1]}"


def _named(text: str) -> tuple[str, str]:
    name, _, version = text.replace("@", "=").partition("=")
    return name, version or "latest"


def _side(settings: Settings, text: str) -> tuple[str, Side]:
    from steward.models.comparing import Side  # noqa: PLC0415
    from steward.models.signing.card import read_card  # noqa: PLC0415 - only commands about models need them
    from steward.models.signing.provenance import read_provenance  # noqa: PLC0415
    from steward.runtime.engines import open_registry  # noqa: PLC0415

    found, trust = open_registry(settings).read(*_named(text)), trust_of(settings)
    card, provenance = read_card(found, trust), read_provenance(found, trust)
    side = Side(
        manifest=found.manifest,
        card=None if card is None else card[0],
        provenance=None if provenance is None else provenance[0],
    )
    return f"{found.name}={found.version}", side


@contextmanager
def _opened(path: Path, *, or_stdin: bool = False) -> Iterator[IO[bytes]]:
    if or_stdin and str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotFound(f"{path} cannot be read", why=error.strerror or str(error), fix="name a file") from error
    with file:
        yield file


def _tell(made: Registered, as_json: bool, how: str) -> None:
    if as_json:
        told = {"name": made.name, "version": made.version, "digest": made.digest, "kind": made.manifest.kind}
        output.as_json({**told, "checked": made.manifest.checked})
        return
    output.line(f"{made.name} {how} version {made.version}")
    output.say(f"  digest {made.digest}")
    if (found := made.manifest.checked) and found.p50_us:
        output.say(f"  answered by {found.engine}, {found.p50_us:.1f} µs a row (median)")
