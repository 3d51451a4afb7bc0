"""Whom a part of a page is for: all who may read the same decisions and read times in the same zone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from steward.api.service import Service
from steward.console.zones import Zone
from steward.runtime.runtime import Runtime


class Templates(Protocol):
    """Makes text of a template."""

    def render(self, template: str, **content: Any) -> str:
        """Return a template's text."""
        ...


@dataclass(frozen=True)
class Audience:
    """Everybody to whom a part of a page looks the same, so that it is made once for all of them.

    What is made for an audience must not show a decision that is not in ``readable``.

    Attributes:
        templates: Makes the text.
        service: What the API's routes are given, too.
        zone: The zone in which they read times.
        readable: The decisions that they may read; ``None`` for all.
    """

    templates: Templates
    service: Service
    zone: Zone
    readable: frozenset[str] | None

    @property
    def runtime(self) -> Runtime:
        """What is shown."""
        return self.service.runtime

    @property
    def now(self) -> datetime:
        """The minute by the runtime's clock, which is virtual in a demo; a text does not change with each second."""
        return self.runtime.clock.now().replace(second=0, microsecond=0)

    def render(self, template: str, **content: Any) -> str:
        """Return a template's text; its ``view`` is this audience."""
        return self.templates.render(template, view=self, **content)


Fragment = Callable[[Audience], Awaitable[str]]
"""Makes what is inside an element that keeps itself up to date."""
