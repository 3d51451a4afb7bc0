"""Webhooks as actions: equal for each try, signed, told apart by what the receiver answers, and secrets stay secret."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.downstream.receiver import Receiver, answer

from steward import Action, Choice, Decision, Event, Features, Prediction, Receipt, Risk, Steps
from steward.access.tokens import Secret
from steward.bus.cloudevents import decode_structured
from steward.clock import VirtualClock
from steward.decision.action import Call
from steward.downstream.signature import FromEnvironment
from steward.downstream.webhook import ReadBack, Webhook
from steward.errors import DeclarationError, EngineError

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))
SECRET = Secret("whsec_" + b64encode(KEY).decode())
CALL = Call(
    decision_id=UUID(int=7),
    decision="grid.dispatch",
    key="grid.dispatch/7",
    features=Features(),
    decided_at=NOW - timedelta(seconds=3),
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
)


class Setpoint(msgspec.Struct, frozen=True):
    power_mw: float


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.open()
    yield receiver
    await receiver.close()


def settings(receiver: Receiver) -> dict[str, Any]:
    return {"secret": SECRET, "allow": ("127.0.0.1",), "ports": (receiver.port,), "clock": VirtualClock(NOW)}


def webhook(receiver: Receiver, **more: Any) -> Webhook:
    return Webhook(f"http://127.0.0.1:{receiver.port}/setpoints", **{**settings(receiver), **more})


def read_back(receiver: Receiver) -> ReadBack:
    return ReadBack(f"http://127.0.0.1:{receiver.port}/setpoints/{{key}}", **settings(receiver))


async def test_the_request_is_a_signed_cloud_event_under_its_key(receiver: Receiver) -> None:
    await webhook(receiver)(Setpoint(4.0), replace(CALL, deadline=NOW + timedelta(seconds=5.9)))
    asked = receiver.asked[0]
    event = decode_structured(asked.body, known_at=NOW)
    assert (event.topic, event.id, event.event_time) == ("grid.dispatch.do", "grid.dispatch/7", CALL.decided_at)
    assert msgspec.json.decode(event.data) == {
        "decision_id": str(UUID(int=7)),
        "decision": "grid.dispatch",
        "key": "grid.dispatch/7",
        "decided_at": "2026-01-01T11:59:57Z",
        "choice": {"power_mw": 4.0},
    }
    assert asked.line == "POST /setpoints HTTP/1.1"
    assert asked.headers["content-type"] == "application/cloudevents+json"
    assert asked.headers["idempotency-key"] == '"grid.dispatch/7"'
    assert asked.headers["prefer"] == "wait=5"
    assert asked.headers["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert event.trace == asked.headers["traceparent"]
    signed = f"{asked.headers['webhook-id']}.{int(NOW.timestamp())}.".encode() + asked.body
    expected = "v1," + b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    assert asked.headers["webhook-signature"] == expected


async def test_every_try_of_one_effect_is_equal_but_for_the_time_of_the_try(receiver: Receiver) -> None:
    clock = VirtualClock(NOW)
    send = webhook(receiver, clock=clock)
    await send(Setpoint(4.0), CALL)
    clock.advance(timedelta(seconds=30))
    await send(Setpoint(4.0), replace(CALL, attempt=2, deadline=NOW + timedelta(minutes=1)))
    await send(Setpoint(4.0), replace(CALL, key="grid.dispatch/8"))
    first, second, other = receiver.asked
    assert first.body == second.body != other.body
    for name in ("idempotency-key", "webhook-id", "traceparent"):
        assert first.headers[name] == second.headers[name] != other.headers[name]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]


@pytest.mark.parametrize("trace_id", [None, "", "0" * 32, "not a trace", "4bf92f3577b34da6a3ce929d0e0e4736\r\nx: y"])
async def test_what_is_no_trace_is_left_out(receiver: Receiver, trace_id: str | None) -> None:
    await webhook(receiver)(Setpoint(4.0), replace(CALL, trace_id=trace_id))
    assert "traceparent" not in receiver.asked[0].headers


async def test_the_trace_of_an_event_of_the_bus_goes_on(receiver: Receiver) -> None:
    whole = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await webhook(receiver)(Setpoint(4.0), replace(CALL, trace_id=whole))
    assert receiver.asked[0].headers["traceparent"].split("-")[1] == whole.split("-")[1]
    assert "00f067aa0ba902b7" not in receiver.asked[0].headers["traceparent"]  # this call is a span of its own


async def test_what_is_taken_back_says_so(receiver: Receiver) -> None:
    call = replace(CALL, key="grid.dispatch/7/undo", undoes="grid.dispatch/7", results={"open": {"reference": "b7"}})
    await webhook(receiver)(Setpoint(4.0), call)
    event = decode_structured(receiver.asked[0].body, known_at=NOW)
    data = msgspec.json.decode(event.data)
    assert event.topic == "grid.dispatch.undo"
    assert (data["key"], data["undoes"]) == ("grid.dispatch/7/undo", "grid.dispatch/7")
    assert data["results"] == {"open": {"reference": "b7"}}


JSON = {"Content_Type": "application/json"}


@pytest.mark.parametrize(
    ("said", "reference"),
    [
        (answer(204), "grid.dispatch/7"),
        (answer(201, Location="/setpoints/9"), "/setpoints/9"),
        (answer(200, b'{"reference": "sp-9"}', **JSON), "sp-9"),
        (answer(200, b'{"reference": 9}', Content_Type="application/hal+json; charset=utf-8"), "9"),
        (answer(202, b"{}", **JSON), "grid.dispatch/7"),
        (answer(200, b'{"reference": true}', **JSON), "grid.dispatch/7"),
        (answer(200, b"[1]", **JSON), "grid.dispatch/7"),
    ],
)
async def test_a_2xx_is_a_receipt(receiver: Receiver, said: bytes, reference: str) -> None:
    receiver.says = lambda asked: said
    receipt = await webhook(receiver)(Setpoint(4.0), CALL)
    assert receipt == Receipt(reference=reference, detail={"status": said[9:12].decode()})


async def test_the_reference_may_lie_deeper(receiver: Receiver) -> None:
    receiver.says = lambda asked: answer(200, b'{"data": {"id": "x1"}}', **JSON)
    assert (await webhook(receiver, reference="data.id")(Setpoint(4.0), CALL)).reference == "x1"


@pytest.mark.parametrize(
    "said",
    [
        answer(200, b"<html>Please sign in</html>", Content_Type="text/html"),
        answer(200, b"{}"),
        answer(200, b"{nonsense", **JSON),
        answer(200, b'{"reference": "a", "reference": "b"}', **JSON),
        answer(200, b'{"reference": "' + b"a" * 300 + b'"}', **JSON),
    ],
)
async def test_a_2xx_that_says_something_else_is_no_receipt(receiver: Receiver, said: bytes) -> None:
    receiver.says = lambda asked: said
    with pytest.raises(EngineError) as caught:
        await webhook(receiver)(Setpoint(4.0), CALL)
    assert (caught.value.code, caught.value.retryable) == ("answer-unreadable", True)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 410, 413, 422])
async def test_most_refusals_are_final(receiver: Receiver, status: int) -> None:
    receiver.says = lambda asked: answer(status, Location="https://evil.example/", Retry_After="7")
    with pytest.raises(EngineError) as caught:
        await webhook(receiver)(Setpoint(4.0), CALL)
    error = caught.value
    assert (error.code, error.retryable, error.held_until) == (f"http-{status}", False, None)
    assert receiver.connections == 1  # nothing was followed
    assert "evil" not in str(error)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 501, 502, 503, 504, 599])
async def test_some_refusals_pass(receiver: Receiver, status: int) -> None:
    receiver.says = lambda asked: answer(status, Retry_After="7")
    with pytest.raises(EngineError) as caught:
        await webhook(receiver)(Setpoint(4.0), CALL)
    assert caught.value.code == f"http-{status}"
    assert (caught.value.retryable, caught.value.held_until) == (True, NOW + timedelta(seconds=7))


@pytest.mark.parametrize(
    ("after", "held_s"),
    [
        (" 7 ", 7),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 11:00:00 GMT", None),
        ("999999999999999999999", 86_400),
        ("Fri, 01 Jan 2100 12:00:00 GMT", 86_400),
        ("-1", None),
        ("soon", None),
        ("\u00b2", None),
    ],
)
async def test_a_receiver_is_left_alone_as_long_as_it_asks(receiver: Receiver, after: str, held_s: int | None) -> None:
    receiver.says = lambda asked: answer(503, Retry_After=after)
    with pytest.raises(EngineError) as caught:
        await webhook(receiver)(Setpoint(4.0), CALL)
    assert caught.value.held_until == (None if held_s is None else NOW + timedelta(seconds=held_s))


async def test_what_a_problem_says_is_told_cut_and_printable(receiver: Receiver) -> None:
    problem = msgspec.json.encode({"title": "No such bus", "detail": "bus 7\x1b[31m\n" + "x" * 500})
    receiver.says = lambda asked: answer(422, problem, Content_Type="application/problem+json")
    with pytest.raises(EngineError, match=r"answered 422\. Why: No such bus: bus 7 ") as caught:
        await webhook(receiver)(Setpoint(4.0), CALL)
    assert str(caught.value).isprintable()
    assert len(caught.value.why) == 200


async def test_who_hangs_is_given_up_at_the_earlier_of_time_out_and_deadline(receiver: Receiver) -> None:
    receiver.says = lambda asked: None
    with pytest.raises(TimeoutError):
        await webhook(receiver, timeout=timedelta(milliseconds=20))(Setpoint(4.0), CALL)
    with pytest.raises(TimeoutError):
        await webhook(receiver)(Setpoint(4.0), replace(CALL, deadline=NOW + timedelta(milliseconds=20)))
    with pytest.raises(EngineError) as caught:
        await webhook(receiver)(Setpoint(4.0), replace(CALL, deadline=NOW))
    assert (caught.value.code, receiver.connections) == ("deadline-passed", 2)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (answer(200, b'{"reference": "sp-9"}', **JSON), "sp-9"),
        (answer(404), None),
        (answer(410), None),
    ],
)
async def test_an_effect_is_read_back(receiver: Receiver, said: bytes, found: str | None) -> None:
    receiver.says = lambda asked: said
    receipt = await read_back(receiver)(Setpoint(4.0), CALL)
    assert (receipt and receipt.reference) == found
    assert receiver.asked[0].line == "GET /setpoints/grid.dispatch%2F7 HTTP/1.1"
    assert receiver.asked[0].headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize(("status", "retryable"), [(401, False), (500, True), (302, False)])
async def test_what_cannot_be_read_back_is_no_no(receiver: Receiver, status: int, retryable: bool) -> None:
    receiver.says = lambda asked: answer(status)
    with pytest.raises(EngineError) as caught:
        await read_back(receiver)(Setpoint(4.0), CALL)
    assert caught.value.retryable is retryable


class Load(Event):
    load_mw: float


def hold(features: Features, prediction: Prediction[None]) -> Choice[str]:
    return Choice("hold", reasons=("always",))


def declared(**more: Any) -> Decision[Any, Any, Any]:
    send = Webhook("https://plant.example/setpoints", **more)
    look = ReadBack("https://plant.example/setpoints/{key}", **more)
    return Decision(
        name="grid.hook",
        owner="grid",
        purpose="Send a setpoint",
        risk=Risk.LOW,
        event=Load,
        policy=hold,
        action=Action(do=send, undo=send, verify=look),
    )


def test_the_secret_is_in_nothing_that_is_shown_hashed_or_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Secret("whsec_" + b64encode(bytes(32)).decode())
    one, two = declared(secret=SECRET), declared(secret=other)
    assert one.fingerprint == two.fingerprint
    assert one.action_code == two.action_code
    shown = repr(one) + repr(one.action) + msgspec.json.encode(one.description).decode()
    for secret in (SECRET.reveal(), SECRET.reveal().removeprefix("whsec_"), KEY.hex(), repr(KEY)):
        assert secret not in shown
    assert "https://plant.example/setpoints" in shown  # where it goes is part of what was declared
    monkeypatch.setenv("STEWARD_TEST_WEBHOOK", SECRET.reveal())
    assert SECRET.reveal() not in repr(declared(secret=FromEnvironment("STEWARD_TEST_WEBHOOK")).description)


def test_a_secret_that_a_function_closes_over_is_not_described() -> None:
    send = Webhook("https://plant.example/setpoints", secret=SECRET)

    async def do(choice: str, call: Call) -> Receipt:
        assert SECRET is not None
        return await send(choice, call)

    described = msgspec.json.encode(replace(declared(secret=SECRET), action=Action(do=do)).description).decode()
    assert SECRET.reveal().removeprefix("whsec_") not in described


async def test_the_secret_is_in_no_error(receiver: Receiver) -> None:
    receiver.says = lambda asked: answer(500, str(asked.headers).encode(), Content_Type="text/plain")
    with pytest.raises(EngineError) as caught:
        await webhook(receiver)(Setpoint(4.0), CALL)
    assert receiver.asked[0].headers["webhook-signature"] not in str(caught.value)
    assert SECRET.reveal() not in repr(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://plant.example/"},
        {"url": "https://user:pw@plant.example/"},
        {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        {"secret": ()},
        {"timeout": timedelta(0)},
        {"allow": ("10.0.0.1/8",)},
    ],
)
def test_what_could_never_be_sent_is_refused_when_declared(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"url": "https://plant.example/", "secret": SECRET}
    with pytest.raises(DeclarationError) as caught:
        Webhook(**{**right, **wrong})
    assert "MfKQ" not in str(caught.value)


def test_webhooks_stand_in_steps_by_name() -> None:
    first = Webhook("https://plant.example/open", secret=SECRET)
    second = Webhook("https://plant.example/open", secret=SECRET, name="close")
    steps: Steps[str] = Steps(Action(do=first), Action(do=second))
    assert [step.name for step in steps.steps] == ["plant.example/open", "close"]


async def test_models_and_numbers_of_other_libraries_are_sent_as_the_ledger_has_them(receiver: Receiver) -> None:
    import numpy
    import pydantic

    class Plan(pydantic.BaseModel):
        power_mw: float

    await webhook(receiver)({"plan": Plan(power_mw=4.0), "hours": numpy.int64(3)}, CALL)
    data = msgspec.json.decode(decode_structured(receiver.asked[0].body, known_at=NOW).data)
    assert data["choice"] == {"plan": {"power_mw": 4.0}, "hours": 3}
