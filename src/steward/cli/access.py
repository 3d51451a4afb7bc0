"""The commands about who may what: claim, whoami, enrol, alter, revoke, keys, limits, refusals, recover."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from steward.access.tokens import Secret
from steward.cli import output
from steward.cli.credentials import keep_key
from steward.cli.desk import Desk, open_desk
from steward.cli.session import Json, examples, session_of
from steward.errors import Conflict, ContractError

if TYPE_CHECKING:
    from steward.runtime.settings import Settings

_ONE_TIME = "STEWARD_ONE_TIME_KEY"
Id = Annotated[str, typer.Argument(metavar="ID", help="Their id, as the ledger names them.")]
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="The key's prefix: stw_PREFIX_...")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger.")]
Days = Annotated[int, typer.Option(min=1, max=366, help="How long the key is good.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the key for this project's commands, mode 0600; not shown.")]
Roles = Annotated[
    list[str] | None, typer.Option("--role", metavar="ROLE[:DECISIONS]", help="operator, approver:grid.* ...; again.")
]
Teams = Annotated[list[str] | None, typer.Option("--team", help="A team they belong to; may be given again.")]
Tenants = Annotated[list[str] | None, typer.Option("--tenant", help="A tenant they serve; may be given again.")]
Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="Their name elsewhere: token:ISSUER:SUB, uri:..., dns:...; again.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    access = typer.Typer(help="Who may what.", no_args_is_help=True, rich_markup_mode=None)
    claims = "steward access claim --id ada --display 'Ada Lovelace' --keep"
    access.command(epilog=examples(claims))(claim)
    access.command(epilog=examples("steward access recover"))(recover)
    access.command(epilog=examples("steward access whoami", "steward access whoami --json"))(whoami)
    access.command("list", epilog=examples("steward access list", "steward access list --json"))(list_identities)
    enrols = "steward access enrol billing --service --display Billing --role service:pay.* --team payments"
    access.command(epilog=examples(enrols))(enrol)
    access.command(epilog=examples("steward access alter ben --role approver --role operator:grid.*"))(alter)
    access.command(epilog=examples("steward access revoke ben --reason 'has left'"))(revoke)
    access.command(epilog=examples("steward access keys", "steward access keys --json"))(keys)
    access.command(epilog=examples("steward access issue billing --label nightly --permission invoke"))(issue)
    access.command(epilog=examples("steward access rotate 3f0000000000 --overlap-h 2"))(rotate)
    access.command("revoke-key", epilog=examples("steward access revoke-key 3f0000000000 --reason lost"))(revoke_key)
    limits_it = "steward access limit pay.release --team payments"
    access.command(epilog=examples(limits_it, "steward access limit pay.release"))(limit)
    access.command(epilog=examples("steward access limits"))(limits)
    access.command(epilog=examples("steward access refusals", "steward access refusals --json"))(refusals)
    app.add_typer(access, name="access")


def _desk(context: typer.Context) -> Desk:
    return open_desk(session_of(context).settings())


def claim(
    context: typer.Context,
    *,
    id: Annotated[str, typer.Option(help="Your id, as the ledger will name you.")],
    display: Annotated[str, typer.Option(help="Your name, as people read it.")],
    keep: Keep = False,
    as_json: Json = False,
) -> None:
    """Become the first administrator; asks for the one-time key that a server on the network has shown.

    The key may also be in the variable STEWARD_ONE_TIME_KEY. At the machine itself, where the server listens to nobody
    else, none is needed: leave it empty.
    """
    once = (os.environ.get(_ONE_TIME) or _asked_for()).strip()
    body = {"id": id, "display": display, **({"one_time_key": once} if once else {})}
    settings = session_of(context).settings()
    _tell_key(settings, open_desk(settings).send("POST", "/v1/access/claim", body), keep=keep, as_json=as_json)


def _asked_for() -> str:
    """Ask for the one-time key without showing it, or read it from what is not a terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    asked: str = typer.prompt("One-time key (empty at the machine itself)", "", hide_input=True, show_default=False)
    return asked


