"""The guard: who is recognised, by what, and what becomes of those who are not."""

from __future__ import annotations

import hmac
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.access.world import NOON, World, bearer, person

from steward.access.attempts import Attempts
from steward.access.authorizer import Verdict
from steward.access.entries import REFUSED_RUN, Refused, Used, decode_access
from steward.access.guard import Guard
from steward.access.identity import WHOLE, Assignment, Identity, Resource, Scope
from steward.access.permissions import Permission, Role
from steward.access.tokens import Secret
from steward.errors import Denied, EngineError, NotFound
from steward.ledger.port import Commit, Committed

PAGE = {b"sec-fetch-site": b"same-origin"}


async def refusals(world: World) -> list[Refused]:
    bodies = [decode_access(entry.body) for entry in await world.ledger.of_run(REFUSED_RUN)]
    return [body for body in bodies if isinstance(body, Refused)]


async def refused(world: World, headers: dict[bytes, bytes], **more: str) -> Denied:
    with pytest.raises(Denied) as caught:
        await world.guard.identify(headers, **more)  # type: ignore[arg-type]  # the tests give text arguments only
    return caught.value


async def test_nobody_is_nobody_and_that_is_no_failure(world: World) -> None:
    before = await world.ledger.size()
    assert (await refused(world, {}, address="192.0.2.7")).code == "unauthenticated"
    assert (await refused(world, {b"cookie": b"theme=dark"})).code == "unauthenticated"
    assert await world.ledger.size() == before
    assert await world.guard.sweep() == 0


async def test_a_key_is_recognised_with_its_scope(world: World) -> None:
    await world.guard.administration.enrol(world.ada, person("bob", Role.OPERATOR))
    scope = Scope(frozenset({Permission.READ}), ("grid.*",))
    issued = await world.guard.administration.issue_key(world.ada, "bob", label="screen", scope=scope)
    bob = await world.guard.identify(bearer(issued.secret), address="192.0.2.7")
    assert (bob.id, bob.scope, bob.credential) == ("bob", scope, f"key:{issued.prefix}")
    world.guard.require(bob, Permission.READ, Resource("grid.dispatch"))
    for permission, resource in (
        (Permission.STOP, Resource("grid.dispatch")),
        (Permission.READ, Resource("pay.release")),
        (Permission.READ, WHOLE),
    ):
        with pytest.raises(Denied) as caught:
            world.guard.require(bob, permission, resource)
        assert caught.value.code == "denied"
        assert "scope" in caught.value.why


WRONG = [
    b"Bearer stw_ffffffffffff_" + b"x" * 43,
    b"Bearer stw_",
    b"Bearer stw_ffffffffffff_" + b"x" * 42,
    b"Bearer stw_ffffffffffff_" + b"x" * 44,
    b"Bearer STW_ffffffffffff_" + b"x" * 43,
    b"Bearer " + b"\xff" * 60,
    b"Bearer",
    b"",
    b"Basic YWRhOmFkYQ==",
    b"Bearer eyJhbGciOiJub25lIn0.e30.",
    b"Bearer " + b"y" * 100_000,
]


@pytest.mark.parametrize("header", WRONG, ids=lambda header: header[:24].decode("latin-1"))
async def test_what_is_no_good_key_is_refused(world: World, header: bytes) -> None:
    error = await refused(world, {b"authorization": header})
    assert error.code == "unauthenticated"
    assert header.decode("latin-1")[7:40] not in str(error) or header in (b"Bearer", b"Bearer stw_", b"")


async def test_a_wrong_secret_an_unknown_prefix_and_an_expired_key_are_told_alike(world: World) -> None:
    prefix, good = world.ada.credential.removeprefix("key:"), world.key.reveal()
    wrong = good[:-2] + ("aa" if good[-2:] != "aa" else "bb")
    answers = [
        await refused(world, {b"authorization": f"Bearer {token}".encode()})
        for token in (wrong, good.replace(prefix, "ffffffffffff"))
    ]
    world.clock.advance(timedelta(days=90))
    answers.append(await refused(world, bearer(world.key)))
    assert len({str(answer) for answer in answers}) == 1
    await world.guard.sweep()
    assert [note.code for note in await refusals(world)] == ["wrong-secret", "unknown-key", "expired-key"]


