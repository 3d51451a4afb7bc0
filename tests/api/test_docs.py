"""The docs page works offline, under a strict policy, from files that are what their publisher published."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files

import httpx
import pytest

FOLDER = files("steward.api").joinpath("swagger")
OWN = {"index.html", "start.js", "MANIFEST.json"}


def test_vendored_files_are_those_of_the_manifest() -> None:
    manifest = json.loads(FOLDER.joinpath("MANIFEST.json").read_text())
    there = {file.name: file.read_bytes() for file in FOLDER.iterdir() if file.name not in OWN}
    assert {name: hashlib.sha256(body).hexdigest() for name, body in there.items()} == manifest["sha256"]
    assert "Apache License" in there["LICENSE"].decode()
    assert sum(map(len, there.values())) < 3_000_000


async def test_the_page_loads_only_what_is_here(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=|https?://", page.text)
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        found = await client.get(path)
        assert found.status_code == 200
        assert found.content


@pytest.mark.parametrize("name", ["MANIFEST.json", "../app.py", "%2e%2e%2fapp.py", "LICENSE"])
async def test_other_files_are_not_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/docs/{name}")).status_code == 404
