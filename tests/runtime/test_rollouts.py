"""Rollouts: every change is an entry, the line-up follows it, and a restart finds what was live."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.rolling import CAUTIOUS, NAME, NOON, PAY, House, Payment, decided, register, version

from steward import Attribution, Choice, Features, Prediction
from steward.clock import VirtualClock
from steward.entries import decode_body
from steward.errors import Conflict, ContractError, DeclarationError, IntegrityError, NotFound, StewardError
from steward.ledger.port import Commit, Committed, Message
from steward.loop.encode import encode
from steward.records import RolloutFacts

ANA: Any = {"by": "ana", "reason": "better on last month"}
BO: Any = {"by": "bo", "reason": "so it is"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, VirtualClock(NOON))


async def kinds(house: House) -> list[str]:
    return [entry.kind for entry in await house.memory.read() if entry.kind != "decided"]


async def refused(awaited: Any) -> StewardError:
    with pytest.raises(StewardError) as raised:
        await awaited
    return raised.value


async def arms(runtime: Any, count: int = 300) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        record = await decided(runtime, f"customer-{number}")
        found[record.rollout.arm if record.rollout else "", record.choice] += 1
    return found


async def test_a_canary_gets_its_share_and_says_so(house: House) -> None:
    async with house.opened() as runtime:
        champion = runtime.running[NAME].release
        live = await runtime.rollouts.start(await version(runtime, "2"), share=0.3, holdout=0.1, **ANA)
        assert live.rollout is not None
        found = await arms(runtime)
        assert set(found) == {("champion", "pay"), ("canary", "hold"), ("holdout", "pay")}
        assert 60 < found["canary", "hold"] < 120
        record = await decided(runtime, "customer-7")
        assert (record.rollout.name, record.release) == (live.rollout.name, champion)
        assert record.development is True
        assert runtime.running[NAME].release == champion


async def test_decisions_that_depend_on_each_other_fall_into_one_arm(house: House) -> None:
    assert PAY.economics is not None
    house.decisions = [replace(PAY, economics=replace(PAY.economics, sticky=("amount_eur",)))]
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=0.5, **ANA)
        found = {
            amount: {(await decided(runtime, f"c{number}", amount)).rollout.arm for number in range(5)}
            for amount in range(20)
        }
        assert all(len(each) == 1 for each in found.values())
        assert set.union(*found.values()) == {"champion", "canary"}


async def test_a_key_stays_where_it_is(house: House) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=0.5, **ANA)
        before = [(await decided(runtime, f"c{number}")).rollout.arm for number in range(50)]
        await runtime.rollouts.share(NAME, 0.7, **ANA)
        after = [(await decided(runtime, f"c{number}")).rollout.arm for number in range(50)]
        assert set(before) == {"champion", "canary"}
        assert all(now == "canary" for then, now in zip(before, after, strict=True) if then == "canary")


async def test_promoted_it_decides_all_but_the_holdout(house: House) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=0.3, holdout=0.1, **ANA)
        await runtime.rollouts.promote(NAME, **BO)
        assert set(await arms(runtime)) == {("champion", "hold"), ("holdout", "pay")}
        await runtime.rollouts.stop(NAME, **BO)
        assert set(await arms(runtime, 20)) == {("", "hold")}


async def test_back_is_back(house: House) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=0.3, **ANA)
        await runtime.rollouts.rollback(NAME, **BO)  # the canary
        assert set(await arms(runtime, 20)) == {("", "pay")}
        await runtime.rollouts.start(await version(runtime, "2"), share=0.3, **ANA)
        await runtime.rollouts.promote(NAME, **BO)
        await runtime.rollouts.rollback(NAME, **BO)  # the champion
        assert set(await arms(runtime, 20)) == {("", "pay")}
        assert (await refused(runtime.rollouts.rollback(NAME, **BO))).code == "no-release-before"
    assert (await kinds(house))[-3:] == ["launched", "promoted", "rolled_back"]


@pytest.mark.parametrize("wanted", ["3", "latest"])
async def test_a_restart_finds_what_was_live(house: House, wanted: str) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=0.4, **ANA)
        before = await arms(runtime, 60)
        live = runtime.releases.live(NAME)
    house.decisions = [replace(PAY, owner="payments")] if wanted == "3" else [PAY]
    async with house.opened() as runtime:
        assert runtime.releases.live(NAME) == live
        assert await arms(runtime, 60) == before
        await runtime.rollouts.promote(NAME, **BO)
    async with house.opened() as runtime:
        assert (await decided(runtime)).choice == "hold"
        await runtime.rollouts.rollback(NAME, **BO)
    async with house.opened() as runtime:
        assert (await decided(runtime)).choice == "pay"
    assert (await kinds(house)).count("published") == 2


async def test_a_new_version_does_not_disturb_what_is_compared(house: House) -> None:
    house.decisions = [replace(PAY, predict=replace_version("latest"))]
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=0.4, **ANA)
        live = runtime.releases.live(NAME)
    register(house.registry, 7.0)
    async with house.opened() as runtime:
        assert runtime.releases.live(NAME) == live
        await runtime.rollouts.stop(NAME, **BO)
    async with house.opened() as runtime:  # without a rollout the newest is in service at once, as ever
        assert runtime.running[NAME].models["score"].version == "4"


def replace_version(number: str) -> Any:
    from steward import Model

    return Model("score", inputs=("amount_eur",), version=number)


async def test_without_the_challengers_code_the_champion_decides_and_that_is_said(house: House) -> None:
    house.challengers = [CAUTIOUS]
    async with house.opened() as runtime:
        ready = await runtime.lineups.vary(NAME, challenger=CAUTIOUS.fingerprint[7:19])
        await runtime.rollouts.start(ready, share=0.5, **ANA)
        assert set(await arms(runtime, 40)) == {("champion", "pay"), ("canary", "hold")}
    house.challengers = ()
    async with house.opened() as runtime:
        assert set(await arms(runtime, 40)) == {("champion", "pay")}
        [(release, why)] = runtime.releases.lacking(NAME).items()
        assert release == ready.release
        assert "declaration" in why


async def test_where_the_champions_code_is_gone_the_new_one_decides_and_that_is_written(house: House) -> None:
    async with house.opened():
        pass
    house.decisions = [CAUTIOUS]
    async with house.opened() as runtime:
        assert (await decided(runtime)).choice == "hold"
    house.decisions = [PAY]
    async with house.opened() as runtime:
        assert (await decided(runtime)).choice == "pay"
        history = await runtime.releases.history(NAME)
    assert [type(body).__name__ for body in history] == ["Published", "Published", "Promoted"]


async def test_a_tampered_challenger_never_answers(house: House) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=0.5, **ANA)
    [file] = (house.folder / "models" / "score" / "2").glob("sha256-*/model.json")
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b"2.0", b"3.0"))
    async with house.opened() as runtime:
        assert set(await arms(runtime, 40)) == {("champion", "pay")}
    async with house.opened() as runtime:
        assert isinstance(await refused(version(runtime, "2")), IntegrityError)
    assert (await kinds(house)).count("distrusted") == 1


async def test_whatever_does_not_fit_is_refused_and_nothing_is_written(house: House) -> None:
    async with house.opened() as runtime:
        before, two, rollouts = await kinds(house), await version(runtime, "2"), runtime.rollouts
        own = runtime.running[NAME]
        assert (await refused(rollouts.start(own, share=0.5, **ANA))).code == "is-champion"
        assert (await refused(rollouts.start(two, share=0.9, holdout=0.2, **ANA))).field == "share"
        assert (await refused(rollouts.start(two, share=0.5, by=" ", reason="x"))).field == "by"
        assert (await refused(rollouts.start(two, share=0.5, by="ana", reason=""))).field == "reason"
        for nothing in (rollouts.share(NAME, 0.5, **ANA), rollouts.stop(NAME, **ANA), rollouts.promote(NAME, **ANA)):
            assert (await refused(nothing)).code == "no-rollout"
        assert isinstance(await refused(rollouts.stop("pay.relase", **ANA)), NotFound)
        assert isinstance(await refused(runtime.lineups.vary(NAME, {"scores": "2"})), ContractError)
        assert isinstance(await refused(runtime.lineups.vary(NAME, {"score": "9"})), NotFound)
        assert isinstance(await refused(runtime.lineups.vary(NAME, challenger="abc")), NotFound)
        assert await kinds(house) == before


async def test_one_canary_at_a_time_and_shadows_may_become_one(house: House) -> None:
    async with house.opened() as runtime:
        two, three = await version(runtime, "2"), await version(runtime, "3")
        await runtime.rollouts.start(two, share=0.5, **ANA)
        assert (await refused(runtime.rollouts.start(three, share=0.5, **ANA))).code == "rollout-stands"
        live = await runtime.rollouts.start(three, is_shadow=True, **ANA)
        assert live.rollout is not None
        assert (live.rollout.canary, live.rollout.shadows) == (two.release, (three.release,))
        assert (await refused(runtime.rollouts.share(NAME, 0.1, release=three.release, **ANA))).code == "rollout-stands"
        await runtime.rollouts.stop(NAME, **ANA)
        await runtime.rollouts.start(three, is_shadow=True, **ANA)
        live = await runtime.rollouts.share(NAME, 0.2, **ANA)
        assert live.rollout is not None
        assert (live.rollout.canary, live.rollout.shadows) == (three.release, ())


async def test_a_program_does_not_undo_what_a_person_has_done_since(house: House) -> None:
    async with house.opened() as runtime:
        live = await runtime.rollouts.start(await version(runtime, "2"), share=0.1, **ANA)
        await runtime.rollouts.share(NAME, 0.3, **BO)
        for late in (runtime.rollouts.rollback, runtime.rollouts.promote, runtime.rollouts.stop):
            assert (await refused(late(NAME, by="system", reason="x", number=live.number))).code == "overtaken"
        assert runtime.releases.live(NAME).rollout is not None


async def test_two_who_write_at_once_come_one_after_the_other(house: House) -> None:
    async with house.opened() as one, house.opened() as other:
        ready = await version(one, "2")
        await one.rollouts.start(ready, share=0.1, **ANA)
        # The other process does not know of it, and finds out by the ledger's key.
        live = await other.rollouts.start(await version(other, "3"), is_shadow=True, **BO)
        assert live.rollout is not None
        assert (live.rollout.canary, len(live.rollout.shadows)) == (ready.release, 1)


async def test_all_doors_go_by_the_line_up(house: House) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=1.0, **ANA)
        batch: list[Any] = list(
            await runtime.decide_batch(NAME, [Payment(who=str(n), amount_eur=60.0) for n in range(5)])
        )
        assert {answer.record.choice for answer in batch} == {"hold"}
        data = encode(Payment(who="bus", amount_eur=60.0))
        now = house.clock.now()
        await runtime.publish([Message("payment", "k", "tests", "1", data, 1, now, now)])
        await runtime.advance()
        last = decode_body([entry for entry in await house.memory.read() if entry.kind == "decided"][-1].body)
        assert (getattr(last, "choice", ""), getattr(last, "rollout", None)) == (
            "hold",
            RolloutFacts(f"{NAME}/2", "canary", 1.0),
        )


async def test_what_is_under_way_ends_by_what_it_was_begun_with(house: House) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=0.5, **ANA)
        asked = [asyncio.ensure_future(decided(runtime, f"c{number}")) for number in range(200)]
        await asyncio.sleep(0)
        await runtime.rollouts.rollback(NAME, **BO)
        records = await asyncio.gather(*asked)
        for record in records:
            canary = bool(record.rollout) and record.rollout.arm == "canary"
            assert (record.choice == "hold") == canary


def other_event(features: Features, prediction: Prediction[float]) -> Choice[str]:
    return Choice("hold", reasons=("x",))


async def test_a_challenger_answers_the_same_question(house: House) -> None:
    for wrong, text in (
        ([PAY], "same declaration"),
        ([replace(CAUTIOUS, economics=None)], "economics"),
        ([replace(CAUTIOUS, name="pay.other")], "challenges nothing"),
    ):
        house.challengers = wrong
        with pytest.raises(DeclarationError, match=text):
            async with house.opened():
                pass


async def test_what_a_canary_decided_is_explained_by_its_own_model(house: House) -> None:
    house.decisions = [replace(PAY, attribution=Attribution.DEFERRED)]
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), share=1.0, **ANA)
        record = await decided(runtime)
        await runtime.advance()
        run = await runtime.run(record.decision_id)
        assert run.attribution["amount_eur"] == pytest.approx(120.0)


async def test_history_tells_who_and_when(house: House) -> None:
    async with house.opened() as runtime:
        first = runtime.running[NAME].release
        house.clock.advance(3600 * NOON.resolution * 1_000_000)  # type: ignore[attr-defined] # it is virtual
        await runtime.rollouts.start(await version(runtime, "2"), share=0.5, **ANA)
        await runtime.rollouts.promote(NAME, **BO)
        assert (await runtime.releases.live_at(NAME, NOON)).champion == first
        now = await runtime.releases.live_at(NAME, house.clock.now())
        assert (now.champion, now.by) == (runtime.running[NAME].release, "bo")


async def test_a_ledger_that_cannot_write_changes_nothing(house: House) -> None:
    from steward.testing.faults import unwritable

    async with house.opened() as runtime:
        two = await version(runtime, "2")
        runtime.ledger.fault = unwritable  # type: ignore[attr-defined] # it is a faulty one
        await refused(runtime.rollouts.start(two, share=1.0, **ANA))
        runtime.ledger.fault = lambda commit: None  # type: ignore[attr-defined] # as above
        assert (await decided(runtime)).choice == "pay"
        assert not isinstance(await runtime.rollouts.start(two, share=1.0, **ANA), Conflict)


async def test_a_change_whose_asker_went_away_is_looked_up_before_anything_decides(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.opened() as runtime:
        two = await version(runtime, "2")
        append, written = runtime.ledger.append, asyncio.Event()

        async def never_answered(commit: Commit) -> Committed:
            committed = await append(commit)
            if any(draft.kind == "launched" for draft in commit.entries):
                written.set()
                await asyncio.Event().wait()
            return committed

        monkeypatch.setattr(runtime.ledger, "append", never_answered)
        asking = asyncio.create_task(runtime.rollouts.start(two, share=1.0, **ANA))
        await written.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await runtime.releases.settle()
        assert (await decided(runtime)).release == two.release
