"""Exit codes, and which error leads to which."""

from __future__ import annotations

from enum import IntEnum

from steward.errors import Denied, IntegrityError, NotFound, StewardError


class Exit(IntEnum):
    """What ``$?`` says after a command.

    Example:
        >>> int(Exit.NEEDS_APPROVAL)
        4
    """

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NEEDS_APPROVAL = 4
    DENIED = 5
    NOT_VERIFIED = 6


def exit_of(error: StewardError) -> Exit:
    """Return the exit code of an error.

    Example:
        >>> exit_of(NotFound("no decision is named 'gird'")).name
        'NOT_FOUND'
    """
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, Denied):
        return Exit.DENIED
    return Exit.NOT_VERIFIED if isinstance(error, IntegrityError) else Exit.FAILED
