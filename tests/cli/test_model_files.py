"""Models in and out by command: registered, listed, exported, imported, compared."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from tests.models.artefacts import lightgbm_text, linear_file
from typer.testing import CliRunner, Result

from steward.cli.main import app
from steward.models.registry import FolderRegistry

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steward.toml").write_text('registry = "models"\n')
    (tmp_path / "first.json").write_bytes(linear_file(1.0))
    (tmp_path / "second.json").write_bytes(linear_file(2.0))

    def invoke(*words: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, ["models", *words], input=stdin)

    return invoke


def told(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_a_file_is_registered_by_what_is_in_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "any_name.bin").write_bytes(lightgbm_text())
    (tmp_path / "train.csv").write_text("hour,load\n")
    trained = [
        "--trained-from",
        "2024-01-01",
        "--trained-until",
        "2025-12-31",
        "--rows",
        "17520",
        "--data",
        "train.csv",
    ]
    made = run("register", "fraud", "any_name.bin", "--task", "binary", "--metric", "auc=0.91", *trained)
    assert made.exit_code == 0, made.output
    assert made.stdout == "fraud is registered as version 1\n"
    manifest = FolderRegistry(tmp_path / "models").show("fraud").manifest
    assert (manifest.kind, manifest.task, list(manifest.files)) == ("lightgbm", "binary", ["model.txt"])
    assert manifest.inputs == ("load_mw", "price_eur", "temperature_c", "hour", "weekday")
    assert manifest.metrics == {"auc": 0.91}
    assert manifest.trained
    assert manifest.trained.since == datetime(2024, 1, 1, tzinfo=UTC)
    assert manifest.trained.data == "sha256:" + sha256(b"hour,load\n").hexdigest()
    assert manifest.checked
    assert manifest.checked.largest_difference < 1e-6
    again = run("register", "fraud", "any_name.bin", "--task", "binary", "--metric", "auc=0.91", *trained)
    assert again.stdout == "fraud is registered already as version 1\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["register", "x", "bad.pkl", "--task", "binary"], 1, "bad.pkl is a Python pickle"),
        (["register", "x", "nowhere.txt", "--task", "binary"], 3, "cannot be read"),
        (["register", "x", "first.json", "--task", "binary", "--metric", "auc=good"], 2, "NAME=VALUE"),
        (["register", "x", "first.json", "--task", "ranking"], 1, "task"),
        (["register", "x", "first.json", "--task", "binary", "--rows", "3"], 1, "whole or not at all"),
        (["register", "x", "first.json", "--task", "regression", "--inputs", "a,b"], 6, "not the manifest's inputs"),
        (["register", "x", "first.json", "--task", "regression", "--kind", "onnx"], 1, "registered as 'onnx'"),
        (["register", "x", "first.json", "notes.json", "--task", "regression"], 1, "a file of kind 'json'"),
        (["register", "x", "notes.json", "--task", "regression"], 1, "no kind of model"),
        (["register", "x", "arrays.safetensors", "--task", "regression"], 1, "--inputs age,tenure"),
        (["import", "first.json"], 1, "not an archive"),
        (["import", "nowhere"], 3, "cannot be read"),
        (["export", "x"], 3, "no model is named"),
        (["compare", "x"], 3, "no model is named"),
    ],
)
def test_what_is_wrong_is_told_and_leaves_nothing_behind(
    run: Run, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps([1]))
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "arrays.safetensors").write_bytes(b"\2" + bytes(7) + b"{}")
    before = sorted(tmp_path.rglob("*"))
    result = run(*words)
    assert (result.exit_code, says in result.output) == (code, True), result.output
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_larger_than_the_quota_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "steward.toml").write_text('registry = "models"\nmax_model_bytes = 100\n')
    for words in (["register", "x", "first.json", "--task", "regression"], ["import", "first.json"]):
        result = run(*words)
        assert result.exit_code == 1
        assert "larger than 100 bytes" in result.output
    assert not (tmp_path / "models").exists()


def test_a_version_goes_out_and_comes_in_elsewhere(run: Run, tmp_path: Path) -> None:
    for file in ("first.json", "second.json"):
        run("register", "load", file, "--task", "regression")
    made = told(run("export", "load", "--json"))
    assert made["file"] == "load-2.steward-model"
    content = (tmp_path / "load-2.steward-model").read_bytes()
    assert run("export", "load", "--to", "-").stdout_bytes == content
    exists = run("export", "load")
    assert (exists.exit_code, "exists already" in exists.output) == (1, True)

    (tmp_path / "steward.toml").write_text('registry = "elsewhere"\n')
    came = told(run("import", "load-2.steward-model", "--json"))
    assert (came["version"], came["digest"]) == ("2", made["digest"])
    assert told(run("import", "-", "--json", stdin=content)) == came
    assert FolderRegistry(tmp_path / "elsewhere").versions("load") == ("2",)
    run("register", "load", "first.json", "--task", "regression")
    (tmp_path / "steward.toml").write_text('registry = "models"\n')
    (tmp_path / "broken").write_bytes(content.replace(b"2.0", b"9.0"))
    broken = run("import", "broken")
    assert (broken.exit_code, "check sum" in broken.output) == (6, True)


def test_what_there_is_is_listed(run: Run, tmp_path: Path) -> None:
    empty = run("list")
    assert (empty.exit_code, "There are none" in empty.stderr) == (0, True)
    for file in ("first.json", "second.json"):
        run("register", "load", file, "--task", "regression")
    run("register", "price", "first.json", "--task", "regression")
    assert [(each["name"], each["version"]) for each in json.loads(run("list", "--json").stdout)] == [
        ("load", "2"), ("price", "1"),
    ]  # fmt: skip
    assert [each["version"] for each in json.loads(run("list", "load", "--json").stdout)] == ["2", "1"]
    assert "linear" in run("list").stdout
    manifest = FolderRegistry(tmp_path / "models").show("load").path / "manifest.json"
    manifest.unlink()
    assert "manifest.json is missing" in json.loads(run("list", "load", "--json").stdout)[0]["broken"]
    assert "BROKEN" in run("list", "load").stdout
    assert run("list", "laod").exit_code == 3


def test_only_what_differs_is_compared(run: Run) -> None:
    run("register", "load", "first.json", "--task", "regression", "--metric", "mae=2.5")
    run("register", "load", "second.json", "--task", "regression", "--metric", "mae=2.0")
    found = told(run("compare", "load=1", "load@2", "--json"))
    assert (found["a"], found["b"]) == ("load=1", "load=2")
    differs = found["differs"]
    assert isinstance(differs, dict)
    assert differs["metrics.mae"] == [2.5, 2.0]
    assert "files.model.json" in differs
    assert {"kind", "task", "inputs"}.isdisjoint(differs)
    assert "metrics.mae" in run("compare", "load").stdout
    same = run("compare", "load=1", "load=1")
    assert "They do not differ." in same.stderr
    assert run("compare", "load=1", "load=7").exit_code == 3
