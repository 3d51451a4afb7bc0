"""An edge node of Sparkplug B: what a plant says of its birth, its data and its death."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from steward.cases.grid.field.mqtt.sparkplug import Metric, Payload, Topic, Type, Verb
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Reading
from steward.clock import EPOCH

REBIRTH: Final = "Node Control/Rebirth"
BIRTH_DEATH: Final = "bdSeq"
_MILLISECOND = timedelta(milliseconds=1)
_ROUND = 256


class EdgeNode:
    """Makes the messages of one node; whoever sends them keeps their order.

    Args:
        group: The group of nodes.
        node: Its name.

    Example:
        >>> node = EdgeNode("grid", "es")
        >>> noon = datetime.fromisoformat("2018-01-01T12:00:00Z")
        >>> node.connect()
        >>> topic, payload = node.birth((), now=noon)
        >>> topic, Payload.decode(payload).seq
        ('spBv1.0/grid/NBIRTH/es', 0)
    """

    def __init__(self, group: str, node: str) -> None:
        self.group, self.node = group, node
        self._life, self._seq = -1, 0
        self._aliases: dict[Point, int] = {}

    @property
    def commands(self) -> str:
        """The topic of commands to this node."""
        return self._topic(Verb.NCMD)

    def connect(self) -> None:
        """Begin a life: the next birth and death share a number that no other life of the last 256 has."""
        self._life = (self._life + 1) % _ROUND

    def death(self) -> tuple[str, bytes]:
        """Return what the broker shall say once this life is over: the will of the connection."""
        return self._topic(Verb.NDEATH), Payload(metrics=(self._life_metric(),)).encode()

    def birth(self, readings: Sequence[Reading], *, now: datetime) -> tuple[str, bytes]:
        """Say everything anew, with the names that the aliases stand for."""
        self._seq = 0
        self._aliases = {Point.of(reading): alias for alias, reading in enumerate(readings, 1)}
        rebirth = Metric(name=REBIRTH, timestamp_ms=milliseconds(now), type=Type.BOOLEAN, value=False)
        metrics = (self._life_metric(), rebirth, *(self._metric(reading, named=True) for reading in readings))
        return self._message(Verb.NBIRTH, metrics, now)

    def data(self, readings: Sequence[Reading], *, now: datetime) -> tuple[str, bytes]:
        """Say what changed, by alias."""
        return self._message(Verb.NDATA, tuple(self._metric(reading, named=False) for reading in readings), now)

    def wants_rebirth(self, payload: bytes) -> bool:
        """Return whether a command asks for a birth.

        Raises:
            ContractError: It is no payload.
        """
        return any(metric.name == REBIRTH and metric.value is True for metric in Payload.decode(payload).metrics)

    def _message(self, verb: Verb, metrics: tuple[Metric, ...], now: datetime) -> tuple[str, bytes]:
        payload = Payload(timestamp_ms=milliseconds(now), seq=self._seq, metrics=metrics)
        self._seq = (self._seq + 1) % _ROUND
        return self._topic(verb), payload.encode()

    def _metric(self, reading: Reading, *, named: bool) -> Metric:
        point = Point.of(reading)
        return Metric(
            name=point.name if named else None,
            alias=self._aliases[point],
            timestamp_ms=milliseconds(reading.source_time),
            type=Type.DOUBLE if named else None,
            value=reading.value,
            quality=reading.quality,
        )

    def _life_metric(self) -> Metric:
        return Metric(name=BIRTH_DEATH, type=Type.INT64, value=self._life)

    def _topic(self, verb: Verb) -> str:
        return Topic(self.group, verb, self.node).text


def milliseconds(at: datetime) -> int:
    """Return a time as milliseconds since 1970.

    Example:
        >>> milliseconds(datetime.fromisoformat("1970-01-01T00:00:01.5Z"))
        1500
    """
    return (at - EPOCH) // _MILLISECOND
