"""The console's own files: vendored ones are what the manifest says, and every page asks only for what there is."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
from tests.console.world import Company

from steward.console.assets import STYLES, asset, url
from steward.errors import NotFound

STATIC: Final = files("steward.console").joinpath("static")
VENDOR: Final = STATIC.joinpath("vendor")
MANIFEST: Final[dict[str, dict[str, Any]]] = json.loads(VENDOR.joinpath("MANIFEST.json").read_text())["files"]


@pytest.mark.parametrize("name", MANIFEST)
def test_a_vendored_file_is_the_one_that_was_taken(name: str) -> None:
    told = MANIFEST[name]
    assert hashlib.sha256(VENDOR.joinpath(name).read_bytes()).hexdigest() == told["sha256"]
    assert told["version"] in told["source"]
    assert told["version"] in name, "its name must change with its content"
    assert told["licence"]
    assert len(VENDOR.joinpath(told["licence_file"]).read_text()) > 500


def test_nothing_is_vendored_without_an_entry() -> None:
    known = {"MANIFEST.json", *MANIFEST, *(each["licence_file"] for each in MANIFEST.values())}
    assert {each.name for each in VENDOR.iterdir()} == known


def templates() -> dict[str, str]:
    """Return the text of every template, by name."""
    folders = [Path(str(files(package))) / "templates" for package in ("steward.console", "steward.cases.grid")]
    return {each.name: each.read_text() for root in folders for each in root.rglob("*.html")}


def test_every_file_that_a_template_asks_for_is_there() -> None:
    asked = {name for text in templates().values() for name in re.findall(r"asset\(\"([^\"]+)\"\)", text)}
    assert {STYLES, "js/app.js"} <= asked
    for name in asked:
        assert asset(name).body
    for name, text in templates().items():
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), f"{name} asks another site"
        assert "/static/" not in text, f"{name} asks for a file by a name that never changes"


def test_every_module_that_is_imported_is_there() -> None:
    modules = [each.name for each in STATIC.joinpath("js").iterdir()]
    for name in modules:
        text = STATIC.joinpath("js", name).read_text()
        assert text.startswith("// "), f"{name} does not say what it is for"
        for imported in re.findall(r"""(?:from|import)\s*["']([^"']+)["']""", text):
            assert imported.removeprefix("./") in modules, (name, imported)


def test_a_module_is_asked_for_by_a_name_that_changes_with_what_it_imports() -> None:
    body = asset("js/swaps.js").body.decode()
    assert f'from "{url("js/toast.js")}"' in body
    assert re.search(r"\?v=[0-9a-f]{12}", url("js/toast.js"))


def test_styles_take_no_colour_but_the_themes() -> None:
    """Only the theme names colours; shadows and what lies behind a dialog are the same in both."""
    for sheet in STATIC.joinpath("css").iterdir():
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
        if sheet.name != "10-theme.css":
            found = re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{}]*\{)", text)
            assert found == [], sheet.name


@pytest.mark.parametrize(
    "name", ["../doors.py", "js/../../doors.py", "nothing.css", "vendor", "js", "vendor/MANIFEST.json", ""]
)
def test_nothing_but_the_consoles_files_is_served(name: str) -> None:
    with pytest.raises(NotFound):
        asset(name)


async def test_what_is_asked_for_by_its_present_name_is_kept_for_ever(company: Company) -> None:
    async with company.client() as browser:
        present = await browser.get(url("js/app.js"))
        former = await browser.get("/static/js/app.js?v=000000000000")
        vendored = await browser.get(url("vendor/htmx-4.0.1.min.js"))
    assert "immutable" in present.headers["cache-control"]
    assert former.headers["cache-control"] == "no-cache"
    assert "immutable" in vendored.headers["cache-control"]
