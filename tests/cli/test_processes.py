"""The command line as users run it: real processes, a real server, a real byte that is broken."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from steward.cli.main import app

STEWARD = (sys.executable, "-m", "steward")
LARGE = '{"refund_id": "r-2", "amount_eur": 4000, "orders": 90, "refunds": 1}'


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((*STEWARD, *arguments), cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def near(folder: Path, *arguments: str) -> Result:
    """Run a command in this process, which is quicker; it still talks to the real server."""
    return CliRunner().invoke(app, ["-C", str(folder), *arguments])


def data(folder: Path, *arguments: str, code: int = 0) -> Any:
    done = near(folder, *arguments, "--json")
    assert done.exit_code == code, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    assert CliRunner().invoke(app, ["init", str(tmp_path / "refunds")]).exit_code == 0
    return tmp_path / "refunds"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve the project on a free port; give the address it prints when it is ready."""
    server = subprocess.Popen(
        (*STEWARD, "serve", "--port", "0"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), server.communicate(timeout=10)
        yield url, server
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        output, talk = server.communicate(timeout=30)
        assert (server.returncode, output) == (0, ""), talk
        assert "Stopped." in talk


def printed_curl(talk: str) -> urllib.request.Request:
    """Return the request that the printed ``curl`` makes; it is what a new user copies."""
    found = re.search(r"curl (\S+) -H 'Content-Type: application/json' -d '(.*)'", talk)
    assert found is not None, talk
    return urllib.request.Request(found[1], found[2].encode(), {"Content-Type": "application/json"})


def test_init_serve_decide_approve_show_verify_and_a_broken_byte(project: Path) -> None:
    with serving(project) as (url, server):
        assert server.stderr is not None
        talk = "".join(iter(server.stderr.readline, "Ctrl-C stops it.\n"))
        with urllib.request.urlopen(printed_curl(talk), timeout=30) as answer:
            record = json.load(answer)
        assert (record["choice"], record["status"]) == ("release", "decided")
        facts = json.loads((project / ".steward" / "server.json").read_text())
        assert (f"http://{facts['host']}:{facts['port']}", facts["pid"]) == (url, server.pid)

        sent = run(project, "decide", "refunds.release", LARGE, "--json")
        assert sent.returncode == 4, sent.stderr
        waiting = json.loads(sent.stdout)
        assert waiting["provenance"]["source"] == "http"
        assert [row["decision_id"] for row in data(project, "approvals")] == [waiting["decision_id"]]
        assert data(project, "approve", waiting["decision_id"], "--reason", "known")["choice"] == "release"
        refused = near(project, "approve", waiting["decision_id"], "--reason", "again", "--json")
        assert (refused.exit_code, json.loads(refused.stderr)["error"]["code"]) == (1, "already-answered")
        assert near(project, "decide", "refunds.relaese", LARGE).exit_code == 3
        joined = data(project, "outcomes", "refunds.release", '{"refund_id": "r-2", "fraud": true}')["joined"]
        assert joined == [waiting["decision_id"]]
        with urllib.request.urlopen(f"{url}/v1/decisions/{record['decision_id']}/proof", timeout=30) as answer:
            (project / "proof.json").write_bytes(answer.read())
        assert data(project, "verify", str(project / "proof.json"))["ok"]
        assert data(project, "verify", waiting["decision_id"])["ok"]
        assert data(project, "verify", "--all")["ok"]
        second = run(project, "serve", "--port", "0")
        assert (second.returncode, "already open for writing" in second.stderr) == (1, True)

    assert not (project / ".steward" / "server.json").exists()
    assert data(project, "show", waiting["decision_id"])["status"] == "acted"
    (worth,) = data(project, "value")
    assert (worth["valued"], worth["saving"]["amount"]) == (1, "-3988.00")

    database = project / ".steward" / "steward.db"
    stored = bytearray(database.read_bytes())
    place = stored.find(b'"amount_eur":4000.0')
    stored[place + len(b'"amount_eur":')] ^= 1
    database.write_bytes(stored)
    broken = run(project, "verify", "--all")
    assert broken.returncode == 6
    assert re.search(r"BROKEN: entry \d+: ", broken.stdout), broken.stdout


def test_a_port_in_use_is_a_clear_error(project: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert run(tmp_path, "init", "other").returncode == 0
    with serving(project) as (url, _):
        done = run(tmp_path / "other", "serve", "--port", url.rpartition(":")[2])
    assert done.returncode == 1
    assert re.match(r"Error: port \d+ of 127.0.0.1 is in use\n  why: .*\n  next: .*--port", done.stderr), done.stderr
    assert not (tmp_path / "other" / ".steward" / "server.json").exists()


def test_after_a_killed_server_commands_work_on_their_own(project: Path) -> None:
    server = subprocess.Popen((*STEWARD, "serve", "--port", "0"), cwd=project, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline().startswith("http")
    waiting = data(project, "decide", "refunds.release", LARGE, code=4)["decision_id"]
    server.kill()
    server.communicate(timeout=30)
    assert (project / ".steward" / "server.json").exists()  # it lies, and nobody believes it
    assert run(project, "reject", waiting, "--reason", "odd").stdout == "rejected: inspect\n"
    assert data(project, "verify")["ok"]


def test_the_projects_own_tests_pass(project: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(project)},
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_help_loads_no_server_no_tables_and_no_numbers(tmp_path: Path) -> None:
    program = (
        "import sys; from steward.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'fastapi', 'uvicorn', 'numpy', 'rich', 'polars', 'lightgbm', 'cryptography', 'highspy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", program), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
