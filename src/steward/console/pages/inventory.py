"""The inventory: every decision by how often it is made, what it is worth and what it can harm; and its own card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
from fastapi import APIRouter, Response

from steward.access.permissions import Permission
from steward.console import declared
from steward.console.charts.figures import Bubble, Bubbles, Tone
from steward.console.sheets import Column, Kind, Sheet, Tag
from steward.console.view import Looking, View
from steward.console.words import money, title
from steward.decision.risk import Risk
from steward.insight.inventory import InventoryRow, inventory
from steward.records import Money

router = APIRouter()
RISKS: Final = {Risk.LOW: (Tone.GOOD, "pos"), Risk.MEDIUM: (Tone.CAUTION, "warn"), Risk.HIGH: (Tone.BAD, "neg")}
"""The colours of each risk, in charts and as a tag."""


async def rows(view: View) -> list[InventoryRow]:
    """Return the decisions that the viewer may read, the most worth automating first."""
    await view.runtime.catch_up()
    readable = [name for name in view.runtime.decisions if view.may(Permission.READ, name)]
    return inventory(view.runtime.decisions.values(), view.runtime.views, view.now, among=readable)


def interval_words(row: InventoryRow) -> str | None:
    """Return between which amounts the true mean saving lies."""
    if row.each is None:
        return None
    if row.each.low is None or row.each.high is None:
        return f"too few: {row.valued} of 30 outcomes"
    return f"{money(row.each.low)} to {money(row.each.high)}"


async def inventory_sheet(view: View) -> Sheet[InventoryRow]:
    """Return the inventory as a table."""

    def stage(row: InventoryRow) -> str:
        return declared.stage(view.runtime.decisions[row.name])

    def limit(row: InventoryRow) -> Money | None:
        return declared.threshold(view.runtime.decisions[row.name])

    def mean(row: InventoryRow) -> Money | None:
        return None if row.each is None else row.each.mean

    columns: Sequence[Column[InventoryRow]] = (
        Column(
            key="name", label="Decision", value=lambda row: title(row.name), link=lambda row: f"/inventory/{row.name}"
        ),
        Column(key="owner", label="Owner", value=lambda row: row.owner),
        Column(key="risk", label="Risk", value=lambda row: Tag(row.risk.value, RISKS[row.risk][1]), kind=Kind.TAG),
        Column(key="declared", label="Declared a month", value=lambda row: row.declared_a_month, kind=Kind.NUMBER),
        Column(key="measured", label="Measured a month", value=lambda row: row.measured_a_month, kind=Kind.NUMBER),
        Column(key="each", label="Saves each", value=mean, kind=Kind.MONEY),
        Column(key="interval", label="95 % interval", value=interval_words, can_sort=False),
        Column(key="a_month", label="Saves a month", value=lambda row: row.value_a_month, kind=Kind.MONEY),
        Column(key="stage", label="How it runs now", value=stage),
        Column(key="asked", label="Asked", value=lambda row: row.asked_share, kind=Kind.SHARE),
        Column(key="overridden", label="Overridden", value=lambda row: row.overridden_share, kind=Kind.SHARE),
        Column(key="limit", label="Asks above", value=limit, kind=Kind.MONEY),
        Column(key="purpose", label="What is chosen", value=lambda row: row.purpose),
    )
    return Sheet(
        name="inventory",
        title="Decisions, the most worth automating first",
        columns=columns,
        rows=await rows(view),
        empty="Every declared decision that you may see will be here, with how often it is made and what it saves.",
        key=lambda row: row.name,
    )


def bubbles(found: Sequence[InventoryRow]) -> Bubbles:
    """Return the decisions by how often they are made and what each saves; those of one currency, the most common."""
    units = Counter(row.each.mean.unit for row in found if row.each is not None)
    unit = units.most_common(1)[0][0] if units else "EUR"
    return Bubbles(
        name="inventory-map",
        title="Decisions by how often they are made and what each saves",
        x_label="decisions a month",
        y_label=f"saved each ({unit})",
        product=f"{unit} a month",
        bubbles=[bubble for row in found if (bubble := _bubble(row, unit)) is not None],
    )


def _bubble(row: InventoryRow, unit: str) -> Bubble | None:
    if row.each is None or row.each.mean.unit != unit or row.value_a_month is None or not row.a_month:
        return None
    each = float(row.each.mean.amount)
    if each <= 0:
        return None
    return Bubble(
        label=title(row.name),
        x=row.a_month,
        y=each,
        size=float(row.value_a_month.amount),
        tone=RISKS[row.risk][0],
        group=f"{row.risk} risk",
        link=f"/inventory/{row.name}",
    )


async def bubbles_sheet(view: View) -> Sheet[Bubble]:
    """Return the rows behind the chart."""
    return bubbles(await rows(view)).sheet()


SOURCES = {"inventory": inventory_sheet, "inventory-map": bubbles_sheet}


@router.get("/inventory")
async def inventory_page(view: Looking) -> Response:
    """Show every decision by frequency, value and risk."""
    sheet = await inventory_sheet(view)
    return await view.page(
        "inventory.html", sheet=sheet.arranged(view.parameters), found=sheet.rows, chart=bubbles(sheet.rows)
    )


@router.get("/inventory/{name}")
async def card(view: Looking, name: str) -> Response:
    """Show all about one decision: its declaration in plain words and as data, and how it does."""
    decision, running = view.runtime.decisions[name], view.runtime.running[name]
    [row] = [each for each in await rows(view) if each.name == name]
    description = msgspec.json.format(msgspec.json.encode(decision.description), indent=2).decode()
    return await view.page(
        "inventory_card.html",
        row=row,
        decision=decision,
        running=running,
        interval=interval_words(row),
        risk=Tag(row.risk.value, RISKS[row.risk][1]),
        declared=declared,
        description=description,
        teams=sorted(view.runtime.guard.directory.limits().get(name, ())),
    )
