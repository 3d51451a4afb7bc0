"""Who is known here: their roles and teams, when they were last seen; enrolled, changed and revoked by the office."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from msgspec import Struct

from steward.access.directory import Directory, Key
from steward.access.identity import EVERY, Identity, Kind
from steward.access.permissions import TABLE, Permission, Role
from steward.api import accounts, office
from steward.api.admission import Calling
from steward.api.problems import problem
from steward.console.declared import listed
from steward.console.forms import fitted, sends
from steward.console.sheets import Column, Sheet
from steward.console.sheets import Kind as Shown
from steward.console.view import Looking, View, back_to
from steward.errors import Conflict, ContractError, StewardError

router = APIRouter()
PATH = "/settings/people"
MOST_SHOWN = 200
"""A page shows this many people at most; the search finds the others, and files have all."""


class PersonForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody as a form tells them; names are parted by commas.

    Attributes:
        role: The roles that are ticked.
        of: For each role there is, of which decisions.

    Example:
        >>> PersonForm(display="Ana", teams="desk, duty", role=("auditor",)).fields()["teams"]
        ['desk', 'duty']
    """

    id: str = ""
    display: str = ""
    kind: str = Kind.PERSON.value
    teams: str = ""
    tenants: str = ""
    subjects: str = ""
    role: tuple[str, ...] = ()
    of: tuple[str, ...] = ()

    @classmethod
    def of_identity(cls, identity: Identity, subjects: Iterable[str]) -> PersonForm:
        """Return the form that would leave somebody as they are."""
        covered: dict[Role, list[str]] = {}
        for each in identity.roles:
            covered.setdefault(each.role, []).extend(each.decisions)
        return cls(
            id=identity.id,
            display=identity.display,
            kind=identity.kind.value,
            teams=", ".join(sorted(identity.teams)),
            tenants=", ".join(sorted(identity.tenants)),
            subjects=", ".join(subjects),
            role=tuple(role.value for role in covered),
            of=tuple(", ".join(dict.fromkeys(covered.get(role, ()))) for role in Role),
        )

    def fields(self) -> dict[str, Any]:
        """Return what the API would be sent."""
        of = dict(zip((role.value for role in Role), self.of, strict=False))
        held = [{"role": role, "decisions": names(of.get(role, "")) or [EVERY]} for role in self.role]
        lists = {name: names(getattr(self, name)) for name in ("teams", "tenants", "subjects")}
        return {"display": self.display, "roles": held, **lists}


