"""The routes of the Open Inference Protocol v2: registered models, answered by themselves, without a decision.

For whoever speaks that protocol already, and for another Steward. Nothing is recorded: an answer is no decision.
Errors of these routes are told as the protocol tells them, as ``{"error": ...}``.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final

import msgspec
import numpy as np
from fastapi import APIRouter, Request, Response
from msgspec import Struct

import steward
from steward.access.permissions import Permission
from steward.api.admission import Calling, Serving
from steward.api.described import answer, body, problems, reference
from steward.api.entrance import Caller
from steward.api.exchange import Exchange
from steward.api.models import registry_of, sees, users_of
from steward.api.problems import problem
from steward.api.service import Service
from steward.errors import ContractError, EngineError, NotFound, StewardError
from steward.models.port import LoadedModel
from steward.models.registry import FolderRegistry
from steward.serving import v2
from steward.serving.inprocess import InProcess
from steward.serving.port import Answered

MOST_LOADED: Final = 16
"""How many models that are asked for by themselves are kept in memory."""
_FLOATS: Final = frozenset({"FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT8", "UINT16", "UINT32"})
router = APIRouter()


class ModelReady(Struct, frozen=True):
    """Whether a model is ready.

    Example:
        >>> ModelReady("load", ready=True).ready
        True
    """

    name: str
    ready: bool


class _Loaded:
    """A model of the registry behind the engine of this process."""

    def __init__(self, model: LoadedModel, engine: InProcess) -> None:
        self.model, self.engine = model, engine
        self.output = "probabilities" if model.task == "multiclass" else "predict"
        self.columns = len(getattr(model, "outputs", ())) if model.task == "multiclass" else 1

    def facts(self, registry: FolderRegistry) -> v2.ModelFacts:
        model = self.model
        shape = (-1, self.columns) if model.task == "multiclass" else (-1,)
        return v2.ModelFacts(
            name=model.name,
            platform="steward",
            versions=registry.versions(model.name),
            inputs=(v2.TensorFacts(name="rows", datatype="FP64", shape=(-1, len(model.inputs))),),
            outputs=(v2.TensorFacts(name=self.output, datatype="FP64", shape=shape),),
        )

    def rows(self, request: v2.InferenceRequest, rest: bytes) -> Any:
        """Return the rows of a request: one tensor of them all, or one for each input, by its name."""
        found, inputs = v2.arrays(request.inputs, rest), self.model.inputs
        for each in request.inputs:
            if each.datatype not in _FLOATS:
                raise ContractError(f"{each.name!r} is {each.datatype}; rows are numbers", field="inputs.datatype")
        if len(found) == 1 and (only := next(iter(found.values()))).ndim == 2 and only.shape[1] == len(inputs):
            return np.ascontiguousarray(only, np.float64)
        if set(found) == set(inputs):
            columns = [found[name].reshape(len(found[name]), -1) for name in inputs]
            if all(column.shape == (len(columns[0]), 1) for column in columns):
                return np.hstack(columns).astype(np.float64)
        raise ContractError(
            f"{self.model.name!r} takes rows of {len(inputs)} numbers",
            fix=f"send one tensor [n, {len(inputs)}], or one [n] for each of {', '.join(inputs)}",
            field="inputs",
        )


class _Models:
    """The models that are asked for by themselves, the latest asked kept."""

    def __init__(self, registry: FolderRegistry) -> None:
        self.registry = registry
        self._loaded: OrderedDict[tuple[str, str], _Loaded] = OrderedDict()
        self._loading = asyncio.Lock()

    async def get(self, name: str, version: str | None) -> _Loaded:
        key = (name, version or self.registry.versions(name)[-1])
        if key not in self._loaded:
            async with self._loading:
                if key not in self._loaded:
                    self._loaded[key] = await self._load(*key)
                    while len(self._loaded) > MOST_LOADED:
                        await self._loaded.popitem(last=False)[1].engine.close()
        self._loaded.move_to_end(key)
        return self._loaded[key]

    async def _load(self, name: str, version: str) -> _Loaded:
        model = await asyncio.to_thread(self.registry.load, name, version)
        if model.task not in ("regression", "binary", "multiclass"):
            raise NotFound(f"{name!r} is no model of numbers", fix="ask for another one", field="model")
        artefact = self.registry.fetch(name, version)
        return _Loaded(model, await InProcess.open(model, artefact=artefact))


Routed = Callable[..., Awaitable[Response]]


def _told(route: Routed) -> Routed:
    """Tell errors as the protocol does."""

    @wraps(route)
    async def telling(*args: Any, **named: Any) -> Response:
        try:
            return await route(*args, **named)
        except StewardError as error:
            shown = problem(error)
            return _json(v2.InferenceFailure(f"{shown.detail} ({shown.code})"), shown.status)

    return telling


def _answers(name: str, about: str) -> dict[int | str, dict[str, Any]]:
    failed = problems(400, 401, 403, 404, 422, 429, 500, 503)
    for told in failed.values():  # who is not let in at all is told so as everywhere
        told["content"]["application/json"] = {"schema": reference("InferenceFailure")}
    return {200: answer(about, reference(name)), **failed}


@router.get("/v2", responses=_answers("ServerFacts", "The server"))
async def server_facts() -> Response:
    """Tell what this server is, as the protocol wants it."""
    return _json(v2.ServerFacts(name="steward", version=steward.__version__, extensions=(v2.BINARY,)))


@router.get("/v2/health/live")
@router.get("/v2/health/ready")
async def alive() -> Response:
    """Tell that the process answers; whether it decides is told by ``/readyz``."""
    return _json({"live": True})


@router.get("/v2/models/{name}", responses=_answers("ModelFacts", "The latest version"))
@router.get("/v2/models/{name}/versions/{version}", responses=_answers("ModelFacts", "One version"))
@_told
async def model_facts(
    service: Serving, caller: Calling, request: Request, name: str, version: str | None = None
) -> Response:
    """Tell a registered model's inputs and outputs."""
    models = _models_of(request, service, caller, name)
    return _json((await models.get(name, version)).facts(models.registry))


