"""Keys: whose, for what, until when, last used; issued, replaced and ended. A secret is shown once, to who asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from msgspec import Struct

from steward.access.administration import IssuedKey
from steward.access.directory import Key
from steward.access.identity import EVERY
from steward.access.permissions import Permission
from steward.api import accounts, office
from steward.api.admission import headers_of
from steward.api.entrance import Caller, peer_of
from steward.api.problems import problem
from steward.console.declared import listed
from steward.console.forms import fitted, sends
from steward.console.pages.settings.people import names
from steward.console.pages.settings.start import ends_soon
from steward.console.sheets import Column, Kind, Sheet, Tag
from steward.console.view import Looking, View, back_to
from steward.errors import Conflict, ContractError, Denied, NotFound, StewardError

router = APIRouter()
PATH = "/settings/keys"


class KeyForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be issued, as a form tells it.

    Example:
        >>> KeyForm(identity="bot", label="nightly run").days
        '90'
    """

    identity: str = ""
    label: str = ""
    days: str = "90"
    permission: tuple[str, ...] = ()
    decisions: str = ""


class RotationForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a key is to be replaced; ``key`` is the key itself, by which its holder shows that it is theirs.

    Example:
        >>> RotationForm().overlap_h
        '24'
    """

    overlap_h: str = "24"
    days: str = "90"
    key: str = ""


class RevocationForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a key is to end; ``key`` as above.

    Example:
        >>> RevocationForm(reason="leaked").key
        ''
    """

    reason: str = ""
    key: str = ""


def scope_words(key: Key) -> str:
    """Return what a key may do at most."""
    if key.scope is None:
        return "whatever its holder may"
    where = "" if EVERY in key.scope.decisions else f" of {listed(key.scope.decisions)}"
    return listed(p.value for p in Permission if p in key.scope.permissions) + where


def _columns(now: datetime) -> Sequence[Column[Key]]:
    def state(key: Key) -> Tag:
        return Tag("ends soon", "warn") if ends_soon(key.expires_at, now) else Tag("good", "pos")

    return (
        Column(key="prefix", label="Key", value=lambda key: key.prefix, link=lambda key: f"{PATH}/{key.prefix}"),
        Column(key="identity", label="Of", value=lambda key: key.identity),
        Column(key="label", label="For", value=lambda key: key.label),
        Column(key="state", label="State", value=state, kind=Kind.TAG),
        Column(key="issued_at", label="Issued", value=lambda key: key.issued_at, kind=Kind.DATE),
        Column(key="expires_at", label="Ends", value=lambda key: key.expires_at, kind=Kind.DATE),
        Column(key="used_at", label="Last used", value=lambda key: key.used_at, kind=Kind.DATE),
        Column(key="scope", label="May at most", value=scope_words),
    )


def _visible(view: View) -> list[Key]:
    """Return the keys that the viewer may know of: their own, and for administrators all, the next to end first."""
    caller, directory = view.caller, view.runtime.guard.directory
    if caller is None or caller.is_local:
        return []
    everything = view.may(Permission.ADMINISTER, "")
    now = view.now
    found = [
        key
        for key in directory.keys.values()
        if key.expires_at > now and (everything or key.identity == caller.identity.id)
    ]
    return sorted(found, key=lambda key: (key.expires_at, key.prefix))


async def keys_sheet(view: View) -> Sheet[Key]:
    """Return the keys that the viewer may know of."""
    return Sheet(
        name="keys",
        title="Keys",
        columns=_columns(view.now),
        rows=_visible(view),
        empty="No key is good now. Administrators issue them here; nobody has any before somebody is enrolled.",
        key=lambda key: key.prefix,
    )


SOURCES = {"keys": keys_sheet}


@router.get(PATH)
async def keys(view: Looking) -> Response:
    """Show one's own keys, and administrators all of them."""
    return await _listed(view, KeyForm(identity=view.parameters.get("of", "")))


@router.post(PATH)
async def issue(view: Looking, request: Request, sent: Annotated[KeyForm, sends(KeyForm)]) -> Response:
    """Make a key, and show it this once."""
    fields: dict[str, Any] = {"identity": sent.identity, "label": sent.label, "days": sent.days}
    if sent.permission:
        fields["scope"] = {"permissions": sent.permission, "decisions": names(sent.decisions) or [EVERY]}
    try:
        made = await office.issue_key(view.service, _caller(view), fitted(accounts.KeyIn, fields))
    except (ContractError, Conflict, NotFound) as error:
        return await _listed(view, sent, error)
    return await _shown_once(view, made)


