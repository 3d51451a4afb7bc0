"""Who may use which of the console's routes: the same kind of table as :mod:`steward.api.doors`.

A page that shows several decisions is of ``EACH``: it shows what its viewer may read, and leaves out the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from steward.access.permissions import Permission
from steward.api.doors import Door, Of

_P = Permission
_PUBLIC = Door(None, Of.ANYBODY)
_SOMEBODY = Door(_P.READ, Of.EACH)
DOORS: Final[Mapping[tuple[str, str], Door]] = {
    ("GET", "/"): _SOMEBODY,
    ("GET", "/data/{name}.{ending}"): _SOMEBODY,
    ("GET", "/events"): _SOMEBODY,
    ("GET", "/static/{name:path}"): _PUBLIC,
}
"""What each route needs, by method and path as declared."""
