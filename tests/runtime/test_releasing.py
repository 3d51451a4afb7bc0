"""Governed mode: only what somebody trusted signed and another person agreed to decides; all else goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace as replaced
from tests.runtime.rolling import CAUTIOUS, NAME, NOON, PAY, House, Paid, Payment, decided, never, register, version

from steward import Model
from steward.clock import VirtualClock
from steward.errors import (
    Conflict,
    DeclarationError,
    Denied,
    Distrusted,
    EngineError,
    IntegrityError,
    NotFound,
    StewardError,
)
from steward.ledger.port import Message
from steward.ledger.run import body_of
from steward.loop.encode import encode
from steward.models.signing.card import Card, Metric, Validation, sign_card
from steward.models.signing.dsse import sign
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import revoke, trust_key
from steward.releases.release import PAYLOAD_TYPE
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

KEY = PrivateKey.of_seed(bytes(32))
VALIDATOR = PrivateKey.of_seed(bytes(31) + b"v")
CARD = Card(
    purpose="Score a payment.",
    data="Payments of last year.",
    metrics=(Metric(name="auc", value=0.9), Metric(name="auc", value=0.8, segment="new customers")),
    limits=("Not tried on other currencies.",),
    owner="payments",
    author="anna",
    validation=Validation(by="bruno", at=NOON, finding="Holds on last month.", accepted=True),
)
STRANGER = PrivateKey.of_seed(bytes(31) + b"x")


class Governed(House):
    """A house in which everything has to be signed; the models are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.trust = self.folder / "trust"
        trust_key(self.trust, "anna", KEY.public)
        trust_key(self.trust, "bruno", VALIDATOR.public)
        for number in ("1", "2", "3"):
            self.sign(number, KEY)
        self.settings = replace(self.settings, mode="governed", trust=str(self.trust))

    def sign(self, number: str, key: PrivateKey) -> None:
        made = self.registry.sign("score", number, key=key, clock=self.clock)
        card = sign_card(CARD, "score", number, made.digest, VALIDATOR)
        self.registry.attach(made, "card.json", card, clock=self.clock)


@pytest.fixture
def house(tmp_path: Path) -> Governed:
    return Governed(tmp_path, VirtualClock(NOON))


async def refused(awaited: Any) -> StewardError:
    with pytest.raises(StewardError) as raised:
        await awaited
    return raised.value


def signed(ready: Any, key: PrivateKey = KEY) -> dict[str, object]:
    envelope: dict[str, object] = msgspec.to_builtins(sign(PAYLOAD_TYPE, ready.made_of.payload(), key))
    return envelope


async def publish(runtime: Runtime, ready: Any) -> str:
    await runtime.publishing.propose(ready, by="ana", reason="validated", envelope=signed(ready))
    await runtime.publishing.approve(ready.release, by="bo", reason="looked at it")
    return str(ready.release)


async def test_an_unknown_release_decides_nothing_and_all_else_goes_on(house: Governed) -> None:
    async with house.opened() as runtime:
        error = await refused(decided(runtime))
        assert (type(error), error.code) == (EngineError, "release-unknown")
        assert "steward release propose" in (error.fix or "")
        [first] = await runtime.decide_batch(NAME, [Payment(who="a", amount_eur=1.0)])
        assert isinstance(first, EngineError)
        assert await runtime.observe(NAME, Paid(who="a", kept_eur=1.0), outcome_id="1") == []
        assert await runtime.approvals() == []
        assert runtime.releases.live(NAME).champion == ""


async def test_published_by_two_people_it_decides_at_once(house: Governed) -> None:
    async with house.opened() as runtime:
        own = runtime.running[NAME]
        live = await runtime.publishing.propose(own, by="ana", reason="validated", envelope=signed(own))
        assert [known.release for known in live.waiting] == [own.release]
        assert (await refused(decided(runtime))).code == "release-unknown"
        error = await refused(runtime.publishing.approve(own.release, by="ana", reason="I like it"))
        assert (type(error), error.code) == (Denied, "four-eyes")
        await runtime.publishing.approve(own.release, by="bo", reason="looked at it")
        record = await decided(runtime)
        assert (record.choice, bool(record.development)) == ("pay", False)
        assert (await refused(publish(runtime, own))).code == "already-published"
    async with house.opened() as runtime:
        assert (await decided(runtime)).choice == "pay"
        known = runtime.releases.known(own.release)
        assert (known.by, known.approved_by, known.approval) == ("ana", "bo", "looked at it")


async def test_without_a_validated_card_a_model_is_not_published(house: Governed) -> None:
    own = replace_card(house, replaced(CARD, validation=UNSET))
    async with house.opened() as runtime:
        error = await refused(publish(runtime, runtime.running[NAME]))
        assert (type(error), error.code) == (Denied, "no-card")
        assert own in error.why
        assert runtime.releases.live(NAME).waiting == ()
    replace_card(house, CARD)
    async with house.opened() as runtime:
        await publish(runtime, runtime.running[NAME])


