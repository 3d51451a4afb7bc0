"""A small broker for a plant on this machine; a real one is Mosquitto, EMQX or what the utility has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steward.cases.grid.field.lazily import quiet
from steward.errors import EngineError


class LocalBroker:
    """Carries messages between clients of this machine.

    It is written in Python (amqtt), keeps nothing on disk, and is meant for demonstrations and tests.

    Args:
        host: Where to listen.
        port: 0 takes a free one.

    Raises:
        EngineError: At :meth:`start`, if amqtt is not installed, or it cannot listen there.

    Example:
        >>> async def serve(broker: LocalBroker) -> None:
        ...     await broker.start()
        ...     print(broker.port)
        ...     await broker.stop()
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 1883) -> None:
        self._host, self._port = host, port
        self._broker: Any = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    async def start(self) -> None:
        """Listen."""
        try:
            from amqtt.broker import Broker  # noqa: PLC0415 - only where a broker is wanted
        except ImportError as error:
            raise EngineError(
                "there is no broker in this installation",
                fix="pip install amqtt, or name a broker that runs",
                code="mqtt-no-broker",
            ) from error
        quiet("amqtt", "transitions")
        settings: Mapping[str, Any] = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self._host}:{self._port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        self._broker = Broker(dict(settings))
        try:
            await self._broker.start()
        except Exception as error:
            raise EngineError(f"cannot listen on {self._host}:{self._port}", why=str(error)) from error
        if self._port == 0:
            (listening,) = self._broker._servers.values()
            self._port = listening.instance.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close every connection and listen no more."""
        if self._broker is not None:
            await self._broker.shutdown()
            self._broker = None
