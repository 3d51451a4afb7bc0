"""An OPC UA client: subscribes to a plant's points, calls its methods, and comes back when the server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from steward.cases.grid.field.lazily import lazily, quiet
from steward.cases.grid.field.opcua.identity import ClientSecurity, certificate_of
from steward.cases.grid.field.opcua.names import NAMESPACE_INDEX, ORDERS, refuse
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.field.source import PATIENT, Backoff, Gap, Source, Take, unheard
from steward.clock import Clock
from steward.errors import Denied, EngineError, StewardError

asyncua, ua = lazily("asyncua"), lazily("asyncua.ua")
subscriptions, policies = lazily("asyncua.common.subscription"), lazily("asyncua.crypto.security_policies")
_QUEUE = 10_000
_DENIED = {"BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid", "BadCertificateUntrusted",
           "BadCertificateTimeInvalid", "BadCertificateUriInvalid", "BadSecurityChecksFailed"}  # fmt: skip


class OpcUaClient(Source):
    """Keeps one session with a server.

    A watch dog asks the server for its state every ``watch``: a connection that is half open is found out by that. What
    is lost is set up again after a wait: session and subscription, and the gap is told.

    Args:
        url: For example ``opc.tcp://127.0.0.1:4840/steward/``.
        points: What is subscribed to.
        take: Takes each reading.
        security: How to log in; ``None`` only looks, without encryption, where a server allows that.
        clock: For times and waits.
        on_gap: Is told when the connection is lost, and when readings come again.
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
        quiet("asyncua")
        super().__init__(url, take, clock=clock, on_gap=on_gap, backoff=backoff)
        self._points = {_node_id(point.name).to_string(): point for point in points}
        self._security, self._publishing, self._watch = security, publishing, watch
        self._session: Any = None

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
        with _told(self.address):
            said = await parent.call_method(_node_id(method), *given)
        if not isinstance(said, list) or len(said) != 2 or not all(isinstance(text, str) for text in said):
            raise EngineError(
                f"{self.address} answered {method} with something else than a receipt", code="opcua-failed"
            )
        return said[0], said[1]

    async def read(self, point: Point) -> Reading:
        """Read one point now.

        Raises:
            EngineError: The server is not there, or has no such point.
        """
        session = self._connected_session()
        with _told(self.address):
            value = await session.get_node(_node_id(point.name)).read_data_value(raise_on_bad_status=False)
        return self._reading(point, value)

    async def write(self, point: Point, value: float) -> Reading:
        """Write a variable, and return what it says then.

        Raises:
            EngineError: It cannot be written, or it says something else than was written (``code`` is ``not-held``).
            Denied: The user may not write.
        """
        session = self._connected_session()
        with _told(self.address):
            await session.get_node(_node_id(point.name)).write_value(ua.DataValue(ua.Variant(float(value))))
        said = await self.read(point)
        if said.value != value:
            raise EngineError(f"{point.name} says {said.value} after {value} was written", code="not-held")
        return said

    def _connected_session(self) -> Any:
        if self._session is None or not self.is_connected:
            raise self._lost("opcua-unreachable")
        return self._session

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Any]:
        watch_s = self._watch.total_seconds()
        session = asyncua.Client(self.address, timeout=max(4 * watch_s, 0.5), watchdog_intervall=watch_s)
        self._secure(session)
        with _told(self.address):
            await session.connect()
        self._session = session
        try:
            yield session
        finally:
            self._session = None
            await _hang_up(session)

    def _secure(self, session: Any) -> None:
        if (security := self._security) is None:
            return
        session.application_uri = security.identity.uri
        session.set_user(security.user)
        session.set_password(security.password)
        certificate, key = security.identity.loaded()
        policy = policies.SecurityPolicyBasic256Sha256(
            certificate_of(security.server), certificate, key, ua.MessageSecurityMode.SignAndEncrypt
        )
        session.security_policy = policy
        session.uaclient.set_security(policy)

    @asynccontextmanager
    async def _subscribe(self, session: Any) -> AsyncIterator[Any]:
        # Also if only its time has changed: a value that stays is news, too.
        changes = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
        nodes = [session.get_node(node_id) for node_id in self._points]
        with _told(self.address):
            subscription = await session.create_subscription(
                self._publishing.total_seconds() * 1000,
                queue_maxsize=_QUEUE,
                overflow=subscriptions.OverflowPolicy.DISCONNECT,
            )
            made = (
                await subscription._subscribe(nodes, ua.AttributeIds.Value, changes, queuesize=_QUEUE) if nodes else ()
            )
        missing = [node for node, status in zip(self._points, made, strict=True) if isinstance(status, ua.StatusCode)]
        if missing:
            raise EngineError(f"{self.address} has no {', '.join(missing[:3])}", code="opcua-refused")
        yield subscription

    async def _listen(self) -> NoReturn:
        async with self._connect() as session, self._subscribe(session) as subscription:
            self._up()
            batch = _Batch()
            collecting = asyncio.ensure_future(batch.collect(self._said(subscription)))
            try:
                while readings := await batch.next():
                    await self._heard(readings)
                await collecting
            finally:
                collecting.cancel()
        raise EngineError(
            f"the connection to {self.address} is lost", retryable=True, code="opcua-unreachable", why=batch.why_over
        )

    async def _said(self, subscription: Any) -> AsyncIterator[Reading]:
        change = subscriptions.DataChangeEvent
        async for event in subscription:
            if not isinstance(event, change):
                return
            yield self._reading(self._points[event.node.nodeid.to_string()], event.data.monitored_item.Value)

    def _reading(self, point: Point, value: Any) -> Reading:
        return point.reading(
            value.Value.Value if value.Value is not None else None,
            quality=Quality.of_status(value.StatusCode.value if value.StatusCode is not None else 0),
            source_time=_aware(value.SourceTimestamp),
            server_time=_aware(value.ServerTimestamp),
            now=self._clock.now(),
        )


class _Batch:
    """Collects what comes while what came before is taken."""

    def __init__(self) -> None:
        self.why_over = ""
        self._readings: list[Reading] = []
        self._news = asyncio.Event()
        self._over = False

    async def collect(self, said: AsyncIterator[Reading]) -> None:
        try:
            async for reading in said:
                self._readings.append(reading)
                self._news.set()
                if len(self._readings) >= _QUEUE:
                    self.why_over = f"{_QUEUE} readings wait to be taken: whoever takes them is too slow"
                    return
        finally:
            self._over = True
            self._news.set()

    async def next(self) -> list[Reading]:
        """Return what has come, once something has; nothing if nothing will."""
        if not self._readings and not self._over:
            self._news.clear()
            await self._news.wait()
        readings, self._readings = self._readings, []
        return readings


def _node_id(name: str) -> Any:
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
