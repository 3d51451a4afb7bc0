"""The command line in process: every command, its JSON, its errors and exit codes."""

from __future__ import annotations

import asyncio
import importlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from steward.cli.main import app
from steward.ledger.bundle import bundle
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Draft

SMALL = '{"refund_id": "r-1", "amount_eur": 49.9, "orders": 12, "refunds": 1}'
LARGE = '{"refund_id": "r-2", "amount_eur": 4000, "orders": 90, "refunds": 1}'
NAME = "refunds.release"


def steward(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


def data(*arguments: str, code: int = 0) -> Any:
    result = steward(*arguments, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def refusal(*arguments: str, code: int) -> dict[str, str]:
    """Return the JSON error of a command that fails; stdout stays empty."""
    result = steward(*arguments, "--json")
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    error: dict[str, str] = json.loads(result.stderr)["error"]
    return error


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new project, which is the current folder."""
    modules, path = set(sys.modules), list(sys.path)
    folder = tmp_path / "refunds"
    assert steward("init", str(folder)).exit_code == 0
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of one size within a second look the same
    for name in ("STEWARD_LEDGER", "STEWARD_DECISIONS"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("refunds", "_steward")):
            del sys.modules[name]
    importlib.invalidate_caches()


def decided(event: str = SMALL, code: int = 0) -> str:
    run: str = data("decide", NAME, event, code=code)["decision_id"]
    return run


def test_a_project_runs_at_once_from_event_to_value(project: Path) -> None:
    run = decided()
    assert data("show", run)["status"] == "acted"
    joined = data("outcomes", NAME, '{"refund_id": "r-1", "fraud": false}')["joined"]
    assert joined == [run]
    (worth,) = data("value")
    assert (worth["saving"], worth["runs"], worth["valued"]) == ({"amount": "12.00", "unit": "EUR"}, 1, 1)
    assert [each["kind"] for each in data("show", run)["history"]] == ["decided", "acted", "observed", "valued"]
    assert data("verify", run)["ok"]
    assert data("verify")["ok"]
    days = data("value", "--by-day")
    assert days[0]["worth"][0]["saving_minor"] == 1200


def test_a_large_one_needs_a_person_and_says_so_with_exit_code_4(project: Path) -> None:
    run = decided(LARGE, code=4)
    (row,) = data("approvals")
    assert (row["decision_id"], row["impact"]["amount"], row["otherwise"]) == (run, "4000.00", "inspect")
    approved = data("approve", run, "--reason", "known customer", "--by", "anna")
    assert (approved["status"], approved["choice"]) == ("acted", "release")
    assert data("approvals") == []
    again = refusal("approve", run, "--reason", "x", code=1)
    assert (again["code"], "by anna" in again["what"]) == ("already-answered", True)


def test_a_rejected_one_gets_what_the_gate_names_otherwise(project: Path) -> None:
    run = decided(LARGE, code=4)
    result = steward("reject", run, "--reason", "looks odd")
    assert (result.exit_code, result.stdout) == (0, "rejected: inspect\n")
    assert data("show", run)["choice"] == "inspect"


def test_evidence_that_has_changed_is_refused(project: Path) -> None:
    run = decided(LARGE, code=4)
    assert refusal("approve", run, "--reason", "x", "--evidence", f"sha256:{'0' * 64}", code=1)
    evidence = data("approvals")[0]["evidence"]
    assert data("approve", run, "--reason", "x", "--evidence", evidence)["status"] == "acted"


def test_the_same_key_gets_the_same_answer(project: Path) -> None:
    first = data("decide", NAME, SMALL, "--key", "order-17")
    assert data("decide", NAME, SMALL, "--key", "order-17")["decision_id"] == first["decision_id"]
    assert refusal("decide", NAME, LARGE, "--key", "order-17", code=1)["code"] == "idempotency-key-reused"


def test_events_come_from_files_and_from_stdin(project: Path) -> None:
    (project / "event.json").write_text(SMALL)
    assert data("decide", NAME, "@event.json")["choice"] == "release"
    assert steward("decide", NAME, stdin=SMALL).stdout == "release\n"
    assert "no file" in refusal("decide", NAME, "@nowhere.json", code=3)["what"]


def test_many_outcomes_come_as_lines_and_are_taken_once(project: Path) -> None:
    run = decided()
    lines = '{"refund_id": "r-1", "fraud": false}\n\n{"refund_id": "r-9", "fraud": true}\n'
    for _ in range(2):
        result = steward("outcomes", NAME, "--json", stdin=lines)
        assert result.exit_code == 0, result.stderr
        assert [len(json.loads(line)["joined"]) for line in result.stdout.splitlines()] == [1, 0]
    assert data("value")[0]["valued"] == 1
    assert data("outcomes", NAME, '{"refund_id": "r-1",\n "fraud": true}', "--decision-id", run)["joined"] == [run]
    assert "cannot share one id" in refusal("outcomes", NAME, "{}\n{}", "--outcome-id", "one", code=1)["what"]


def test_lists_are_filtered_and_paged(project: Path) -> None:
    runs = [decided() for _ in range(3)] + [decided(LARGE, code=4)]
    assert [row["decision_id"] for row in data("show")] == runs[::-1]
    assert [row["decision_id"] for row in data("show", "--limit", "2")] == runs[:1:-1]
    assert [row["decision_id"] for row in data("show", "--before", runs[2])] == runs[1::-1]
    assert [row["decision_id"] for row in data("show", "--status", "waiting")] == runs[3:]
    assert data("show", "--decision", "other") == []
    assert refusal("show", "--status", "wating", code=1)["next"] == "did you mean 'waiting'?"
    entries = [json.loads(line) for line in steward("tail", "-n", "3", "--json").stdout.splitlines()]
    assert [entry["kind"] for entry in entries] == ["acted", "decided", "asked"]
    only = steward("tail", "--kind", "asked").stdout
    assert (runs[3] in only, len(only.splitlines())) == (True, 1)


@pytest.mark.parametrize("command", ["show", "tail", "value", "approvals", "verify", "rebuild", "doctor"])
def test_people_get_text_without_colour_and_stdout_holds_only_data(project: Path, command: str) -> None:
    decided()
    result = steward(command)
    assert result.exit_code == 0, result.stderr
    assert "\x1b" not in result.output
    assert result.stdout.strip()


def test_one_run_is_shown_with_its_history(project: Path) -> None:
    run = decided()
    shown = steward("show", run)
    assert all(word in shown.stdout for word in ("9% of the orders came back", "acted", "pay_back", run))
    assert f"steward verify {run}" in shown.stderr


def test_rebuilt_views_show_the_same(project: Path) -> None:
    decided()
    before = data("show"), data("value")
    views = project / ".steward" / "steward.db.views"
    assert data("rebuild")["entries"] == 3
    assert (data("show"), data("value")) == before
    views.write_bytes(b"damaged" * 999)
    assert (data("show"), data("value")) == before


def test_a_changed_byte_is_named_with_exit_code_6(project: Path) -> None:
    run = decided()
    database = sqlite3.connect(project / ".steward" / "steward.db")
    database.execute("UPDATE entries SET body = replace(body, '49.9', '59.9') WHERE idx = 1")
    database.commit()
    database.close()
    result = steward("verify", "--all")
    assert (result.exit_code, "BROKEN: entry 1" in result.stdout) == (6, True)
    report = data("verify", code=6)
    assert (report["ok"], report["breaks"][0]["index"]) == (False, 1)
    assert not data("verify", run, code=6)["ok"]
    assert "verify --all" in steward("doctor").stderr


def test_a_proof_is_verified_from_its_file(project: Path) -> None:
    assert refusal("verify", "nowhere.json", code=3)["what"].startswith("nowhere.json is neither")
    (project / "proof.json").write_text("{}")
    assert not data("verify", "proof.json", code=6)["ok"]
    ledger = MemoryLedger()
    proof = asyncio.run(made_bundle(ledger))
    (project / "proof.json").write_bytes(proof)
    unnamed = steward("verify", "proof.json")
    assert (unnamed.exit_code, "--public-key" in unnamed.stderr) == (0, True)
    named = steward("verify", "proof.json", "--public-key", ledger.public_key)
    assert (named.exit_code, "--public-key" in named.stderr) == (0, False)


async def made_bundle(ledger: MemoryLedger) -> bytes:
    await ledger.append(Commit(entries=[Draft("decided", UUID(int=1), b"{}")]))
    return await bundle(ledger, (await ledger.read())[0])


def test_a_replay_tells_what_another_release_would_have_chosen(project: Path) -> None:
    decided()
    decided('{"refund_id": "r-3", "amount_eur": 20, "orders": 0, "refunds": 30}')
    data("outcomes", NAME, '{"refund_id": "r-1", "fraud": false}')
    same = data("replay", NAME)
    assert (same["runs"], same["agreed"], same["valued"]) == (2, 2, 1)
    (project / "strict.py").write_text(
        "from dataclasses import replace\n"
        "from refunds import release_refund\n"
        "from steward import Choice\n\n\n"
        "def inspect_all(features, prediction):\n"
        "    return Choice('inspect', reasons=('to be sure',))\n\n\n"
        "strict = replace(release_refund, policy=inspect_all)\n"
    )
    other = data("replay", NAME, "--with", "strict.py:strict")
    assert (other["runs"], other["agreed"], len(other["differences"])) == (2, 1, 1)
    assert other["value_after"] == {"amount": "-12.00", "unit": "EUR"}
    assert "inspect" in steward("replay", NAME, "--with", "strict.py:strict").stdout
    assert refusal("replay", "refunds.relase", code=3)["next"] == f"did you mean '{NAME}'?"


def test_errors_tell_what_why_and_next(project: Path) -> None:
    decided()
    assert refusal("show", "0197ab12-0000-7000-8000-000000000000", code=3)["code"] == "not-found"
    assert refusal("show", "17", code=3)["next"] == "list them: steward show"
    wrong = refusal("decide", NAME, '{"refund_id": "r-1", "amount_eur": -1, "orders": 12, "refunds": 1}', code=1)
    assert (wrong["code"], wrong["field"]) == ("contract", "amount_eur")
    assert refusal("decide", "refunds.relaese", SMALL, code=3)["next"] == f"did you mean '{NAME}'?"
    assert refusal("-s", "prot=1", "show", code=1)["next"] == "did you mean 'port'?"
    assert refusal("--ledger", "sqlight:///x", "decide", NAME, SMALL, code=1)["next"] == "did you mean 'sqlite'?"
    told = steward("--ledger", "sqlight:///x", "decide", NAME, SMALL)
    assert told.stderr.splitlines()[0].startswith("Error: no ledger engine is named 'sqlight'")
    assert "  next: did you mean 'sqlite'?" in told.stderr.splitlines()


def test_a_project_without_a_ledger_or_without_a_file_is_told(project: Path, tmp_path: Path) -> None:
    assert "start it once" in refusal("show", code=3)["next"]
    assert "not kept in a file" in refusal("--ledger", "memory://", "show", code=3)["what"]
    assert "no settings file" in refusal("-C", str(tmp_path / "nowhere"), "show", code=1)["what"]


def test_nothing_is_overwritten_by_init(project: Path) -> None:
    before = (project / "refunds.py").read_bytes()
    result = steward("init", str(project))
    assert (result.exit_code, "already has refunds.py" in result.stderr) == (1, True)
    assert (project / "refunds.py").read_bytes() == before


def test_wrong_usage_has_exit_code_2(project: Path) -> None:
    for arguments in (("decide",), ("approve", "x"), ("nonsense",), ("show", "--limit", "0"), ("-s", "port", "show")):
        assert steward(*arguments).exit_code == 2, arguments


@pytest.mark.parametrize("what", [("--all",), ("0197ab12-0000-7000-8000-000000000000",), ("proof.json",)])
def test_a_key_that_is_none_is_wrong_usage_and_no_verdict(project: Path, what: tuple[str, ...]) -> None:
    result = steward("verify", *what, "--public-key", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the public key that is trusted is malformed" in " ".join(result.stderr.replace("│", "").split())


def test_the_doctor_shows_settings_with_their_sources_and_no_secrets(project: Path) -> None:
    report = data("-s", "max-batch=7", "doctor")
    assert report["settings"]["max_batch"] == {"value": 7, "source": "--max-batch"}
    assert {check["health"] for check in report["checks"]} <= {"ok", "warn"}
    failed = steward("--ledger", "postgresql://u:hunter2@h/x", "doctor")
    assert (failed.exit_code, "hunter2" in failed.output) == (1, False)


def _commands() -> Iterator[Any]:
    from typer.main import get_command

    groups: list[tuple[str, Any]] = [("", get_command(app))]
    for prefix, group in groups:
        for name, command in sorted(group.commands.items()):
            if hasattr(command, "commands"):
                groups.append((f"{prefix}{name} ", command))
            else:
                yield f"{prefix}{name}", command


@pytest.mark.parametrize(("name", "command"), [pytest.param(*each, id=each[0]) for each in _commands()])
def test_every_help_page_has_examples_and_explains_each_option(name: str, command: Any) -> None:
    page = steward(*name.split(), "--help")
    assert page.exit_code == 0
    assert f"steward {name}" in page.stdout.partition("Examples:")[2]
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name}"


@pytest.mark.parametrize("name", ["show", "tail", "value", "approvals", "verify", "doctor", "replay", "rebuild"])
def test_every_read_command_speaks_json(name: str) -> None:
    assert "--json" in steward(name, "--help").stdout


def test_exit_codes_are_documented() -> None:
    page = " ".join(steward("--help").stdout.split())
    assert "0 ok, 1 failed, 2 usage, 3 not found, 4 needs approval, 5 denied, 6 verification failed" in page
