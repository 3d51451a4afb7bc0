"""The one table of who may use which command: one that is not in it does not run, and a test names it.

A new command takes one line here: what it needs, and who asks. Commands that write go to the API (``Asks.API``), which
asks :mod:`steward.api.doors` for the very route, so that line and that one say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from steward.access.permissions import Permission
from steward.errors import Denied


class Asks(StrEnum):
    """Who makes sure that a command is allowed.

    Example:
        >>> Asks.FILES.value
        'files'
    """

    API = "api"
    """The API's doors, with the key that is shown; also where no server runs."""
    FILES = "files"
    """The operating system: whoever can read the ledger's file can read all that is in it, by whatever program."""
    MACHINE = "machine"
    """Nobody: it touches no ledger but its own, or only what the user gives it."""


class CommandDoor(NamedTuple):
    """What a command needs.

    Example:
        >>> COMMANDS["approve"]
        CommandDoor(permission=<Permission.APPROVE: 'approve'>, asks=<Asks.API: 'api'>)
    """

    permission: Permission | None
    asks: Asks


_P, _API, _FILES = Permission, Asks.API, Asks.FILES
_OWN = CommandDoor(None, Asks.MACHINE)
_OFFICE = CommandDoor(_P.ADMINISTER, _API)
COMMANDS: Final[Mapping[str, CommandDoor]] = {
    "init": _OWN,
    "demo": _OWN,
    "case grid backtest": _OWN,
    "case grid plant": _OWN,
    "case grid report": _OWN,
    "serve": CommandDoor(_P.ADMINISTER, _FILES),
    "doctor": CommandDoor(_P.READ, _FILES),
    "decide": CommandDoor(_P.INVOKE, _API),
    "outcomes": CommandDoor(_P.INVOKE, _API),
    "approvals": CommandDoor(_P.READ, _FILES),
    "approve": CommandDoor(_P.APPROVE, _API),
    "reject": CommandDoor(_P.APPROVE, _API),
    "change": CommandDoor(_P.APPROVE, _API),
    "ask": CommandDoor(_P.APPROVE, _API),
    "reply": CommandDoor(_P.READ, _API),
    "escalate": CommandDoor(_P.APPROVE, _API),
    "snooze": CommandDoor(_P.APPROVE, _API),
    "dead-letters": CommandDoor(_P.READ, _API),
    "redrive": CommandDoor(_P.INVOKE, _API),
    "abort": CommandDoor(_P.STOP, _API),
    "signal": CommandDoor(_P.INVOKE, _API),
    "undo": CommandDoor(_P.STOP, _API),
    "people": CommandDoor(_P.EXPORT, _FILES),
    "stop": CommandDoor(_P.STOP, _API),
    "resume": CommandDoor(_P.STOP, _API),
    "stops": CommandDoor(_P.READ, _FILES),
    "show": CommandDoor(_P.READ, _FILES),
    "tail": CommandDoor(_P.EXPORT, _FILES),
    "value": CommandDoor(_P.READ, _FILES),
    "replay": CommandDoor(_P.READ, _FILES),
    "verify": CommandDoor(_P.VERIFY, _FILES),
    "rebuild": CommandDoor(_P.READ, _FILES),
    "release propose": CommandDoor(_P.PUBLISH, _API),
    "release approve": CommandDoor(_P.PUBLISH, _API),
    "release show": CommandDoor(_P.READ, _API),
    "release history": CommandDoor(_P.READ, _API),
    "rollout start": CommandDoor(_P.PROMOTE, _API),
    "rollout status": CommandDoor(_P.READ, _API),
    "rollout compare": CommandDoor(_P.READ, _API),
    "rollout share": CommandDoor(_P.PROMOTE, _API),
    "rollout promote": CommandDoor(_P.PROMOTE, _API),
    "rollout stop": CommandDoor(_P.PROMOTE, _API),
    "models rollback": CommandDoor(_P.PROMOTE, _API),
    "models register": CommandDoor(_P.PUBLISH, _FILES),
    "models list": CommandDoor(_P.READ, _FILES),
    "models export": CommandDoor(_P.EXPORT, _FILES),
    "models import": CommandDoor(_P.PUBLISH, _FILES),
    "models compare": CommandDoor(_P.READ, _FILES),
    "policy test": CommandDoor(_P.READ, _FILES),
    "policy diff": CommandDoor(_P.READ, _FILES),
    "policy check": CommandDoor(_P.READ, _FILES),
    "policy register": CommandDoor(_P.PUBLISH, _FILES),
    "models show": CommandDoor(_P.READ, _FILES),
    "models verify": CommandDoor(_P.VERIFY, _FILES),
    "models sign": CommandDoor(_P.ADMINISTER, _FILES),
    "models card": CommandDoor(_P.READ, _FILES),
    "models provenance": CommandDoor(_P.READ, _FILES),
    "models keys new": _OWN,
    "models keys list": CommandDoor(_P.READ, _FILES),
    "models keys trust": CommandDoor(_P.ADMINISTER, _FILES),
    "models keys revoke": CommandDoor(_P.ADMINISTER, _FILES),
    "access claim": CommandDoor(None, _API),
    "access recover": CommandDoor(_P.ADMINISTER, _FILES),
    "access whoami": CommandDoor(None, _API),
    "access list": _OFFICE,
    "access enrol": _OFFICE,
    "access alter": _OFFICE,
    "access revoke": _OFFICE,
    "access keys": _OFFICE,
    "access issue": _OFFICE,
    "access rotate": _OFFICE,
    "access revoke-key": _OFFICE,
    "access limit": _OFFICE,
    "access limits": _OFFICE,
    "access refusals": _OFFICE,
}
"""What each command needs, by its words."""


def check_command(words: str) -> None:
    """Refuse a command that names no permission.

    Raises:
        Denied: It is not in the table.
    """
    if words not in COMMANDS:
        raise Denied(f"steward {words} is open to nobody", why="it names no permission", fix="add it to cli/doors.py")
