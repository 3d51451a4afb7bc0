"""An OPC UA client: subscribes to a plant's points, calls its methods, and comes back when the server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from asyncua import Client, ua
from asyncua.common.subscription import DataChangeEvent, OverflowPolicy, Subscription
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from steward.cases.grid.field.opcua.identity import ClientSecurity
from steward.cases.grid.field.opcua.names import NAMESPACE_INDEX, ORDERS, refuse
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.field.source import PATIENT, Backoff, Gap, Take, unheard
from steward.clock import Clock
from steward.errors import Denied, EngineError, StewardError

_QUEUE = 10_000
_DENIED = {"BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid", "BadCertificateUntrusted",
           "BadCertificateTimeInvalid", "BadCertificateUriInvalid", "BadSecurityChecksFailed"}  # fmt: skip


class OpcUaClient:
    """Keeps one session with a server, for as long as :meth:`run` runs.

    A watch dog asks the server for its state every ``watch``: a connection that is half open is found out by that. What
    is lost is set up again after a wait: session and subscription, and the gap is told.

    Args:
        url: For example ``opc.tcp://127.0.0.1:4840/steward/``.
        points: What is subscribed to.
        take: Takes each reading.
        security: How to log in; ``None`` only looks, without encryption, where a server allows that.
        clock: For times and waits.
        on_gap: Is told each time readings come again.
        publishing: How often the server sends what has changed.
        watch: How often the server's state is asked for, and how long an answer may take.
        backoff: How long to wait before another try.

    Example:
        >>> async def watch(client: OpcUaClient) -> None:
        ...     async with client.running():
        ...         print(await client.call("Standing", at))
    """

    def __init__(
        self,
        url: str,
        points: Sequence[Point],
        take: Take,
        *,
        security: ClientSecurity | None,
        clock: Clock,
        on_gap: Callable[[Gap], None] = unheard,
        publishing: timedelta = timedelta(milliseconds=100),
        watch: timedelta = timedelta(seconds=1),
        backoff: Backoff = PATIENT,
    ) -> None:
        self.url = url
        self._points = {_node_id(point.name).to_string(): point for point in points}
        self._take, self._security, self._clock, self._on_gap = take, security, clock, on_gap
        self._publishing, self._watch, self._backoff = publishing, watch, backoff
        self._session: Client | None = None
        self._connected = asyncio.Event()
        self._last_heard: datetime | None = None
        self._why_lost = ""

    async def run(self) -> None:
        """Connect, and take readings until cancelled; whatever is lost is set up again.

        Raises:
            Denied: The server refuses the certificate, the user or the password; another try would not help.
        """
        failures = 0
        while True:
            try:
                async with self._connect() as session, self._subscribe(session) as subscription:
                    failures = 0
                    await self._listen(subscription)
            except EngineError as lost:
                failures += 1
                self._why_lost = str(lost)
                await self._clock.sleep_until(self._clock.now() + self._backoff.wait(failures, self._clock))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[OpcUaClient]:
        """Run in the background; enter once connected.

        Raises:
            Denied: As :meth:`run`.
        """
        run, connected = asyncio.ensure_future(self.run()), asyncio.ensure_future(self._connected.wait())
        try:
            await asyncio.wait((run, connected), return_when=asyncio.FIRST_COMPLETED)
            if run.done():
                run.result()
            yield self
        finally:
            connected.cancel()
            run.cancel()
            await asyncio.wait((run,))

    async def wait_connected(self) -> None:
        """Return once there is a session."""
        await self._connected.wait()

    async def call(self, method: str, *arguments: object) -> tuple[str, str]:
        """Call one of the server's methods; return the reference and the power of its receipt, each maybe empty.

        Raises:
            EngineError: It is not there, or does not answer (retryable: whether it took effect is not known), or the
                plant refuses.
            Conflict: The plant refuses because of its state.
            ContractError: The server does not take these arguments.
            Denied: The user may not give orders.
        """
        session = self._connected_session()
        given = [ua.Variant(value) for value in arguments]
        parent = session.get_node(_node_id(ORDERS))
        with _told(self.url):
            said = await parent.call_method(_node_id(method), *given)
        if not isinstance(said, list) or len(said) != 2 or not all(isinstance(text, str) for text in said):
            raise EngineError(f"{self.url} answered {method} with something else than a receipt", code="opcua-failed")
        return said[0], said[1]

    async def read(self, point: Point) -> Reading:
        """Read one point now.

        Raises:
            EngineError: The server is not there, or has no such point.
        """
        session = self._connected_session()
        with _told(self.url):
            value = await session.get_node(_node_id(point.name)).read_data_value(raise_on_bad_status=False)
        return self._reading(point, value)

    async def write(self, point: Point, value: float) -> Reading:
        """Write a variable, and return what it says then.

        Raises:
            EngineError: It cannot be written, or it says something else than was written (``code`` is ``not-held``).
            Denied: The user may not write.
        """
        session = self._connected_session()
        with _told(self.url):
            await session.get_node(_node_id(point.name)).write_value(ua.DataValue(ua.Variant(float(value))))
        said = await self.read(point)
        if said.value != value:
            raise EngineError(f"{point.name} says {said.value} after {value} was written", code="not-held")
        return said

    def _connected_session(self) -> Client:
        if self._session is None or not self._connected.is_set():
            raise EngineError(
                f"there is no connection to {self.url}", why=self._why_lost, retryable=True, code="opcua-unreachable"
            )
        return self._session

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Client]:
        watch_s = self._watch.total_seconds()
        session = Client(self.url, timeout=max(4 * watch_s, 0.5), watchdog_intervall=watch_s)
        with _told(self.url):
            await self._secure(session)
            await session.connect()
        self._session = session
        try:
            yield session
        finally:
            self._session = None
            self._connected.clear()
            await _hang_up(session)

    async def _secure(self, session: Client) -> None:
        if (security := self._security) is None:
            return
        session.application_uri = security.identity.uri
        session.set_user(security.user)
        session.set_password(security.password)
        await session.set_security(
            SecurityPolicyBasic256Sha256,
            certificate=security.identity.certificate,
            private_key=security.identity.key,
            server_certificate=str(security.server),
            mode=ua.MessageSecurityMode.SignAndEncrypt,
        )

    @asynccontextmanager
    async def _subscribe(self, session: Client) -> AsyncIterator[Subscription]:
        # Also if only its time has changed: a value that stays is news, too.
        changes = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
        nodes = [session.get_node(node_id) for node_id in self._points]
        with _told(self.url):
            subscription = await session.create_subscription(
                self._publishing.total_seconds() * 1000, queue_maxsize=_QUEUE, overflow=OverflowPolicy.DISCONNECT
            )
            made = (
                await subscription._subscribe(nodes, ua.AttributeIds.Value, changes, queuesize=_QUEUE) if nodes else ()
            )
        missing = [node for node, status in zip(self._points, made, strict=True) if isinstance(status, ua.StatusCode)]
        if missing:
            raise EngineError(f"{self.url} has no {', '.join(missing[:3])}", code="opcua-refused")
        self._tell_gap()
        self._connected.set()
        yield subscription

    async def _listen(self, subscription: Subscription) -> NoReturn:
        async for event in subscription:
            if not isinstance(event, DataChangeEvent):
                break
            value: ua.DataValue = event.data.monitored_item.Value
            self._last_heard = self._clock.now()
            await self._take(self._reading(self._points[event.node.nodeid.to_string()], value))
        raise EngineError(f"the connection to {self.url} is lost", retryable=True, code="opcua-unreachable")

    def _tell_gap(self) -> None:
        if self._last_heard is not None:
            until = self._clock.now()
            self._on_gap(Gap(source=self.url, since=self._last_heard, until=until, why=self._why_lost))

    def _reading(self, point: Point, value: ua.DataValue) -> Reading:
        return point.reading(
            value.Value.Value if value.Value is not None else None,
            quality=Quality.of_status(value.StatusCode.value if value.StatusCode is not None else 0),
            source_time=_aware(value.SourceTimestamp),
            server_time=_aware(value.ServerTimestamp),
            now=self._clock.now(),
        )


def _node_id(name: str) -> ua.NodeId:
    return ua.NodeId(name, NAMESPACE_INDEX)


def _aware(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn what the library raises into errors that say who must act."""
    try:
        yield
    except StewardError:
        raise
    except (ConnectionError, TimeoutError, OSError) as error:
        raise EngineError(
            f"{url} does not answer", why=str(error) or type(error).__name__, retryable=True, code="opcua-unreachable"
        ) from error
    except ua.UaStatusCodeError as error:
        status = type(error).__name__
        if status in _DENIED:
            raise Denied(
                f"{url} does not let this user do that", why=status, fix="check user and certificate"
            ) from error
        refuse(status, url)
    except ua.UaError as error:
        raise EngineError(
            f"{url} speaks no OPC UA that is understood here", why=str(error), code="opcua-failed"
        ) from error


async def _hang_up(session: Any) -> None:
    """Close a session as politely as the line allows."""
    try:
        await session.disconnect()
    except (ConnectionError, TimeoutError, OSError, ua.UaError):
        session.disconnect_socket()