@router.get(f"{PATH}/{{prefix}}")
async def key_page(view: Looking, prefix: str) -> Response:
    """Show one key, with what can be done with it."""
    return await _one(view, prefix)


@router.post(f"{PATH}/{{prefix}}/rotate")
async def rotate(
    view: Looking, request: Request, prefix: str, sent: Annotated[RotationForm, sends(RotationForm)]
) -> Response:
    """Make a new key in the place of an old one, and show it this once."""
    try:
        wanted = fitted(accounts.KeyRotation, {"overlap_h": sent.overlap_h, "days": sent.days})
        holder = await _holder(view, request, prefix, sent.key)
        made = await office.rotate_key(view.service, holder, prefix, wanted)
    except (ContractError, Conflict) as error:
        return await _one(view, prefix, rotation=sent, error=error, about="rotate")
    return await _shown_once(view, made, replaces=prefix, overlap_h=wanted.overlap_h)


@router.post(f"{PATH}/{{prefix}}/revoke")
async def revoke(
    view: Looking, request: Request, prefix: str, sent: Annotated[RevocationForm, sends(RevocationForm)]
) -> Response:
    """End a key at once."""
    try:
        wanted = fitted(accounts.Reasoned, {"reason": sent.reason})
        holder = await _holder(view, request, prefix, sent.key)
        await office.revoke_key(view.service, holder, prefix, wanted)
    except (ContractError, Conflict) as error:
        return await _one(view, prefix, revocation=sent, error=error, about="revoke")
    return back_to(PATH)


def _caller(view: View) -> Caller:
    if view.caller is None:
        raise Denied("nobody is signed in", fix="sign in", code="unauthenticated")
    return view.caller


async def _holder(view: View, request: Request, prefix: str, shown: str) -> Caller:
    """Return who asks: the viewer, or who shows the key itself, as its holder may end or replace it with it only.

    A session is no such proof: whoever took over a session must not be able to make a key of it.
    """
    caller = _caller(view)
    if caller.is_local or view.may(Permission.ADMINISTER, "") or caller.identity.credential == f"key:{prefix}":
        return caller
    _visible_key(view, prefix)
    if not shown:
        raise ContractError("the key itself is missing", fix="paste it, to show that it is yours", field="key")
    headers = {**headers_of(request), b"authorization": b"Bearer " + shown.encode("latin-1", "replace")}
    try:
        holder = await view.service.entrance.admit(headers, request.method, peer_of(request.scope))
    except Denied as error:
        if error.code != "unauthenticated":
            raise
        holder = None
    if holder is None or holder.identity.credential != f"key:{prefix}":
        raise ContractError("this is not that key", fix="look for a typing error", field="key")
    return holder


def _visible_key(view: View, prefix: str) -> Key:
    for key in _visible(view):
        if key.prefix == prefix:
            return key
    raise NotFound(f"no key is named {prefix[:200]!r}", fix="see your keys in the settings")


async def _shown_once(view: View, made: IssuedKey, *, replaces: str = "", overlap_h: float = 0.0) -> Response:
    secret = made.secret.reveal()
    return await view.page("new_key.html", secret=secret, made=made, replaces=replaces, overlap_h=overlap_h)


async def _listed(view: View, typed: KeyForm, error: StewardError | None = None) -> Response:
    told = None if error is None else problem(error)
    sheet = (await keys_sheet(view)).arranged(view.parameters)
    directory = view.runtime.guard.directory
    return await view.page(
        "settings_keys.html",
        status=200 if told is None else told.status,
        sheet=sheet,
        soon=[key for key in sheet.rows if ends_soon(key.expires_at, view.now)],
        typed=typed,
        wrong=told,
        everybody=sorted(directory.identities) if view.may(Permission.ADMINISTER, "") else [],
    )


async def _one(
    view: View,
    prefix: str,
    *,
    rotation: RotationForm | None = None,
    revocation: RevocationForm | None = None,
    error: StewardError | None = None,
    about: str = "rotate",
) -> Response:
    key, told = _visible_key(view, prefix), None if error is None else problem(error)
    caller = _caller(view)
    proven = view.may(Permission.ADMINISTER, "") or caller.identity.credential == f"key:{prefix}"
    return await view.page(
        "settings_key.html",
        status=200 if told is None else told.status,
        key=key,
        scope=scope_words(key),
        soon=ends_soon(key.expires_at, view.now),
        proven=proven,
        rotation=rotation or RotationForm(),
        revocation=revocation or RevocationForm(),
        wrong={"rotate": None, "revoke": None, about: told},
    )
