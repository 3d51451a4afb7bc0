"""The routes about registered models: what there is, what it is, and models in and out, streamed to and from disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from math import isfinite
from typing import IO, Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from msgspec import UNSET, UnsetType

from steward.access.permissions import Permission
from steward.api.admission import Calling, Serving, headers_of
from steward.api.described import array_of, reference, responses
from steward.api.entrance import Caller
from steward.api.models_shown import ModelDocument, ModelShown, VersionShown
from steward.api.reading import json_response
from steward.api.service import Service
from steward.errors import ContractError, DeclarationError, Distrusted, EngineError, IntegrityError, NotFound
from steward.models.artefact import Artefact
from steward.models.manifest import Manifest
from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.card import Card, publishable, read_card
from steward.models.signing.statements import signer_of
from steward.models.signing.trust import Trust
from steward.models.untrusted.archive import MAX_ARCHIVE_BYTES, MEDIA_TYPE, SUFFIX, Part
from steward.models.untrusted.intake import draft, register, take_in, take_out, told
from steward.models.untrusted.spool import Spool, spool

_ONE_FILE: Final = "application/octet-stream"
_TYPES: Final = {MEDIA_TYPE: True, "application/zip": True, _ONE_FILE: False}
"""The media types that are taken, to whether they are an archive."""
_PIECE_BYTES: Final = 1 << 20
router = APIRouter()


@router.get("/v1/models", responses=responses(array_of("ModelShown"), "By name"))
async def list_models(service: Serving, caller: Calling) -> Response:
    """List the registered models that the caller may see, with their versions and the decisions that use them."""
    registry = registry_of(service)
    seen = [name for name in registry.names() if sees(service, caller, name)]
    return json_response(
        [ModelShown(name=name, versions=registry.versions(name), used_by=users_of(service, name)) for name in seen]
    )


@router.get("/v1/models/{name}", responses=responses(array_of("VersionShown"), "The newest first", [404]))
async def list_versions(service: Serving, caller: Calling, name: str) -> Response:
    """List the versions of a model; one whose files were changed is listed as broken."""
    registry = _require(service, caller, name)
    return json_response([version_shown(registry, name, version) for version in reversed(registry.versions(name))])


@router.get(
    "/v1/models/{name}/{version}",
    responses=responses(reference("ModelDocument"), "Manifest, statements and card", [404]),
)
async def show_model(service: Serving, caller: Calling, name: str, version: str) -> Response:
    """Show a version, by its number, digest or `latest`: what it is, who vouches for it, and its card."""
    registry = _require(service, caller, name)
    return json_response(await asyncio.to_thread(document_of, service, registry, name, version))


@router.get(
    "/v1/models/{name}/{version}/export",
    response_class=StreamingResponse,
    responses=responses({"type": "string", "format": "binary"}, "An archive", [404], media_type=MEDIA_TYPE),
)
async def export_model(service: Serving, caller: Calling, name: str, version: str) -> Response:
    """Export a version as one archive: manifest, files and statements; the same version is the same bytes."""
    registry = _require(service, caller, name)
    found = registry.show(name, version)
    with ExitStack() as opened:
        packed = opened.enter_context(spool(registry.root, quota_bytes=MAX_ARCHIVE_BYTES))
        await asyncio.to_thread(take_out, found, packed.file)
        size_bytes = packed.file.tell()
        pieces = _sent(packed.file, size_bytes, opened.pop_all().close)
    headers = {
        "content-length": str(size_bytes),
        "content-disposition": f'attachment; filename="{found.name}-{found.version}{SUFFIX}"',
    }
    return StreamingResponse(pieces, media_type=MEDIA_TYPE, headers=headers)


def _sent(file: IO[bytes], size_bytes: int, close: Callable[[], None]) -> Iterator[bytes]:
    try:
        yield from Part(file, 0, size_bytes)
    finally:
        close()


_Names = Annotated[list[str] | None, Query()]
_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "An archive of `steward models export`, or with the parameters the one file of a model.",
        "content": {each: {"schema": {"type": "string", "format": "binary"}} for each in _TYPES},
    }
}


@router.post(
    "/v1/models/{name}",
    responses=responses(reference("VersionShown"), "The version that it is", [404, 409, 413, 415, 422]),
    openapi_extra=_UPLOAD,
)
async def upload_model(
    service: Serving,
    caller: Calling,
    request: Request,
    name: str,
    *,
    kind: str = "",
    task: str = "",
    inputs: _Names = None,
    outputs: _Names = None,
    metric: Annotated[list[str] | None, Query(description="name=value, may be given again")] = None,
) -> Response:
    """Take a model in: an archive under its own version and digest, or one file as the next version.

    The body is streamed to disk, up to `max_model_bytes`, and read by a process that can do little.
    """
    registry = _require(service, caller, name, Permission.PUBLISH)
    is_archive = _media_type(request)
    if service.uploads.locked():
        raise EngineError("enough models are being taken in already", retryable=True, code="overloaded")
    take = partial(_take_archive, registry, name)
    if not is_archive:
        known = partial(_draft, name, task=task, inputs=inputs or (), outputs=outputs or (), metric=metric or ())
        known(kind=kind or "any")  # what is wrong with it is told before a long upload
        take = partial(_take_file, registry, known, kind)
    async with service.uploads:
        with spool(registry.root, quota_bytes=service.runtime.settings.max_model_bytes) as upload:
            await _receive(request, upload)
            made = await asyncio.to_thread(_checked, take, upload, service)
    return json_response(version_shown(registry, made.name, made.version))


def _media_type(request: Request) -> bool:
    """Tell whether an archive is sent."""
    sent = headers_of(request).get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if sent not in _TYPES:
        raise ContractError(
            f"a body of type {sent!r} is not taken here",
            fix=f"send an archive as {MEDIA_TYPE}, or one file as {_ONE_FILE}",
            code="http.media-type",
        )
    return _TYPES[sent]


async def _receive(request: Request, upload: Spool) -> None:
    announced = headers_of(request).get(b"content-length", b"0")
    if announced.isdigit() and len(announced) < 20:
        upload.require(int(announced))  # before a byte of it is taken
    waiting = bytearray()
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ContractError("the upload was broken off", fix="send it again", code="http.bad-request")
        waiting += message.get("body", b"")
        upload.require(upload.size_bytes + len(waiting))
        more = message.get("more_body", False)
        if len(waiting) >= _PIECE_BYTES or not more:
            await asyncio.to_thread(upload.write, bytes(waiting))
            waiting.clear()
        if not more:
            return


Take = Callable[[Spool, Service], Registered]


def _checked(take: Take, upload: Spool, service: Service) -> Registered:
    """Take an upload in; what is wrong with it is up to its sender."""
    try:
        return take(upload, service)
    except (IntegrityError, DeclarationError) as error:
        code = "model-refused" if type(error) is IntegrityError else error.code
        raise ContractError(error.what, why=error.why, fix=error.fix, code=code, field=error.field) from error
    except EngineError as error:
        if error.code != "model-inexact":
            raise
        raise ContractError(error.what, why=error.why, fix=error.fix, code=error.code) from error


def _take_archive(registry: FolderRegistry, name: str, upload: Spool, service: Service) -> Registered:
    return take_in(registry, upload.file, clock=service.runtime.clock, name=name)


def _take_file(
    registry: FolderRegistry, known: Callable[..., Manifest], kind: str, upload: Spool, service: Service
) -> Registered:
    found = told("the body", upload.file)
    return register(registry, known(kind=kind or found.kind), {found.name: upload.file}, clock=service.runtime.clock)


def _draft(
    name: str, *, kind: str, task: str, inputs: Sequence[str], outputs: Sequence[str], metric: Sequence[str]
) -> Manifest:
    try:
        return draft(name, kind=kind, task=task, inputs=inputs, outputs=outputs, metrics=dict(map(_figure, metric)))
    except DeclarationError as error:
        fix = "send ?task=binary&inputs=amount&inputs=age, as the model was trained"
        raise ContractError(error.what, why=error.why, fix=fix, code="model-refused", field=error.field) from error


def _figure(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        figure = float(value)
    except ValueError:
        figure = float("nan")
    if not name or not isfinite(figure):
        raise ContractError(f"the metric {text!r} is no figure", fix="send metric=auc=0.91", field="metric")
    return name, figure


def document_of(service: Service, registry: FolderRegistry, name: str, version: str) -> ModelDocument:
    """Return all that is known of a version; reads its files."""
    found = registry.read(name, version)
    settings = service.runtime.settings
    trust = Trust.read(settings.path(settings.trust)) if settings.trust else None
    return ModelDocument(
        name=found.name,
        version=found.version,
        digest=found.digest,
        manifest=found.manifest,
        statements=sorted(found.statements),
        card=_card(found, trust),
        signed_by=_signer(found, trust),
        missing=publishable(found, trust),
    )


def _card(found: Artefact, trust: Trust | None) -> Card | UnsetType:
    try:
        read = read_card(found, trust)
    except Distrusted:  # what is missing tells why
        return UNSET
    return UNSET if read is None else read[0]


def _signer(found: Artefact, trust: Trust | None) -> str:
    try:
        return "" if trust is None else signer_of(found, trust).key.id
    except Distrusted:  # as above
        return ""


def version_shown(registry: FolderRegistry, name: str, version: str) -> VersionShown:
    """Return a version in short, or why it cannot be used."""
    try:
        found = registry.show(name, version)
    except IntegrityError as error:
        return VersionShown(name=name, version=version, broken=f"{error.what}: {error.why}")
    made = found.manifest
    return VersionShown(
        name=name, version=version, digest=found.digest, kind=made.kind, task=made.task, created_at=made.created_at
    )


def users_of(service: Service, name: str) -> Sequence[str]:
    """Return the decisions that use a model."""
    decisions: Mapping[str, Any] = service.runtime.decisions
    return sorted(each for each, decision in decisions.items() if name in {model.name for model in decision.models})


def sees(service: Service, caller: Caller, name: str) -> bool:
    """Tell whether a model exists for a caller: they may read a decision that uses it, or all where none does."""
    return any(caller.may(Permission.READ, each) for each in users_of(service, name) or ("",))


def _require(service: Service, caller: Caller, name: str, permission: Permission = Permission.READ) -> FolderRegistry:
    """Return the registry if the caller may do something with a model.

    Raises:
        NotFound: The registry is not of this process, or a decision that uses the model is hidden from the caller.
        Denied: The caller may not.
    """
    users = users_of(service, name)
    if permission is Permission.READ and sees(service, caller, name):
        return registry_of(service)
    for decision in users:
        if not caller.sees(decision):
            raise NotFound(f"no model is named {name!r}", fix="list them: GET /v1/models", field="name")
        caller.require(permission, decision)
    if not users:
        caller.require(permission)
    return registry_of(service)


def registry_of(service: Service) -> FolderRegistry:
    """Return the registry of this process.

    Raises:
        NotFound: Its models come from elsewhere.
    """
    registry = service.runtime.registry
    if not isinstance(registry, FolderRegistry):
        raise NotFound("this process keeps no registered models of its own", fix="ask the registry that it reads")
    return registry
