"""Everything that the documents show is run, and what they list is complete."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from steward.records import Record

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.S | re.M)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.S | re.M)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [d for d in DOCUMENTS if PYTHON.search(d.read_text())], ids=name)
def test_python_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n\n".join(PYTHON.findall(path.read_text(encoding="utf-8")))
    (tmp_path / "shown.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", "shown.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [d for d in DOCUMENTS if CONSOLE.search(d.read_text())], ids=name)
def test_commands_run(path: Path, tmp_path: Path) -> None:
    """Each ``$`` line runs, in one folder, in order; a folder changed with ``cd`` stays changed."""
    folder = tmp_path
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for block in CONSOLE.findall(path.read_text(encoding="utf-8")):
        for line in (line[2:] for line in block.splitlines() if line.startswith("$ ")):
            if line.startswith("cd "):
                folder = folder / shlex.split(line)[1]
                continue
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PATH": paths},
            )
            assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    targets = [link.split("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert missing == []


def test_every_field_of_the_record_is_documented() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "record.md").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == sorted([*(field.name for field in msgspec.structs.fields(Record)), "kind"])


def test_every_decision_record_says_what_would_change_it() -> None:
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        assert re.fullmatch(r"\d{3}-[a-z0-9-]+\.md", path.name)
        assert "change our mind" in path.read_text(encoding="utf-8").lower(), path.name
