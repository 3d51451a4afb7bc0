from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.field.mqtt.edge import EdgeNode
from steward.cases.grid.field.mqtt.host import SparkplugHost
from steward.cases.grid.field.mqtt.sparkplug import Metric, Payload, Topic, Type, Verb
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.errors import ContractError

NOON = datetime(2018, 1, 1, 12, tzinfo=UTC)
LOAD, SOC = Point("es.feeder-1", "load_mw"), Point("es.battery", "soc_mwh")
SECOND = timedelta(seconds=1)
Sent = tuple[str, bytes]


def at(second: int, *points: Point, value: float | None = None) -> list[Reading]:
    time = NOON + second * SECOND
    said = float(second) if value is None else value
    return [point.reading(said, source_time=time, server_time=time, now=time) for point in points]


class Pair:
    """A node, and a host that hears it."""

    def __init__(self) -> None:
        self.node, self.host = EdgeNode("grid", "es"), SparkplugHost("grid")
        self.node.connect()

    def born(self) -> Pair:
        self.hear(self.node.birth(at(0, LOAD, SOC), now=NOON))
        return self

    def data(self, second: int) -> Sent:
        return self.node.data(at(second, LOAD), now=NOON + second * SECOND)

    def hear(self, *sent: Sent, second: int = 0) -> list[float | None]:
        self.asked: list[Sent] = []
        heard: list[float | None] = []
        for topic, payload in sent:
            said = self.host.hear(topic, payload, now=NOON + second * SECOND)
            heard += [reading.value for reading in said.readings]
            self.asked += [said.rebirth] if said.rebirth else []
        return heard


def test_a_birth_names_what_data_say_by_alias() -> None:
    pair = Pair()
    assert pair.hear(pair.node.birth(at(0, LOAD, SOC), now=NOON)) == [0.0, 0.0]
    assert pair.hear(*(pair.data(second) for second in range(1, 600))) == list(range(1, 600))
    assert pair.asked == []


@given(st.permutations(list(range(1, 9))), st.lists(st.integers(0, 7), max_size=6))
def test_messages_that_come_out_of_order_and_twice_are_read_once_and_in_order(
    order: list[int], twice: list[int]
) -> None:
    pair = Pair().born()
    sent = [pair.data(second) for second in range(1, 9)]
    shuffled = [sent[n - 1] for n in order]
    for n in twice:
        shuffled.insert(n, shuffled[n])
    assert pair.hear(*shuffled) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert pair.asked == []


def test_a_message_that_never_comes_is_waited_for_a_while_and_then_asked_for() -> None:
    pair = Pair().born()
    pair.data(1)
    assert pair.hear(pair.data(2), second=2) == []
    assert pair.asked == []
    assert pair.hear(pair.data(3), second=5) == []
    ((topic, payload),) = pair.asked
    assert topic == pair.node.commands
    assert pair.node.wants_rebirth(payload)
    assert pair.hear(pair.data(4), second=6) == []
    assert pair.asked == []  # once is enough
    assert pair.hear(pair.node.birth(at(7, LOAD, SOC), now=NOON)) == [7.0, 7.0]
    assert pair.hear(pair.data(8)) == [8.0]


def test_a_message_far_ahead_is_not_waited_for() -> None:
    pair = Pair().born()
    sent = [pair.data(second) for second in range(1, 30)]
    assert pair.hear(sent[-1]) == []
    assert len(pair.asked) == 1


def test_data_without_a_birth_ask_for_one() -> None:
    pair = Pair()
    pair.node.birth(at(0, LOAD, SOC), now=NOON)
    assert pair.hear(pair.data(1)) == []
    assert len(pair.asked) == 1


def test_an_alias_that_nobody_named_asks_for_a_birth() -> None:
    pair = Pair().born()
    unknown = Payload(timestamp_ms=1, seq=1, metrics=(Metric(alias=99, value=1.0),))
    assert pair.hear((Topic("grid", Verb.NDATA, "es").text, unknown.encode())) == []
    assert len(pair.asked) == 1


