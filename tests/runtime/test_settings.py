"""Settings: the order of their sources, and clear refusals."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import DeclarationError
from steward.runtime.settings import Settings, find_file, table


def written(folder: Path, text: str) -> Path:
    file = folder / "steward.toml"
    file.write_text(text)
    return file


def test_flags_go_before_variables_before_the_file_before_the_default(tmp_path: Path) -> None:
    file = written(tmp_path, 'port = 1\nhost = "::1"\nmax_batch = 10\n')
    environ = {"STEWARD_PORT": "2", "STEWARD_HOST": "0.0.0.0", "PATH": "/bin"}
    settings = Settings.load({"port": 3, "max_lag": None}, environ, file)
    assert (settings.port, settings.host, settings.max_batch, settings.max_lag) == (3, "0.0.0.0", 10, 1_000_000)
    sources = [settings.source_of(name) for name in ("port", "host", "max_batch", "max_lag")]
    assert sources == ["--port", "STEWARD_HOST", str(file), "default"]


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    settings = Settings.load(file=written(tmp_path, ""))
    assert settings.path(".steward") == tmp_path / ".steward"
    assert settings.path("/srv") == Path("/srv")
    assert Settings.load().root == Path.cwd()


def test_lists_may_be_text_or_lists(tmp_path: Path) -> None:
    assert Settings.load(environ={"STEWARD_DECISIONS": "a:b, c.py:d,"}).decisions == ("a:b", "c.py:d")
    file = written(tmp_path, 'decisions = ["a:b"]\nhost_names = "one.example"')
    settings = Settings.load(file=file)
    assert (settings.decisions, settings.host_names) == (("a:b",), ("one.example",))


def test_whole_numbers_do_for_seconds(tmp_path: Path) -> None:
    assert Settings.load(file=written(tmp_path, "drain_s = 5")).drain_s == 5.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "did you mean 'port'"),
        ("[server]\nport = 1", "no setting 'server'"),
        ("port = 70000", "does not lie in 0..65535"),
        ("port = -1", "does not lie in"),
        ('port = "x"', "is not a number"),
        ("port = 1.5", "is not of the type int"),
        ("port = true", "is not of the type int"),
        ("host = 5", "is not of the type str"),
        ("drain_s = nan", "does not lie in"),
        ("decisions = [1]", "is not of the type"),
        ("decisions = 5", "is not of the type"),
        ("port = ", "not valid TOML"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        Settings.load(file=written(tmp_path, text))


def test_a_refused_variable_is_named() -> None:
    with pytest.raises(DeclarationError, match="STEWARD_PORTT") as told:
        Settings.load(environ={"STEWARD_PORTT": "1"})
    assert told.value.fix == "did you mean 'port'?"
    with pytest.raises(DeclarationError, match="STEWARD_PORT, is not a number"):
        Settings.load(environ={"STEWARD_PORT": "many"})


def test_a_missing_or_unreadable_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="there is no settings file"):
        Settings.load(file=tmp_path / "steward.toml")
    (tmp_path / "steward.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DeclarationError, match="cannot be read"):
        Settings.load(file=tmp_path / "steward.toml")


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    settings = Settings(ledger="postgresql://steward:hunter2@db/ledger?password=hunter3", bus="kafka://u:hunter4@k")
    assert "hunter" not in repr(settings)
    assert "hunter" not in str(settings.effective())
    assert settings.effective()["ledger"] == "postgresql://steward:****@db/ledger?password=****"


def test_they_are_frozen_and_checked_again_when_replaced() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc] # that is what is tested
    with pytest.raises(DeclarationError, match="port"):
        replace(Settings(), port=100_000)


def test_the_file_is_found_from_below(tmp_path: Path) -> None:
    file = written(tmp_path, "")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_file(tmp_path / "a" / "b") == file


def test_every_setting_explains_itself_and_has_a_default_that_fits() -> None:
    for setting in table():
        assert setting.metadata["help"], setting.name
        assert setting.name.endswith("_s") == (setting.metadata["unit"] == "s"), setting.name
    assert Settings().effective().keys() == {setting.name for setting in table()}


def test_the_documented_table_is_the_real_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    rows = [line.split("|")[1].strip().strip("`") for line in page.splitlines() if line.startswith("| `")]
    assert rows == [setting.name for setting in table()]
    for setting in table():
        assert setting.metadata["help"] in page, setting.name


@given(st.integers(0, 65_535), st.integers(1, 100_000), st.floats(0.001, 1e6))
def test_values_come_back_from_variables_as_they_were(port: int, batch: int, seconds: float) -> None:
    environ = {
        "STEWARD_PORT": str(port),
        "STEWARD_MAX_BATCH": str(batch),
        "STEWARD_REQUEST_TIMEOUT_S": repr(seconds),
    }
    settings = Settings.load(environ=environ)
    assert (settings.port, settings.max_batch, settings.request_timeout_s) == (port, batch, seconds)
