"""MQTT clients: one that hears readings, as JSON or Sparkplug B, and one that says a plant's."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from msgspec import DecodeError, json

from steward.cases.grid.field.lazily import lazily
from steward.cases.grid.field.mqtt.edge import EdgeNode
from steward.cases.grid.field.mqtt.host import SparkplugHost
from steward.cases.grid.field.mqtt.sparkplug import LARGEST_PAYLOAD_BYTES
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Reading
from steward.cases.grid.field.source import PATIENT, Backoff, Connection, Gap, Source, Take, unheard
from steward.clock import Clock
from steward.errors import ContractError, Denied, EngineError

if TYPE_CHECKING:
    import aiomqtt
    from aiomqtt import exceptions
else:
    aiomqtt, exceptions = lazily("aiomqtt"), lazily("aiomqtt.exceptions")

AT_LEAST_ONCE: Final = 1
_MOST_AT_ONCE = 500
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
_BAD_LOGIN = {134, 135}
"""Wrong user or password, and not authorised, as MQTT 5 numbers them; the library translates older answers."""
_decoder = json.Decoder(Reading)


@dataclass(frozen=True, kw_only=True)
class Broker:
    """Where a broker is, and how to log in.

    Args:
        host: Its name.
        port: Usually 1883, and 8883 with TLS.
        user: Who logs in, if it asks for that.
        password: Their password.
        authority: The certificate (PEM) that vouches for it; without it nothing is encrypted.

    Raises:
        ContractError: A password would cross a network unencrypted.

    Example:
        >>> Broker(host="127.0.0.1").address
        '127.0.0.1:1883'
    """

    host: str
    port: int = 1883
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    authority: Path | None = None

    def __post_init__(self) -> None:
        """Refuse to tell everybody a password."""
        if self.password is not None and self.authority is None and self.host not in _THIS_MACHINE:
            raise ContractError(
                f"the password for {self.host} would cross the network unencrypted",
                fix="give the certificate that vouches for the broker",
                field="authority",
            )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    def client(self, identifier: str, **options: Any) -> aiomqtt.Client:
        """Return a client of it that is known by a name."""
        tls = None if self.authority is None else ssl.create_default_context(cafile=self.authority)
        return aiomqtt.Client(
            self.host,
            self.port,
            identifier=identifier,
            username=self.user,
            password=self.password,
            tls_context=tls,
            **options,
        )


class MqttSource(Source):
    """Hears the readings of sites, at least once.

    The broker keeps what comes while nobody listens, as it knows the client by its name. A message is acknowledged once
    its readings were taken. What is no message is passed over and told: it must not keep others from being heard.

    Args:
        broker: Where.
        take: Takes readings. The same may come twice, and an older one after a newer one.
        identifier: The name by which the broker knows this client; two with one name throw each other out.
        site: Whose JSON is heard; ``+`` is everybody's.
        group: Whose Sparkplug B is heard; ``None`` is nobody's.
        clock: For times and waits.
        on_gap: Is told when the connection is lost, and when readings come again.
        on_refused: Is told of each message that is none, with its topic.
        backoff: How long to wait before another try to connect.

    Example:
        >>> async def watch(source: MqttSource) -> None:
        ...     async with source.running():
        ...         await forever
    """

    def __init__(
        self,
        broker: Broker,
        take: Take,
        *,
        identifier: str,
        clock: Clock,
        site: str | None = "+",
        group: str | None = None,
        on_gap: Callable[[Gap], None] = unheard,
        on_refused: Callable[[str, ContractError], None] = lambda topic, error: None,
        backoff: Backoff = PATIENT,
    ) -> None:
        super().__init__(broker.address, take, clock=clock, on_gap=on_gap, backoff=backoff)
        self._broker, self._identifier, self._on_refused = broker, identifier, on_refused
        self._host = None if group is None else SparkplugHost(group)
        self._topics = [f"steward/{site}/#"] if site is not None else []
        self._topics += [f"spBv1.0/{group}/#"] if group is not None else []

    async def _listen(self) -> NoReturn:
        client = self._broker.client(self._identifier, clean_session=False)
        # The library acknowledges before anybody has seen a message; this one waits until it is kept.
        client._client.manual_ack_set(True)
        if self._host is not None:
            self._host.lost_touch()
        with _told(self.address):
            async with client:
                for topic in self._topics:
                    await client.subscribe(topic, qos=AT_LEAST_ONCE)
                self._up()
                async for messages in _batches(client):
                    await self._take_all(client, messages)
        raise self._lost("mqtt-unreachable")

    async def _take_all(self, client: aiomqtt.Client, messages: Sequence[aiomqtt.Message]) -> None:
        readings: list[Reading] = []
        rebirths = []
        for message in messages:
            try:
                said, rebirth = self._read(message.topic.value, message.payload)
            except ContractError as error:
                self._on_refused(message.topic.value, error)
                continue
            readings += said
            rebirths += [rebirth] if rebirth else []
        if readings:
            await self._heard(readings)
        for message in messages:
            client._client.ack(message.mid, message.qos)
        for topic, payload in rebirths:
            await client.publish(topic, payload)

    def _read(self, topic: str, data: bytes) -> tuple[Sequence[Reading], tuple[str, bytes] | None]:
        if self._host is not None and topic.startswith("spBv1.0/"):
            said = self._host.hear(topic, data, now=self._clock.now())
            return said.readings, said.rebirth
        return (reading_of(topic, data),), None


class MqttPlant(Connection):
    """Says a plant's readings: each as JSON under its own topic, and all of them as a node of Sparkplug B.

    Args:
        broker: Where.
        site: Whose.
        clock: For waits.
        now: The time in the plant's world, for its births.
        last: Returns what every point says now, for births.
        group: The group of the node; the node is the site.
        backoff: How long to wait before another try to connect.

    Example:
        >>> async def serve(connection: MqttPlant, plant: FieldPlant) -> None:
        ...     async with connection.running():
        ...         await connection.publish(plant.readings(), now=plant.now)
    """

    def __init__(
        self,
        broker: Broker,
        site: str,
        *,
        clock: Clock,
        now: Callable[[], datetime],
        last: Callable[[], Sequence[Reading]],
        group: str = "grid",
        backoff: Backoff = PATIENT,
    ) -> None:
        super().__init__(broker.address, clock=clock, backoff=backoff)
        self._broker, self._site, self._now, self._last = broker, site, now, last
        self._node = EdgeNode(group, site)
        self._client: aiomqtt.Client | None = None

    async def publish(self, readings: Sequence[Reading]) -> None:
        """Say readings both ways.

        Raises:
            EngineError: There is no connection; a birth says the newest once there is one again.
        """
        await self.publish_json(readings)
        await self.publish_sparkplug(readings)

    async def publish_json(self, readings: Sequence[Reading]) -> None:
        """Say readings as JSON, each under its own topic and acknowledged.

        Raises:
            EngineError: As :meth:`publish`.
        """
        client = self._open_client()
        with _told(self.address):
            for reading in readings:
                topic = topic_of(self._site, Point.of(reading))
                await client.publish(topic, json.encode(reading), qos=AT_LEAST_ONCE)

    async def publish_sparkplug(self, readings: Sequence[Reading]) -> None:
        """Say readings as data of a node of Sparkplug B, in one message.

        Raises:
            EngineError: As :meth:`publish`.
        """
        client = self._open_client()
        with _told(self.address):
            await client.publish(*self._node.data(readings, now=self._now()))

    def _open_client(self) -> aiomqtt.Client:
        if self._client is None or not self.is_connected:
            raise self._lost("mqtt-unreachable")
        return self._client

    async def _listen(self) -> NoReturn:
        self._node.connect()
        topic, payload = self._node.death()
        will = aiomqtt.Will(topic, payload, qos=AT_LEAST_ONCE)
        with _told(self.address):
            async with self._broker.client(f"plant-{self._site}", will=will) as client:
                await client.subscribe(self._node.commands, qos=AT_LEAST_ONCE)
                await self._bear(client)
                self._client = client
                self._up()
                try:
                    async for message in client.messages:
                        if self._wants_rebirth(message.payload):
                            await self._bear(client)
                finally:
                    self._client = None
                    await self._say_goodbye(client, topic, payload)
        raise self._lost("mqtt-unreachable")

    async def _bear(self, client: aiomqtt.Client) -> None:
        await client.publish(*self._node.birth(self._last(), now=self._now()))

    async def _say_goodbye(self, client: aiomqtt.Client, topic: str, payload: bytes) -> None:
        """Say the death oneself: a connection that ends in order has no will."""
        if not client._disconnected.done():
            await client.publish(topic, payload, qos=AT_LEAST_ONCE)

    def _wants_rebirth(self, payload: bytes) -> bool:
        try:
            return self._node.wants_rebirth(payload)
        except ContractError:
            return False


def topic_of(site: str, point: Point) -> str:
    """Return the topic of a point's JSON.

    Example:
        >>> topic_of("es", Point("es.battery", "soc_mwh"))
        'steward/es/es.battery/soc_mwh'
    """
    return f"steward/{site}/{point.name}"


def reading_of(topic: str, payload: bytes) -> Reading:
    """Read a reading from JSON.

    Raises:
        ContractError: It is none, or of another point than its topic says.

    Example:
        >>> noon = "2018-01-01T12:00:00Z"
        >>> said = f'{{"mrid":"f1","reading_type":"load_mw","value":4.2,"quality":"good",'
        >>> said += f'"source_time":"{noon}","server_time":"{noon}"}}'
        >>> reading_of("steward/es/f1/load_mw", said.encode()).value
        4.2
    """
    if len(payload) > LARGEST_PAYLOAD_BYTES:
        raise ContractError(f"a reading of {len(payload)} bytes is too large", field="payload")
    try:
        reading = _decoder.decode(payload)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError("this is no reading", why=str(error), field="payload") from error
    if not topic.endswith(f"/{reading.mrid}/{reading.reading_type}"):
        raise ContractError(f"a reading of {Point.of(reading).name} came under the topic {topic[:200]!r}", field="mrid")
    return reading


async def _batches(client: aiomqtt.Client) -> AsyncIterator[list[aiomqtt.Message]]:
    """Yield what has come, once something has."""
    messages = client.messages
    async for first in messages:
        batch = [first]
        while len(messages) and len(batch) < _MOST_AT_ONCE:
            batch.append(await anext(messages))
        yield batch


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Turn what the library raises into errors that say who must act."""
    try:
        yield
    except exceptions.MqttConnectError as error:
        if getattr(error.rc, "value", None) in _BAD_LOGIN:
            raise Denied(
                f"{address} does not let this user in", why=str(error), fix="check user and password"
            ) from error
        raise EngineError(f"{address} refuses", why=str(error), retryable=True, code="mqtt-unreachable") from error
    except (aiomqtt.MqttError, OSError) as error:
        raise EngineError(f"{address} is lost", why=str(error), retryable=True, code="mqtt-unreachable") from error
