"""The commands about who vouches for a model: show, sign, verify, card, provenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import UnsetType

from steward.cli import output
from steward.cli.exits import Exit
from steward.cli.model_keys import Key, private_key, trust_of
from steward.cli.session import Json, examples, session_of
from steward.errors import ContractError, IntegrityError, NotFound

if TYPE_CHECKING:
    from steward.models.artefact import Artefact
    from steward.models.manifest import Manifest
    from steward.models.registry import FolderRegistry
    from steward.models.signing.trust import Trust, TrustedKey

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name in the registry.")]
Version = Annotated[str, typer.Option("--version", metavar="N", help="A version number, sha256:..., or latest.")]
File = Annotated[Path | None, typer.Option("--file", help="What is to be stated; without it, what is stated is shown.")]


def add_to(models: typer.Typer) -> None:
    """Add the commands of this file to ``steward models``."""
    shows = "steward models show fraud-gbm --version 3 --json"
    models.command(epilog=examples("steward models show fraud-gbm", shows))(show)
    signs = "steward models sign fraud-gbm --signature model.sig"
    models.command(epilog=examples("steward models sign fraud-gbm --version 3 --key anna", signs))(sign)
    models.command(epilog=examples("steward models verify", "steward models verify fraud-gbm --version 3"))(verify)
    states = "steward models card fraud-gbm --file card.toml --key ben"
    models.command(epilog=examples(states, "steward models card fraud-gbm > fraud-gbm.md"))(card)
    tells = "steward models provenance fraud-gbm --file provenance.json --key anna"
    models.command(epilog=examples(tells, "steward models provenance fraud-gbm"))(provenance)


def show(context: typer.Context, name: Name, *, version: Version = "latest", as_json: Json = False) -> None:
    """Show a version: what it is, who vouches for it, and what is missing before it may be published."""
    from steward.models.signing.card import publishable  # noqa: PLC0415 - only commands about models need it

    registry, trust = _opened(context)
    found = registry.read(name, version)
    missing = publishable(found, trust)
    stated = {each: _stated_by(each, found, trust) for each in sorted(found.statements)}
    if as_json:
        told = {"name": found.name, "version": found.version, "digest": found.digest, "manifest": found.manifest}
        output.as_json({**told, "statements": stated, "missing": missing})
        return
    made = found.manifest
    rows = [
        ("model", f"{found.name} version {found.version}"),
        ("digest", found.digest),
        ("kind", f"{made.kind}, {made.task}"),
        ("inputs", ", ".join(made.inputs)),
        ("registered", f"{made.created_at:%Y-%m-%d %H:%M} UTC"),
        *((f"metric {metric}", f"{value:g}") for metric, value in sorted(made.metrics.items())),
        *_checked(made),
        *((f"file {file}", f"{facts.size_bytes:,} bytes, {facts.media_type}") for file, facts in made.files.items()),
        *stated.items(),
        *(("not to be published", why) for why in missing),
    ]
    output.table(("field", "value"), rows)


def _checked(made: Manifest) -> list[tuple[str, str]]:
    """Return what was found when a model was registered."""
    found = made.checked
    if isinstance(found, UnsetType):
        return []
    far = f"at most {found.largest_difference:.3g} from {found.against}" if found.against else "not compared"
    return [("checked", f"{found.engine}, {far}"), ("speed", f"{found.p50_us:g} µs a row, {found.p99_us:g} µs at p99")]


def sign(
    context: typer.Context,
    name: Name,
    *,
    version: Version = "latest",
    key: Key = None,
    signature: Annotated[
        Path | None, typer.Option(help="A bundle that model-signing made over the version's folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Sign a version, after comparing every byte with its digest; or take in a signature that was made elsewhere."""
    from steward.clock import SystemClock  # noqa: PLC0415 - only commands about models need them
    from steward.models.artefact import SIGNATURE  # noqa: PLC0415

    session, clock = session_of(context), SystemClock()
    settings = session.settings()
    registry, trust = _opened(context)
    if signature is None:
        private = private_key(settings, key)
        made = registry.sign(name, version, key=private, clock=clock)
        signer = private.id
    else:
        found, bundle = registry.read(name, version), _content(signature)
        signer = _signer_of(found, bundle, trust).key.id
        made = registry.attach(found, SIGNATURE, bundle, clock=clock)
    if as_json:
        output.as_json({"name": made.name, "version": made.version, "digest": made.digest, "key": signer})
        return
    output.say(f"{made.name} version {made.version} is signed by the key {signer[:12]}.")


