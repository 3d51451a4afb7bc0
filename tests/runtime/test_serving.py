"""Decisions whose models are answered elsewhere: named by the operator's file, as far as placement allows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from tests.serving.chats import PROMPT, Verdict
from tests.serving.peer import Asked, Reply, peering, said
from tests.serving.v2_peer import INPUTS, SumServer

from steward import Choice, Decision, Event, Feature, Features, Model, Placement, Prediction, Risk
from steward.clock import SystemClock
from steward.errors import DeclarationError, EngineError
from steward.models.engines.linear import LinearFile, Term
from steward.models.registry import FolderRegistry
from steward.records import Money, Record
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.serving.prompt import Parameters, register_chat

SUM = LinearFile(
    intercept=0.0,
    terms=tuple(
        Term(name, coefficient=by, mean=0.0, missing=0.0) for name, by in zip(INPUTS, (1.0, 2.0, -1.0), strict=True)
    ),
)


class Ask(Event):
    a: float
    b: float
    c: float


class Mail(Event):
    text: str
    sender: int


def high_or_low(features: Features, prediction: Prediction[float]) -> Choice[str]:
    return Choice("high" if prediction.value > 3 else "low", reasons=("by the sum",))


def by_label(features: Features, prediction: Prediction[Verdict]) -> Choice[str]:
    return Choice(prediction.value.label, reasons=("as the chat says",))


RATE: Decision[Ask, float, str] = Decision(
    name="test.rate",
    owner="testers",
    purpose="Rate a sum",
    risk=Risk.MEDIUM,
    event=Ask,
    features=tuple(Feature(name) for name in INPUTS),
    predict=Model("sum"),
    policy=high_or_low,
)
FILTER: Decision[Mail, Verdict, str] = Decision(
    name="test.filter",
    owner="testers",
    purpose="Filter mail",
    risk=Risk.LOW,
    event=Mail,
    features=(Feature("text"), Feature("sender")),
    predict=Model("spam", returns=Verdict),
    policy=by_label,
)


@pytest.fixture
def models(tmp_path: Path) -> FolderRegistry:
    models = FolderRegistry(tmp_path / "models")
    clock = SystemClock()
    models.register(
        "sum", kind="linear", files={"model.json": SUM.to_bytes()}, inputs=INPUTS, task="regression", clock=clock
    )
    register_chat(models, "spam", messages=PROMPT, returns=Verdict, parameters=Parameters(max_tokens=50), clock=clock)
    return models


def settings(folder: Path, text: str) -> Settings:
    (folder / "serving.toml").write_text(text)
    return Settings(root=folder, ledger="sqlite:///steward.db", registry="models", serving="serving.toml")


async def record(runtime: Runtime, name: str, event: Mapping[str, object]) -> Record:
    return (await runtime.decide(name, json.dumps(event).encode())).record


EVENT = {"a": 1.0, "b": 2.0, "c": 0.5}


async def test_a_model_is_answered_where_the_file_says(tmp_path: Path, models: FolderRegistry) -> None:
    async with peering(SumServer()) as peer:
        given = settings(
            tmp_path,
            f'[endpoints.sums]\nurl = "oip+{peer.url}"\nmanaged = false\nregion = "eu"\n[models.sum]\nto = ["sums"]\n',
        )
        async with await Runtime.open([RATE], settings=given) as runtime:
            made = await record(runtime, "test.rate", EVENT)
            many = await runtime.decide_batch("test.rate", [json.dumps(EVENT).encode()] * 50)
        async with await Runtime.open([RATE], settings=replace(given, serving="", sources={})) as runtime:
            here = await record(runtime, "test.rate", EVENT)
    assert (made.prediction, made.choice) == (4.5, "high")
    assert made.serving is not UNSET
    assert (made.serving.endpoint, made.serving.region, made.serving.reason) == ("sums", "eu", UNSET)
    assert (made.model_id, made.model_hash, made.release) == (here.model_id, here.model_hash, here.release)
    assert here.serving is UNSET
    assert len(many) == 50
    infers = [asked for asked in peer.asked if asked.path.endswith("/infer")]
    assert len(infers) == 3, "one to see that it is the same model, and one for each batch"


async def test_this_process_answers_where_the_server_does_not(tmp_path: Path, models: FolderRegistry) -> None:
    server = SumServer()
    async with peering(server) as peer:
        given = settings(
            tmp_path,
            f'[endpoints.sums]\nurl = "oip+{peer.url}"\nmanaged = false\n'
            '[models.sum]\nto = ["sums", "in-process"]\nplace = "loop"\n',
        )
        async with await Runtime.open([RATE], settings=given) as runtime:
            server.spoiled = Reply(503)
            made = await record(runtime, "test.rate", EVENT)
    assert made.prediction == 4.5
    assert made.serving is not UNSET
    assert made.serving.endpoint == "in-process"
    assert made.serving.reason == "sums: sums refused the request"


async def test_another_model_there_is_no_answer(tmp_path: Path, models: FolderRegistry) -> None:
    async with peering(SumServer(add=0.5)) as peer:
        given = settings(
            tmp_path, f'[endpoints.sums]\nurl = "oip+{peer.url}"\nmanaged = false\n[models.sum]\nto = ["sums"]\n'
        )
        async with await Runtime.open([RATE], settings=given) as runtime:
            with pytest.raises(EngineError, match="does not serve the model that was registered"):
                await record(runtime, "test.rate", EVENT)


@pytest.mark.parametrize(
    ("endpoint", "placement", "allowed"),
    [
        ("", None, False),
        ("", Placement(private=False), False),
        ('risk = "medium"', Placement(private=False), True),
        ('risk = "medium"', None, False),
        ('risk = "medium"', Placement(private=False, fields={"b": Placement()}), False),
        ('risk = "medium"\nregion = "us"', Placement(private=False, residency=("eu",)), False),
        ("managed = false", None, True),
        ("managed = false", Placement(residency=("eu",)), False),
        ('managed = false\nregion = "eu"', Placement(residency=("eu",)), True),
    ],
)
async def test_what_is_not_allowed_is_denied(
    tmp_path: Path, models: FolderRegistry, endpoint: str, placement: Placement | None, allowed: bool
) -> None:
    async with peering(SumServer()) as peer:
        given = settings(tmp_path, f'[endpoints.far]\nurl = "oip+{peer.url}"\n{endpoint}\n[models.sum]\nto = ["far"]\n')
        decision = replace(RATE, placement=placement)
        if allowed:
            async with await Runtime.open([decision], settings=given) as runtime:
                assert (await record(runtime, "test.rate", EVENT)).prediction == 4.5
        else:
            with pytest.raises(DeclarationError) as raised:
                await Runtime.open([decision], settings=given)
            assert raised.value.code == "placement-denied"
            assert peer.asked == []


def spam(asked: Asked) -> Reply:
    told = {"role": "assistant", "content": '{"label":"spam","urgent":true}'}
    usage = {"prompt_tokens": 1000, "completion_tokens": 200}
    return said({"choices": [{"finish_reason": "stop", "message": told}], "usage": usage})


def chats(url: str, budget: str) -> str:
    return (
        f'[endpoints.llm]\nurl = "openai+{url}/v1"\nmanaged = false\n'
        'price = { unit = "EUR", per_million_in = 0.15, per_million_out = 0.60 }\n'
        f'[models.spam]\nto = ["llm"]\nday_budget = {budget}\n'
    )


async def test_a_chat_decides_and_its_record_says_what_it_cost(tmp_path: Path, models: FolderRegistry) -> None:
    async with peering(spam) as peer:
        given = settings(tmp_path, chats(peer.url, "0.001"))
        async with await Runtime.open([FILTER], settings=given) as runtime:
            made = await record(runtime, "test.filter", {"text": "you won", "sender": 3})
            entry = (await runtime.ledger.read(0, 100))[-1].body.decode()
    assert made.choice == "spam"
    assert made.cost == Money(Decimal("0.000270"), "EUR")
    assert made.serving is not UNSET
    assert str(made.serving.prompt).startswith("sha256:")
    assert str(made.serving.answer).startswith("sha256:")
    assert made.model_id == "spam"
    assert "Answer in JSON" not in entry, "the prompt is kept by its hash only"


async def test_a_budget_outlives_the_process(tmp_path: Path, models: FolderRegistry) -> None:
    mail = {"text": "you won", "sender": 3}
    async with peering(spam) as peer:
        given = settings(tmp_path, chats(peer.url, "0.0005"))
        for _ in range(2):
            async with await Runtime.open([FILTER], settings=given) as runtime:
                await record(runtime, "test.filter", mail)
        async with await Runtime.open([FILTER], settings=given) as runtime:
            with pytest.raises(EngineError, match="budget") as raised:
                await record(runtime, "test.filter", mail)
    assert raised.value.code == "budget-spent"
    assert len(peer.asked) == 2


async def test_who_waits_for_a_server_holds_up_nobody(tmp_path: Path, models: FolderRegistry) -> None:
    async with peering(spam) as peer:
        peer.go.clear()
        async with await Runtime.open([FILTER], settings=settings(tmp_path, chats(peer.url, "1.0"))) as runtime:
            asked = [
                asyncio.ensure_future(record(runtime, "test.filter", {"text": "x", "sender": n})) for n in range(3)
            ]
            for _ in range(3):
                await asyncio.sleep(0.02)
                asked.append(asyncio.ensure_future(record(runtime, "test.filter", {"text": "x", "sender": 9})))
            async with asyncio.timeout(10):
                while len(peer.asked) < 6:  # noqa: ASYNC110 - the peer has no event for it
                    await asyncio.sleep(0.005)
            peer.go.set()
            assert {each.choice for each in await asyncio.gather(*asked)} == {"spam"}


async def test_without_an_endpoint_a_chat_cannot_be_run(tmp_path: Path, models: FolderRegistry) -> None:
    given = Settings(root=tmp_path, ledger="memory://", registry="models")
    with pytest.raises(DeclarationError, match="endpoint") as raised:
        await Runtime.open([FILTER], settings=given)
    assert raised.value.field == "serving"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[endpoints.x]\nurl = "grpc+http://h"\n', "no serving engine"),
        ('[endpoints.x]\nurl = "oip+http://u:p@h"\nmanaged=false\n[models.sum]\nto = ["x"]\n', "cannot be called"),
        ('[endpoints.x]\nurl = "oip+http://h"\nsecret = "x"\n', "secret"),
        ('[models.sum]\nto = ["nobody"]\n', "no endpoint"),
        ('[endpoints.x]\nurl = "openai+http://h"\nmanaged=false\n[models.sum]\nto = ["x"]\n', "cannot answer for"),
        ("[models.sum", "cannot be read"),
    ],
)
async def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, models: FolderRegistry, text: str, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        await Runtime.open([RATE], settings=settings(tmp_path, text))


async def test_a_slow_model_leaves_the_loop_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from steward.models.engines.functions import FunctionModel
    from steward.models.static import StaticModels

    def slow(a: float, b: float, c: float) -> float:
        return float(sum(range(30_000)))

    decision: Any = replace(RATE, predict=Model("slow"))
    registry = StaticModels(FunctionModel("slow", slow))
    monkeypatch.setattr("steward.serving.inprocess._OVERLAP", 0.0)
    async with await Runtime.open([decision], settings=Settings(ledger="memory://"), registry=registry) as runtime:
        made = await record(runtime, "test.rate", EVENT)
    assert made.serving is not UNSET
    assert made.serving.endpoint == "in-process"
