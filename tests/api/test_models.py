"""Registered models over HTTP: who may see and send them, in and out by streams, and what is refused."""

from __future__ import annotations

import asyncio
import itertools
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from unittest.mock import Mock

import httpx
import jsonschema_rs
import pytest
from tests.api.conftest import greeting, refund
from tests.api.people import HIDDEN, People, populate
from tests.models.artefacts import INPUTS, linear_file

from steward.access.identity import Assignment
from steward.access.permissions import Role
from steward.api.app import create_app
from steward.api.protocol import STEADY_BYTES, Connection, connector
from steward.clock import VirtualClock
from steward.decision.model import Model
from steward.models.registry import FolderRegistry, Registered
from steward.models.untrusted.archive import MEDIA_TYPE
from steward.models.untrusted.intake import take_out
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

_ROLES = (Role.OPERATOR, Role.MODEL_OWNER, Role.PUBLISHER, Role.ADMINISTRATOR)
ONE = {"task": "regression", "inputs": list(INPUTS)}
STREAM = {"content-type": "application/octet-stream"}
ARCHIVE = {"content-type": MEDIA_TYPE}


@pytest.fixture
async def runtime(clock: VirtualClock, tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings(ledger="memory://", max_model_bytes=20_000, root=tmp_path, registry="models")
    async with await Runtime.open([refund, greeting], settings=settings, clock=clock) as opened:
        yield opened


@pytest.fixture
def models(tmp_path: Path) -> FolderRegistry:
    return FolderRegistry(tmp_path / "models")


def registered(root: Path, clock: VirtualClock, intercept: float = 0.25, name: str = "load") -> Registered:
    return FolderRegistry(root).register(
        name, kind="linear", files={"model.json": linear_file(intercept)}, inputs=INPUTS, task="regression", clock=clock
    )


def exported(found: Registered) -> bytes:
    with TemporaryFile() as file:
        take_out(found, file)
        file.seek(0)
        return file.read()


def tree(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


async def test_one_file_becomes_the_next_version(client: httpx.AsyncClient, models: FolderRegistry) -> None:
    sent = await client.post(
        "/v1/models/load", params={**ONE, "metric": ["mae=2.5", "r2=0.9"]}, content=linear_file(), headers=STREAM
    )
    assert sent.status_code == 200, sent.text
    made = models.show("load")
    assert sent.json() == {
        "name": "load", "version": "1", "digest": made.digest, "kind": "linear", "task": "regression",
        "created_at": "2026-01-01T12:00:00Z",
    }  # fmt: skip
    assert made.manifest.inputs == INPUTS
    assert made.manifest.metrics == {"mae": 2.5, "r2": 0.9}
    assert made.manifest.checked
    assert models.load("load").predict_one([0.0] * 5) == 0.25
    again = await client.post(
        "/v1/models/load", params={**ONE, "kind": "linear"}, content=linear_file(1.0), headers=STREAM
    )
    assert again.json()["version"] == "2"


async def test_an_archive_keeps_its_version_and_digest(
    client: httpx.AsyncClient, models: FolderRegistry, tmp_path: Path, clock: VirtualClock
) -> None:
    registered(tmp_path / "mine", clock, 1.0)
    made = registered(tmp_path / "mine", clock, 2.0)
    for _ in range(2):
        sent = await client.post("/v1/models/load", content=exported(made), headers=ARCHIVE)
        assert (sent.status_code, sent.json()["version"], sent.json()["digest"]) == (200, "2", made.digest)
    assert models.versions("load") == ("2",)
    got = await client.get(f"/v1/models/load/{made.digest}/export")
    assert (got.status_code, got.headers["content-type"], got.content) == (200, MEDIA_TYPE, exported(made))
    assert got.headers["content-disposition"] == 'attachment; filename="load-2.steward-model"'


async def test_what_there_is_is_told(client: httpx.AsyncClient, tmp_path: Path, clock: VirtualClock) -> None:
    assert (await client.get("/v1/models")).json() == []
    registered(tmp_path / "models", clock, 1.0)
    made = registered(tmp_path / "models", clock, 2.0)
    assert (await client.get("/v1/models")).json() == [{"name": "load", "versions": ["1", "2"], "used_by": []}]
    versions = (await client.get("/v1/models/load")).json()
    assert [(each["version"], each["kind"]) for each in versions] == [("2", "linear"), ("1", "linear")]
    shown = (await client.get("/v1/models/load/latest")).json()
    assert (shown["digest"], shown["statements"], shown["manifest"]["inputs"]) == (made.digest, [], list(INPUTS))
    assert "it has no card" in shown["missing"][0]
    for path in ("/v1/models/laod", "/v1/models/load/3", "/v1/models/load/3/export", "/v1/models/..%2Fload/1"):
        assert (await client.get(path)).status_code == 404


async def test_what_is_told_looks_as_described(client: httpx.AsyncClient, tmp_path: Path, clock: VirtualClock) -> None:
    registered(tmp_path / "models", clock)
    document = (await client.get("/openapi.json")).json()
    for path in ("/v1/models", "/v1/models/{name}", "/v1/models/{name}/{version}"):
        told = (await client.get(path.format(name="load", version="1"))).json()
        answer = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        schema = {**answer["schema"], "components": document["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(told)


async def test_a_broken_version_is_listed_as_broken(
    client: httpx.AsyncClient, tmp_path: Path, clock: VirtualClock
) -> None:
    made = registered(tmp_path / "models", clock)
    (made.path / "manifest.json").unlink()
    [version] = (await client.get("/v1/models/load")).json()
    assert "manifest.json is missing" in version["broken"]
    shown = await client.get("/v1/models/load/1")
    assert (shown.status_code, shown.json()["code"]) == (500, "integrity")


async def test_a_changed_file_is_not_exported(client: httpx.AsyncClient, tmp_path: Path, clock: VirtualClock) -> None:
    made = registered(tmp_path / "models", clock)
    (made.path / "model.json").chmod(0o644)
    (made.path / "model.json").write_bytes(linear_file(0.75))
    got = await client.get("/v1/models/load/1/export")
    assert (got.status_code, got.json()["code"]) == (500, "integrity")


REFUSED: dict[str, tuple[dict[str, Any], dict[str, str], bytes, int, str]] = {
    "a pickle": (ONE, STREAM, pickle.dumps([1]), 422, "model-format"),
    "no model": (ONE, STREAM, b"hello", 422, "model-format"),
    "another kind": ({**ONE, "kind": "lightgbm"}, STREAM, linear_file(), 422, "model-format"),
    "cut off": (ONE, STREAM, linear_file()[:-1], 422, "model-format"),
    "other inputs": ({**ONE, "inputs": ["a"]}, STREAM, linear_file(), 422, "model-refused"),
    "no task": ({"inputs": ["a"]}, STREAM, linear_file(), 422, "model-refused"),
    "no figure": ({**ONE, "metric": ["auc=good"]}, STREAM, linear_file(), 422, "contract"),
    "too large": (ONE, STREAM, b" " * 20_001, 413, "model-too-large"),
    "no archive": ({}, ARCHIVE, b"hello" * 100, 422, "model-archive"),
    "JSON": ({}, {"content-type": "application/json"}, b"{}", 415, "http.media-type"),
    "nothing": (ONE, STREAM, b"", 422, "model-format"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused_leaves_nothing_behind(client: httpx.AsyncClient, tmp_path: Path, what: str) -> None:
    params, headers, content, status, code = REFUSED[what]
    sent = await client.post("/v1/models/load", params=params, headers=headers, content=content)
    assert (sent.status_code, sent.json()["code"]) == (status, code), sent.text
    assert sent.json()["next"]
    assert [name for name in tree(tmp_path) if name.startswith("models/")] == []


async def test_a_long_stream_is_refused_where_it_passes_the_quota(client: httpx.AsyncClient) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1000
            yield b" " * 1000

    sent = await client.post("/v1/models/load", params=ONE, headers=STREAM, content=endless())
    assert sent.status_code == 413
    assert taken <= 40_000


async def test_an_archive_of_another_model_is_refused(
    client: httpx.AsyncClient, tmp_path: Path, clock: VirtualClock
) -> None:
    content = exported(registered(tmp_path / "mine", clock))
    sent = await client.post("/v1/models/price", content=content, headers=ARCHIVE)
    assert (sent.status_code, sent.json()["code"]) == (422, "model-archive")
    registered(tmp_path / "models", clock, 9.0)
    sent = await client.post("/v1/models/load", content=content, headers=ARCHIVE)
    assert (sent.status_code, sent.json()["code"]) == (409, "conflict")


async def test_only_a_few_are_taken_in_at_a_time(runtime: Runtime) -> None:
    front = create_app(runtime)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=front), base_url="http://localhost") as client:
        async with asyncio.timeout(20), front.service.uploads, front.service.uploads:
            sent = await client.post("/v1/models/load", params=ONE, headers=STREAM, content=linear_file())
            assert (sent.status_code, sent.json()["code"]) == (503, "overloaded")
            assert sent.headers["retry-after"]
        assert (await client.post("/v1/models/load", params=ONE, headers=STREAM, content=linear_file())).is_success


@pytest.fixture
async def people(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> People:
    monkeypatch.setitem(refund.__dict__, "models", (Model("load"),))  # the hidden decision uses it
    return await populate(runtime)


async def test_who_may_see_and_send_which_model(people: People, tmp_path: Path, clock: VirtualClock) -> None:
    """``load`` is used by the hidden decision only, ``price`` by none, so that it needs rights for all of them."""
    registered(tmp_path / "models", clock)
    registered(tmp_path / "models", clock, name="price")
    seen = {"desk": ["load", "price"], "other": ["price"], "greets": []}
    wrong = []
    for role, (team, names) in itertools.product(_ROLES, seen.items()):
        publishes = role in (Role.MODEL_OWNER, Role.PUBLISHER) and team == "desk"
        want = 404 if team == "other" else 415 if publishes else 403
        async with people.client(f"{role}.{team}") as client:
            listed = [each["name"] for each in (await client.get("/v1/models")).json()]
            shown = (await client.get("/v1/models/load/1")).is_success
            sent = await client.post("/v1/models/load", content=b"", headers={"content-type": "text/plain"})
        if (listed, shown, sent.status_code) != (names, "load" in names, want):
            wrong.append((role, team, listed, shown, sent.status_code, want))
    assert wrong == []


async def test_nobody_sees_a_model_without_a_role(people: People, tmp_path: Path, clock: VirtualClock) -> None:
    registered(tmp_path / "models", clock)
    await people.add("owner", Assignment(Role.MODEL_OWNER, (HIDDEN,)))
    async with people.client("nobody") as client:
        assert (await client.get("/v1/models")).json() == []
        assert (await client.get("/v1/models/load")).status_code == 403
    async with people.client("owner") as client:
        assert [each["used_by"] for each in (await client.get("/v1/models")).json()] == [[HIDDEN]]
        sent = await client.post("/v1/models/load", params=ONE, headers=STREAM, content=linear_file(3.0))
        assert sent.json()["version"] == "2"
        assert (await client.post("/v1/models/price", content=b"", headers=ARCHIVE)).status_code == 403
    async with people.client() as client:
        assert (await client.get("/v1/models")).status_code == 401


async def test_a_long_upload_may_take_longer_than_a_request(runtime: Runtime) -> None:
    """As long as a mebibyte arrives within a request's time; one that trickles is ended."""
    _, connect = connector(create_app(runtime), asyncio.get_running_loop())
    connection, transport = connect(), Mock(asyncio.Transport)
    transport.get_extra_info.return_value = None
    transport.is_closing.return_value = False
    assert isinstance(connection, Connection)
    connection.connection_made(transport)
    head = b"POST /v1/models/load?task=binary HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n"
    connection.data_received(head)
    for _ in range(4):
        connection.tick(2, 2)
        connection.tick(2, 2)
        connection.data_received(bytes(STEADY_BYTES))
    transport.close.assert_not_called()
    for _ in range(3):
        connection.data_received(b"x")
        connection.tick(2, 2)
    transport.close.assert_called_once()
    connection.connection_lost(None)
    await asyncio.gather(*connection.tasks, return_exceptions=True)