def recover(context: typer.Context) -> None:
    """Show a one-time key although there are administrators, because all have lost their keys; stop the server first.

    It needs the ledger's own files, and is written down there.
    """
    from steward.cli.running import running  # noqa: PLC0415
    from steward.clock import SystemClock  # noqa: PLC0415
    from steward.runtime.access import open_files  # noqa: PLC0415

    settings = session_of(context).settings()
    if running(settings) is not None:
        raise Conflict("the server has the ledger", fix="stop it, recover, and start it again")

    async def work() -> Secret | None:
        async with open_files(settings, SystemClock()) as guard:
            return await guard.bootstrap(recover=True)

    once = asyncio.run(work())
    if once is not None:
        output.line(once.reveal())
        output.say("Good for an hour, and once. Next: steward access claim --id YOU --display 'Your name'")


def whoami(context: typer.Context, *, as_json: Json = False) -> None:
    """Tell who you are to this project, by which key, and with which roles."""
    answer = _desk(context).send("GET", "/v1/whoami")
    if as_json:
        output.as_json(answer)
        return
    who = msgspec.json.decode(answer)
    output.table(("field", "value"), [(name, _cell(name, value)) for name, value in who.items()])


def list_identities(context: typer.Context, *, as_json: Json = False) -> None:
    """List who is enrolled, with their roles and teams."""
    answer = _desk(context).send("GET", "/v1/access/identities")
    columns = ("id", "kind", "display", "roles", "teams", "tenants", "subjects")
    _list(answer, columns, "Nobody is enrolled.", as_json=as_json)


def enrol(
    context: typer.Context,
    identity: Id,
    *,
    display: Annotated[str, typer.Option(help="Their name, as people read it.")],
    service: Annotated[
        bool, typer.Option("--service", help="A program, not a person: it never answers for one.")
    ] = False,
    role: Roles = None,
    team: Teams = None,
    tenant: Tenants = None,
    subject: Subjects = None,
    as_json: Json = False,
) -> None:
    """Make a person or a service known; issue a key next, unless they sign in by a token or certificate."""
    body = {
        "id": identity,
        "display": display,
        "kind": "service" if service else "person",
        "roles": [_role(each) for each in role or ()],
        "teams": team or (),
        "tenants": tenant or (),
        "subjects": subject or (),
    }
    answer = _desk(context).send("POST", "/v1/access/identities", body)
    _done(answer, f"{identity} is enrolled. Next: steward access issue {identity} --label ...", as_json=as_json)


def alter(
    context: typer.Context,
    identity: Id,
    *,
    display: Annotated[str | None, typer.Option(help="Another name, as people read it.")] = None,
    role: Roles = None,
    team: Teams = None,
    tenant: Tenants = None,
    subject: Subjects = None,
    none: Annotated[list[str] | None, typer.Option("--no", help="roles, teams, tenants or subjects: take all.")] = None,
    as_json: Json = False,
) -> None:
    """Change somebody's roles, teams or names; the lists given replace those they have, the others stay."""
    lists: dict[str, Any] = {
        "teams": team,
        "tenants": tenant,
        "subjects": subject,
        "roles": role and [_role(each) for each in role],
    }
    if unknown := set(none or ()) - lists.keys():
        raise ContractError(f"{unknown.pop()!r} cannot be taken", fix=f"one of {', '.join(lists)}", field="no")
    body = {name: value for name, value in {"display": display, **lists}.items() if value} | dict.fromkeys(
        none or (), ()
    )
    answer = _desk(context).send("PATCH", f"/v1/access/identities/{quote(identity, safe='')}", body)
    _done(answer, f"{identity} is changed, from the next request on.", as_json=as_json)


def revoke(context: typer.Context, identity: Id, reason: Reason) -> None:
    """End somebody's access at once, with all their keys and sessions."""
    _desk(context).send("POST", f"/v1/access/identities/{quote(identity, safe='')}/revoke", {"reason": reason})
    output.say(f"{identity} is out.")


def keys(context: typer.Context, *, as_json: Json = False) -> None:
    """List the keys that are good; secrets are kept nowhere."""
    answer = _desk(context).send("GET", "/v1/access/keys")
    columns = ("prefix", "identity", "label", "issued_at", "expires_at", "used_at", "scope")
    _list(answer, columns, "There are none.", as_json=as_json)