def test_after_a_lost_connection_nothing_is_believed_without_a_birth() -> None:
    pair = Pair().born()
    pair.host.lost_touch()
    assert pair.hear(pair.data(1)) == []
    assert len(pair.asked) == 1


def test_a_death_makes_every_point_bad_unless_it_is_of_an_earlier_life() -> None:
    pair = Pair().born()
    first_death = pair.node.death()
    pair.node.connect()
    pair.hear(pair.node.birth(at(1, LOAD, SOC), now=NOON))
    assert pair.hear(first_death) == []
    assert pair.hear(pair.data(2)) == [2.0]
    said = pair.host.hear(*pair.node.death(), now=NOON + 3 * SECOND)
    assert {Point.of(reading) for reading in said.readings} == {LOAD, SOC}
    assert {(reading.value, reading.quality) for reading in said.readings} == {(None, Quality.BAD)}
    assert pair.hear(pair.node.death()) == []


def test_the_same_birth_twice_is_one_birth() -> None:
    pair = Pair()
    birth = pair.node.birth(at(0, LOAD), now=NOON)
    assert pair.hear(birth, birth) == [0.0]
    assert pair.hear(pair.data(1)) == [1.0]


def test_devices_are_born_and_die_on_their_own() -> None:
    pair = Pair().born()

    def device(verb: Verb, seq: int, *metrics: Metric) -> Sent:
        payload = Payload(timestamp_ms=1, seq=seq, metrics=metrics)
        return Topic("grid", verb, "es", "meter").text, payload.encode()

    named = Metric(name="es.meter/power_mw", alias=1, type=Type.DOUBLE, value=1.0)
    assert pair.hear(device(Verb.DBIRTH, 1, named)) == [1.0]
    assert pair.hear(device(Verb.DDATA, 2, Metric(alias=1, value=2.0))) == [2.0]
    assert pair.hear(device(Verb.DDEATH, 3)) == [None]
    assert pair.hear(
        (Topic("grid", Verb.NDATA, "es").text, Payload(seq=4, metrics=(Metric(alias=1, value=5.0),)).encode())
    ) == [5.0]


def test_quality_and_what_is_no_number_come_through() -> None:
    pair = Pair()
    metrics = (
        Metric(name="f/a", alias=1, timestamp_ms=2**62, value="x" * 100_000),
        Metric(name="f/b", alias=2, timestamp_ms=1, value=float("nan")),
        Metric(name="f/c", alias=3, timestamp_ms=1, value=1.5, quality=Quality.UNCERTAIN),
        Metric(name="f/d", alias=4, value=1.5),
        Metric(name="no point", alias=5, value=1.5),
        Metric(name=f"f/{'x' * 65}", alias=6, value=1.5),
    )
    payload = Payload(timestamp_ms=1000, seq=0, metrics=metrics)
    said = pair.host.hear(Topic("grid", Verb.NBIRTH, "es").text, payload.encode(), now=NOON)
    told = {reading.reading_type: (reading.value, reading.quality) for reading in said.readings}
    assert told == {
        "a": (None, Quality.BAD),
        "b": (None, Quality.BAD),
        "c": (1.5, Quality.UNCERTAIN),
        "d": (1.5, Quality.UNCERTAIN),
    }


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("spBv1.0/other/NDATA/es", Payload(seq=1)),
        ("steward/es/f/load_mw", Payload(seq=1)),
        ("spBv1.0/grid/NDATA/es", Payload()),
    ],
)
def test_what_belongs_elsewhere_is_refused(topic: str, payload: Payload) -> None:
    pair = Pair().born()
    with pytest.raises(ContractError):
        pair.host.hear(topic, payload.encode(), now=NOON)
    assert pair.hear(pair.data(1)) == [1.0]


def test_lives_are_numbered_round() -> None:
    node = EdgeNode("grid", "es")

    def lives() -> set[bytes]:
        node.connect()
        return {node.death()[1]}

    assert len(set.union(*islice(iter(lives, None), 256))) == 256
