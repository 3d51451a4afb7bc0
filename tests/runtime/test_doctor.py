"""The doctor finds what is wrong, and never falls ill himself."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from tests.runtime.lending import loan, model

from steward import Attribution
from steward.access.guard import Guard
from steward.clock import Clock, SystemClock, VirtualClock
from steward.ledger.port import Commit, Draft
from steward.loop import explain
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import revoke, trust_key
from steward.models.static import StaticModels
from steward.runtime import doctor
from steward.runtime.doctor import Check, Health, examine
from steward.runtime.engines import open_ledger
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

CLOCK = SystemClock()
DECISION = Path(__file__).parents[2] / "src/steward/cli/template/refunds.py"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, port=0, decisions=(f"{DECISION}:release_refund",))


async def filled(settings: Settings, count: int = 20) -> UUID:
    ledger = await open_ledger(settings.ledger, settings, CLOCK)
    runs = [CLOCK.new_id() for _ in range(count)]
    body = '{{"kind":"decided","decision_id":"{}"}}'
    await ledger.append(Commit(entries=[Draft("decided", run, body.format(run).encode()) for run in runs]))
    await ledger.close()
    return runs[-1]


async def found(settings: Settings, name: str, *, clock: Clock = CLOCK, served_port: int | None = None) -> Check:
    checks = await examine(settings, clock, served_port=served_port)
    return next(check for check in checks if check.name == name and check.health is worst(checks, name))


def worst(checks: list[Check], name: str) -> Health:
    own = {check.health for check in checks if check.name == name}
    return next(health for health in (Health.FAIL, Health.WARN, Health.OK) if health in own)


async def test_all_is_well_in_a_new_and_in_a_used_project(settings: Settings) -> None:
    assert {check.health for check in await examine(settings, CLOCK)} == {Health.OK}
    await filled(settings)
    checks = await examine(settings, CLOCK)
    assert {check.health for check in checks} == {Health.OK}
    assert "20 entries" in next(check.what for check in checks if check.name == "ledger")


BOOK = """
[groups.{group}]
people = ["ana"]
[groups.customer-care]
people = ["ana"]
[people.ana]
smtp = "ana@example.org"
[smtp]
host = "mail.example.org"
sender = "s@example.org"
"""


@pytest.mark.parametrize(("group", "health"), [("care-leads", Health.OK), ("somebody", Health.WARN)])
async def test_a_group_that_nobody_tells_is_found(settings: Settings, group: str, health: Health) -> None:
    (settings.root / "people.toml").write_text(BOOK.format(group=group), encoding="utf-8")
    told = replace(settings, people="people.toml")
    assert (await found(told, "people")).health is health


async def test_four_eyes_without_anybody_enrolled_are_found(settings: Settings, tmp_path: Path) -> None:
    source = DECISION.read_text(encoding="utf-8")
    (tmp_path / "twofold.py").write_text(source.replace("gate=Gate(", "gate=Gate(approvals=2, "), encoding="utf-8")
    twofold = replace(settings, decisions=(f"{tmp_path / 'twofold.py'}:release_refund",))
    assert (await found(settings, "four eyes")).health is Health.OK
    assert (await found(twofold, "four eyes")).health is Health.WARN
    ledger = await open_ledger(settings.ledger, settings, CLOCK)
    guard = await Guard.open(ledger, CLOCK)
    once = await guard.bootstrap()
    assert once is not None
    await guard.exchange(once.reveal(), id="ana", display="Ana")
    await ledger.close()
    assert (await found(twofold, "four eyes")).health is Health.OK


async def test_an_address_book_that_does_not_fit_is_found(settings: Settings) -> None:
    (settings.root / "people.toml").write_text(BOOK.format(group="desk").replace("[smtp]", "[mail]"), encoding="utf-8")
    check = await found(replace(settings, people="people.toml"), "people")
    assert check.health is Health.FAIL


async def test_a_changed_entry_is_found(settings: Settings) -> None:
    run = await filled(settings)
    database = sqlite3.connect(settings.root / ".steward" / "steward.db")
    database.execute("UPDATE entries SET body = replace(body, 'decided', 'DECIDED') WHERE run_id = ?", (run.bytes,))
    database.commit()
    database.close()
    check = await found(settings, "ledger")
    assert check.health is Health.FAIL
    assert "steward verify --all" in check.fix


async def test_a_file_that_is_no_ledger_is_found(settings: Settings) -> None:
    (settings.root / ".steward").mkdir()
    (settings.root / ".steward" / "steward.db").write_bytes(b"no database at all" * 99)
    assert (await found(settings, "ledger")).health is Health.FAIL


async def test_an_open_key_is_found(settings: Settings) -> None:
    await filled(settings)
    (settings.root / ".steward" / "steward.db.key").chmod(0o644)
    check = await found(settings, "key")
    assert (check.health, check.fix[:9]) == (Health.FAIL, "chmod 600")


async def test_a_clock_that_was_set_back_is_found(settings: Settings) -> None:
    await filled(settings)
    check = await found(settings, "clock", clock=VirtualClock(CLOCK.now() - timedelta(hours=1)))
    assert check.health is Health.WARN
    assert "set back" in check.why


async def test_a_taken_port_is_found_unless_the_server_has_it(settings: Settings) -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    taken = Settings(root=settings.root, port=server.sockets[0].getsockname()[1], decisions=settings.decisions)
    assert (await found(taken, "port")).health is Health.FAIL
    assert (await found(taken, "port", served_port=taken.port)).health is Health.OK
    elsewhere = await found(taken, "port", served_port=taken.port + 1)
    assert (elsewhere.health, str(taken.port + 1) in elsewhere.what) == (Health.WARN, True)
    server.close()
    await server.wait_closed()


async def test_an_open_address_is_a_warning(settings: Settings) -> None:
    everywhere = Settings(root=settings.root, port=0, host="0.0.0.0", decisions=settings.decisions)
    check = await found(everywhere, "port")
    assert (check.health, "open to the network" in check.what) == (Health.WARN, True)


async def test_little_space_and_a_folder_that_cannot_be_written_are_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, health in ((10, Health.FAIL), (doctor.LITTLE_SPACE - 1, Health.WARN), (2**40, Health.OK)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(shutil, "disk_usage", lambda path, usage=usage: usage)
        assert (await found(settings, "data folder")).health is health
    in_the_way = Settings(root=settings.root, data_dir="file", decisions=settings.decisions)
    (settings.root / "file").write_text("")
    assert (await found(in_the_way, "data folder")).health is Health.FAIL


async def test_decisions_and_engines_that_cannot_be_loaded_are_found(settings: Settings) -> None:
    none = Settings(root=settings.root, port=0, ledger="sqlight:///x")
    checks = {check.name: check for check in await examine(none, CLOCK)}
    assert (checks["decisions"].health, checks["engines"].health) == (Health.FAIL, Health.FAIL)
    assert checks["engines"].fix == "did you mean 'sqlite'?"


async def test_an_old_python_and_missing_packages_are_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (9, 9))
    monkeypatch.setattr(doctor, "PACKAGES", ("msgspec", "no-such-package-here"))
    assert (await found(settings, "python")).health is Health.FAIL
    assert "no-such-package-here" in (await found(settings, "versions")).what


async def test_a_ledger_in_memory_is_a_warning(settings: Settings) -> None:
    memory = Settings(root=settings.root, port=0, ledger="memory://", decisions=settings.decisions)
    assert (await found(memory, "ledger")).health is Health.WARN


async def test_attribution_that_costs_more_than_is_allowed_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fast = timedelta(microseconds=640), timedelta(microseconds=31)
    monkeypatch.setattr(doctor, "open_registry", lambda settings: StaticModels(model()))
    inline = replace(loan(), attribution=Attribution.INLINE, explain_within=timedelta(microseconds=100))
    for cost, health, says in (
        (slow, Health.WARN, "after the answer: 640 µs were measured, 100 µs are allowed"),
        (fast, Health.OK, "before the answer: 31 µs were measured, 100 µs are allowed"),
    ):
        monkeypatch.setattr(explain, "cost_of", lambda model, cost=cost: cost)
        checks = await examine(settings, CLOCK, decisions=[inline, loan()])
        [check] = [check for check in checks if check.name == "attribution"]
        assert (check.health, check.what) == (health, f"bank.loan is explained {says}")
        assert bool(check.fix) is (health is Health.WARN)


async def test_whose_word_counts_is_told(settings: Settings) -> None:
    assert "no keys are asked for" in (await found(settings, "trust")).what
    asks = replace(settings, trust="trusted")
    missing = await found(asks, "trust")
    assert (missing.health, "no folder" in missing.what) == (Health.FAIL, True)
    anna = PrivateKey.of_seed(bytes(32))
    trust_key(settings.root / "trusted", "anna", anna.public)
    assert (await found(asks, "trust")).what == "what was signed by anna may answer"
    revoke(settings.root / "trusted", anna.id, reason="lost", at=CLOCK.now())
    assert "nobody is trusted" in (await found(asks, "trust")).what


async def test_the_id_of_a_release_is_no_time(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    async with await Runtime.open([loan()], settings=settings, clock=CLOCK, registry=StaticModels(model())) as runtime:
        [entry] = await runtime.ledger.read(0, 10)
        assert (entry.kind, entry.run_id.version) == ("published", 8)
    assert not [check for check in await examine(settings, CLOCK) if "set back" in check.why]
