"""The commands about rollouts: start, status, share, promote, stop."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from steward.cli import output
from steward.cli.release import By, Challenger, Models, Name, Reason, desk_of, speaker, target, tell, versions_of
from steward.cli.session import Json, examples

Percent = Annotated[float, typer.Option(min=0, max=100, help="The share that it decides, in percent.")]
Release = Annotated[str, typer.Option(help="Which release, as steward release show has it.")]
Holdout = Annotated[
    float | None, typer.Option(min=0, max=100, help="The share that no challenger gets, in percent; as it was.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    rollouts = typer.Typer(help="Rollouts: which share each release has.", no_args_is_help=True, rich_markup_mode=None)
    rollouts.command(
        epilog=examples(
            "steward rollout start NAME --model fraud-gbm=4 --shadow --reason …",
            "steward rollout start NAME --release NAME@0123456789abcdef --share 5 --reason …",
        )
    )(start)
    rollouts.command(epilog=examples("steward rollout status"))(status)
    rollouts.command(epilog=examples("steward rollout compare NAME"))(compare)
    rollouts.command(epilog=examples("steward rollout share NAME 25 --reason 'no harm at 5 %'"))(share)
    rollouts.command(epilog=examples("steward rollout promote NAME --reason '2 % better'"))(promote)
    rollouts.command(epilog=examples("steward rollout stop NAME --reason 'not better'"))(stop)
    app.add_typer(rollouts, name="rollout")


def start(
    context: typer.Context,
    name: Name,
    reason: Reason,
    *,
    share: Percent = 0.0,
    shadow: Annotated[bool, typer.Option("--shadow", help="It only says what it would have chosen.")] = False,
    release: Release = "",
    model: Models = None,
    challenger: Challenger = "",
    holdout: Holdout = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Begin a rollout of a release, or give it a part in the one that stands."""
    desk = desk_of(context)
    said = {
        "models": versions_of(model),
        "challenger": challenger,
        "release": release,
        "share": share / 100,
        "shadow": shadow,
        "holdout": _part(holdout),
        "reason": reason,
        **speaker(desk, by),
    }
    tell(desk.send("POST", target("rollouts", name), said), as_json=as_json)


def status(context: typer.Context, *, as_json: Json = False) -> None:
    """List the rollouts that stand."""
    tell(desk_of(context).send("GET", "/v1/rollouts"), as_json=as_json)


def compare(context: typer.Context, name: Name, *, as_json: Json = False) -> None:
    """Tell what is seen of a rollout: each guardrail with its interval, and where a shadow would decide differently."""
    found = desk_of(context).send("GET", target("rollouts", name))
    if as_json:
        output.as_json(found)
        return
    seen: dict[str, Any] = msgspec.json.decode(found)
    ended = " (ended)" if seen["has_ended"] else ""
    output.say(f"{seen.get('rollout', name)}{ended}: {seen['reason'] or 'there is no canary to be judged'}")
    if seen["findings"]:
        rows = [
            (each["metric"], each["state"], *(_told(each.get(key)) for key in ("champion", "canary", "low", "high")))
            for each in seen["findings"]
        ]
        output.table(("guardrail", "state", "champion", "canary", "at least", "at most"), rows)
    for shadow in seen["shadows"]:
        worth = f"{_told(shadow.get('difference'))} {shadow['unit']} a decision over {shadow['outcomes']} outcomes"
        bounds = f", between {_told(shadow['low'])} and {_told(shadow['high'])}" if "low" in shadow else ""
        output.say(f"shadow {shadow['release']}: {shadow['agreed']:.1%} the same of {shadow['asked']}, {worth}{bounds}")
        rows = [
            (each["decision_id"], str(each["choice"]), str(each["shadow"]), _told(each["difference"]))
            for each in shadow["disagreements"][:10]
        ]
        if rows:
            output.table(("decision", "in force", "would have been", "worth"), rows)


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def share(
    context: typer.Context,
    name: Name,
    percent: Annotated[float, typer.Argument(min=0, max=100, help="The share that it decides from now on.")],
    reason: Reason,
    *,
    release: Release = "",
    holdout: Holdout = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Give a challenger another share."""
    desk = desk_of(context)
    said = {"share": percent / 100, "release": release, "holdout": _part(holdout), "reason": reason}
    tell(desk.send("POST", target("rollouts", name, "share"), {**said, **speaker(desk, by)}), as_json=as_json)


def promote(
    context: typer.Context, name: Name, reason: Reason, *, release: Release = "", by: By = None, as_json: Json = False
) -> None:
    """Make the canary the champion, or any release that is published."""
    switch(context, name, "promote", by, as_json=as_json, release=release, reason=reason)


def stop(context: typer.Context, name: Name, reason: Reason, *, by: By = None, as_json: Json = False) -> None:
    """End the rollout that stands; the champion decides all."""
    switch(context, name, "stop", by, as_json=as_json, reason=reason)


def switch(context: typer.Context, name: str, verb: str, by: str | None, *, as_json: bool, **said: str) -> None:
    """Let a rollout go another way."""
    desk = desk_of(context)
    tell(desk.send("POST", target("rollouts", name, verb), {**said, **speaker(desk, by)}), as_json=as_json)


def _part(percent: float | None) -> float | None:
    return None if percent is None else percent / 100
