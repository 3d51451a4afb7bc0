"""Who may do what: what each role allows, and what the authorizer answers for each person and decision."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Response

from steward.access.identity import Identity
from steward.access.permissions import TABLE, Permission, Role
from steward.console.pages.settings.people import MOST_SHOWN
from steward.console.sheets import Column, Kind, Sheet, Tag
from steward.console.view import Looking, View
from steward.console.words import title
from steward.errors import ContractError

router = APIRouter()
_YES = Tag("yes", "pos")
ABOUT = {
    Permission.INVOKE: "ask for decisions, send events and outcomes, signal and end runs",
    Permission.READ: "see decisions, records, approvals and values",
    Permission.APPROVE: "answer for a person who is asked",
    Permission.PUBLISH: "put models and releases into the registry",
    Permission.PROMOTE: "give a release its share of the traffic, or take it back",
    Permission.STOP: "stop what is dispatched, or ask for it to go on",
    Permission.VERIFY: "check the ledger's proofs and checkpoints",
    Permission.EXPORT: "take records out in bulk",
    Permission.ADMINISTER: "enrol people, give roles, issue and revoke keys",
}
"""What each permission lets somebody do."""


def _allows(permission: Permission, role: Role) -> Tag | None:
    return _YES if permission in TABLE[role] else None


async def roles_sheet(view: View) -> Sheet[Role]:
    """Return what each role allows, by the built-in table."""
    permissions = [
        Column[Role](
            key=each.value, label=title(each.value), value=partial(_allows, each), kind=Kind.TAG, can_sort=False
        )
        for each in Permission
    ]
    first = Column[Role](key="role", label="Role", value=lambda role: title(role.value), can_sort=False)
    return Sheet(name="roles", title="What each role allows", columns=[first, *permissions], rows=list(Role))


def asked_for(view: View) -> Permission:
    """Return the permission that the URL asks about.

    Raises:
        ContractError: There is none of this name.
    """
    text = view.parameters.get("permission", "") or Permission.APPROVE.value
    if text not in set(Permission):
        known = ", ".join(Permission)
        raise ContractError(f"there is no permission {text!r}", fix=f"choose one of {known}", field="permission")
    return Permission(text)


async def rights_sheet(view: View) -> Sheet[Identity]:
    """Return who may do one thing with which decision, as the authorizer answers; all for administrators, else oneself.

    A credential's scope may allow less than is said here.
    """
    guard, permission = view.runtime.guard, asked_for(view)

    def may(decision: str, who: Identity) -> Tag | None:
        return _YES if guard.allows(who, permission, decision) else None

    caller = view.caller
    seen = [name for name in sorted(view.runtime.decisions) if caller is not None and caller.sees(name)]
    known = guard.directory.identities
    office = view.may(Permission.ADMINISTER, "")
    own = known.get("" if caller is None else caller.identity.id)
    return Sheet(
        name="rights",
        title=f"Who may {permission}",
        columns=[
            Column[Identity](
                key="id",
                label="Id",
                value=lambda who: who.id,
                link=(lambda who: f"/settings/people/{who.id}") if office else None,
            ),
            Column[Identity](key="name", label="Name", value=lambda who: who.display),
            *(Column[Identity](key=name, label=name, value=partial(may, name), kind=Kind.TAG) for name in seen),
            Column[Identity](key="*", label="The installation", value=partial(may, ""), kind=Kind.TAG),
        ],
        rows=[known[name] for name in sorted(known)] if office else [own] if own is not None else [],
        empty="Nobody is enrolled: everybody at this machine may do everything.",
        key=lambda who: who.id,
    )


SOURCES = {"roles": roles_sheet, "rights": rights_sheet}


@router.get("/settings/rights")
async def rights(view: Looking) -> Response:
    """Show what roles allow, and who may do one thing with which decision."""
    sheet = (await rights_sheet(view)).arranged(view.parameters)
    return await view.page(
        "settings_rights.html",
        allowed=await roles_sheet(view),
        sheet=replace(sheet, rows=sheet.rows[:MOST_SHOWN]),
        known=len(sheet.rows),
        permission=asked_for(view),
        about=ABOUT,
        office=view.may(Permission.ADMINISTER, ""),
    )
