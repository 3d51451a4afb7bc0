"""The commands about the keys that vouch for models: keys new, list, trust, revoke."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

import typer

from steward.cli import output
from steward.cli.session import Json, examples, session_of
from steward.errors import Conflict, DeclarationError, NotFound, StewardError

if TYPE_CHECKING:
    from steward.models.signing.keys import PrivateKey
    from steward.models.signing.trust import Trust
    from steward.runtime.settings import Settings

SIGNING = "signing"
"""The folder within ``data_dir`` where a person's own private keys are."""
Key = Annotated[
    str | None, typer.Option("--key", help="A key of yours by its name, or a file; the only one you have without it.")
]
Owner = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, as others will read it.")]

_MAKE: Final = "steward models keys new NAME makes one"


def add_to(models: typer.Typer) -> None:
    """Add the commands of this file to ``steward models``."""
    keys = typer.Typer(help="The keys that vouch for models.", no_args_is_help=True, rich_markup_mode=None)
    news = "steward models keys new ci --kind p256"
    keys.command(epilog=examples("steward models keys new anna", news))(new)
    keys.command("list", epilog=examples("steward models keys list", "steward models keys list --json"))(list_keys)
    keys.command(epilog=examples("steward models keys trust ben ben.pem"))(trust)
    revokes = "steward models keys revoke sha256:DIGEST --reason 'learned from wrong labels'"
    keys.command(epilog=examples("steward models keys revoke anna --reason 'the laptop was stolen'", revokes))(revoke)
    models.add_typer(keys, name="keys")


def trust_of(settings: Settings) -> Trust | None:
    """Return whose signatures count, by the setting ``trust``; ``None`` if nobody is asked for one."""
    from steward.models.signing.trust import Trust  # noqa: PLC0415 - only commands about models need it

    return Trust.read(settings.path(settings.trust)) if settings.trust else None


def private_key(settings: Settings, named: str | None) -> PrivateKey:
    """Return a private key by its name or file; without one, the only key that there is.

    Raises:
        NotFound: There is no such key, or none at all.
        Conflict: There are several and none was named.
        Denied: The key's file is open to others.
    """
    from steward.models.signing.keys import PrivateKey  # noqa: PLC0415 - as above

    folder = _own_folder(settings)
    own = sorted(folder.glob("*.key")) if folder.is_dir() else []
    if named is not None:
        places = (folder / f"{named}.key", folder / named, Path(named))
        found = next((path for path in places if path.is_file()), None)
        if found is None:
            fix = f"use one of yours: {', '.join(path.stem for path in own)}" if own else _MAKE
            raise NotFound(f"no key is named {named!r}, and no file", fix=fix, field="key")
        return PrivateKey.read(found)
    if not own:
        raise NotFound("you have no key to sign with", fix=_MAKE, field="key")
    if len(own) > 1:
        raise Conflict("you have several keys", fix=f"choose one: --key {' or --key '.join(p.stem for p in own)}")
    return PrivateKey.read(own[0])


def new(
    context: typer.Context,
    name: Owner,
    *,
    kind: Annotated[str, typer.Option(help="ed25519, or p256 where model-signing's verifier must know it too.")] = (
        "ed25519"
    ),
    as_json: Json = False,
) -> None:
    """Make a key: the private half in a file for you alone, the public one beside it, to be given to others."""
    from steward.models.signing.keys import PrivateKey  # noqa: PLC0415 - as above
    from steward.models.signing.trust import check_owner, trust_key  # noqa: PLC0415

    if kind not in {"ed25519", "p256"}:
        raise DeclarationError(f"there are no keys of kind {kind!r}", fix="use ed25519 or p256", field="kind")
    folder = _own_folder(session_of(context).settings())
    made = PrivateKey.new(cast("Literal['ed25519', 'p256']", kind))
    path = folder / f"{check_owner(name)}.key"
    made.write(path)
    public = trust_key(folder, name, made.public)
    if as_json:
        output.as_json({"name": name, "kind": kind, "id": made.id, "private": str(path), "public": str(public)})
        return
    output.line(made.id)
    output.say(f"The private key is in {path}, mode 0600; keep it to yourself.")
    output.say(f"Next, by whoever decides whom to trust: steward models keys trust {name} {public}")