async def test_an_unknown_prefix_is_compared_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for token in ("stw_ffffffffffff_" + "x" * 43, world.key.reveal()[:-1] + "_", "stw_"):
        await refused(world, {b"authorization": b"Bearer " + token.encode()})
    assert compared == [32, 32, 32]


async def test_a_bad_key_is_not_made_up_for_by_a_good_session(world: World) -> None:
    opened = await world.guard.sign_in({**bearer(world.key), **PAGE})
    cookie = {b"cookie": opened.set_cookie().split(";")[0].encode(), **PAGE}
    assert (await world.guard.identify(cookie, method="POST")).id == "ada"
    assert (await refused(world, {**cookie, b"authorization": b"Bearer x"})).code == "unauthenticated"


async def test_the_first_failure_is_durable_at_once_and_the_others_are_counted(world: World) -> None:
    header = {b"authorization": b"Bearer stw_ffffffffffff_" + b"x" * 43}
    for _ in range(5):
        await refused(world, header, address="192.0.2.7")
    (first,) = await refusals(world)
    assert (first.code, first.times, first.address) == ("unknown-key", 1, "192.0.2.7")
    assert (first.credential, first.by, first.at) == ("key:ffffffffffff", "", NOON)
    world.clock.advance(timedelta(seconds=1))
    assert await world.guard.sweep() == 1
    assert (await refusals(world))[1].times == 4
    assert await world.guard.sweep() == 0


async def test_too_many_failures_have_to_wait_but_right_keys_never(world: World) -> None:
    wrong = {b"authorization": world.key.reveal().encode()[:-1] + b"_"}
    wrong[b"authorization"] = b"Bearer " + wrong[b"authorization"]
    codes = [(await refused(world, wrong, address="192.0.2.7")).code for _ in range(12)]
    assert codes == ["unauthenticated"] * 10 + ["too-many-attempts"] * 2
    assert (await refused(world, wrong, address="198.51.100.1")).code == "too-many-attempts", "the prefix is known"
    assert (await world.guard.identify(bearer(world.key), address="192.0.2.7")).id == "ada"
    jwt = {b"authorization": b"Bearer eyJhbGciOiJub25lIn0.e30."}
    assert "try again in 60 s" in str(await refused(world, wrong, address="192.0.2.7"))
    assert (await refused(world, jwt, address="203.0.113.5")).code == "unauthenticated"
    world.clock.advance(timedelta(seconds=60))
    assert (await refused(world, wrong, address="192.0.2.7")).code == "unauthenticated"


async def test_a_flood_stays_small_in_memory_and_in_the_ledger(world: World) -> None:
    for number in range(2_000):
        header = {b"authorization": b"Bearer stw_%012x_" % number + b"x" * 43}
        await refused(world, header, address=f"2001:db8:{number:x}::1")
    assert len(world.guard._notes) <= 110
    world.clock.advance(timedelta(seconds=1))
    await world.guard.sweep()
    notes = await refusals(world)
    assert sum(note.times for note in notes) == 2_000
    assert len(notes) <= 110


async def test_the_ledger_failing_makes_no_refusal_a_yes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(commit: Commit) -> Committed:
        raise EngineError("the disk is full", retryable=True)

    monkeypatch.setattr(world.guard, "_append", fails)
    header = {b"authorization": b"Bearer stw_ffffffffffff_" + b"x" * 43}
    assert (await refused(world, header)).code == "unauthenticated"
    with pytest.raises(EngineError):
        await world.guard.sweep()
    monkeypatch.undo()
    assert await world.guard.sweep() == 1
    assert [note.times for note in await refusals(world)] == [1]


