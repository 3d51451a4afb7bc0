"""One stream of what has just happened, for all tabs of a browser.

A page marks an element by ``data-live``; the stream sends what is inside it, under its id, whenever that changes. How
tabs ask for it and what they do with it is told in ``static/js/live.js``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

import msgspec

from steward.api.entrance import Caller
from steward.api.service import Service
from steward.console.audience import Audience, Fragment, Templates
from steward.console.streams import EventStream, Listener
from steward.console.zones import Zone
from steward.errors import EngineError, StewardError

EVENTS_PATH: Final = "/events"
PAGE: Final = "page"
"""The part that changes with anything: for tabs that then fetch their own page again."""
MOST_OF_A_CALLER: Final = 32
MOST: Final = 2_000
_log = logging.getLogger("steward.console")
_GroupKey = tuple[frozenset[str] | None, Zone, frozenset[str]]


class _Group:
    """Those who are sent the same: they may read the same, in the same zone, and their pages show the same parts."""

    def __init__(self, audience: Audience, show: frozenset[str]) -> None:
        self._audience, self._show = audience, show
        self._texts: dict[str, str] = {}
        self._waiting = -1

    async def refresh(self, made: _Made) -> bytes | None:
        """Look again; return the message of what has changed, if something has."""
        texts = {name: await made.text(self._audience, name) for name in self._show}
        waiting = self._audience.runtime.views.waiting_count(among=self._audience.readable)
        changed = {name: text for name, text in texts.items() if self._texts.get(name) != text}
        if not changed and waiting == self._waiting:
            return None
        self._texts, self._waiting = texts, waiting
        return self._message(changed)

    def whole(self) -> bytes:
        """Return the message of all there is."""
        return self._message(self._texts)

    def _message(self, texts: Mapping[str, str]) -> bytes:
        told = {"html": texts, "waiting": max(self._waiting, 0), "now": self._audience.runtime.clock.now().isoformat()}
        return b"data: %b\n\n" % msgspec.json.encode(told)


class _Made:
    """The parts that were made in one beat: each once for all who may read the same in the same zone."""

    def __init__(self, fragments: Mapping[str, Fragment]) -> None:
        self._fragments = fragments
        self._texts: dict[tuple[frozenset[str] | None, Zone, str], str] = {}

    async def text(self, audience: Audience, name: str) -> str:
        key = (audience.readable, audience.zone, name)
        if key not in self._texts:
            self._texts[key] = await self._fragments[name](audience)
        return self._texts[key]


class Live:
    """Sends what changes to whoever looks, at most once a second; makes each part once for all who may see it.

    One task does it, only while somebody listens. A reader that is slower than the news is sent the present state
    instead of what it has missed.

    Args:
        templates: Makes the text of the parts.
        fragments: What each part shows, by the ids of the elements.

    Attributes:
        beat_s: The shortest time between two messages.
        heartbeat_s: After how long without a message a stream shows that it is alive.
    """

    def __init__(self, templates: Templates, fragments: Mapping[str, Fragment]) -> None:
        self.beat_s, self.heartbeat_s = 1.0, 15.0
        self._templates = templates
        self._fragments: Mapping[str, Fragment] = fragments
        self._listeners: dict[Listener, None] = {}
        self._groups: dict[_GroupKey, _Group] = {}
        self._seen: object = None
        self._task: asyncio.Task[None] | None = None

    @property
    def watching(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def stream(self, service: Service, caller: Caller, zone: Zone, show: Iterable[str]) -> EventStream:
        """Return the stream for somebody, of the parts that their pages show; unknown ones are left out.

        Raises:
            EngineError: They, or all together, have as many open as there may be (``code`` is ``over-share``).
        """
        own = sum(each.caller.identity.id == caller.identity.id for each in self._listeners)
        if len(self._listeners) >= MOST or (own >= MOST_OF_A_CALLER and not caller.is_local):
            raise EngineError(
                f"{own} event streams of {caller.identity.id} are open, {len(self._listeners)} of all",
                fix="close some tabs; a browser needs one stream for all of them",
                code="over-share",
                retryable=True,
            )
        known = frozenset(name for name in show if name in self._fragments)

        def join(listener: Listener) -> None:
            self._listeners[listener] = None
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._run(service))

        return EventStream(Listener(caller, zone, known), join=join, leave=self._leave)

    def _leave(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)

    async def _run(self, service: Service) -> None:
        closing = asyncio.ensure_future(service.closing.wait())
        try:
            while self._listeners and not closing.done():
                beat = asyncio.ensure_future(self._beat_safely(service))
                await asyncio.wait((closing, beat), return_when=asyncio.FIRST_COMPLETED)
                if closing.done():
                    beat.cancel()
                    break
                await asyncio.wait((closing,), timeout=self.beat_s)
        finally:
            closing.cancel()
            for listener in self._listeners:
                listener.end()
            self._groups.clear()
            self._seen = None

    async def _beat_safely(self, service: Service) -> None:
        """Look once; what cannot be read now is sent later, and a part that cannot be made ends the streams."""
        try:
            await self.beat(service)
        except StewardError as error:
            _log.warning("the live pages are not up to date: %s", error)
        except Exception:
            _log.exception("a live part of a page cannot be made; the streams begin anew")
            for listener in self._listeners:
                listener.end()

    async def beat(self, service: Service) -> None:
        """Send everybody what has changed since the last time; end the streams of those who are nobody any more."""
        now_s = asyncio.get_running_loop().time()
        groups = self._grouped(service)
        await service.runtime.catch_up()
        # What pages show depends on nothing else; a group that had a look since then needs none.
        seen = _changing(service)
        made = _Made(self._fragments)
        for key, listeners in groups.items():
            group = self._groups.get(key)
            news = None
            if group is None:
                readable, zone, show = key
                group = _Group(Audience(self._templates, service, zone, readable), show)
                await group.refresh(made)
                self._groups[key] = group
            elif seen != self._seen:
                news = await group.refresh(made)
            self._send(group, news, listeners, now_s)
        self._seen = seen

    def _grouped(self, service: Service) -> dict[_GroupKey, list[Listener]]:
        groups: dict[_GroupKey, list[Listener]] = {}
        for listener in self._listeners:
            if service.entrance.is_current(listener.caller):
                key = (listener.caller.readable(), listener.zone, listener.show)
                groups.setdefault(key, []).append(listener)
            else:
                listener.end()
        self._groups = {key: group for key, group in self._groups.items() if key in groups}
        return groups

    def _send(self, group: _Group, news: bytes | None, listeners: Iterable[Listener], now_s: float) -> None:
        whole = cache(group.whole)
        for listener in listeners:
            if listener.group is not group:
                listener.group = group
                listener.give(whole(), whole, now_s)
            elif news is not None:
                listener.give(news, whole, now_s)
            elif now_s - listener.sent_s >= self.heartbeat_s:
                listener.beat(now_s)


def _changing(service: Service) -> tuple[Any, ...]:
    """Return what all parts are made of, shortly: entries, stops, and the minute, as time moves what pages show."""
    runtime = service.runtime
    minute: datetime = runtime.clock.now().replace(second=0, microsecond=0)
    return (runtime.views.position, tuple(runtime.stops.standing()), minute)


async def position(audience: Audience) -> str:
    """Return what changes with anything: the part :data:`PAGE`."""
    return str(audience.runtime.views.position)
