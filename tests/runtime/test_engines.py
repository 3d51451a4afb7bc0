"""The engines table and the URLs that name engines."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.clock import SystemClock
from steward.errors import DeclarationError, EngineError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit
from steward.runtime.engines import ENGINES, engine_of, ledger_file, ledger_path, open_bus, open_ledger, views_path
from steward.runtime.settings import Settings
from steward.runtime.url import masked, path_of, scheme_of


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: f"{engine.port}-{engine.scheme}")
def test_every_engine_in_the_table_exists_and_says_when_to_take_it(engine: object) -> None:
    assert engine in ENGINES
    for each in ENGINES:
        module, _, name = each.target.partition(":")
        assert isinstance(getattr(import_module(module), name), type)
        assert each.hint
        assert each.load().__name__ == name


def test_a_wrong_scheme_gets_a_hint_and_never_shows_the_password() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'sqlite'") as told:
        engine_of("ledger", "sqllite://user:hunter2@host/x")
    assert "hunter2" not in str(told.value)
    with pytest.raises(DeclarationError, match="choose one of embedded"):
        engine_of("bus", "pulsar://host")


@pytest.mark.parametrize("url", ["", "steward.db", "://x", "/tmp/x"])
def test_a_url_without_a_scheme_is_refused(url: str) -> None:
    with pytest.raises(DeclarationError, match="does not name an engine"):
        scheme_of(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://steward.db"])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(DeclarationError, match="does not name a file"):
        path_of(url, Path("/srv"))


def test_an_engine_whose_package_is_missing_says_what_to_install() -> None:
    missing = replace(ENGINES[0], needs=("no_such_package_here",), extra="postgres")
    with pytest.raises(EngineError, match=r"needs no_such_package_here.*pip install 'steward-aios\[postgres\]'"):
        missing.load()


async def test_the_default_ledger_and_bus_open_and_keep_their_files_together(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    ledger = await open_ledger(settings.ledger, settings, SystemClock())
    bus = await open_bus(settings.bus, settings, ledger)
    assert await bus.topics() == {}
    await ledger.append(Commit())
    await ledger.close()
    assert ledger_path(settings) == tmp_path / ".steward" / "steward.db"
    assert views_path(settings) == tmp_path / ".steward" / "steward.db.views"
    assert (tmp_path / ".steward").stat().st_mode & 0o077 == 0


async def test_a_ledger_in_memory_has_no_files(tmp_path: Path) -> None:
    settings = Settings(ledger="memory://", root=tmp_path)
    assert isinstance(await open_ledger(settings.ledger, settings, SystemClock()), MemoryLedger)
    assert (ledger_path(settings), views_path(settings)) == (None, ":memory:")
    assert os.listdir(tmp_path) == []


def test_reading_names_a_misspelt_engine_too() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'sqlite'"):
        ledger_file(Settings(ledger="sqlit:///steward.db"))


async def test_a_folder_that_cannot_be_made_is_an_engine_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(ledger="sqlite:///file/steward.db", root=tmp_path)
    with pytest.raises(EngineError, match="cannot be made"):
        await open_ledger(settings.ledger, settings, SystemClock())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///.steward/steward.db", "sqlite:///.steward/steward.db"),
        ("kafka://:hunter2@broker:9092", "kafka://:****@broker:9092"),
        ("https://api.example/v1?api_key=hunter2#x", "https://api.example/v1?api_key=****#x"),
        ("postgresql://u:p%40:hunter2@h/x", "postgresql://u:****@h/x"),
        ("x://[broken:hunter2@y", "x://****"),
        ("not a url: hunter", "not a url: hunter"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


@given(st.text(alphabet=st.characters(exclude_characters="@/?#[]\\", min_codepoint=33, max_codepoint=126), min_size=8))
def test_no_password_survives_masking(password: str) -> None:
    assert password not in masked(f"postgresql://someone:{password}@host.example/ledger")