class Reason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is taken away.

    Example:
        >>> Reason(reason="has left").reason
        'has left'
    """

    reason: str = ""


def names(text: str) -> list[str]:
    """Return the names that stand in a field, parted by commas or white space.

    Example:
        >>> names("grid-desk, duty ")
        ['grid-desk', 'duty']
    """
    return text.replace(",", " ").split()


def roles_words(identity: Identity) -> str:
    """Return somebody's roles, with the decisions they are of.

    Example:
        >>> from steward.access.identity import Assignment
        >>> roles = (Assignment(Role.APPROVER, ("grid.*",)), Assignment(Role.AUDITOR))
        >>> roles_words(Identity(id="ana", kind=Kind.PERSON, display="Ana", roles=roles))
        'approver of grid.*, auditor'
    """
    return ", ".join(
        each.role.value if EVERY in each.decisions else f"{each.role} of {listed(each.decisions)}"
        for each in identity.roles
    )


@dataclass(frozen=True)
class _Row:
    identity: Identity
    keys: Sequence[Key]
    seen_at: datetime | None


_COLUMNS: Sequence[Column[_Row]] = (
    Column(key="id", label="Id", value=lambda row: row.identity.id, link=lambda row: f"{PATH}/{row.identity.id}"),
    Column(key="name", label="Name", value=lambda row: row.identity.display),
    Column(key="kind", label="Kind", value=lambda row: row.identity.kind.value),
    Column(key="roles", label="Roles", value=lambda row: roles_words(row.identity) or None),
    Column(key="teams", label="Teams", value=lambda row: told(row.identity.teams)),
    Column(key="keys", label="Keys", value=lambda row: len(row.keys), kind=Shown.NUMBER),
    Column(key="seen_at", label="Last seen", value=lambda row: row.seen_at, kind=Shown.DATE),
)


def told(groups: Iterable[str]) -> str | None:
    """Return teams as people say them."""
    known = sorted(groups)
    return "all" if EVERY in known else ", ".join(known) or None


def _row(directory: Directory, identity: Identity) -> _Row:
    keys = [key for key in directory.keys.values() if key.identity == identity.id]
    return _Row(
        identity, keys, _seen(keys, [one for one in directory.sessions.values() if one.identity == identity.id])
    )


def _seen(keys: Iterable[Key], sessions: Iterable[Any]) -> datetime | None:
    return max([*(key.used_at for key in keys if key.used_at), *(one.seen_at for one in sessions)], default=None)


async def people_sheet(view: View) -> Sheet[_Row]:
    """Return everybody who is enrolled, for administrators."""
    if view.caller is not None:
        view.caller.require(Permission.ADMINISTER)
    directory = view.runtime.guard.directory
    keys: dict[str, list[Key]] = {}
    for key in directory.keys.values():
        keys.setdefault(key.identity, []).append(key)
    sessions: dict[str, list[Any]] = {}
    for one in directory.sessions.values():
        sessions.setdefault(one.identity, []).append(one)
    return Sheet(
        name="people",
        title="People and services",
        columns=_COLUMNS,
        rows=[
            _Row(who, keys.get(name, ()), _seen(keys.get(name, ()), sessions.get(name, ())))
            for name, who in sorted(directory.identities.items())
        ],
        empty="Nobody is enrolled yet.",
        key=lambda row: row.identity.id,
    )


SOURCES = {"people": people_sheet}


@router.get(PATH)
async def people(view: Looking) -> Response:
    """Show who is known; where nobody is, tell what that means and offer to be the first."""
    return await _listed(view, PersonForm())


@router.post(PATH)
async def enrol(view: Looking, caller: Calling, sent: Annotated[PersonForm, sends(PersonForm)]) -> Response:
    """Make somebody known."""
    try:
        wanted = fitted(accounts.AccountIn, {"id": sent.id, "kind": sent.kind, **sent.fields()})
        made = await office.enrol(view.service, caller, wanted)
    except (ContractError, Conflict) as error:
        return await _listed(view, sent, error)
    return back_to(f"{PATH}/{made.id}")


@router.get(f"{PATH}/{{identity}}")
async def person(view: Looking, identity: str) -> Response:
    """Show one of them, with what can be changed."""
    return await _one(view, identity)


@router.post(f"{PATH}/{{identity}}")
async def alter(
    view: Looking, caller: Calling, identity: str, sent: Annotated[PersonForm, sends(PersonForm)]
) -> Response:
    """Change somebody's name, teams, roles and names elsewhere."""
    try:
        wanted = fitted(accounts.AccountChange, sent.fields())
        made = await office.alter(view.service, caller, identity, wanted)
    except (ContractError, Conflict) as error:
        return await _one(view, identity, typed=sent, error=error)
    # Whoever changes themselves may not be allowed to look any more.
    return back_to("/settings" if made.id == caller.identity.id else f"{PATH}/{made.id}")


@router.post(f"{PATH}/{{identity}}/revoke")
async def revoke(view: Looking, caller: Calling, identity: str, sent: Annotated[Reason, sends(Reason)]) -> Response:
    """End somebody's access at once, with all their keys and sessions."""
    try:
        wanted = fitted(accounts.Reasoned, {"reason": sent.reason})
        await office.revoke_identity(view.service, caller, identity, wanted)
    except (ContractError, Conflict) as error:
        return await _one(view, identity, error=error, reason=sent.reason, about="revoke")
    return back_to(PATH)


def role_rows(typed: PersonForm) -> list[tuple[Role, str, bool, str]]:
    """Return each role with what it allows, whether it is ticked, and of which decisions."""
    of = dict(zip(Role, typed.of, strict=False))
    return [(role, allowed(role), role.value in typed.role, of.get(role, "")) for role in Role]


def allowed(role: Role) -> str:
    """Return what a role allows, by the built-in table.

    Example:
        >>> allowed(Role.SERVICE)
        'invoke and read'
    """
    return listed(permission.value for permission in Permission if permission in TABLE[role])


async def _listed(view: View, typed: PersonForm, error: StewardError | None = None) -> Response:
    found = None if error is None else problem(error)
    sheet = (await people_sheet(view)).arranged(view.parameters)
    return await view.page(
        "settings_people.html",
        status=200 if found is None else found.status,
        sheet=replace(sheet, rows=sheet.rows[:MOST_SHOWN]),
        known=len(sheet.rows),
        typed=typed,
        held=role_rows(typed),
        wrong=found,
    )


async def _one(
    view: View,
    identity_id: str,
    *,
    typed: PersonForm | None = None,
    error: StewardError | None = None,
    reason: str = "",
    about: str = "alter",
) -> Response:
    directory, found = view.runtime.guard.directory, None if error is None else problem(error)
    known = office.known(view.service, identity_id)
    typed = typed or PersonForm.of_identity(known, directory.subjects_of(known.id))
    return await view.page(
        "settings_person.html",
        status=200 if found is None else found.status,
        row=_row(directory, known),
        roles_words=roles_words(known),
        of_teams=told(known.teams),
        typed=typed,
        held=role_rows(typed),
        reason=reason,
        wrong={"alter": None, "revoke": None, about: found},
    )
