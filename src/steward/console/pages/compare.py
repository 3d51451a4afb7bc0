"""Compare: a decision's releases beside each other, what the evidence says, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Response
from msgspec import Struct

from steward.access.permissions import Permission
from steward.api.problems import problem
from steward.console.choices import chosen
from steward.console.forms import sends
from steward.console.pages.models import adoption, deciding, parts_of
from steward.console.sheets import Column, Kind, Sheet
from steward.console.told import TOLD
from steward.console.view import Looking, View, back_to
from steward.errors import Conflict, ContractError, Denied, EngineError, NotFound, StewardError
from steward.records import Money
from steward.releases.compare import Beside, Disagreement
from steward.releases.judge import Finding, State
from steward.releases.live import Live
from steward.releases.sequences import mean_interval
from steward.runtime.judging import Trial

router = APIRouter()
_WORDS = {
    State.BREACHED: ("worse", "neg"),
    State.HELD: ("not worse", "pos"),
    State.OPEN: ("not yet known", ""),
    State.MISSING: ("no data yet", ""),
}
_NAMES = {
    "errors": "Errors and fallbacks",
    "slow": "Slow answers",
    "misses": "Outcomes outside the interval",
    "overrides": "Overridden by people",
    "value": "Saved a decision",
}


class Changing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to be changed.

    Attributes:
        reason: Why.
        share: The canary's share from now on, in per cent.
        release: The release that is meant, where it is not the canary.
        number: What they had seen: how many entries about releases there were.
        back: The page to go back to.
    """

    reason: str = ""
    share: float = 0.0
    release: str = ""
    number: int | None = None
    back: str = ""


class Difference(NamedTuple):
    """One line of what differs between two releases.

    Example:
        >>> Difference("Model fraud", "sha256:ab", "sha256:cd").what
        'Model fraud'
    """

    what: str
    champion: str
    challenger: str


def differences(live: Live, release: str) -> list[Difference]:
    """Return only what differs between the champion and another release.

    Example:
        >>> differences(Live(decision="pay.release", champion="pay.release@ab"), "pay.release@cd")
        []
    """
    ours, theirs = (_flat(live, each) for each in (live.champion, release))
    names = dict.fromkeys((*ours, *theirs))
    return [
        Difference(name, ours.get(name, "–"), theirs.get(name, "–"))
        for name in names
        if ours.get(name) != theirs.get(name)
    ]


def _flat(live: Live, release: str) -> dict[str, str]:
    known = live.known.get(release)
    document: dict[str, Any] = {} if known is None else known.document
    flat: dict[str, str] = {}
    for part, value in document.items():
        if isinstance(value, dict):
            flat |= {f"{part.rstrip('s').capitalize()} {name}": str(each) for name, each in value.items()}
        elif part not in {"decision", "format"}:
            flat[part.capitalize()] = str(value)
    return flat


def _figure(finding: Finding, value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.2%}".replace("%", " %") if finding.metric.is_rate else f"{value:,.2f} {unit}"


def _bounds(finding: Finding, unit: str) -> str:
    """Return the interval in words; it holds however often one looks."""
    if finding.low is None:
        return "–"
    if finding.metric.is_rate:
        high = "any" if finding.high is None else f"{finding.high:.3g}"
        return f"{finding.low:.3g} to {high} times the champion's"
    return f"{finding.low:+,.2f} to {finding.high or 0:+,.2f} {unit}"


def _disagreements(release: str, beside: Beside | None, unit: str) -> Sheet[Disagreement]:
    """Return the decisions that a shadow would have decided otherwise, by what that was worth."""
    columns: Sequence[Column[Disagreement]] = (
        Column(
            key="at", label="Decided", value=lambda row: row.at, kind=Kind.TIME,
            link=lambda row: f"/decisions/{row.decision_id}",
        ),
        Column(key="choice", label="In force", value=lambda row: chosen(row.choice)),
        Column(key="shadow", label="Would have been", value=lambda row: chosen(row.shadow)),
        Column(
            key="difference", label="Worth", value=lambda row: Money.rounded(row.difference, unit), kind=Kind.EXACT,
            about="What the other choice would have earned beyond the one in force, by the outcome that came.",
        ),
    )  # fmt: skip
    return Sheet(
        name="disagreements",
        title=f"Where {release[-16:]} would have decided differently, the largest difference first",
        columns=columns,
        rows=[] if beside is None else [each for each in beside.disagreements if each.difference],
        empty="Decisions will be here in which the other choice would have earned more or less, once outcomes tell.",
        key=lambda row: str(row.decision_id),
    )


class Watched(NamedTuple):
    """A shadow as the page shows it.

    Example:
        >>> Watched._fields
        ('release', 'beside', 'interval', 'kinds', 'sheet', 'differences')
    """

    release: str
    beside: Beside | None
    interval: tuple[float, float] | None
    kinds: Sequence[str]
    sheet: Sheet[Disagreement]
    differences: Sequence[Difference]


def _watched(view: View, name: str, live: Live, trial: Trial | None, release: str) -> Watched:
    beside = None if trial is None else trial.seen.shadows.get(release)
    interval = None
    if beside is not None and beside.difference.n >= 100:
        interval = mean_interval(beside.difference, 0.05, planned=10_000)
    kinds = [] if beside is None else sorted({kind for pair in beside.agreement for kind in pair})
    sheet = _disagreements(release, beside, _unit(view, name)).arranged(view.parameters)
    return Watched(release, beside, interval, kinds, sheet, differences(live, release))