def issue(
    context: typer.Context,
    identity: Id,
    *,
    label: Annotated[str, typer.Option(help="What the key is for.")],
    days: Days = 90,
    permission: Annotated[list[str] | None, typer.Option(help="The only things it may do; may be given again.")] = None,
    decisions: Annotated[
        list[str] | None, typer.Option("--decision", help="The only decisions: NAME or grid.*")
    ] = None,
    keep: Keep = False,
    as_json: Json = False,
) -> None:
    """Make a key for somebody; it is shown this once."""
    from steward.access.permissions import Permission  # noqa: PLC0415

    scope = None
    if permission or decisions:
        scope = {"permissions": permission or list(Permission), "decisions": decisions or ("*",)}
    settings = session_of(context).settings()
    body = {"identity": identity, "label": label, "days": days, "scope": scope}
    _tell_key(settings, open_desk(settings).send("POST", "/v1/access/keys", body), keep=keep, as_json=as_json)


def rotate(
    context: typer.Context,
    prefix: Prefix,
    *,
    overlap_h: Annotated[float, typer.Option(min=0, max=720, help="Hours that the old key is good yet.")] = 24.0,
    days: Days = 90,
    keep: Keep = False,
    as_json: Json = False,
) -> None:
    """Make a new key in the place of an old one, your own or another; holder and scope stay."""
    settings = session_of(context).settings()
    target, body = f"/v1/access/keys/{quote(prefix, safe='')}/rotate", {"overlap_h": overlap_h, "days": days}
    _tell_key(settings, open_desk(settings).send("POST", target, body), keep=keep, as_json=as_json)


def revoke_key(context: typer.Context, prefix: Prefix, reason: Reason) -> None:
    """End a key at once, your own or another."""
    _desk(context).send("POST", f"/v1/access/keys/{quote(prefix, safe='')}/revoke", {"reason": reason})
    output.say(f"The key {prefix} is no good any more.")


def limit(
    context: typer.Context,
    decision: Annotated[str, typer.Argument(help="The decision.")],
    *,
    team: Annotated[list[str] | None, typer.Option("--team", help="A team it exists for; may be given again.")] = None,
    as_json: Json = False,
) -> None:
    """Let a decision exist for some teams only; without a team, for all again."""
    target = f"/v1/access/limits/{quote(decision, safe='')}"
    _list(_desk(context).send("PUT", target, {"teams": team or ()}), ("decision", "teams"), _OPEN, as_json=as_json)


def limits(context: typer.Context, *, as_json: Json = False) -> None:
    """List the decisions that exist for some teams only."""
    _list(_desk(context).send("GET", "/v1/access/limits"), ("decision", "teams"), _OPEN, as_json=as_json)


def refusals(
    context: typer.Context,
    *,
    start: Annotated[int, typer.Option(min=0, help="The ledger's entry to begin at.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="The most that are shown.")] = 100,
    as_json: Json = False,
) -> None:
    """List who was turned away, from where, and how often."""
    answer = _desk(context).send("GET", f"/v1/access/refusals?start={start}&limit={limit}")
    columns = ("index", "at", "times", "code", "by", "credential", "address", "permission", "decision")
    _list(answer, columns, "Nobody was.", as_json=as_json)


_OPEN = "Every decision exists for all teams."


def _role(written: str) -> dict[str, Any]:
    role, _, decisions = written.partition(":")
    return {"role": role, "decisions": decisions.split(",") if decisions else ("*",)}


def _tell_key(settings: Settings, answer: bytes, *, keep: bool, as_json: bool) -> None:
    """Show a new key once, or keep it where commands find it."""
    issued = msgspec.json.decode(answer)
    if keep:
        path = keep_key(settings, Secret(issued.pop("secret")))
        output.say(f"The key of {issued['identity']} is kept in {path}, for its owner only.")
    if as_json:
        output.as_json(issued)
    elif not keep:
        output.line(issued["secret"])
        output.say(f"The key of {issued['identity']}, good until {issued['expires_at'][:10]}; it is shown this once.")


def _done(answer: bytes, what: str, *, as_json: bool) -> None:
    output.as_json(answer) if as_json else output.say(what)


def _list(answer: bytes, columns: tuple[str, ...], none: str, *, as_json: bool) -> None:
    if as_json:
        output.as_json(answer)
        return
    rows = msgspec.json.decode(answer)
    output.table(columns, [tuple(_cell(name, row.get(name)) for name in columns) for row in rows])
    if not rows:
        output.say(none)


def _cell(name: str, value: Any) -> str:
    if name == "roles":
        return ", ".join(f"{each['role']}:{','.join(each['decisions'])}" for each in value)
    if name == "scope" and value:
        return f"{','.join(value['permissions'])} of {','.join(value['decisions'])}"
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)
