"""The commands about releases: propose, approve, show, history."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from steward.cli import output
from steward.cli.model_keys import private_key
from steward.cli.session import Json, examples, session_of

if TYPE_CHECKING:
    from steward.cli.desk import Desk
    from steward.models.signing.keys import PrivateKey

Name = Annotated[str, typer.Argument(metavar="DECISION", help="The decision's name.")]
By = Annotated[str | None, typer.Option(help="Who; by default who is logged in.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME=VERSION", help="A version that is not the champion's; may be repeated."),
]
Challenger = Annotated[
    str, typer.Option(help="The fingerprint of another declaration (setting challengers), or its beginning.")
]
At = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], help="What was live then (UTC)."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    releases = typer.Typer(
        help="Releases: what decides, who wanted it and who agreed.", no_args_is_help=True, rich_markup_mode=None
    )
    releases.command(epilog=examples("steward release propose NAME --model fraud-gbm=4 --key ana --reason …"))(propose)
    releases.command(epilog=examples("steward release approve NAME@0123456789abcdef --reason 'validated'"))(approve)
    releases.command(epilog=examples("steward release show", "steward release show NAME --at 2026-03-01"))(show)
    releases.command(epilog=examples("steward release history NAME"))(history)
    app.add_typer(releases, name="release")


def propose(
    context: typer.Context,
    name: Name,
    reason: Reason,
    *,
    model: Models = None,
    challenger: Challenger = "",
    key: Annotated[
        str | None, typer.Option(help="The private key that signs it: one of yours by its name, or a file.")
    ] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Want a release to be published; another person must agree."""
    desk = desk_of(context)
    variant = {"models": versions_of(model), "challenger": challenger}
    said: dict[str, Any] = {**variant, **speaker(desk, by), "reason": reason}
    draft = msgspec.json.decode(desk.send("POST", target("releases", name, "draft"), variant))
    if key is not None:
        said["envelope"] = _signed(draft["document"], private_key(session_of(context).settings(), key))
    found = desk.send("POST", target("releases", name), said)
    if as_json:
        output.as_json(found)
        return
    output.line(f"proposed: {draft['release']}")
    output.say(f"Next, by another person: steward release approve {draft['release']} --reason …")


def approve(
    context: typer.Context,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="As steward release show has it.")],
    reason: Reason,
    *,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Agree to a release that somebody else proposed; it is published."""
    desk = desk_of(context)
    said = {"release": release, "reason": reason, **speaker(desk, by)}
    tell(desk.send("POST", target("releases", release.rpartition("@")[0], "approve"), said), as_json=as_json)


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[DECISION]", help="One decision; all of them by default.")] = "",
    *,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Tell what is live, since when and by whom; or what was live at a time."""
    when = "" if at is None else f"?at={quote(at.isoformat() + '+00:00')}"
    tell(desk_of(context).send("GET", (target("releases", name) if name else "/v1/releases") + when), as_json=as_json)


def history(context: typer.Context, name: Name, *, as_json: Json = False) -> None:
    """Tell everything that happened to a decision's releases: what was live when, and who agreed."""
    found = desk_of(context).send("GET", target("releases", name, "history"))
    if as_json:
        output.as_json(found)
        return
    changes: list[dict[str, Any]] = msgspec.json.decode(found)
    output.table(
        ("at (UTC)", "what", "release", "by", "agreed", "share", "why"),
        [
            (
                each["at"][:19],
                each["kind"],
                ", ".join([each["canary"]] if each.get("canary") else each.get("shadows") or [each["release"]]),
                each["by"],
                each.get("approved_by", ""),
                f"{each['share']:.1%}" if each.get("share") else "",
                each["reason"],
            )
            for each in changes
        ],
        right=("share",),
    )


def desk_of(context: typer.Context) -> Desk:
    """Return what this project's writes go to."""
    from steward.cli.desk import open_desk  # noqa: PLC0415 - only commands that write need it

    return open_desk(session_of(context).settings())


def speaker(desk: Desk, by: str | None) -> dict[str, str]:
    """Return who says something, where the key that is shown does not."""
    return {"by": by or getpass.getuser()} if by or not desk.shows_a_key else {}


def target(room: str, name: str, verb: str = "") -> str:
    """Return the path of a decision's releases or rollouts.

    Example:
        >>> target("rollouts", "pay.release", "stop")
        '/v1/rollouts/pay.release/stop'
    """
    return f"/v1/{room}/{quote(name, safe='')}" + (f"/{verb}" if verb else "")


def versions_of(models: list[str] | None) -> dict[str, str]:
    """Return the versions that are asked for, by model.

    Example:
        >>> versions_of(["fraud-gbm=4"])
        {'fraud-gbm': '4'}
    """
    found = {}
    for each in models or ():
        name, sign, version = each.partition("=")
        if not sign:
            raise typer.BadParameter(f"{each!r} is not NAME=VERSION", param_hint="--model")
        found[name.strip()] = version.strip()
    return found


def tell(found: bytes, *, as_json: bool) -> None:
    """Show what is live."""
    if as_json:
        output.as_json(found)
        return
    decoded = msgspec.json.decode(found)
    lives: list[dict[str, Any]] = decoded if isinstance(decoded, list) else [decoded]
    output.table(
        ("decision", "champion", "since (UTC)", "by", "rollout"),
        [
            (
                live["decision"],
                live["champion"] or "(none)",
                live.get("since", "")[:19],
                live["by"],
                _rollout(live.get("rollout")),
            )
            for live in lives
        ],
    )
    for live in lives:
        for line in _notes(live):
            output.say(line)


def _rollout(rollout: dict[str, Any] | None) -> str:
    if rollout is None:
        return ""
    parts = [f"{rollout['canary']} {rollout['share']:.1%}"] if "canary" in rollout else []
    parts += [f"{shadow} (shadow)" for shadow in rollout["shadows"]]
    return ", ".join([*parts, *([f"{rollout['holdout']:.1%} held out"] if rollout["holdout"] else [])])


def _notes(live: dict[str, Any]) -> list[str]:
    notes = [live["refused"]] if "refused" in live else []
    notes += [f"{release} has no part here: {why}" for release, why in live["lacking"].items()]
    waiting = (each for each in live["releases"] if "published_at" not in each)
    return [
        *notes,
        *(f"{each['release']} waits for another person than {each['by']}: {each['reason']}" for each in waiting),
    ]


def _signed(document: object, key: PrivateKey) -> object:
    from steward.models.signing.dsse import sign  # noqa: PLC0415 - only a signed proposal needs them
    from steward.releases.release import PAYLOAD_TYPE, Release  # noqa: PLC0415

    return msgspec.to_builtins(sign(PAYLOAD_TYPE, Release.read(document).payload(), key))
