"""When people are asked, decision by decision, in words; and for which teams a decision exists at all."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Response
from msgspec import Struct

from steward.access.permissions import Permission
from steward.api import accounts, office
from steward.api.admission import Calling
from steward.api.problems import problem
from steward.console.declared import AnyDecision, gate_words, lasting, stage, threshold, when_asked
from steward.console.forms import fitted, sends
from steward.console.pages.settings.people import names
from steward.console.sheets import Column, Kind, Sheet
from steward.console.view import Looking, View, back_to
from steward.console.words import plain, title
from steward.decision.fingerprint import plain as plain_data
from steward.errors import Conflict, ContractError, StewardError
from steward.records import Money

router = APIRouter()
PATH = "/settings/gates"


class LimitForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The only teams for whom a decision exists, parted by commas; none for all.

    Example:
        >>> LimitForm(teams="grid-desk, duty").teams
        'grid-desk, duty'
    """

    teams: str = ""


class GateRow(NamedTuple):
    """One decision with its gate, in words.

    Attributes:
        decision: Its declaration.
        asks: When a person is asked.
        stage: How far it is automated.
        words: The gate's rules, each with its name.
        teams: The only teams for whom it exists; empty for all.
    """

    decision: AnyDecision
    asks: str
    stage: str
    words: list[tuple[str, str]]
    teams: list[str]

    @property
    def name(self) -> str:
        """The decision's name."""
        return self.decision.name

    @property
    def threshold(self) -> Money | None:
        """The money at stake above which it asks."""
        return threshold(self.decision)

    def of_gate(self, name: str) -> str | None:
        """Return a plain field of the gate for the table; nothing without a gate."""
        gate = self.decision.gate
        if gate is None:
            return None
        made = {
            "approvers": gate.approvers,
            "approvals": f"{gate.approvals}, four eyes" if gate.four_eyes else str(gate.approvals),
            "within": lasting(gate.within),
            "otherwise": plain(plain_data(gate.otherwise)),
            "ladder": ", ".join(gate.groups) or None,
        }
        return made[name]


def rows(view: View) -> list[GateRow]:
    """Return the decisions that the viewer may read, by name."""
    limits = view.runtime.guard.directory.limits()
    return [
        GateRow(
            decision,
            when_asked(decision),
            stage(decision),
            [] if decision.gate is None else gate_words(decision.gate),
            sorted(limits.get(name, ())),
        )
        for name, decision in sorted(view.runtime.decisions.items())
        if view.may(Permission.READ, name)
    ]


async def gates_sheet(view: View) -> Sheet[GateRow]:
    """Return every gate that the viewer may know of."""
    return Sheet(
        name="gates",
        title="Gates",
        columns=(
            Column(
                key="decision",
                label="Decision",
                value=lambda row: title(row.name),
                link=lambda row: f"/inventory/{row.name}",
            ),
            Column(key="asks", label="How it runs", value=lambda row: row.stage),
            Column(key="above", label="Above", value=lambda row: row.threshold, kind=Kind.EXACT),
            Column(key="approvers", label="Who", value=lambda row: row.of_gate("approvers")),
            Column(key="approvals", label="How many", value=lambda row: row.of_gate("approvals")),
            Column(key="within", label="Within", value=lambda row: row.of_gate("within")),
            Column(key="otherwise", label="Otherwise", value=lambda row: row.of_gate("otherwise")),
            Column(key="ladder", label="Then asks", value=lambda row: row.of_gate("ladder")),
            Column(key="teams", label="Exists for", value=lambda row: ", ".join(row.teams) or "all teams"),
        ),
        rows=rows(view),
        empty="No decision is declared that you may see. Decisions are declared in Python; see the documentation.",
        key=lambda row: row.name,
    )


SOURCES = {"gates": gates_sheet}


@router.get(PATH)
async def gates(view: Looking) -> Response:
    """Show when people are asked."""
    return await _shown(view)


@router.post(f"{PATH}/{{decision}}/limit")
async def limit(
    view: Looking, caller: Calling, decision: str, sent: Annotated[LimitForm, sends(LimitForm)]
) -> Response:
    """Let a decision exist for some teams only; for all again if there are none."""
    try:
        await office.limit(view.service, caller, decision, fitted(accounts.LimitIn, {"teams": names(sent.teams)}))
    except (ContractError, Conflict) as error:
        return await _shown(view, decision=decision, typed=sent.teams, error=error)
    return back_to(PATH)


async def _shown(view: View, *, decision: str = "", typed: str = "", error: StewardError | None = None) -> Response:
    told, directory = None if error is None else problem(error), view.runtime.guard.directory
    seen = rows(view)
    shown = {row.name for row in seen}
    office_ = view.may(Permission.ADMINISTER, "") and not view.is_local
    return await view.page(
        "settings_gates.html",
        status=200 if told is None else told.status,
        sheet=(await gates_sheet(view)).arranged(view.parameters),
        rows=seen,
        # Who hands out the limits is told all of them by the API, too: one must be able to lift what one cannot see.
        others=[each for each in accounts.Limit.all_of(directory) if each.decision not in shown] if office_ else [],
        office=office_,
        about=decision,
        typed=typed,
        wrong=told,
    )
