"""Finds every route of an application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute


def routes_of(app: Any) -> set[tuple[str, str]]:
    """Return the method and path of every route; each must be one that passes the table of doors."""
    found: set[tuple[str, str]] = set()
    for route in _all_routes(app):
        assert isinstance(route, APIRoute), f"{route} is served past the table of doors"
        found |= {(method, route.path) for method in route.methods or ()}
    return found


def _all_routes(router: Any) -> Iterator[Any]:
    for route in router.routes:
        within = getattr(route, "original_router", None)
        yield from [route] if within is None else _all_routes(within)
