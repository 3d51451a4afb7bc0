"""Everything that the documents show is run, and what they list is complete."""

from __future__ import annotations

import os
import re
import socket
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
    """All ``$`` commands of a document run in one shell, in order, beside its Python as ``shop.py``."""
    text = path.read_text(encoding="utf-8")
    (tmp_path / "shop.py").write_text("\n\n".join(PYTHON.findall(text)), encoding="utf-8")
    blocks = CONSOLE.findall(text)
    lines = [line[2:] for block in blocks for line in re.findall(r"^\$ (?:.*\\\n)*.*", block, re.M)]
    port = free_port()
    script = "\n".join(["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT", *lines])
    done = subprocess.run(
        ["bash", "-c", script.replace("8700", port)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "STEWARD_PORT": port,
        },
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


def free_port() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


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
