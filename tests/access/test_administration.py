"""Grants and revocations: checked, written, in force; and the first start, which has no default password."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace
from tests.access.world import NOON, World, bearer, make_world, numbered, person

from steward.access.directory import Directory
from steward.access.entries import ACCESS_RUN, draft
from steward.access.guard import Guard
from steward.access.identity import Assignment, Identity, Kind, Scope
from steward.access.permissions import Permission, Role
from steward.clock import SystemClock, VirtualClock
from steward.errors import Conflict, ContractError, Denied, EngineError, IntegrityError, NotFound
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Committed
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.verify import verify_store


async def start(ledger: MemoryLedger, clock: VirtualClock) -> Guard:
    return await Guard.open(ledger, clock, random=numbered())


async def test_the_one_time_key_works_once_and_for_an_hour() -> None:
    ledger, clock = MemoryLedger(), VirtualClock(NOON)
    guard = await start(ledger, clock)
    once = await guard.bootstrap()
    assert once is not None
    with pytest.raises(Denied):
        await guard.identify(bearer(once))
    clock.advance(timedelta(hours=1))
    with pytest.raises(Denied):
        await guard.exchange(once.reveal(), id="eve", display="Eve")
    second = await guard.bootstrap()
    third = await guard.bootstrap()
    assert second is not None
    assert third is not None
    with pytest.raises(Denied):
        await guard.exchange(second.reveal(), id="eve", display="Eve")
    key = await guard.exchange(third.reveal(), id="ada", display="Ada")
    for again in (third, once):
        with pytest.raises(Denied):
            await guard.exchange(again.reveal(), id="eve", display="Eve")
    assert await guard.bootstrap() is None
    ada = await guard.identify(bearer(key.secret))
    guard.require(ada, Permission.ADMINISTER)
    reopened = await start(ledger, clock)
    assert await reopened.bootstrap() is None
    assert (await reopened.identify(bearer(key.secret))).id == "ada"


async def test_two_cannot_exchange_the_one_time_key() -> None:
    ledger, clock = MemoryLedger(), VirtualClock(NOON)
    first, second = await start(ledger, clock), await Guard.open(ledger, clock)
    once = await first.bootstrap()
    assert once is not None
    await second.sweep()
    answers = await asyncio.gather(
        first.exchange(once.reveal(), id="ada", display="Ada"),
        second.exchange(once.reveal(), id="eve", display="Eve"),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Denied", "IssuedKey"]


async def test_recovery_is_possible_and_written_down(world: World) -> None:
    once = await world.guard.bootstrap(recover=True)
    assert once is not None
    await world.guard.exchange(once.reveal(), id="ada2", display="Ada again")
    assert set(world.guard.directory.administrators()) == {"ada", "ada2"}
    assert (await world.kinds()).count("granted") == 4


async def test_guessing_the_one_time_key_is_limited(world: World) -> None:
    await world.guard.bootstrap(recover=True)
    codes = []
    for _ in range(12):
        with pytest.raises(Denied) as caught:
            await world.guard.exchange("stw_000000000000_" + "x" * 43, id="eve", display="Eve", address="192.0.2.7")
        codes.append(caught.value.code)
    assert codes == ["unauthenticated"] * 10 + ["too-many-attempts"] * 2


Deed = Callable[[Guard, Identity], Awaitable[Any]]
DEEDS: dict[str, Deed] = {
    "enrol": lambda guard, by: guard.administration.enrol(by, person("new", Role.OPERATOR)),
    "alter": lambda guard, by: guard.administration.alter(by, person("bob", *Role)),
    "issue": lambda guard, by: guard.administration.issue_key(by, "ada", label="mine"),
    "rotate": lambda guard, by: guard.administration.rotate_key(by, next(iter(guard.directory.keys))),
    "revoke key": lambda guard, by: guard.administration.revoke_key(by, next(iter(guard.directory.keys)), reason="x"),
    "revoke identity": lambda guard, by: guard.administration.revoke_identity(by, "ada", reason="x"),
    "limit": lambda guard, by: guard.administration.limit(by, "grid.dispatch", ["grid"]),
}


@pytest.mark.parametrize("deed", DEEDS)
async def test_only_administrators_hand_out_anything(world: World, deed: str) -> None:
    roles = [role for role in Role if role is not Role.ADMINISTRATOR]
    bob = await world.guard.identify(bearer(await world.add(person("bob", *roles, teams="*"))))
    narrow = replace(world.ada, scope=Scope(frozenset(Permission), ("grid.*",)))
    limited = replace(world.ada, scope=Scope(frozenset(Permission) - {Permission.ADMINISTER}))
    size = await world.ledger.size()
    for who in (bob, narrow, limited):
        by = replace(who, credential="key:other")  # a key's own holder may rotate and revoke it
        with pytest.raises(Denied):
            await DEEDS[deed](world.guard, by)
    assert await world.ledger.size() == size


async def test_a_key_is_rotated_with_an_overlap_by_its_holder(world: World) -> None:
    scope = Scope(frozenset({Permission.INVOKE}))
    service = Identity(id="billing", kind=Kind.SERVICE, display="Billing", roles=(Assignment(Role.SERVICE),))
    await world.guard.administration.enrol(world.ada, service)
    old = await world.guard.administration.issue_key(world.ada, "billing", label="nightly", scope=scope)
    billing = await world.guard.identify(bearer(old.secret))
    new = await world.guard.administration.rotate_key(billing, old.prefix, overlap=timedelta(hours=2))
    assert (await world.guard.identify(bearer(new.secret))).scope == scope
    world.clock.advance(timedelta(hours=2) - timedelta(microseconds=1))
    assert await world.guard.identify(bearer(old.secret)) == billing
    world.clock.advance(timedelta(microseconds=1))
    with pytest.raises(Denied):
        await world.guard.identify(bearer(old.secret))
    with pytest.raises(NotFound):
        await world.guard.administration.rotate_key(billing, old.prefix)
    holder = await world.guard.identify(bearer(new.secret))
    await world.guard.administration.revoke_key(holder, new.prefix, reason="leaked")
    with pytest.raises(Denied):
        await world.guard.identify(bearer(new.secret))


async def test_rotation_never_makes_a_key_last_longer(world: World) -> None:
    await world.add(person("bob"))
    short = await world.guard.administration.issue_key(world.ada, "bob", label="x", lasts=timedelta(hours=1))
    await world.guard.administration.rotate_key(world.ada, short.prefix, overlap=timedelta(days=30))
    assert world.guard.directory.keys[short.prefix].expires_at == NOON + timedelta(hours=1)


async def test_the_last_administrator_stays(world: World) -> None:
    office = world.guard.administration
    for deed in (
        office.revoke_identity(world.ada, "ada", reason="x"),
        office.alter(world.ada, person("ada", Role.OPERATOR)),
    ):
        with pytest.raises(Conflict) as caught:
            await deed
        assert caught.value.code == "conflict.last-administrator"
    await world.add(person("bob", Role.ADMINISTRATOR))
    await office.revoke_identity(world.ada, "ada", reason="x")
    assert list(world.guard.directory.administrators()) == ["bob"]


@pytest.mark.parametrize(
    ("identity", "subjects", "field"),
    [
        (person("corp:anna"), (), "id"),
        (person("system"), (), "id"),
        (person("a\nb"), (), "id"),
        (person("x" * 129), (), "id"),
        (replace(person("bob"), display="Bob\u202eeve"), (), "display"),
        (replace(person("bob"), display=""), (), "display"),
        (person("bob", teams="a/b"), (), "teams"),
        (replace(person("bob"), tenants=frozenset({""})), (), "tenants"),
        (replace(person("bob"), roles=(Assignment(Role.OPERATOR, ()),)), (), "decisions"),
        (replace(person("bob"), roles=(Assignment(Role.OPERATOR, ("",)),)), (), "decisions"),
        (replace(person("bob"), roles=(Assignment(Role.OPERATOR, ("gri*",)),)), (), "decisions"),
        (replace(person("bob"), roles=(Assignment(Role.OPERATOR, ("*.dispatch",)),)), (), "decisions"),
        (person("bob"), ("anna",), "subjects"),
        (person("bob"), ("dn:",) * 21, "subjects"),
    ],
)
async def test_names_that_could_be_mistaken_are_refused(
    world: World, identity: Identity, subjects: tuple[str, ...], field: str
) -> None:
    with pytest.raises(ContractError) as caught:
        await world.guard.administration.enrol(world.ada, identity, subjects=subjects)
    assert caught.value.field == field


async def test_what_makes_no_sense_is_refused(world: World) -> None:
    office, ada = world.guard.administration, world.ada
    await world.add(person("bob"), subjects=("dns:bob.example",))
    size = await world.ledger.size()
    for error, deed in (
        (Conflict, office.enrol(ada, person("bob"))),
        (Conflict, office.enrol(ada, person("eve"), subjects=["dns:bob.example"])),
        (NotFound, office.alter(ada, person("eve"))),
        (NotFound, office.issue_key(ada, "eve", label="x")),
        (NotFound, office.revoke_key(ada, "ffffffffffff", reason="x")),
        (NotFound, office.revoke_identity(ada, "eve", reason="x")),
        (ContractError, office.issue_key(ada, "bob", label="")),
        (ContractError, office.issue_key(ada, "bob", label="x", lasts=timedelta(days=367))),
        (ContractError, office.issue_key(ada, "bob", label="x", lasts=timedelta(0))),
        (ContractError, office.issue_key(ada, "bob", label="x", scope=Scope(frozenset(), ()))),
        (ContractError, office.revoke_identity(ada, "bob", reason="")),
        (ContractError, office.limit(ada, "grid.*", ["grid"])),
        (ContractError, office.limit(ada, "grid.dispatch", ["*"])),
    ):
        with pytest.raises(error):
            await deed
    assert await world.ledger.size() == size


async def test_a_change_that_is_not_durable_is_not_in_force(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(commit: Commit) -> Committed:
        raise EngineError("the disk is full")

    guard = await Guard.open(world.ledger, world.clock, append=fails)
    with pytest.raises(EngineError):
        await guard.administration.enrol(world.ada, person("bob", Role.OPERATOR))
    assert "bob" not in guard.directory.identities


async def test_an_answer_that_is_lost_leaves_no_doubt(world: World) -> None:
    lost = True

    async def append(commit: Commit) -> Committed:
        committed = await world.ledger.append(commit)
        if lost:
            raise EngineError("the answer was lost")
        return committed

    guard = await Guard.open(world.ledger, world.clock, append=append)
    with pytest.raises(EngineError):
        await guard.administration.enrol(world.ada, person("bob"))
    lost = False
    with pytest.raises(Conflict) as caught:
        await guard.administration.enrol(world.ada, person("bob"))
    assert "bob is enrolled already" in str(caught.value)
    await guard.administration.enrol(world.ada, person("eve"))
    assert {"bob", "eve"} <= set(guard.directory.identities)


async def test_processes_on_one_ledger_agree(world: World) -> None:
    guards = [world.guard, *[await Guard.open(world.ledger, world.clock) for _ in range(2)]]
    await asyncio.gather(
        *(
            guards[number % 3].administration.enrol(world.ada, person(f"p{number}", Role.OPERATOR))
            for number in range(12)
        )
    )
    for guard in guards:
        await guard.sweep()
    assert [set(guard.directory.identities) for guard in guards] == [set(guards[0].directory.identities)] * 3
    assert len(guards[0].directory.identities) == 13


@pytest.mark.parametrize("body", [b"{}", b'{"kind":"granted"}', b"\xff", b'{"kind":"decided"}'])
async def test_what_is_not_about_access_is_not_folded(world: World, body: bytes) -> None:
    number = world.guard.directory.number
    await world.ledger.append(Commit(entries=[replace(draft(world_entry(world), number), body=body)]))
    with pytest.raises(IntegrityError):
        await Guard.open(world.ledger, world.clock)
    with pytest.raises(IntegrityError):
        await world.guard.sweep()


async def test_a_missing_entry_is_noticed(world: World) -> None:
    await world.ledger.append(Commit(entries=[draft(world_entry(world), world.guard.directory.number + 1)]))
    with pytest.raises(IntegrityError):
        await Directory.load(world.ledger)


def world_entry(world: World) -> Any:
    return world.guard.administration._changes.revoked("ada", "key", "ffffffffffff", "x")


def everything_in(folder: Path) -> bytes:
    return b"".join(part.read_bytes() for part in folder.iterdir())


async def test_it_all_holds_on_sqlite_and_verifies(tmp_path: Path) -> None:
    clock = SystemClock()
    ledger = await SqliteLedger.open(tmp_path / "ledger.db", clock=clock)
    guard = await Guard.open(ledger, clock)
    once = await guard.bootstrap()
    assert once is not None
    key = await guard.exchange(once.reveal(), id="ada", display="Ada")
    ada = await guard.identify(bearer(key.secret))
    await guard.administration.enrol(ada, person("bob", Role.OPERATOR, teams="grid"))
    with pytest.raises(Denied):
        await guard.identify({b"authorization": b"Bearer stw_x"})
    await ledger.close()
    report = verify_store(tmp_path / "ledger.db")
    assert report.ok
    assert report.entries == 4
    again = await SqliteLedger.open(tmp_path / "ledger.db", clock=clock)
    assert (await Guard.open(again, clock)).directory.identities == guard.directory.identities
    assert len(await again.of_run(ACCESS_RUN)) == 3
    await again.close()
    data = everything_in(tmp_path)
    for secret in (key.secret, once):
        assert secret.reveal().split("_", 2)[2].encode() not in data
    assert key.prefix.encode() in data


class Rebuilt(RuleBasedStateMachine):
    """Whatever is done, the state folded from the ledger is the state that was kept."""

    names = st.sampled_from(["ada", "bob", "eve", "gil"])

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = self.loop.run_until_complete(make_world())
        self.office = self.world.guard.administration

    def do(self, deed: Awaitable[Any]) -> None:
        async def main() -> None:
            with suppress(Conflict, NotFound, Denied):
                await deed

        self.loop.run_until_complete(main())

    @rule(name=names, roles=st.lists(st.sampled_from(Role), max_size=3), teams=st.sampled_from(["", "a", "a b", "*"]))
    def enrol(self, name: str, roles: list[Role], teams: str) -> None:
        self.do(self.office.enrol(self.world.ada, person(name, *roles, teams=teams), subjects=[f"dns:{name}"]))

    @rule(name=names, roles=st.lists(st.sampled_from(Role), max_size=3))
    def alter(self, name: str, roles: list[Role]) -> None:
        self.do(self.office.alter(self.world.ada, person(name, *roles)))

    @rule(name=names)
    def issue(self, name: str) -> None:
        self.do(self.office.issue_key(self.world.ada, name, label="x", lasts=timedelta(hours=8)))

    @rule(data=st.data())
    def rotate(self, data: st.DataObject) -> None:
        prefix = data.draw(st.sampled_from(sorted(self.world.guard.directory.keys) or ["none"]))
        self.do(self.office.rotate_key(self.world.ada, prefix, overlap=timedelta(hours=1)))

    @rule(data=st.data())
    def revoke_key(self, data: st.DataObject) -> None:
        prefix = data.draw(st.sampled_from(sorted(self.world.guard.directory.keys) or ["none"]))
        self.do(self.office.revoke_key(self.world.ada, prefix, reason="x"))

    @rule(name=names)
    def revoke(self, name: str) -> None:
        self.do(self.office.revoke_identity(self.world.ada, name, reason="x"))

    @rule(name=names)
    def sign_in(self, name: str) -> None:
        who = replace(person(name), credential="token:corp")
        self.do(self.world.guard.sessions.sign_in(who))

    @rule(teams=st.sampled_from([[], ["a"], ["a", "b"]]))
    def limit(self, teams: list[str]) -> None:
        self.do(self.office.limit(self.world.ada, "grid.dispatch", teams))

    @rule(hours=st.integers(0, 3))
    def wait(self, hours: int) -> None:
        self.world.clock.advance(timedelta(hours=hours))
        self.do(self.world.guard.sweep())

    @invariant()
    def the_ledger_says_the_same(self) -> None:
        async def main() -> None:
            kept, again = self.world.guard.directory, await Directory.load(self.world.ledger)
            now = self.world.clock.now()
            kept.forget_expired(now)
            again.forget_expired(now)
            for one in (kept, again):
                for key in one.keys.values():
                    key.used_at = None  # written now and then only
                for held in [*one.keys.values(), *one.sessions.values()]:
                    one.holder_of(held)  # type: ignore[arg-type]  # a union of the two it takes
            assert vars(again) == vars(kept)
            assert list(kept.administrators())

        self.loop.run_until_complete(main())

    def teardown(self) -> None:
        self.loop.close()


TestRebuilt = Rebuilt.TestCase
TestRebuilt.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