def list_keys(context: typer.Context, *, as_json: Json = False) -> None:
    """List the keys that are trusted, those that were revoked, and your own."""
    settings = session_of(context).settings()
    found = trust_of(settings)
    rows: list[dict[str, str]] = []
    for each in () if found is None else found.keys.values():
        gone = found.revoked.keys.get(each.key.id) if found else None
        state = "trusted" if gone is None else f"revoked {gone.at:%Y-%m-%d}: {gone.reason}"
        rows.append({"name": each.name, "id": each.key.id, "kind": each.key.kind, "state": state})
    for digest, gone in () if found is None else found.revoked.digests.items():
        state = f"revoked {gone.at:%Y-%m-%d}: {gone.reason}"
        rows.append({"name": "", "id": digest, "kind": "artefact", "state": state})
    folder = _own_folder(settings)
    for path in sorted(folder.glob("*.key")) if folder.is_dir() else ():
        rows.append({"name": path.stem, **_own(path)})
    if as_json:
        output.as_json(rows)
        return
    if not rows:
        output.say("There are none. Next: steward models keys new NAME")
        return
    output.table(("name", "id", "kind", "state"), [tuple(row.values()) for row in rows])


def trust(
    context: typer.Context,
    name: Owner,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The public key, as PEM.")],
    *,
    as_json: Json = False,
) -> None:
    """Trust a public key from now on: what it has signed is handed out."""
    from steward.models.signing.keys import PublicKey  # noqa: PLC0415 - as above
    from steward.models.signing.trust import Trust, trust_key  # noqa: PLC0415

    folder = _trust_folder(context)
    try:
        key = PublicKey.from_pem(file.read_bytes())
    except OSError as error:
        raise NotFound(f"{file} cannot be read", why=error.strerror or str(error), fix="name a file") from error
    known = Trust.read(folder) if folder.is_dir() else Trust({})
    others = [each for each in known.keys.values() if each.name == name and each.key.id != key.id]
    if others:
        raise Conflict(
            f"{name} has another key already",
            why=f"it is {others[0].key.id[:12]}, and what it has signed would be refused at once",
            fix=f"give this one another name, as {name}-2, or take {folder / f'{name}.pem'} away first",
            field="name",
        )
    trust_key(folder, name, key)
    output.as_json({"name": name, "id": key.id, "kind": key.kind}) if as_json else output.say(
        f"The key {key.id[:12]} of {name} is trusted."
    )


def revoke(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="KEY|DIGEST", help="A name or id of a key, or a version's sha256:...")],
    reason: Annotated[str, typer.Option(help="Why; whoever is refused reads it.")],
    *,
    as_json: Json = False,
) -> None:
    """Refuse a key or a version from now on, everywhere that reads this folder of trust."""
    from steward.clock import SystemClock  # noqa: PLC0415 - as above
    from steward.models.signing.trust import Trust  # noqa: PLC0415
    from steward.models.signing.trust import revoke as revoke_in  # noqa: PLC0415

    folder = _trust_folder(context)
    named = what if what.startswith("sha256:") else _id_of(Trust.read(folder), what)
    revoke_in(folder, named, reason=reason, at=SystemClock().now())
    output.as_json({"revoked": named, "reason": reason}) if as_json else output.say(f"{named} is good no more.")


def _own_folder(settings: Settings) -> Path:
    return settings.path(settings.data_dir) / SIGNING


def _trust_folder(context: typer.Context) -> Path:
    settings = session_of(context).settings()
    if not settings.trust:
        raise DeclarationError(
            "no folder of trusted keys is set",
            fix='write trust = "trusted" into steward.toml, or: steward -s trust=trusted models keys ...',
            field="trust",
        )
    return settings.path(settings.trust)


def _id_of(known: Trust, what: str) -> str:
    """Return the id of a key named by its owner or the beginning of its id; a whole id need not be known."""
    fits = [id for id, each in known.keys.items() if each.name == what or (len(what) >= 8 and id.startswith(what))]
    if len(fits) == 1 or len(what) == 64:
        return fits[0] if fits else what
    raise NotFound(f"{len(fits) or 'no'} trusted keys are called {what!r}", fix="steward models keys list", field="key")


def _own(path: Path) -> dict[str, str]:
    from steward.models.signing.keys import PrivateKey  # noqa: PLC0415 - as above

    try:
        key = PrivateKey.read(path)
    except StewardError as error:
        return {"id": "", "kind": "", "state": f"yours, of no use: {error.what}"}
    return {"id": key.id, "kind": key.public.kind, "state": "yours"}
