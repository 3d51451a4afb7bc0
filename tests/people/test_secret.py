"""Secrets are read from files that nobody else can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from steward.errors import DeclarationError
from steward.people.secret import read_secret


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret\n", encoding="utf-8")
    path.chmod(0o644)
    with pytest.raises(DeclarationError, match="readable by others"):
        read_secret(path)
    path.chmod(0o600)
    assert read_secret(path) == "s3cret"
    path.write_text("", encoding="utf-8")
    with pytest.raises(DeclarationError, match="empty"):
        read_secret(path)
    with pytest.raises(DeclarationError, match="cannot be read"):
        read_secret(tmp_path / "nowhere")