def _unit(view: View, name: str) -> str:
    economics = view.runtime.decisions[name].economics
    return "EUR" if economics is None else economics.unit


async def _shown(view: View, name: str, error: StewardError | None = None, typed: Changing | None = None) -> Response:
    runtime = view.runtime
    await runtime.judging.catch_up()
    live, trial, history = runtime.releases.live(name), runtime.judging.of(name), await runtime.releases.history(name)
    unit, stands = _unit(view, name), live.rollout
    told = None if error is None else problem(error)
    findings = () if trial is None or trial.verdict is None else trial.verdict.findings
    rows = [
        (
            _NAMES[each.metric.value],
            _figure(each, each.champion, unit),
            _figure(each, each.canary, unit),
            _bounds(each, unit),
            *_WORDS[each.state],
        )
        for each in findings
    ]
    canary = stands.canary if stands is not None and isinstance(stands.canary, str) else None
    shadows = () if stands is None else stands.shadows
    return await view.page(
        "compare.html",
        status=200 if told is None else told.status,
        wrong=told,
        typed=typed,
        name=name,
        live=live,
        stands=stands,
        canary=canary,
        parts_of=parts_of(live),
        trial=trial,
        rows=rows,
        differs=[] if canary is None else differences(live, canary),
        watched=[_watched(view, name, live, trial, release) for release in shadows],
        figure=adoption(name, history),
        history=[TOLD[type(body)](body) for body in history],
        may_promote=view.may(Permission.PROMOTE, name),
        may_publish=view.may(Permission.PUBLISH, name),
        lacking=runtime.releases.lacking(name),
    )


@router.get("/compare")
async def compare_page(view: Looking) -> Response:
    """Show a decision's releases beside each other, or of every decision what is tried on it now."""
    if "decision" in view.parameters:
        return await _shown(view, _named(view))
    found = await deciding(view)
    trials = {each.name: view.runtime.judging.of(each.name) for each in found}
    return await view.page("compare_all.html", deciding=found, trials=trials)


def _named(view: View) -> str:
    """Return the decision that the URL names, if the viewer may read it."""
    name = view.parameters.get("decision", "")
    if name not in view.runtime.decisions or not view.may(Permission.READ, name):
        raise NotFound(f"no decision is named {name!r}", fix="open it from the page Compare", field="decision")
    return name


@router.post("/compare/{name}/share")
async def share(view: Looking, name: str, sent: Annotated[Changing, sends(Changing)]) -> Response:
    """Give the canary another share."""
    asked = view.runtime.rollouts.share(
        name, sent.share / 100, by=view.person, reason=sent.reason, release=sent.release or None
    )
    return await _done(view, name, sent, asked)


@router.post("/compare/{name}/promote")
async def promote(view: Looking, name: str, sent: Annotated[Changing, sends(Changing)]) -> Response:
    """Make a challenger the champion."""
    asked = view.runtime.rollouts.promote(
        name, by=view.person, reason=sent.reason, release=sent.release or None, number=sent.number
    )
    return await _done(view, name, sent, asked)


@router.post("/compare/{name}/stop")
async def stop(view: Looking, name: str, sent: Annotated[Changing, sends(Changing)]) -> Response:
    """End the rollout that stands."""
    asked = view.runtime.rollouts.stop(name, by=view.person, reason=sent.reason, number=sent.number)
    return await _done(view, name, sent, asked)


@router.post("/compare/{name}/rollback")
async def rollback(view: Looking, name: str, sent: Annotated[Changing, sends(Changing)]) -> Response:
    """Go back to the release before."""
    asked = view.runtime.rollouts.rollback(name, by=view.person, reason=sent.reason, number=sent.number)
    return await _done(view, name, sent, asked)


@router.post("/compare/{name}/approve")
async def approve(view: Looking, name: str, sent: Annotated[Changing, sends(Changing)]) -> Response:
    """Agree to a release that somebody else wants to be published."""
    if sent.release not in view.runtime.releases.live(name).known:
        raise NotFound(
            f"no release of {name!r} is named {sent.release!r}", fix="choose one that waits", field="release"
        )
    asked = view.runtime.publishing.approve(sent.release, by=view.person, reason=sent.reason)
    return await _done(view, name, sent, asked)


async def _done(view: View, name: str, sent: Changing, asked: Awaitable[Live]) -> Response:
    """Wait for a change, and go back; or show the page again with what speaks against it, and what was typed."""
    try:
        await asked
    except (ContractError, Conflict, Denied, EngineError) as error:
        return await _shown(view, name, error, sent)
    return back_to(sent.back or f"/compare?decision={name}")


async def disagreements_sheet(view: View) -> Sheet[Disagreement]:
    """Return the disagreements of the decision and shadow that the URL names."""
    name = _named(view)
    trial, stands = view.runtime.judging.of(name), view.runtime.releases.live(name).rollout
    shadows = stands.shadows if stands is not None else ()
    release = view.parameters.get("release") or (shadows[0] if shadows else "")
    beside = None if trial is None else trial.seen.shadows.get(release)
    return _disagreements(release, beside, _unit(view, name))


async def adoption_sheet(view: View) -> Sheet[int]:
    """Return the rows behind the chart of shares."""
    name = _named(view)
    return adoption(name, await view.runtime.releases.history(name)).sheet()


SOURCES = {"disagreements": disagreements_sheet, "adoption": adoption_sheet}
