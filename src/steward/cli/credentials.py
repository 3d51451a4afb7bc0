"""The key that commands show: from ``STEWARD_KEY``, or from a file that only its owner can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from steward.access.tokens import Secret
from steward.errors import Denied, EngineError
from steward.runtime.settings import Settings

VARIABLE: Final = "STEWARD_KEY"
_FILE = "key"
_MOST_BYTES = 1_000


def key_file(settings: Settings) -> Path:
    """Return where a project's key is kept: beside its data, for its owner only."""
    return settings.path(settings.data_dir) / _FILE


def key_of(settings: Settings, environ: Mapping[str, str] = os.environ) -> Secret | None:
    """Return the key to show; ``None`` where there is none, as on a machine without identities.

    Raises:
        Denied: The file can be read by others.

    Example:
        >>> key_of(Settings(), {"STEWARD_KEY": "stw_0123456789ab_hunter2"})
        Secret(****)
    """
    if given := environ.get(VARIABLE, "").strip():
        return Secret(given)
    path = key_file(settings)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Denied(
                f"the key in {path} is not used",
                why="others can read it",
                fix=f"chmod 600 {path}, and rotate it: steward access rotate PREFIX",
            )
        return Secret(path.read_text(encoding="ascii")[:_MOST_BYTES].strip())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"the key in {path} cannot be read", why=str(error), fix=f"set {VARIABLE}") from error


def keep_key(settings: Settings, secret: Secret) -> Path:
    """Write a key to the project's file, mode 0600, in the place of an older one; return the file."""
    path = key_file(settings)
    fresh = path.with_name(f"{_FILE}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secret.reveal() + "\n")
        fresh.replace(path)
    except OSError as error:
        raise EngineError(f"the key cannot be kept in {path}", why=str(error), fix="keep it elsewhere") from error
    return path
