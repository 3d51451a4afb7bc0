"""What would have changed a choice, as ``steward show ID --counterfactuals`` tells it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from steward.cli import output
from steward.cli.session import reading

if TYPE_CHECKING:
    from uuid import UUID

    from steward.runtime.counterfactuals import WouldHaveChanged
    from steward.runtime.settings import Settings


def show_counterfactuals(settings: Settings, wanted: UUID, *, as_json: bool) -> None:
    """Search with the declarations and models of this project, and tell what was found."""
    found = _search(settings, wanted)
    if as_json:
        output.as_json(found)
        return
    output.line(f"\nWith nothing changed, {output.short(found.choice)} is chosen. It would have been another with")
    output.table(
        ("changes", "size", "choice", "why"),
        [
            (
                ", ".join(
                    f"{each.feature} {output.short(each.value)} (was {output.short(each.stored)})"
                    for each in one.changes
                ),
                f"{one.cost:.1%}",
                output.short(one.choice),
                "; ".join(one.reasons),
            )
            for one in found.found
        ],
        right=("size",),
    )
    if not found.found:
        output.line(f"nothing that was tried ({found.tried} times: {', '.join(found.moved) or 'no feature'}).")
    if found.differs:
        output.say(f"Decided by {found.release}, of which {' and '.join(found.differs)} changed since.")


def _search(settings: Settings, wanted: UUID) -> WouldHaveChanged:
    from steward.features.online import OnlineFeatures  # noqa: PLC0415 - only this needs models
    from steward.ledger.run import Run  # noqa: PLC0415
    from steward.loop.prepare import prepare  # noqa: PLC0415
    from steward.runtime.counterfactuals import Counterfactuals  # noqa: PLC0415
    from steward.runtime.engines import open_registry  # noqa: PLC0415
    from steward.runtime.project import load_decisions  # noqa: PLC0415
    from steward.runtime.whatif import WhatIf  # noqa: PLC0415

    with reading(settings) as reader:
        record = Run.of(asyncio.run(reader.of_run(wanted)), wanted).record
    registry = open_registry(settings)
    prepared = {
        each.name: prepare(
            each, {model.name: registry.load(model) for model in each.models}, OnlineFeatures(each.windows)
        )
        for each in load_decisions(settings)
        if each.name == record.decision
    }
    return asyncio.run(Counterfactuals(WhatIf(prepared)).find(record))
