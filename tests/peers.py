"""Programs of others that tests talk to, each in an environment of its own."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from benchmarks.peers import found


def peer(name: str) -> Path:
    """Return the Python of a peer; where it is not installed, the test is skipped, and fails in CI."""
    python = found(name)
    if python is None:
        reason = f"{name} is not installed here: make peers installs it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return python


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
