from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steward.errors import EngineError
from steward.models.engines import lightgbm_library
from steward.models.engines.lightgbm_library import Booster, FastRow, library
from steward.testing.conformance.models import STUMP


@pytest.fixture
def fresh() -> Iterator[None]:
    library.cache_clear()
    yield
    library.cache_clear()


def test_without_lightgbm_says_how_to_install_it(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightgbm_library, "find_spec", lambda _name: None)
    with pytest.raises(EngineError, match=r"pip install 'steward-aios\[lightgbm\]'") as caught:
        library()
    assert caught.value.code == "engine-not-installed"


@pytest.mark.parametrize("content", [None, b"not a library"])
def test_a_broken_installation_says_so(
    fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "lib").mkdir()
        (tmp_path / "lib" / "lib_lightgbm.so").write_bytes(content)
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(lightgbm_library, "find_spec", lambda _name: found)
    with pytest.raises(EngineError, match="cannot be loaded"):
        library()


def test_a_library_without_the_functions_says_so(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    other: Any = ctypes.CDLL(None)
    monkeypatch.setattr(ctypes, "CDLL", lambda _path: other)
    with pytest.raises(EngineError, match="LGBM_"):
        library()


def test_what_the_library_says_is_in_the_error() -> None:
    with pytest.raises(EngineError, match="number of classes"):
        Booster(b"tree\nversion=v4\n")
    with pytest.raises(EngineError, match="number of features in data"):
        FastRow(Booster(STUMP), 2)
