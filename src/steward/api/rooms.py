"""What stands beside the API behind the same door: the console, with the pages of a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from fastapi import APIRouter, Request, Response

from steward.api.doors import DOORS, Door
from steward.errors import DeclarationError, StewardError


class Room(Protocol):
    """Routes, who may use each, and how their errors are shown.

    Attributes:
        router: The routes.
        doors: What each of them needs, by method and path as declared.
        headers: What every response carries that is not the API's own, also an error's, unless it says otherwise.
    """

    router: APIRouter
    doors: Mapping[tuple[str, str], Door]
    headers: Mapping[str, str]

    async def show_error(self, request: Request, error: StewardError) -> Response | None:
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


def headers_beside(rooms: Iterable[Room]) -> Sequence[tuple[bytes, bytes]]:
    """Return what the responses of rooms carry, as it is sent.

    Example:
        >>> headers_beside([])
        ()
    """
    return tuple((name.lower().encode(), value.encode()) for room in rooms for name, value in room.headers.items())