_READY: Final[dict[int | str, dict[str, Any]]] = {
    **_answers("ModelFacts", ""),
    200: answer("It is ready", {"type": "object"}),
}


@router.get("/v2/models/{name}/ready", responses=_READY)
@router.get("/v2/models/{name}/versions/{version}/ready", responses=_READY)
@_told
async def model_ready(
    service: Serving, caller: Calling, request: Request, name: str, version: str | None = None
) -> Response:
    """Tell whether a registered model answers; it is loaded if it was not."""
    await _models_of(request, service, caller, name).get(name, version)
    return _json(ModelReady(name, ready=True))


_TAKES: Final = {"requestBody": body(reference("InferenceRequest"))}


@router.post("/v2/models/{name}/infer", responses=_answers("InferenceResponse", "Its answers"), openapi_extra=_TAKES)
@router.post(
    "/v2/models/{name}/versions/{version}/infer",
    responses=_answers("InferenceResponse", "Its answers"),
    openapi_extra=_TAKES,
)
@_told
async def infer(service: Serving, caller: Calling, request: Request, name: str, version: str | None = None) -> Response:
    """Answer rows by a registered model."""
    loaded = await _models_of(request, service, caller, name, Permission.INVOKE).get(name, version)
    settings = service.runtime.settings
    exchange = Exchange(request.scope["headers"], limit_bytes=settings.max_body_bytes, receive=request.receive)
    sent = await exchange.body()
    asked, rest = _read(sent, exchange.headers)
    rows = loaded.rows(asked, rest)
    answers = await loaded.engine.answer(rows.tolist(), within_s=settings.request_timeout_s) if len(rows) else []
    values = np.array([_value(each) for each in answers], np.float64)
    if loaded.model.task == "multiclass":
        values = values.reshape(len(rows), loaded.columns)
    made, raw = v2.tensor(loaded.output, values, "FP64", binary=_is_binary(asked, loaded.output))
    model = loaded.model
    head = v2.InferenceResponse(
        model_name=model.name, model_version=model.version, id=asked.id or None, outputs=(made,)
    )
    content, headers = v2.packed(head, [raw])
    return Response(content, headers=dict(headers))


def _read(sent: bytes, headers: Mapping[bytes, bytes]) -> tuple[v2.InferenceRequest, bytes]:
    length = headers.get(v2.HEADER_LENGTH.encode())
    head, rest = v2.split(sent, None if length is None else length.decode("latin-1"))
    try:
        return msgspec.json.decode(head, type=v2.InferenceRequest), rest
    except msgspec.MsgspecError as error:
        raise ContractError("the request is no inference request", why=str(error), field="$") from error


def _is_binary(asked: v2.InferenceRequest, output: str) -> bool:
    for each in asked.outputs:
        if each.name != output:
            raise ContractError(f"there is no output {each.name!r}", fix=f"ask for {output}", field="outputs")
        return each.parameters.get("binary_data") is True
    return asked.parameters.get("binary_data_output") is True


def _value(each: Answered | EngineError) -> Any:
    if isinstance(each, EngineError):
        raise each
    return each.value


def _models_of(
    request: Request, service: Service, caller: Caller, name: str, permission: Permission = Permission.READ
) -> _Models:
    """Return the models, if the caller may do something with this one.

    Raises:
        NotFound: It is hidden from them, or there is no registry here.
        Denied: They may not.
    """
    users: Sequence[str] = users_of(service, name)
    if not sees(service, caller, name):
        raise NotFound(f"no model is named {name!r}", fix="list them: GET /v1/models", field="name")
    if not any(caller.may(permission, each) for each in users):
        caller.require(permission, *users[:1])
    models: _Models | None = getattr(request.app.state, "inference", None)
    if models is None:
        models = request.app.state.inference = _Models(registry_of(service))
    return models


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
