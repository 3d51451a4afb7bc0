"""Models: what decides now and with which share, every registered model, and one model's own page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from fastapi import APIRouter, Response
from msgspec import UNSET

from steward.access.permissions import Permission
from steward.api.models import document_of, registry_of, sees, users_of, version_shown
from steward.api.models_shown import ModelDocument, VersionShown
from steward.console.charts.figures import Bars, Figure, Panel, Tone
from steward.console.sheets import Column, Kind, Sheet, Tag
from steward.console.view import Looking, View
from steward.console.words import title
from steward.errors import NotFound
from steward.models.registry import FolderRegistry
from steward.models.signing.card_text import Section, sections
from steward.releases.live import Body, Live, live_of

router = APIRouter()
_TONES = (Tone.FIRST, Tone.SECOND, Tone.CAUTION, Tone.GOOD, Tone.INK)
_SHORT = slice(-16, None)


class Deciding(NamedTuple):
    """A decision as the page shows it: what is live, and each part of the traffic.

    Example:
        >>> Deciding._fields
        ('name', 'live', 'parts', 'models', 'refusal')
    """

    name: str
    live: Live
    parts: Sequence[Part]
    models: Sequence[tuple[str, str, str]]
    refusal: str


class Part(NamedTuple):
    """A release's part in a decision.

    Example:
        >>> Part("pay.release@ab", "champion", 0.95).share
        0.95
    """

    release: str
    arm: str
    share: float | None

    @property
    def short(self) -> str:
        """The end of its name."""
        return self.release[_SHORT]


def parts_of(live: Live) -> list[Part]:
    """Return who decides for which share, and who only watches.

    Example:
        >>> parts_of(Live(decision="pay.release", champion="pay.release@ab"))
        [Part(release='pay.release@ab', arm='champion', share=1.0)]
    """
    stands = live.rollout
    if stands is None:
        return [Part(live.champion, "champion", 1.0)] if live.champion else []
    parts = [Part(live.champion, "champion", round(1 - stands.share - stands.holdout, 9))]
    if isinstance(stands.canary, str):
        parts.append(Part(stands.canary, "canary", stands.share))
    if stands.holdout:
        parts.append(Part(stands.champion, "holdout", stands.holdout))
    return parts + [Part(release, "shadow", None) for release in stands.shadows]


async def deciding(view: View) -> list[Deciding]:
    """Return the decisions that the viewer may read."""
    runtime, found = view.runtime, []
    for name, prepared in runtime.running.items():
        if not view.may(Permission.READ, name):
            continue
        refusal = runtime.lineups.of(name).refusal
        models = [(model.name, model.version, model.digest) for model in prepared.models.values()]
        live = runtime.releases.live(name)
        found.append(Deciding(name, live, parts_of(live), models, "" if refusal is None else str(refusal)))
    return found


class Held(NamedTuple):
    """A registered model.

    Example:
        >>> Held("fraud", ("1", "2"), ("pay.release",), None).versions[-1]
        '2'
    """

    name: str
    versions: Sequence[str]
    used_by: Sequence[str]
    newest: VersionShown | None


async def held(view: View) -> list[Held]:
    """Return the registered models that the viewer may see."""
    caller = view.caller
    try:
        registry = registry_of(view.service)
    except NotFound:
        return []

    def look() -> list[Held]:
        return [
            Held(
                name,
                registry.versions(name),
                users_of(view.service, name),
                version_shown(registry, name, registry.versions(name)[-1]),
            )
            for name in registry.names()
            if caller is not None and sees(view.service, caller, name)
        ]

    return await asyncio.to_thread(look)


async def models_sheet(view: View) -> Sheet[Held]:
    """Return the registered models as a table."""
    live = {model: version for each in await deciding(view) for model, version, _ in each.models}

    def state(row: Held) -> Tag:
        if row.newest is not None and isinstance(row.newest.broken, str):
            return Tag("changed on disk", "neg")
        if row.name not in live:
            return Tag("not in use")
        return Tag("newest is live", "pos") if live[row.name] == row.versions[-1] else Tag("newer than live", "info")

    def told(row: Held, field: str) -> object:
        value = getattr(row.newest, field, None)
        return None if value is UNSET else value

    columns: Sequence[Column[Held]] = (
        Column(key="name", label="Model", value=lambda row: row.name, link=lambda row: f"/models/{row.name}"),
        Column(key="live", label="Live version", value=lambda row: live.get(row.name)),
        Column(key="newest", label="Newest", value=lambda row: row.versions[-1]),
        Column(key="state", label="State", value=state, kind=Kind.TAG),
        Column(key="kind", label="Kind", value=lambda row: told(row, "kind")),
        Column(key="task", label="Answers with", value=lambda row: told(row, "task")),
        Column(key="at", label="Registered", value=lambda row: told(row, "created_at"), kind=Kind.TIME),
        Column(key="used", label="Used by", value=lambda row: ", ".join(map(title, row.used_by))),
    )
    return Sheet(
        name="models",
        title="Registered models",
        columns=columns,
        rows=await held(view),
        empty="Every registered model will be here. Register one: steward models register NAME FILE.",
        key=lambda row: row.name,
    )


def adoption(name: str, history: Sequence[Body]) -> Figure:
    """Return which share each release had of a decision, from each change to the next."""
    moments = [body.at for body in history]
    lives = [live_of(name, history[: number + 1]) for number in range(len(history))]
    times: list[datetime] = []
    shares: list[dict[str, float]] = []
    for at, live in zip(moments, lives, strict=True):
        now_has: dict[str, float] = {}
        for part in parts_of(live):
            if part.share:
                now_has[part.short] = now_has.get(part.short, 0.0) + part.share
        if now_has and (not shares or now_has != shares[-1]):
            times.append(at)
            shares.append(now_has)
    releases = list(dict.fromkeys(release for each in shares for release in each))
    return Figure(
        name="adoption",
        title=f"Which share each release of {title(name)} had, from each change on",
        x=[f"{at:%d %b %H:%M}" for at in times],
        panels=[
            Panel(
                label="Share of the decisions (%)",
                height=150,
                series=[
                    Bars(name=release, values=[100 * each.get(release, 0.0) for each in shares], tone=tone)
                    for release, tone in zip(releases, _repeated(len(releases)), strict=True)
                ],
            )
        ],
    )


def _repeated(number: int) -> list[Tone]:
    return [_TONES[at % len(_TONES)] for at in range(number)]


SOURCES = {"models": models_sheet}


@router.get("/models")
async def models_page(view: Looking) -> Response:
    """Show what decides now, with which share, and every registered model."""
    found = await deciding(view)
    sheet = await models_sheet(view)
    may_promote = {each.name: view.may(Permission.PROMOTE, each.name) for each in found}
    return await view.page(
        "models.html",
        deciding=found,
        sheet=sheet.arranged(view.parameters),
        may_promote=may_promote,
        is_governed=view.runtime.releases.is_governed,
    )


class Shown(NamedTuple):
    """A version as its model's page shows it.

    Example:
        >>> Shown._fields
        ('document', 'sections')
    """

    document: ModelDocument
    sections: Sequence[Section]


@router.get("/models/{name}")
async def model_page(view: Looking, name: str) -> Response:
    """Show one model: its versions, where the chosen one comes from, its card, and what was found at registration."""
    registry = registry_of(view.service)
    if view.caller is None or name not in registry.names() or not sees(view.service, view.caller, name):
        raise NotFound(f"no model is named {name!r}", fix="choose one on the page Models", field="name")
    versions = registry.versions(name)
    version = view.parameters.get("version") or versions[-1]
    shown = await asyncio.to_thread(_shown, view, registry, name, version)
    return await view.page(
        "model.html",
        name=name,
        versions=[version_shown(registry, name, each) for each in reversed(versions)],
        chosen=version,
        shown=shown,
        users=users_of(view.service, name),
        live={each.name: dict((m, v) for m, v, _ in each.models).get(name) for each in await deciding(view)},
    )


def _shown(view: View, registry: FolderRegistry, name: str, version: str) -> Shown:
    document = document_of(view.service, registry, name, version)
    card = document.card
    told = () if card is UNSET else sections(card, registry.read(name, version))
    return Shown(document, told)
