"""Secrets that stand in files of their own, so that no address book holds them."""

from __future__ import annotations

from pathlib import Path

from steward.errors import DeclarationError


def read_secret(path: Path) -> str:
    """Return the secret that a file holds.

    Raises:
        DeclarationError: It cannot be read, is empty, or others than its owner may read it.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"the secret in {path} cannot be read", why=str(error)) from error
    if mode & 0o077 or not text:
        raise DeclarationError(
            f"the secret in {path} is {'readable by others' if text else 'empty'}", fix=f"chmod 600 {path}"
        )
    return text
