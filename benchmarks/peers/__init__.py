"""Model servers of others, each as its makers advise, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
NAMES: Final = ("mlserver", "kserve", "bentoml", "mlflow")


def environment(name: str) -> Path:
    """Return the Python of a peer's environment; made below ``build/peers``, or ``$PEERS``, the first time."""
    folder = Path(os.environ.get("PEERS", REPOSITORY / "build" / "peers")) / name
    python, done = folder / "bin" / "python", folder / ".done"
    wanted = REPOSITORY / "requirements" / "peers" / f"{name}.txt"
    if done.is_file() and done.read_text() == wanted.read_text():
        return python
    print(f"installing {name} into {folder} ...", file=sys.stderr, flush=True)
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(wanted)], check=True)
    done.write_text(wanted.read_text())
    return python
