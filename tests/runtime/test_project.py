"""Decisions are found in modules and files, and what is wrong there is told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steward.errors import DeclarationError
from steward.runtime.project import load, load_decisions
from steward.runtime.settings import Settings

DECLARED = """
from steward import Choice, Decision, Event, Features, Prediction, Risk

class Ping{n}(Event):
    n: int

def answer(features: Features, prediction: Prediction[None]) -> Choice[str]:
    return Choice("pong", reasons=("always",))

ping{n} = Decision(name="ping.n{n}", owner="us", purpose="Answer", risk=Risk.LOW, event=Ping{n}, policy=answer)
both = [ping{n}]
not_one = 5
none = []
"""


@pytest.fixture(autouse=True)
def _import_state() -> Iterator[None]:
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def declared(folder: Path, name: str, n: int = 1) -> None:
    (folder / name).write_text(DECLARED.format(n=n))


@pytest.mark.parametrize("reference", ["decls_a:ping1", "decls_a:both", "decls_a", "decls_a.py:ping1", "decls_a.py"])
def test_a_reference_names_a_decision_a_list_or_a_module(tmp_path: Path, reference: str) -> None:
    declared(tmp_path, "decls_a.py")
    assert [decision.name for decision in load(reference, tmp_path)] == ["ping.n1"]


def test_modules_of_the_project_may_import_each_other(tmp_path: Path) -> None:
    declared(tmp_path, "decls_b.py")
    (tmp_path / "outer.py").write_text("from decls_b import ping1\n")
    assert [decision.name for decision in load("outer.py:ping1", tmp_path)] == ["ping.n1"]


def test_a_file_loaded_twice_gives_the_same_decisions(tmp_path: Path) -> None:
    declared(tmp_path, "decls_c.py")
    assert load("decls_c.py:ping1", tmp_path)[0] is load("decls_c.py", tmp_path)[0]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere:ping1", "there is no module 'nowhere'"),
        ("decls_d.sub:ping1", "cannot be imported|there is no module"),
        ("nowhere.py:ping1", "there is no file"),
        ("decls_d:pong1", "no attribute 'pong1'.*did you mean 'ping1'"),
        ("decls_d:not_one", "is a int, not a decision"),
        ("decls_d:none", "holds no decisions"),
        ("empty:", "holds no decisions"),
        ("broken:x", r"SyntaxError.*broken.py:1"),
        ("broken.py:x", r"SyntaxError.*broken.py:1"),
        ("needs:x", "ModuleNotFoundError: No module named 'not_installed_here'.*needs.py:1"),
        ("raises.py:x", r"ZeroDivisionError.*raises.py:2"),
        ("wrong:x", "a choice needs reasons"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, reference: str, message: str) -> None:
    declared(tmp_path, "decls_d.py")
    for name, text in {
        "empty": "",
        "broken": "def (",
        "needs": "import not_installed_here",
        "raises": "\nx = 1 / 0",
        "wrong": "from steward import Choice\nx = Choice('a', reasons=())",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    with pytest.raises(DeclarationError, match=message):
        load(reference, tmp_path)


def test_all_named_decisions_are_loaded_in_order(tmp_path: Path) -> None:
    declared(tmp_path, "decls_e.py", 1)
    declared(tmp_path, "decls_f.py", 2)
    settings = Settings(decisions=("decls_f:ping2", "decls_e.py", "decls_f"), root=tmp_path)
    assert [decision.name for decision in load_decisions(settings)] == ["ping.n2", "ping.n1"]


def test_two_decisions_of_one_name_are_refused(tmp_path: Path) -> None:
    declared(tmp_path, "decls_g.py", 1)
    declared(tmp_path, "decls_h.py", 1)
    with pytest.raises(DeclarationError, match=r"two decisions are named 'ping\.n1'.*decls_h"):
        load_decisions(Settings(decisions=("decls_g", "decls_h"), root=tmp_path))
