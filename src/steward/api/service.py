"""What every route is given: the runtime and the counters."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from steward.api.entrance import Entrance
from steward.api.metrics import Metrics
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

MAX_UPLOADS = 2
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The hosts a server always answers for. By another name a foreign page could reach it through a browser."""


@dataclass(frozen=True)
class Service:
    """The runtime as the HTTP face serves it.

    Attributes:
        runtime: Decides; not owned, so not closed here.
        entrance: Recognises who calls.
        metrics: What is counted.
        closing: Set when the server stops: whoever sends without end, ends.
        uploads: How many models may be taken in at a time: each takes disk, and a process that reads it.
    """

    runtime: Runtime
    entrance: Entrance
    metrics: Metrics = field(default_factory=Metrics)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_UPLOADS))


def known_hosts(settings: Settings) -> frozenset[str]:
    """Return the names that a ``Host`` header may have.

    Example:
        >>> sorted(known_hosts(Settings(host="10.0.0.7", host_names=("Steward.example",))) - LOOPBACK_NAMES)
        ['10.0.0.7', 'steward.example']
    """
    return LOOPBACK_NAMES | {name.lower() for name in (settings.host, *settings.host_names)}