async def test_other_teams_things_do_not_exist(world: World) -> None:
    await world.guard.administration.limit(world.ada, "grid.dispatch", ["grid"])
    eve = await world.guard.identify(bearer(await world.add(person("eve", *Role, teams="payments"))))
    gil = await world.guard.identify(bearer(await world.add(person("gil", Role.AUDITOR, teams="grid"))))
    resource = world.guard.resource("grid.dispatch")
    missing = NotFound("no decision has the id 7")
    for permission in Permission:
        with pytest.raises(NotFound) as caught:
            world.guard.require(eve, permission, resource, missing=lambda: missing)
        assert caught.value is missing
        with pytest.raises(NotFound):
            world.guard.require(eve, permission, resource)
    world.guard.require(gil, Permission.READ, resource)
    with pytest.raises(Denied) as denied:
        world.guard.require(gil, Permission.STOP, resource)
    assert "ask an administrator to be operator or approver or product-leader or administrator" in str(denied.value)
    world.guard.require(world.ada, Permission.READ, resource)
    assert world.guard.resource("grid.dispatch", "acme").tenant == "acme"
    with pytest.raises(NotFound):
        world.guard.require(gil, Permission.READ, world.guard.resource("grid.dispatch", "acme"))
    await world.guard.sweep()
    assert {note.code for note in await refusals(world)} == {"hidden", "denied"}
    await world.guard.administration.limit(world.ada, "grid.dispatch", [])
    world.guard.require(eve, Permission.READ, world.guard.resource("grid.dispatch"))


