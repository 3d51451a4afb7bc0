"""Who may what, from the command line: the first key, people and services, keys, limits; and no secret anywhere."""

from __future__ import annotations

import importlib
import json
import logging
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from steward.cli.main import app

SMALL = '{"refund_id": "r-1", "amount_eur": 49.9, "orders": 12, "refunds": 1}'
LARGE = '{"refund_id": "r-2", "amount_eur": 4000, "orders": 90, "refunds": 1}'
NAME = "refunds.release"


class Shell:
    """Runs commands, and remembers all that they wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch, self.written = monkeypatch, ""

    def run(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        assert result.exit_code == code, result.output
        self.written += result.output
        return result

    def data(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def refusal(self, *arguments: str, code: int) -> dict[str, str]:
        told: dict[str, str] = json.loads(self.run(*arguments, "--json", code=code).stderr)["error"]
        return told

    def show(self, key: str | None) -> None:
        """Show a key from now on; ``None`` for the one that is kept."""
        if key is None:
            self.monkeypatch.delenv("STEWARD_KEY", raising=False)
        else:
            self.monkeypatch.setenv("STEWARD_KEY", key)

    def secret(self, *arguments: str) -> str:
        """Run what makes a key, and return it; that it is shown this once is no leak."""
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.stdout.strip()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    modules, path = set(sys.modules), list(sys.path)
    folder = tmp_path / "refunds"
    assert CliRunner().invoke(app, ["init", str(folder)]).exit_code == 0
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of one size within a second look the same
    for name in ("STEWARD_LEDGER", "STEWARD_DECISIONS", "STEWARD_KEY", "STEWARD_ONE_TIME_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield Shell(monkeypatch)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("refunds", "_steward")):
            del sys.modules[name]
    importlib.invalidate_caches()


def claimed(shell: Shell) -> None:
    shell.run("access", "claim", "--id", "ada", "--display", "Ada", "--keep", stdin="\n")


def test_the_first_key_is_kept_for_its_owner_only_and_then_nobody_comes_without_one(shell: Shell) -> None:
    assert shell.data("access", "whoami")["id"] == "local"
    assert shell.refusal("access", "enrol", "ben", "--display", "Ben", code=1)["code"] == "conflict.unclaimed"
    claimed(shell)
    kept = Path(".steward/key")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert shell.data("access", "whoami")["id"] == "ada"
    assert shell.refusal("decide", NAME, SMALL, code=5)["code"] == "denied"
    again = shell.run("access", "claim", "--id", "eve", "--display", "Eve", "--json", code=1, stdin="\n")
    assert "conflict.claimed" in again.stderr
    kept.chmod(0o644)
    assert "others can read it" in shell.refusal("access", "whoami", code=5)["why"]
    kept.chmod(0o600)
    key = kept.read_text().strip()
    kept.unlink()
    assert shell.refusal("access", "whoami", code=5)["code"] == "unauthenticated"
    shell.show(key)
    assert shell.data("access", "whoami")["id"] == "ada"


def test_whoever_answers_is_who_shows_the_key(shell: Shell) -> None:
    claimed(shell)
    shell.run("access", "enrol", "shop", "--service", "--display", "Shop", "--role", "service")
    shell.run("access", "enrol", "ben", "--display", "Ben", "--role", "approver:refunds.*", "--team", "*")
    shop, ben = (shell.secret("access", "issue", who, "--label", "test") for who in ("shop", "ben"))
    shell.show(shop)
    asked = json.loads(shell.run("decide", NAME, LARGE, "--json", code=4).stdout)["decision_id"]
    assert shell.refusal("approve", asked, "--reason", "mine", code=5)["code"] == "denied"
    shell.show(ben)
    told = shell.refusal("approve", asked, "--reason", "known", "--by", "ada", code=1)
    assert (told["code"], told["field"]) == ("not-yourself", "by")
    run = shell.data("approve", asked, "--reason", "known")
    assert [step["by"] for step in run["history"] if step["kind"] == "approved"] == ["ben"]
    assert run["provenance"]["by"] == "shop"


def test_keys_and_limits_come_and_go(shell: Shell) -> None:
    claimed(shell)
    shell.run("access", "enrol", "shop", "--service", "--display", "Shop", "--role", "service", "--team", "desk")
    narrow = shell.secret("access", "issue", "shop", "--label", "x", "--permission", "read", "--decision", "refunds.*")
    [key] = [each for each in shell.data("access", "keys") if each["identity"] == "shop"]
    assert key["scope"] == {"permissions": ["read"], "decisions": ["refunds.*"]}
    shell.show(narrow)
    assert shell.refusal("decide", NAME, SMALL, code=5)["code"] == "denied"
    shell.show(None)
    fresh = shell.secret("access", "rotate", key["prefix"], "--overlap-h", "0")
    shell.show(narrow)
    assert shell.refusal("access", "whoami", code=5)["code"] == "unauthenticated"
    shell.show(None)
    assert shell.data("access", "limit", NAME, "--team", "other") == [{"decision": NAME, "teams": ["other"]}]
    whole = shell.secret("access", "issue", "shop", "--label", "y")
    shell.show(whole)
    assert shell.refusal("decide", NAME, SMALL, code=3)["code"] == "not-found"
    shell.show(None)
    shell.run("access", "alter", "shop", "--team", "other")
    shell.show(whole)
    shell.run("decide", NAME, SMALL)
    shell.show(None)
    assert shell.data("access", "limit", NAME) == shell.data("access", "limits") == []
    shell.run("access", "revoke-key", whole.split("_")[1], "--reason", "test")
    shell.run("access", "revoke", "shop", "--reason", "test")
    assert [who["id"] for who in shell.data("access", "list")] == ["ada"]
    shell.show(fresh)
    assert shell.refusal("access", "whoami", code=5)["code"] == "unauthenticated"
    shell.show(None)
    assert {"denied", "hidden", "unknown-key"} <= {each["code"] for each in shell.data("access", "refusals")}


def test_who_lost_all_keys_recovers_with_the_files(shell: Shell) -> None:
    claimed(shell)
    Path(".steward/key").unlink()
    shell.monkeypatch.setenv("STEWARD_ONE_TIME_KEY", shell.secret("access", "recover"))
    shell.run("access", "claim", "--id", "ben", "--display", "Ben", "--keep")
    assert [who["id"] for who in shell.data("access", "list")] == ["ada", "ben"]
    told = shell.run("access", "claim", "--id", "eve", "--display", "Eve", "--json", code=5).stderr
    assert "unauthenticated" in told


def test_no_secret_is_written_anywhere(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    """A whole session; then all files of the project and all that was said or logged is searched."""
    caplog.set_level(logging.DEBUG)
    claimed(shell)
    first = Path(".steward/key").read_text().strip()
    shell.run("access", "enrol", "shop", "--service", "--display", "Shop", "--role", "service")
    shop = shell.secret("access", "issue", "shop", "--label", "x")
    fresh = shell.secret("access", "rotate", shop.split("_")[1])
    once = shell.secret("access", "recover")
    for key in (first, shop, fresh, once, fresh[:-1] + "x"):
        shell.show(key)
        for command in (["decide", NAME, SMALL], ["access", "whoami"], ["access", "keys"], ["doctor"]):
            shell.written += CliRunner().invoke(app, [*command, "--json"]).output
    shell.monkeypatch.setenv("STEWARD_ONE_TIME_KEY", once[:-1] + "y")
    shell.written += CliRunner().invoke(app, ["access", "claim", "--id", "eve", "--display", "Eve"]).output
    shell.show(None)
    for command in (
        ["doctor"],
        ["tail", "-n", "500", "--json"],
        ["show"],
        ["access", "refusals"],
        ["verify"],
        ["rebuild"],
    ):
        shell.run(*command)
    Path(".steward/key").unlink()
    files: dict[object, bytes] = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert len(files) > 8
    searched: dict[object, bytes] = {**files, "said": shell.written.encode(), "logged": caplog.text.encode()}
    for key in (first, shop, fresh, once):
        prefix, secret = key.split("_", 2)[1:]
        assert [place for place, text in searched.items() if secret.encode() in text] == []
        assert any(prefix.encode() in text for text in files.values()), "the search finds what is there"
