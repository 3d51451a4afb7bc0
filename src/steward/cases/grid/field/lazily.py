"""Libraries of protocols, loaded when they are first used: together they take more than a second."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def lazily(name: str) -> Any:
    """Return a stand-in for a module that is imported once something of it is asked for.

    Example:
        >>> lazily("colorsys").rgb_to_hls(1.0, 0.0, 0.0)
        (0.0, 0.5, 1.0)
    """
    return _Module(name)


class _Module:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            # Who only looks what kind of thing it is does not need it.
            raise AttributeError(attribute)
        return getattr(import_module(self._name), attribute)
