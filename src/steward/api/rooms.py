"""What stands beside the API behind the same door: the console, with the pages of a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from fastapi import APIRouter, Request, Response

from steward.api.doors import DOORS, Door
from steward.errors import DeclarationError, StewardError


class Room(Protocol):
    """Routes, who may use each, and how their errors are shown.

    Attributes:
        router: The routes.
        doors: What each of them needs, by method and path as declared.
    """

    router: APIRouter
    doors: Mapping[tuple[str, str], Door]

    def show_error(self, request: Request, error: StewardError) -> Response | None:
        """Answer for an error outside ``/v1/``, or leave it with ``None`` to the API's problem details."""
        ...


def doors_of(rooms: Iterable[Room]) -> Mapping[tuple[str, str], Door]:
    """Return the API's doors and those of rooms, in one table.

    Raises:
        DeclarationError: Two of them have the same route.

    Example:
        >>> doors_of([]) == DOORS
        True
    """
    doors = dict(DOORS)
    for room in rooms:
        if twice := doors.keys() & room.doors.keys():
            method, path = min(twice)
            raise DeclarationError(f"two rooms have the route {method} {path}", fix="choose another path")
        doors.update(room.doors)
    return doors