def verify(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The model; all of them without it.")] = None,
    *,
    version: Annotated[str | None, typer.Option("--version", metavar="N", help="One version; else all.")] = None,
    openssf: Annotated[
        bool, typer.Option("--openssf", help="Ask the package model-signing too, where the key is on P-256.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare every byte of registered models with its digest, and every statement with the keys that are trusted."""
    registry, trust = _opened(context)
    rows = []
    for each in (name,) if name else registry.names():
        for number in (version,) if version else registry.versions(each):
            rows.append(_verified(registry, trust, each, number, openssf=openssf))
    broken = [row for row in rows if not row["holds"]]
    if as_json:
        output.as_json({"trust": trust is not None, "models": rows})
    else:
        cells = [(str(r["name"]), str(r["version"]), "yes" if r["holds"] else "NO", str(r["told"])) for r in rows]
        output.table(("model", "version", "holds", "signed by, or why not"), cells)
        if trust is None:
            output.say("No trust is set, so only digests were compared. Next: steward -s trust=FOLDER models verify")
    if broken:
        raise typer.Exit(int(Exit.NOT_VERIFIED))


def card(
    context: typer.Context,
    name: Name,
    *,
    version: Version = "latest",
    file: File = None,
    key: Annotated[list[str] | None, typer.Option("--key", help="Who says so; may be given again.")] = None,
    as_json: Json = False,
) -> None:
    """Show a version's card as Markdown, or put one beside it, signed by whoever validated the model."""
    from steward.clock import SystemClock  # noqa: PLC0415 - only commands about models need them
    from steward.models.artefact import CARD  # noqa: PLC0415
    from steward.models.signing.card import parse_card, publishable, read_card, sign_card  # noqa: PLC0415
    from steward.models.signing.card_text import markdown  # noqa: PLC0415

    registry, trust = _opened(context)
    found = registry.read(name, version)
    if file is None:
        told = read_card(found, trust)
        if told is None:
            raise NotFound(
                f"{found.title} has no card", fix=f"steward models card {name} --file card.toml", field="card"
            )
        output.as_json(told[0]) if as_json else output.line(markdown(told[0], found).rstrip())
        return
    settings = session_of(context).settings()
    keys = [private_key(settings, each) for each in key or (None,)]
    content = sign_card(
        parse_card(_content(file), toml=file.suffix == ".toml"), found.name, found.version, found.digest, *keys
    )
    registry.attach(found, CARD, content, clock=SystemClock())
    missing = publishable(registry.read(found.name, found.version), trust)
    if as_json:
        output.as_json({"name": found.name, "version": found.version, "missing": missing})
        return
    output.say(f"{found.title} has a card, signed by {', '.join(each.id[:12] for each in keys)}.")
    for each in missing:
        output.say(f"Not to be published yet: {each}")


def provenance(
    context: typer.Context,
    name: Name,
    *,
    version: Version = "latest",
    file: File = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Show where a version comes from, or state it: training data, code, features, parameters, metrics, builder."""
    from steward.clock import SystemClock  # noqa: PLC0415 - only commands about models need them
    from steward.models.artefact import PROVENANCE  # noqa: PLC0415
    from steward.models.signing.provenance import parse_provenance, read_provenance, sign_provenance  # noqa: PLC0415

    registry, trust = _opened(context)
    found = registry.read(name, version)
    if file is not None:
        private = private_key(session_of(context).settings(), key)
        stated = sign_provenance(parse_provenance(_content(file)), found.name, found.version, found.digest, private)
        registry.attach(found, PROVENANCE, stated, clock=SystemClock())
        output.say(f"{found.title}: where it comes from is stated by the key {private.id[:12]}.")
        return
    told = read_provenance(found, trust)
    if told is None:
        fix = f"steward models provenance {name} --file provenance.json"
        raise NotFound(f"nobody has stated where {found.title} comes from", fix=fix, field="provenance")
    if as_json:
        output.as_json(told[0])
        return
    import msgspec  # noqa: PLC0415

    facts: dict[str, Any] = msgspec.to_builtins(told[0])
    rows = [(field, output.short(value)) for field, value in facts.items()]
    output.table(("field", "value"), [*rows, *(("stated by", each.name) for each in told[1])])


def _opened(context: typer.Context) -> tuple[FolderRegistry, Trust | None]:
    from steward.runtime.engines import open_registry  # noqa: PLC0415 - only commands about models need it

    settings = session_of(context).settings()
    return open_registry(settings), trust_of(settings)


def _stated_by(statement: str, found: Artefact, trust: Trust | None) -> str:
    """Say who has signed a statement, or why it does not count."""
    from steward.models.artefact import CARD, SIGNATURE  # noqa: PLC0415 - only commands about models need them
    from steward.models.signing.card import read_card  # noqa: PLC0415
    from steward.models.signing.provenance import read_provenance  # noqa: PLC0415
    from steward.models.signing.statements import signer_of  # noqa: PLC0415

    if trust is None:
        return "there; no trust is set, so nobody's signature was asked for"
    try:
        if statement == SIGNATURE:
            keys: Sequence[TrustedKey] = (signer_of(found, trust),)
        else:
            told = read_card(found, trust) if statement == CARD else read_provenance(found, trust)
            keys = told[1] if told else ()
    except IntegrityError as error:
        return f"does not hold: {error.what}. {error.why}"
    return ", ".join(f"{each.name} ({each.key.id[:12]})" for each in keys)


def _verified(
    registry: FolderRegistry, trust: Trust | None, name: str, version: str, *, openssf: bool
) -> dict[str, object]:
    from steward.models.signing.interop import cross_check  # noqa: PLC0415 - only commands about models need it

    try:
        found = registry.read(name, version)
        told = {each: _stated_by(each, found, trust) for each in sorted(found.statements)} if trust else {}
        signer = registry.fetch(name, version).signed_by
        key = trust.keys[signer] if trust and signer else None
        if openssf and key is not None and key.key.kind == "p256":
            cross_check(found, key.key)
    except IntegrityError as error:
        return {"name": name, "version": version, "holds": False, "told": f"{error.what}: {error.why}"}
    wrong = [f"{each} {text}" for each, text in told.items() if text.startswith("does not hold")]
    owner = "" if key is None else key.name
    return {"name": name, "version": found.version, "holds": not wrong, "told": "; ".join(wrong) or owner}


def _signer_of(found: Artefact, bundle: bytes, trust: Trust | None) -> TrustedKey:
    from steward.models.signing.statements import digests_of, verify_files  # noqa: PLC0415 - as above

    if trust is None:
        raise ContractError(
            "a signature from elsewhere cannot be taken in without a trust",
            why="nobody would have verified it",
            fix="name the folder of trusted keys: steward -s trust=FOLDER models sign ...",
            field="trust",
        )
    return verify_files(bundle, digests_of(found.manifest, found.digest), trust, found.title)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read", why=error.strerror or str(error), fix="name a file") from error
