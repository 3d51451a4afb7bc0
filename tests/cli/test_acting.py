"""The commands about effects: dead-letters, redrive, abort, signal, undo."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.cli.test_main import SMALL, data, decided, project, refusal, steward

__all__ = ["project"]  # the fixture


@pytest.fixture
def in_steps(project: Path) -> Path:
    """A project whose action waits for a signal after it has paid."""
    file = project / "refunds.py"
    text = file.read_text(encoding="utf-8")
    steps = 'Steps(Action(do=pay_back, undo=take_back), Signal(name="clear", within=hours(1)), name="pay")'
    text = text.replace("action=Action(do=pay_back, undo=take_back)", f"action={steps}")
    text = text.replace("from steward import (", "from steward import (\n    Signal,\n    Steps,", 1)
    file.write_text(text, encoding="utf-8")
    return project


def test_a_signal_ends_the_wait_and_undo_takes_back(in_steps: Path) -> None:
    run = decided(SMALL)
    assert data("show", run)["status"] == "acting"
    assert refusal("signal", run, "cleer", "--by", "crew", code=1)["code"] == "contract"
    assert refusal("signal", run, "clear", "{", code=1)["what"] == "the payload is not JSON"
    assert data("signal", run, "clear", '{"crew": 3}', "--by", "crew")["status"] == "acted"
    assert refusal("redrive", run, "--reason", "why not", code=1)["code"] == "not-failed"
    assert data("undo", run, "--reason", "paid twice")["status"] == "undone"
    assert "stepped" in steward("show", run).stdout


def test_an_abort_takes_back(in_steps: Path) -> None:
    run = decided(SMALL)
    assert "undone" in steward("abort", run, "--reason", "storm").stdout


def test_gone_code_asks_and_is_adopted(in_steps: Path) -> None:
    run = decided(SMALL)
    file = in_steps / "refunds.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('name="clear", within=hours(1)', 'name="clear", within=hours(2)'), encoding="utf-8")
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", "") == str(file)]:
        del sys.modules[name]  # as another process reads it
    data("dead-letters")  # it is looked at, once that is answered
    [dead] = data("dead-letters")["runs"]
    assert (dead["decision_id"], dead["code"]) == (run, "code-gone")
    assert "code-gone" in steward("dead-letters").stdout
    assert "today's code" in (shown := steward("show", run).stderr)
    assert "--reason '...' --adopt" in shown
    assert refusal("redrive", run, "--reason", "go on", code=1)["code"] == "code-gone"
    assert data("redrive", run, "--reason", "go on", "--adopt")["status"] in ("decided", "acting")
    assert data("signal", run, "clear", "--by", "crew")["status"] == "acted"


def test_no_dead_letter_is_said_so(in_steps: Path) -> None:
    assert "There are none." in steward("dead-letters").stderr
    assert refusal("redrive", "3", "--reason", "mended", code=3)["code"] == "not-found"
