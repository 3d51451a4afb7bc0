"""A host application of Sparkplug B: makes readings of what nodes say, in order, and asks for a birth where it must."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from steward.cases.grid.field.mqtt.edge import BIRTH_DEATH, REBIRTH
from steward.cases.grid.field.mqtt.sparkplug import Metric, Payload, Topic, Type, Verb
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.clock import EPOCH
from steward.errors import ContractError

_MOST_WAITING = 16
_PATIENCE = timedelta(seconds=2)
_ROUND = 256
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Said:
    """What a message amounts to.

    Attributes:
        readings: In the order in which they were said.
        rebirth: The command to send, if the node must say everything anew: a topic and a payload.

    Example:
        >>> Said().rebirth is None
        True
    """

    readings: tuple[Reading, ...] = ()
    rebirth: tuple[str, bytes] | None = None


@dataclass
class _Node:
    """What is known of a node between its birth and its death."""

    alive: bool = False
    asked: bool = False
    life: int | None = None
    expected: int = 0
    names: dict[tuple[str | None, int], str] = field(default_factory=dict)
    points: dict[str | None, set[Point]] = field(default_factory=dict)
    waiting: dict[int, tuple[Topic, Payload]] = field(default_factory=dict)
    waiting_since: datetime | None = None


class SparkplugHost:
    """Follows the nodes of a group.

    Messages of a node are numbered, 0 to 255 and round. One that came before is passed over. One that is ahead waits
    for those before it; when it has waited too long or too many wait, or a message needs a birth that never came, the
    node is asked for a birth, once. When a node or device dies, each of its points becomes bad, without a value.

    Args:
        group: Whose nodes.
        patience: How long messages wait for one before them.

    Example:
        >>> from steward.cases.grid.field.mqtt.edge import EdgeNode
        >>> noon = datetime.fromisoformat("2018-01-01T12:00:00Z")
        >>> load = Point("es.feeder-1", "load_mw").reading(4.2, source_time=noon, server_time=noon, now=noon)
        >>> node, host = EdgeNode("grid", "es"), SparkplugHost("grid")
        >>> node.connect()
        >>> host.hear(*node.birth([load], now=noon), now=noon).readings == (load,)
        True
    """

    def __init__(self, group: str, *, patience: timedelta = _PATIENCE) -> None:
        self.group, self._patience = group, patience
        self._nodes: dict[str, _Node] = {}

    def hear(self, topic: str, payload: bytes, *, now: datetime) -> Said:
        """Take a message as it came.

        Raises:
            ContractError: It is none of Sparkplug B, or of another group; nothing has changed.
        """
        to, said = Topic.of(topic), Payload.decode(payload)
        if to.group != self.group:
            raise ContractError(f"{to.group!r} is another group", field="topic")
        node = self._nodes.setdefault(to.node, _Node())
        if to.verb is Verb.NDEATH:
            return self._bury(node, said, now)
        if to.verb in {Verb.NCMD, Verb.DCMD}:
            return Said()
        if said.seq is None:
            raise ContractError(f"a message of {to.node} has no number", field="seq")
        if to.verb is Verb.NBIRTH:
            return Said(self._bear(node, to, said, now))
        if not node.alive:
            return self._ask(node, to, now)
        return self._in_order(node, to, said, now)

    def lost_touch(self) -> None:
        """Forget every node's state, as messages may have gone by: each is asked for a birth by what it says next."""
        for node in self._nodes.values():
            node.alive, node.asked = False, False

    def _in_order(self, node: _Node, to: Topic, said: Payload, now: datetime) -> Said:
        """Read a message if it is its turn, and all that waited for it."""
        number = said.seq or 0
        ahead = (number - node.expected) % _ROUND
        if ahead >= _ROUND - _MOST_WAITING:
            return Said()  # It came before: at least once is also twice.
        node.waiting[number] = (to, said)
        if ahead > _MOST_WAITING or len(node.waiting) > _MOST_WAITING:
            return self._ask(node, to, now)
        readings: list[Reading] = []
        while (next_one := node.waiting.pop(node.expected, None)) is not None:
            node.expected = (node.expected + 1) % _ROUND
            topic, payload = next_one
            if topic.verb is Verb.DDEATH:
                readings += self._silence(node, topic.device, now)
            else:
                if topic.verb is Verb.DBIRTH:
                    self._learn(node, topic.device, payload)
                made = self._readings(node, topic.device, payload, now)
                if made is None:
                    return Said(tuple(readings), self._ask(node, to, now).rebirth)
                readings += made
        node.waiting_since = (node.waiting_since or now) if node.waiting else None
        if node.waiting_since is not None and now - node.waiting_since > self._patience:
            return Said(tuple(readings), self._ask(node, to, now).rebirth)
        return Said(tuple(readings))

    def _bear(self, node: _Node, to: Topic, said: Payload, now: datetime) -> tuple[Reading, ...]:
        lives = [metric.value for metric in said.metrics if metric.name == BIRTH_DEATH]
        life = lives[0] if lives and isinstance(lives[0], int) else None
        if node.alive and said.seq == 0 and life == node.life and node.expected == 1 and not node.waiting:
            return ()  # The same birth, a second time.
        node.alive, node.asked, node.life = True, False, life
        node.names, node.points, node.waiting, node.waiting_since = {}, {}, {}, None
        node.expected = ((said.seq or 0) + 1) % _ROUND
        self._learn(node, None, said)
        return tuple(self._readings(node, None, said, now) or ())

    def _bury(self, node: _Node, said: Payload, now: datetime) -> Said:
        """Let a node die, unless the death is one of an earlier life that comes late."""
        lives = [metric.value for metric in said.metrics if metric.name == BIRTH_DEATH]
        if not node.alive or (lives and lives[0] != node.life):
            return Said()
        node.alive = False
        return Said(tuple(reading for device in list(node.points) for reading in self._silence(node, device, now)))

    def _silence(self, node: _Node, device: str | None, now: datetime) -> list[Reading]:
        points = sorted(node.points.pop(device, ()))
        return [point.reading(None, quality=Quality.BAD, source_time=now, server_time=now, now=now) for point in points]

    def _learn(self, node: _Node, device: str | None, birth: Payload) -> None:
        for metric in birth.metrics:
            if metric.alias is not None and metric.name is not None:
                node.names[device, metric.alias] = metric.name

    def _readings(self, node: _Node, device: str | None, said: Payload, now: datetime) -> list[Reading] | None:
        """Return a message's readings, or nothing if it needs a birth that did not come."""
        readings = []
        for metric in said.metrics:
            name = metric.name or node.names.get((device, metric.alias if metric.alias is not None else -1))
            if name is None:
                return None
            if (point := _point(name)) is not None:
                node.points.setdefault(device, set()).add(point)
                readings.append(_reading(point, metric, said, now))
        return readings

    def _ask(self, node: _Node, to: Topic, now: datetime) -> Said:
        """Ask a node for its birth; until then nothing that it says can be used."""
        node.alive, node.waiting, node.waiting_since = False, {}, None
        if node.asked:
            return Said()
        node.asked = True
        command = Payload(
            timestamp_ms=(now - EPOCH) // timedelta(milliseconds=1),
            metrics=(Metric(name=REBIRTH, type=Type.BOOLEAN, value=True),),
        )
        return Said(rebirth=(Topic(to.group, Verb.NCMD, to.node).text, command.encode()))


def _point(name: str) -> Point | None:
    """Return the point that a metric's name stands for; others than points have other names."""
    mrid, slash, reading_type = name.rpartition("/")
    if not slash or not mrid or not reading_type or max(len(mrid), len(reading_type)) > _LONGEST_NAME:
        return None
    return None if mrid.startswith("Node Control") else Point(mrid, reading_type)


def _reading(point: Point, metric: Metric, said: Payload, now: datetime) -> Reading:
    return point.reading(
        metric.value,
        quality=metric.quality,
        source_time=_time(metric.timestamp_ms),
        server_time=_time(said.timestamp_ms),
        now=now,
    )


def _time(since_1970_ms: int | None) -> datetime | None:
    """Return a time; none where the number is no time that the calendar knows."""
    try:
        return None if since_1970_ms is None else EPOCH + timedelta(milliseconds=since_1970_ms)
    except OverflowError:
        return None
