"""Entries about access stand among all others and every reader goes on; settings about access are strict."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from tests.api.conftest import BIG, NOON, REFUND, greeting, refund
from tests.api.people import HIDDEN, populate

from steward.access.entries import ACCESS_KINDS, ACCESS_RUN, REFUSED_RUN
from steward.access.permissions import Permission, Role
from steward.clock import VirtualClock
from steward.errors import DeclarationError, Denied, NotFound
from steward.insight.views import Views
from steward.ledger.memory import MemoryLedger
from steward.ledger.verify import verify_store
from steward.loop.agenda import Agenda
from steward.models.registry import FolderRegistry
from steward.runtime.access import issuers_of, open_files, open_guard
from steward.runtime.journal import Journal
from steward.runtime.replay import replay
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


def settings_in(folder: Path, **changed: str) -> Settings:
    place = {"ledger": f"sqlite:////{folder}/steward.db", "registry": str(folder / "models"), "data_dir": str(folder)}
    return Settings(root=folder, **{**place, **changed})  # type: ignore[arg-type]  # texts only


async def test_every_reader_goes_on_over_entries_about_access(tmp_path: Path) -> None:
    settings, clock = settings_in(tmp_path), VirtualClock(NOON, seed=3)
    async with await Runtime.open([refund, greeting], settings=settings, clock=clock) as runtime:
        first = (await runtime.decide(HIDDEN, REFUND)).record.decision_id
        people = await populate(runtime)
        wrong = {b"authorization": b"Bearer stw_000000000000_" + b"A" * 43}
        with pytest.raises(Denied):
            await runtime.guard.identify(wrong, address="192.0.2.7")
        await runtime.decide(HIDDEN, BIG)
        await runtime.guard.administration.revoke_identity(people.ada, "victim", reason="test")
        await runtime.guard.sweep()
        await runtime.advance()
        rows = runtime.views.runs(limit=100)
        entries = await runtime.ledger.read(0, 10_000)
        for run in (ACCESS_RUN, REFUSED_RUN, UUID(int=5)):
            with pytest.raises(NotFound):
                await runtime.run(run)
        again = Views(":memory:")
        await again.rebuild(runtime.ledger)
        assert again.runs(limit=100) == rows
        assert again.decisions() == [HIDDEN]
        again.close()
        found = await replay(runtime.ledger, FolderRegistry(tmp_path / "models"), refund)
        assert (found.runs, found.agreed) == (2, 2)
        await runtime.ledger.checkpoint()
    assert {"granted", "revoked", "refused"} <= {entry.kind for entry in entries} & ACCESS_KINDS
    assert verify_store(tmp_path / "steward.db").ok
    async with await Runtime.open([refund, greeting], settings=settings, clock=clock) as runtime:
        headers = {b"authorization": people.headers("operator.desk")["authorization"].encode()}
        known = await runtime.guard.identify(headers)
        assert runtime.guard.allows(known, Permission.INVOKE, HIDDEN)
        assert runtime.views.runs(limit=100) == rows
        assert (await runtime.run(first)).record.decision_id == first


async def test_who_lost_all_keys_needs_the_files(tmp_path: Path) -> None:
    settings, clock = settings_in(tmp_path), VirtualClock(NOON, seed=3)
    async with await Runtime.open([greeting], settings=settings, clock=clock) as runtime:
        await populate(runtime)
        assert await runtime.guard.bootstrap() is None
    async with open_files(settings, clock) as guard:
        once = await guard.bootstrap(recover=True)
    assert once is not None
    async with await Runtime.open([greeting], settings=settings, clock=clock) as runtime:
        assert (await runtime.guard.exchange(once.reveal(), id="new", display="New")).identity == "new"


GOOD = """
[[issuers]]
name = "corp"
issuer = "https://id.example"
audience = "steward"
jwks_url = "https://id.example/jwks"
algorithms = ["ES256"]
leeway_s = 5
roles_claim = "groups"
[[issuers.roles.desk]]
role = "approver"
decisions = ["grid.*"]
"""


def test_a_file_of_issuers_says_whose_tokens_are_believed(tmp_path: Path) -> None:
    (tmp_path / "access.toml").write_text(GOOD)
    [issuer] = issuers_of(settings_in(tmp_path, access="access.toml"))
    assert (issuer.name, issuer.algorithms, issuer.leeway.total_seconds()) == ("corp", ("ES256",), 5)
    assert [(each.role, each.decisions) for each in issuer.roles["desk"]] == [(Role.APPROVER, ("grid.*",))]


@pytest.mark.parametrize(
    "written",
    [
        GOOD.replace("audience", "audeince"),
        GOOD.replace('"ES256"', '"HS256"'),
        GOOD.replace('"approver"', '"boss"'),
        GOOD.replace("grid.*", "gr*d"),
        GOOD.replace("https://id.example/jwks", "http://id.example/jwks"),
        GOOD.replace("leeway_s = 5", "leeway_s = 5000"),
        GOOD.replace("leeway_s = 5", 'leeway_s = "5"'),
        GOOD + GOOD,
        GOOD + "[tokens]\n",
        "issuers = 3",
        "[[issuers",
    ],
)
def test_a_file_of_issuers_that_does_not_fit_is_refused(tmp_path: Path, written: str) -> None:
    (tmp_path / "access.toml").write_text(written)
    with pytest.raises(DeclarationError):
        issuers_of(settings_in(tmp_path, access="access.toml"))


async def test_policies_come_from_a_file(tmp_path: Path) -> None:
    clock, ledger = VirtualClock(NOON), MemoryLedger()
    file = tmp_path / "own.cedar"
    for written in (None, "permit (principal, action, resource", b"\xff"):
        if written is not None:
            file.write_bytes(written if isinstance(written, bytes) else written.encode())
        with pytest.raises(DeclarationError):
            await open_guard(settings_in(tmp_path, policies="own.cedar"), ledger, Journal(ledger, Agenda()), clock)
    file.write_text('@id("all") permit (principal, action == Action::"read", resource);')
    guard = await open_guard(settings_in(tmp_path, policies="own.cedar"), ledger, Journal(ledger, Agenda()), clock)
    once = await guard.bootstrap()
    assert once is not None
    key = (await guard.exchange(once.reveal(), id="ada", display="Ada")).secret
    ada = await guard.identify({b"authorization": f"Bearer {key.reveal()}".encode()})
    assert guard.allows(ada, Permission.READ, "pay.release")
    assert not guard.allows(ada, Permission.STOP, "pay.release"), "the table would, the policies do not"
