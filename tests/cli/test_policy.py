"""The commands for policies: their words, their data, their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from steward.cli.main import app
from steward.policies.demo import REFUNDS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refunds.json").write_bytes(REFUNDS)
    (tmp_path / "strict.json").write_bytes(REFUNDS.replace(b'"500"', b'"400"'))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["policy", *arguments])


def test_unit_tests_pass_or_say_what_came_instead(folder: Path) -> None:
    given = {"amount_eur": 450, "segment": "gold", "prediction": 0.1}
    (folder / "t.json").write_text(json.dumps({"case": [{"name": "known", "given": given, "expect": "pay"}]}))
    assert run("test", "refunds.json", "t.json").exit_code == 0
    failed = run("test", "strict.json", "t.json")
    assert failed.exit_code == 1
    assert 'FAILED known: chose "review", not "pay"' in failed.output


def test_differences_and_findings_are_told_as_data(folder: Path) -> None:
    found = run("diff", "refunds.json", "strict.json", "--json")
    assert found.exit_code == 1
    assert json.loads(found.output)["changes"][0]["told"] == "500 becomes 400"
    assert run("check", "refunds.json").exit_code == 0


def test_a_registered_version_is_named(folder: Path) -> None:
    for file in ("refunds.json", "strict.json"):
        assert run("register", file, "--name", "refund-rules").exit_code == 0
    assert run("diff", "refund-rules=1", "refunds.json").exit_code == 0
    assert run("diff", "refund-rules=1", "refund-rules").exit_code == 1
