"""Libraries of protocols, loaded when they are first used: together they take more than a second."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any


def lazily(name: str) -> Any:
    """Return a stand-in for a module that is imported once something of it is asked for.

    Example:
        >>> lazily("colorsys").rgb_to_hls(1.0, 0.0, 0.0)
        (0.0, 0.5, 1.0)
    """
    return _Module(name)


def quiet(*libraries: str) -> None:
    """Let libraries log nothing that is raised as an error as well, unless somebody has set their level."""
    for library in libraries:
        logger = logging.getLogger(library)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)


class _Module:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            # Who only looks what kind of thing it is does not need it.
            raise AttributeError(attribute)
        return getattr(import_module(self._name), attribute)
