"""Model servers of others, each as its makers advise, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
NAMES: Final = ("mlserver", "llama", "mlflow", "kserve", "bentoml", "shap")
TESTED: Final = NAMES[:3]
"""Those that tests talk to; the others are only measured."""


def place(name: str) -> Path:
    """Return the folder of a peer's environment: below ``build/peers``, or below ``$PEERS``."""
    return Path(os.environ.get("PEERS", REPOSITORY / "build" / "peers")) / name


def found(name: str) -> Path | None:
    """Return the Python of a peer's environment if it is installed as it is wanted now."""
    done = place(name) / ".done"
    return place(name) / "bin" / "python" if done.is_file() and done.read_text() == _wanted(name).read_text() else None


def environment(name: str) -> Path:
    """Return the Python of a peer's environment, installed the first time (a minute or so)."""
    python = found(name)
    if python is not None:
        return python
    folder = place(name)
    print(f"installing {name} into {folder} ...", file=sys.stderr, flush=True)
    uv, python = str(Path(sys.executable).with_name("uv")), folder / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(_wanted(name))],
        check=True,
    )
    (folder / ".done").write_text(_wanted(name).read_text())
    return python


def _wanted(name: str) -> Path:
    return REPOSITORY / "requirements" / "peers" / f"{name}.txt"