def replace_card(house: Governed, card: Card) -> str:
    for number in ("1", "2", "3"):
        made = house.registry.show("score", number)
        house.registry.attach(
            made, "card.json", sign_card(card, "score", number, made.digest, VALIDATOR), clock=house.clock
        )
    return "score: its card does not tell: validation"


async def test_what_waits_on_the_bus_is_decided_once_it_may_be(house: Governed) -> None:
    async with house.opened() as runtime:
        now = house.clock.now()
        data = encode(Payment(who="bus", amount_eur=60.0))
        await runtime.publish([Message("payment", "k", "tests", "1", data, 1, now, now)])
        await runtime.advance()
        assert not [entry for entry in await house.memory.read() if entry.kind == "decided"]
        await publish(runtime, runtime.running[NAME])
        house.clock.advance(60_000_000 * NOON.resolution)  # type: ignore[attr-defined] # it is virtual
        await runtime.advance()
        assert len([entry for entry in await house.memory.read() if entry.kind == "decided"]) == 1


@pytest.mark.parametrize("envelope", ["none", "stranger", "another"])
async def test_what_nobody_trusted_has_signed_is_not_even_proposed(house: Governed, envelope: str) -> None:
    async with house.opened() as runtime:
        own, two = runtime.running[NAME], await version(runtime, "2")
        given = {"none": None, "stranger": signed(own, STRANGER), "another": signed(two)}[envelope]
        error = await refused(runtime.publishing.propose(own, by="ana", reason="x", envelope=given))
        assert isinstance(error, Distrusted)
        assert runtime.releases.live(NAME).known == {}


async def test_a_rollout_needs_a_published_release_and_a_second_person(house: Governed) -> None:
    async with house.opened() as runtime:
        await publish(runtime, runtime.running[NAME])
        two = await version(runtime, "2")
        error = await refused(runtime.rollouts.start(two, share=0.5, by="ana", reason="x"))
        assert isinstance(error, NotFound)
        await publish(runtime, two)
        await runtime.rollouts.start(two, share=0.5, by="ana", reason="x")
        assert (await refused(runtime.rollouts.promote(NAME, by="ana", reason="x"))).code == "four-eyes"
        await runtime.rollouts.promote(NAME, by="bo", reason="x")
        assert (await decided(runtime)).choice == "hold"
        await runtime.rollouts.rollback(NAME, by="ana", reason="alone, as it must be quick")
        assert (await decided(runtime)).choice == "pay"


async def test_with_the_key_revoked_nothing_of_it_decides(house: Governed) -> None:
    async with house.opened() as runtime:
        await publish(runtime, runtime.running[NAME])
    other = PrivateKey.of_seed(bytes(31) + b"y")
    trust_key(house.trust, "ben", other.public)
    for number in ("1", "2", "3"):
        house.sign(number, other)
    revoke(house.trust, KEY.id, reason="the laptop was stolen", at=NOON)
    async with house.opened() as runtime:
        error = await refused(decided(runtime))
        assert error.code == "release-unknown"
        assert "not signed by anybody who is trusted" in (error.why or "")
    async with house.opened() as runtime:
        history = await runtime.releases.history(NAME)
    assert [type(body).__name__ for body in history] == ["Proposed", "Published", "Distrusted"]


async def test_what_is_registered_later_changes_nothing_that_is_live(house: Governed) -> None:
    from steward import Model

    latest = replace(house.decisions[0], predict=Model("score", inputs=("amount_eur",)))
    house.decisions = [latest]
    async with house.opened() as runtime:
        await publish(runtime, runtime.running[NAME])
    register(house.registry, 9.0)  # nobody has signed it
    async with house.opened() as runtime:
        assert (await decided(runtime)).model_version == "3"


async def test_new_code_waits_for_its_people(house: Governed) -> None:
    async with house.opened() as runtime:
        await publish(runtime, runtime.running[NAME])
    house.decisions = [CAUTIOUS]
    async with house.opened() as runtime:
        assert (await refused(decided(runtime))).code == "release-unknown"
        own = await publish(runtime, runtime.running[NAME])
        assert (await refused(decided(runtime))).code == "release-unknown"
        await runtime.rollouts.promote(NAME, release=own, by="bo", reason="deployed")
        assert (await decided(runtime)).choice == "hold"


async def test_what_was_published_alone_is_not_enough_any_more(house: Governed) -> None:
    async with house.opened(mode="development") as runtime:
        assert (await decided(runtime)).development is True
    async with house.opened() as runtime:
        assert (await refused(decided(runtime))).code == "release-unknown"
        await publish(runtime, runtime.running[NAME])
        assert (await decided(runtime)).choice == "pay"