class Broken:
    """An authorizer that fails, or answers what is no answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def allows(self, identity: Identity, permission: Permission, resource: Resource) -> Verdict:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]  # wrong on purpose


@pytest.mark.parametrize("answer", [RuntimeError("secret-42"), None, True, Verdict(1, ""), RecursionError()])  # type: ignore[arg-type]  # wrong on purpose
async def test_an_authorizer_that_fails_denies(world: World, answer: object, caplog: pytest.LogCaptureFixture) -> None:
    guard = await Guard.open(world.ledger, world.clock, authorizer=Broken(answer))
    ada = await guard.identify(bearer(world.key))
    with pytest.raises(Denied) as caught:
        guard.require(ada, Permission.READ)
    await guard.sweep()
    assert "secret-42" not in caplog.text + str(caught.value)
    codes = [note.code for note in await refusals(world)]
    assert codes == ["denied"] if isinstance(answer, Verdict) else codes == ["authorizer-failed", "denied"]


async def test_isolation_and_scope_hold_whatever_the_authorizer_says(world: World) -> None:
    guard = await Guard.open(world.ledger, world.clock, authorizer=Broken(Verdict(True, "always")))
    bob = person("bob", teams="grid")
    guard.require(bob, Permission.ADMINISTER)
    assert not guard.may(bob, Permission.READ, Resource("pay.release", frozenset({"payments"}))).allowed
    assert not guard.may(replace(bob, scope=Scope(frozenset())), Permission.READ, WHOLE).allowed


async def test_last_uses_are_kept_without_an_entry_for_each(world: World) -> None:
    size = await world.ledger.size()
    for _ in range(50):
        await world.guard.identify(bearer(world.key))
        world.clock.advance(timedelta(seconds=1))
    await world.guard.sweep()
    assert await world.ledger.size() == size
    world.clock.advance(timedelta(minutes=10))
    assert await world.guard.sweep() == 1
    used = decode_access((await world.ledger.read())[-1].body)
    prefix = world.ada.credential.removeprefix("key:")
    assert isinstance(used, Used)
    assert used.keys == {prefix: NOON + timedelta(seconds=49)}
    again = await Guard.open(world.ledger, world.clock)
    assert again.directory.keys[prefix].used_at == NOON + timedelta(seconds=49)
    world.clock.advance(timedelta(hours=1))
    assert await world.guard.sweep() == 0


async def test_a_revocation_holds_at_once_also_for_streams_and_other_processes(world: World) -> None:
    key = await world.add(person("bob", Role.OPERATOR))
    other = await Guard.open(world.ledger, world.clock)
    bob = await world.guard.identify(bearer(key))
    assert world.guard.is_current(bob)
    assert other.is_current(bob)
    changed = replace(person("bob", Role.AUDITOR))
    await world.guard.administration.alter(world.ada, changed)
    assert not world.guard.is_current(bob)
    assert (await world.guard.identify(bearer(key))).roles == (Assignment(Role.AUDITOR),)
    await world.guard.administration.revoke_identity(world.ada, "bob", reason="left")
    assert (await refused(world, bearer(key))).code == "unauthenticated"
    await other.sweep()
    assert not other.is_current(bob)
    with pytest.raises(Denied):
        await other.identify(bearer(key))


async def test_attempts_are_bounded_and_forget_by_the_clock() -> None:
    attempts = Attempts(limit=1, most=3)
    for number in range(10):
        attempts.failed([f"address:{number}"], NOON)
    assert len(attempts) == 3
    assert attempts.blocked(["address:0"], NOON) is None
    assert attempts.blocked(["address:9"], NOON) == timedelta(minutes=1)
    assert attempts.blocked(["address:9"], NOON + timedelta(minutes=1)) is None
    assert attempts.blocked(["address:9"], NOON - timedelta(days=1)) == timedelta(minutes=1)


def test_the_example_of_a_secret_is_typed() -> None:
    assert not isinstance(Secret("x"), str), "a secret must not be formatted, joined or encoded as text by mistake"


async def test_a_yes_is_remembered_until_anything_changes_in_who_may_what(world: World) -> None:
    secret = await world.add(person("bob", Role.OPERATOR, teams="grid"))
    guard, office, headers = world.guard, world.guard.administration, bearer(secret)
    place = "grid.dispatch"

    def may_bob() -> bool:
        bob = guard.recognise(headers)
        assert bob is not None
        return guard.allows(bob, Permission.INVOKE, place)

    assert may_bob()
    assert may_bob()
    await office.limit(world.ada, place, ["other"])
    assert not may_bob()
    await office.limit(world.ada, place, ["grid"])
    assert may_bob()
    await office.alter(world.ada, person("bob", Role.AUDITOR, teams="grid"))
    assert not may_bob()
    await office.alter(world.ada, person("bob", Role.OPERATOR, teams="other"))
    assert not may_bob()
    await office.alter(world.ada, person("bob", Role.OPERATOR, teams="grid"))
    assert may_bob()
    await office.revoke_identity(world.ada, "bob", reason="has left")
    assert guard.recognise(headers) is None


async def test_a_yes_is_that_of_one_credential_only(world: World) -> None:
    await world.add(person("bob", Role.OPERATOR))
    scope = Scope(frozenset({Permission.READ}))
    narrow = (await world.guard.administration.issue_key(world.ada, "bob", label="narrow", scope=scope)).secret
    wide = (await world.guard.administration.issue_key(world.ada, "bob", label="wide")).secret
    for secret, allowed in ((wide, True), (narrow, False), (wide, True), (narrow, False)):
        bob = world.guard.recognise(bearer(secret))
        assert bob is not None
        assert world.guard.allows(bob, Permission.INVOKE, "grid.dispatch") is allowed


async def test_what_other_processes_change_ends_a_yes_too(world: World) -> None:
    secret = await world.add(person("bob", Role.OPERATOR))
    other = await Guard.open(world.ledger, world.clock)
    bob = other.recognise(bearer(secret))
    assert bob is not None
    assert other.allows(bob, Permission.INVOKE, "grid.dispatch")
    await world.guard.administration.limit(world.ada, "grid.dispatch", ["grid"])
    await other.sweep()
    assert not other.allows(bob, Permission.INVOKE, "grid.dispatch")


async def test_yeses_are_remembered_in_bounded_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.access.asking.MAX_REMEMBERED", 10)
    for number in range(50):
        who = person(f"p{number}", Role.OPERATOR)
        assert world.guard.allows(who, Permission.INVOKE, "grid.dispatch")
        assert not world.guard.allows(who, Permission.ADMINISTER, "grid.dispatch")
        assert len(world.guard._allowed) <= 10


async def test_only_good_keys_are_recognised_without_waiting(world: World) -> None:
    secret = await world.add(person("bob", Role.OPERATOR))
    good = bearer(secret)
    assert (await world.guard.identify(good)) == world.guard.recognise(good)
    wrong = good[b"authorization"][:-1] + (b"A" if good[b"authorization"][-1:] != b"A" else b"B")
    for shown in ({}, {b"authorization": wrong}, {b"authorization": b"Basic x"}, {b"cookie": b"__Host-steward=x"}):
        assert world.guard.recognise(shown) is None
