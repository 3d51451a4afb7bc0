"""The HTTP application: hot routes are served raw, everything else by FastAPI behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import NamedTuple

from steward.access.permissions import Permission
from steward.api.cold import cold_app
from steward.api.doors import DOORS
from steward.api.entrance import Entrance, Peer, peer_of
from steward.api.exchange import NOSNIFF, App, Exchange, Message, Receive, Reply, Scope, Send, send_reply
from steward.api.headers import host_name
from steward.api.problems import problem_code, problem_reply, unexpected
from steward.api.refusals import REFUSALS
from steward.api.rooms import Room, headers_beside
from steward.api.routes import HOT, Handle
from steward.api.service import Service, known_hosts
from steward.decision.lane import Lane
from steward.errors import ContractError, StewardError
from steward.runtime.admission import Reason
from steward.runtime.runtime import Runtime


class Hot(NamedTuple):
    """A hot route as it is served; see :class:`steward.api.routes.Route`."""

    name: str
    handle: Handle
    waits_once: bool
    permission: Permission
    decision: str
    lane: Lane | None


Headers = Sequence[tuple[bytes, bytes]]


def create_app(runtime: Runtime, host: str | None = None, *, rooms: Sequence[Room] = ()) -> Front:
    """Return the ASGI application that serves ``runtime``, which stays the caller's to close.

    Where the address is not this machine's own and nobody administers yet, nobody is let in.

    Args:
        runtime: An open runtime. Its settings say which hosts are answered for: the loopback names, ``host`` and
            ``host_names`` (with ``*`` in it, any), and how long a body may be: ``max_body_bytes``.
        host: The address that is listened on; by default that of the settings.
        rooms: What stands beside the API, such as the console.
    """
    service = Service(runtime, Entrance(runtime, host or runtime.settings.host))
    return Front(service, cold_app(service, rooms), beside=headers_beside(rooms))


class Front:
    """Serves the hot routes itself and hands all other requests to ``behind``.

    It is where requests are counted and where foreign hosts are turned away.

    Args:
        service: What the routes are given.
        behind: The application for everything else.
        beside: The headers of whatever is not the API's own; see :func:`steward.api.rooms.headers_beside`.

    Attributes:
        limit_bytes: The longest body that is taken.
        refusals: The replies to who is sent away, in turns.
    """

    def __init__(self, service: Service, behind: App, *, beside: Headers = ()) -> None:
        self._service, self._behind, self._entrance = service, behind, service.entrance
        self._beside = (NOSNIFF, *beside)
        self._admission = service.runtime.admission
        self.refusals = {reason: cycle(replies) for reason, replies in REFUSALS.items()}
        self._hot = dict(_bound(service))
        self.limit_bytes = service.runtime.settings.max_body_bytes
        self._hosts = known_hosts(service.runtime.settings)
        self._host_ok: set[bytes | None] = set()

    @property
    def service(self) -> Service:
        """What the routes are given."""
        return self._service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            known = self._hot.get(scope["path"]) if scope["method"] == "POST" else None
            if known is None:
                await self._cold(scope, receive, send)
            else:
                try:
                    if self.has_no_room(known):
                        reply = next(self.refusals[Reason.FULL])
                    else:
                        reply = await self.answer(known, scope["headers"], receive, None, peer_of(scope))
                except ConnectionResetError:  # nobody waits for a reply any more
                    return
                await send_reply(reply, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    def hot(self, path: str) -> Hot | None:
        """Return what serves a path, if it is a hot one."""
        return self._hot.get(path)

    def has_no_room(self, hot: Hot) -> bool:
        """Tell whether a request is sent away unseen, as it must not cost what the others wait for; count it if so.

        To be asked before :meth:`answer`, which looks at the caller first.
        """
        lane = hot.lane
        if lane is None or not self._admission.is_full(lane):
            return False
        self._service.metrics.requests.add((hot.name, "503"))
        return True

    async def answer(self, hot: Hot, listed: Headers, receive: Receive | None, body: bytes | None, peer: Peer) -> Reply:
        """Return the reply of a hot route, also where it is a problem; count it.

        Raises:
            ConnectionResetError: The client went away; nobody waits for a reply.
        """
        name, lane = hot.name, hot.lane
        time = asyncio.get_running_loop().time
        started = time()
        try:
            exchange = Exchange(listed, limit_bytes=self.limit_bytes, receive=receive, body=body)
            host = exchange.headers.get(b"host")
            if host not in self._host_ok:
                self._check_host(host)
            # Whoever may not gets no further: not even the body is looked at.
            headers = exchange.headers
            caller = self._entrance.admit_at_once(headers, peer) or await self._entrance.admit(headers, "POST", peer)
            exchange.caller = caller
            if hot.decision:
                caller.require(hot.permission, hot.decision)
            if lane is None:
                reply = await hot.handle(self._service, exchange)
            elif (reason := self._admission.enter(lane, caller.identity.id)) is not None:
                return self._refused(name, reason)
            else:
                try:
                    reply = await hot.handle(self._service, exchange)
                finally:
                    # How long a batch or a list of events takes is up to who sends it; it says nothing about the load.
                    self._admission.leave(caller.identity.id, time() - started if hot.waits_once else None)
        except StewardError as error:
            reply = self._problem(error)
        except Exception as error:
            if body is None and isinstance(error, ConnectionResetError):
                raise
            self._service.metrics.errors.add(("internal",))
            reply = unexpected(error, self._service.runtime.clock)
        metrics = self._service.metrics
        metrics.latency.observe((name,), time() - started)
        metrics.requests.add((name, str(reply.status)))
        return reply

    def _refused(self, name: str, reason: Reason) -> Reply:
        reply = next(self.refusals[reason])
        self._service.metrics.requests.add((name, str(reply.status)))
        return reply

    async def _cold(self, scope: Scope, receive: Receive, send: Send) -> None:
        time = asyncio.get_running_loop().time
        started, status = time(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._completed(scope, message["headers"])
            await send(message)

        try:
            exchange = Exchange(scope["headers"], limit_bytes=self.limit_bytes)
            self._check_host(exchange.headers.get(b"host"))
            await self._behind(scope, receive, watched)
        except StewardError as error:
            await send_reply(self._problem(error), watched)
        except Exception as error:
            # FastAPI answers what it did not foresee by our handler, which logs it, and then raises it again.
            if not status:
                await send_reply(unexpected(error, self._service.runtime.clock), watched)
        name = getattr(scope.get("route"), "path", "other")
        self._service.metrics.latency.observe((name,), time() - started)
        self._service.metrics.requests.add((name, str(status)))

    def _completed(self, scope: Scope, sent: Headers) -> list[tuple[bytes, bytes]]:
        """Return a response's headers with those that are missing, which a room asks of all that is not the API's."""
        route = getattr(scope.get("route"), "path", "")
        is_api = scope["path"].startswith("/v1/") or (scope["method"], route) in DOORS
        there = {name for name, _ in sent}
        return [*sent, *(each for each in (self._beside[:1] if is_api else self._beside) if each[0] not in there)]

    def _problem(self, error: StewardError) -> Reply:
        reply = problem_reply(error)
        self._service.metrics.errors.add((problem_code(error),))
        return reply

    def _check_host(self, host: bytes | None) -> None:
        """Refuse a foreign host; remember a good one with its port, so that it is looked up only once."""
        if not host:
            raise ContractError("the request has no Host header", fix="send it", code="http.host-missing")
        name = host_name(host)
        if name not in self._hosts and "*" not in self._hosts:
            raise ContractError(
                f"this server does not answer for {name!r}",
                fix=f"call it by one of {', '.join(sorted(self._hosts))}; or add the name to the setting host_names",
                code="http.host-unknown",
            )
        if len(self._host_ok) < 64:
            self._host_ok.add(host)


def _bound(service: Service) -> Iterator[tuple[str, Hot]]:
    for route in HOT:
        needed = route.permission
        if not route.of_decision:
            yield route.path, Hot(route.name, route.handle, route.waits_once, needed, "", route.lane)
            continue
        for name, decision in service.runtime.decisions.items():
            handle, lane = partial(route.handle, name=name), route.lane_of(decision)
            yield route.at(name), Hot(route.name, handle, route.waits_once, needed, name, lane)


async def _live(receive: Receive, send: Send) -> None:
    """Answer the lifespan protocol; the runtime is opened and closed by whoever made it."""
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
