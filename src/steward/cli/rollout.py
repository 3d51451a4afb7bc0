"""The commands about rollouts: start, status, share, promote, stop."""

from __future__ import annotations

from typing import Annotated

import typer

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