async def test_proposed_in_development_it_waits_for_another_person_too(house: Governed) -> None:
    async with house.opened(mode="development", trust="") as runtime:
        two = await version(runtime, "2")
        await runtime.publishing.propose(two, by="ana", reason="x")
        again = await refused(runtime.publishing.propose(two, by="bo", reason="x"))
        assert (type(again), again.code) == (Conflict, "already-proposed")
        live = await runtime.publishing.approve(two.release, by="bo", reason="x")
        assert (live.waiting, live.champion) == ((), runtime.running[NAME].release)
        assert isinstance(await refused(runtime.publishing.approve("pay.release@no", by="bo", reason="x")), NotFound)


@pytest.mark.parametrize("wrong", [{"mode": "strict"}, {"mode": "governed"}])
async def test_a_mode_that_cannot_be_is_refused(wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DeclarationError):
        await Runtime.open([], settings=Settings(ledger="memory://", registry=str(tmp_path), **wrong))  # type: ignore[arg-type] # only texts


def tamper(house: Governed, number: str) -> None:
    [file] = house.registry.show("score", number).path.glob("model.*")
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")


GREET = replace(PAY, name="pay.greet", predict=None, policy=never, economics=None)


async def test_with_a_tampered_model_only_its_decision_is_refused(house: Governed) -> None:
    """All else goes on: another decision, outcomes, reading, and the way back to a release that is whole."""
    house.decisions = [PAY, GREET]
    async with house.opened() as runtime:
        one = await publish(runtime, runtime.running[NAME])
        await publish(runtime, runtime.running[GREET.name])
        two = await version(runtime, "2")
        await publish(runtime, two)
        await runtime.rollouts.start(two, by="ana", reason="x", share=0.5)
        await runtime.rollouts.promote(NAME, by="bo", reason="better")
        kept = await decided(runtime)
    tamper(house, "2")
    async with house.opened() as runtime:
        error = await refused(decided(runtime))
        assert (type(error), error.code) == (EngineError, "release-unknown")
        assert "was changed" in str(error)
        assert (await runtime.decide(GREET.name, Payment(who="a", amount_eur=1.0))).record.choice == "hold"
        assert (await runtime.run(kept.decision_id)).record.release == two.release
        assert await runtime.observe(NAME, Paid(who="ana", kept_eur=1.0), outcome_id="1") == [kept.decision_id]
        await runtime.rollouts.rollback(NAME, by="bo", reason="somebody changed it")
        assert runtime.releases.live(NAME).champion == one
        assert (await decided(runtime)).choice == "pay"
    entries = await house.memory.read(0, 100, kind="distrusted")
    assert [(getattr(body, "release", ""), "was changed" in str(body)) for body in map(body_of, entries)] == [
        (two.release, True)
    ]


async def test_what_is_declared_with_a_tampered_model_is_written_down_and_cannot_be_proposed(house: Governed) -> None:
    tamper(house, "1")
    async with house.opened() as runtime:
        assert list(runtime.lineups.withheld) == [NAME]
        error = await refused(decided(runtime))
        assert (error.code, "was changed" in str(error)) == ("release-unknown", True)
        error = await refused(publish(runtime, runtime.running[NAME]))
        assert isinstance(error, IntegrityError)
    entries = await house.memory.read(0, 100, kind="distrusted")
    assert [(body_of(entry).decision, "was changed" in str(body_of(entry))) for entry in entries] == [(NAME, True)]


async def test_in_development_a_process_does_not_start_with_a_tampered_model_and_writes_it_down(
    house: Governed,
) -> None:
    tamper(house, "1")
    with pytest.raises(IntegrityError):
        async with house.opened(mode="development", trust=""):
            pass
    entries = await house.memory.read(0, 100, kind="distrusted")
    assert ["was changed" in str(body_of(entry)) for entry in entries] == [True]


async def test_in_development_too_a_tampered_champion_is_replaced_by_a_person_only(house: Governed) -> None:
    house.decisions = [replace(PAY, predict=Model("score", inputs=("amount_eur",)))]
    development = {"mode": "development", "trust": ""}
    async with house.opened(**development) as runtime:
        newest = runtime.running[NAME].release
        two = await version(runtime, "2")
        await runtime.rollouts.start(two, by="ana", reason="x", share=0.5)
        await runtime.rollouts.promote(NAME, by="bo", reason="better")
        assert (await decided(runtime)).choice == "hold"
    tamper(house, "2")
    async with house.opened(**development) as runtime:
        assert runtime.running[NAME].release == newest
        error = await refused(decided(runtime))
        assert (error.code, "was changed" in str(error)) == ("release-unknown", True)
        assert f"steward models rollback {NAME}" in (error.fix or "")
        await runtime.rollouts.rollback(NAME, by="bo", reason="somebody changed it")
        assert (await decided(runtime)).choice == "pay"
