"""What must type-check does, and every planted mistake is found where it was planted, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[int, str]]]:
    """Run mypy once over both files; return the line and code of each error by file."""
    # The mistakes do not end in .py, so that mypy's run over all tests does not find them.
    wrong = tmp_path_factory.mktemp("types") / "mistakes.py"
    wrong.write_text((HERE / "mistakes.py.txt").read_text())
    files = [str(HERE / "right.py"), str(wrong)]
    told, trouble, _ = api.run(["--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary", *files])
    assert trouble == ""
    errors: dict[str, set[tuple[int, str]]] = {}
    for line in told.splitlines():
        match = re.match(r"(.*?):(\d+): error: .*\[([a-z-]+)\]$", line)
        if match:
            errors.setdefault(Path(match[1]).name, set()).add((int(match[2]), match[3]))
    return errors


def planted(name: str) -> set[tuple[int, str]]:
    lines = (HERE / name).read_text().splitlines()
    marks = ((number, re.search(r"# error: ([a-z-]+)$", line)) for number, line in enumerate(lines, 1))
    return {(number, mark[1]) for number, mark in marks if mark}


def test_what_fits_is_accepted(found: dict[str, set[tuple[int, str]]]) -> None:
    assert found.get("right.py", set()) == set()


def test_every_planted_mistake_is_found(found: dict[str, set[tuple[int, str]]]) -> None:
    assert found["mistakes.py"] == planted("mistakes.py.txt")
    assert len(planted("mistakes.py.txt")) >= 18
