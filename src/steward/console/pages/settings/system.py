"""How this installation runs: its settings with where each comes from, its engines, and what the doctor finds."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from fastapi import APIRouter, Response

from steward.access.permissions import Permission
from steward.console.sheets import Column, Sheet, Tag
from steward.console.sheets import Kind as Shown
from steward.console.view import Looking, View
from steward.runtime.doctor import PACKAGES, Check, Health, examine
from steward.runtime.engines import ENGINES, Engine, engine_of
from steward.runtime.settings import table

router = APIRouter()
TONES = {Health.OK: "pos", Health.WARN: "warn", Health.FAIL: "neg"}


class Setting(NamedTuple):
    """One setting as it is in force.

    Example:
        >>> Setting("port", "8700", "default", "the port that the server listens on").source
        'default'
    """

    name: str
    value: str
    source: str
    about: str


def _rows(view: View) -> list[Setting]:
    settings = view.runtime.settings
    effective = settings.effective()
    rows = []
    for each in table():
        value, unit = effective[each.name], each.metadata["unit"]
        shown = ", ".join(value) if isinstance(value, tuple) else f"{value} {unit}".strip()
        source = settings.source_of(each.name)
        if source == "default" and getattr(settings, each.name) != each.default:
            source = "the program that started it"
        rows.append(Setting(each.name, shown, source, each.metadata["help"]))
    return rows


async def settings_sheet(view: View) -> Sheet[Setting]:
    """Return the settings in force, with passwords masked, for administrators."""
    if view.caller is not None:
        view.caller.require(Permission.ADMINISTER)
    return Sheet(
        name="settings",
        title="Settings in force",
        columns=(
            Column(key="name", label="Setting", value=lambda row: row.name, kind=Shown.CODE),
            Column(key="value", label="Value", value=lambda row: row.value or None),
            Column(key="source", label="From", value=lambda row: row.source),
            Column(key="about", label="What it is", value=lambda row: row.about),
        ),
        rows=_rows(view),
        key=lambda row: row.name,
    )


def _engines(view: View) -> list[tuple[str, Engine]]:
    settings = view.runtime.settings
    return [(port, engine_of(port, url)) for port, url in (("ledger", settings.ledger), ("bus", settings.bus))]


def versions() -> list[tuple[str, str]]:
    """Return the versions of what this runs on."""
    found = [("Python", platform.python_version())]
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            found.append((package, "not installed"))
    return found


SOURCES = {"settings": settings_sheet}


@router.get("/settings/system")
async def system(view: Looking) -> Response:
    """Show the settings in force and the engines; with ``look=now``, what the doctor finds, too."""
    found: Sequence[Check] | None = None
    runtime = view.runtime
    if view.parameters.get("look") == "now":
        served = replace(runtime.settings, port=view.request.url.port or runtime.settings.port)
        declared = tuple(runtime.decisions.values())
        found = await examine(served, runtime.clock, served_port=served.port, decisions=declared)
    return await view.page(
        "settings_system.html",
        sheet=(await settings_sheet(view)).arranged(view.parameters),
        engines=_engines(view),
        others=[engine for engine in ENGINES if engine.missing],
        versions=versions(),
        checks=None if found is None else [(check, Tag(check.health.value, TONES[check.health])) for check in found],
    )
