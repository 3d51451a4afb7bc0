"""The doctor: looks at everything a running Steward needs, and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
import platform
import shutil
import stat
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from steward.access.directory import Directory
from steward.clock import EPOCH, Clock
from steward.decision.decision import Decision
from steward.decision.model import Attribution
from steward.errors import IntegrityError, StewardError
from steward.ledger.verify import verify_entry
from steward.loop.explain import explaining
from steward.models.registry import FolderRegistry
from steward.models.signing.trust import Trust
from steward.people.book import read_book
from steward.runtime.channels import open_channels, unreached
from steward.runtime.engines import ENGINES, engine_of, ledger_path, open_registry
from steward.runtime.project import load_decisions
from steward.runtime.reader import LedgerReader
from steward.runtime.releasing import is_governed
from steward.runtime.settings import Settings
from steward.runtime.url import masked

OLDEST_PYTHON: Final = (3, 11)
PACKAGES: Final = ("steward-aios", "msgspec", "numpy", "cryptography", "fastapi", "uvicorn", "typer", "rich")
LITTLE_SPACE: Final = 1024**3
NO_SPACE: Final = 64 * 1024**2
AnyDecision = Decision[Any, Any, Any]
_JUMP: Final = timedelta(seconds=5)


class Health(StrEnum):
    """The result of one check.

    Example:
        >>> Health.WARN.value
        'warn'
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was looked at.

    Attributes:
        name: What.
        health: How it is: ``fail`` keeps Steward from working, ``warn`` does not yet.
        what: What was found.
        why: Why that matters; empty if all is well.
        fix: What to do next; empty if all is well.

    Example:
        >>> Check(name="port", health=Health.OK, what="127.0.0.1:8700 is free").fix
        ''
    """

    name: str
    health: Health
    what: str
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class _Patient:
    settings: Settings
    clock: Clock
    served_port: int | None
    decisions: Sequence[AnyDecision] | None

    def declared(self) -> Sequence[AnyDecision]:
        """Return what runs, or else what the settings name."""
        return load_decisions(self.settings) if self.decisions is None else self.decisions


async def examine(
    settings: Settings,
    clock: Clock,
    *,
    served_port: int | None = None,
    decisions: Sequence[AnyDecision] | None = None,
) -> list[Check]:
    """Check everything, in the order in which it is needed.

    Args:
        settings: The effective settings.
        clock: Compared with the ledger's last entry.
        served_port: Where a server of this project listens, so that this port is rightly taken; ``None`` without one.
        decisions: What runs already; by default what the settings name is loaded.

    Returns:
        One check or more for each thing; an error inside a check is a failed check, never an exception.
    """
    patient = _Patient(settings, clock, served_port, decisions)
    checks: list[Check] = []
    for name, look in _LOOKS.items():
        try:
            checks += await look(patient)
        except StewardError as error:
            checks.append(Check(name=name, health=Health.FAIL, what=error.what, why=error.why, fix=error.fix))
        except OSError as error:
            checks.append(Check(name=name, health=Health.FAIL, what=f"{name} cannot be checked", why=str(error)))
    return checks


def _ok(name: str, what: str) -> list[Check]:
    return [Check(name=name, health=Health.OK, what=what)]


def _warn(name: str, what: str, *, why: str, fix: str) -> list[Check]:
    return [Check(name=name, health=Health.WARN, what=what, why=why, fix=fix)]


def _fail(name: str, what: str, *, why: str = "", fix: str = "") -> list[Check]:
    return [Check(name=name, health=Health.FAIL, what=what, why=why, fix=fix)]


async def _python(patient: _Patient) -> list[Check]:
    what = f"Python {platform.python_version()} ({platform.python_implementation()}) on {platform.system()}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return _fail("python", what, why="Steward needs 3.11 or newer", fix="install a newer Python")
    return _ok("python", what)


async def _versions(patient: _Patient) -> list[Check]:
    found, missing = [], []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        why = "Steward cannot run without them"
        return _fail("versions", f"not installed: {', '.join(missing)}", why=why, fix="pip install steward-aios")
    return _ok("versions", ", ".join(found))


async def _engines(patient: _Patient) -> list[Check]:
    checks: list[Check] = []
    for port, url in (("ledger", patient.settings.ledger), ("bus", patient.settings.bus)):
        engine_of(port, url).load()
    for engine in ENGINES:
        what = f"{engine.scheme}:// is {engine.hint}"
        if engine.missing:
            checks += _ok(f"{engine.port} engine", f"{what}; it is not installed, {engine.install} does that")
        else:
            checks += _ok(f"{engine.port} engine", what)
    return checks


async def _decisions(patient: _Patient) -> list[Check]:
    return _ok("decisions", ", ".join(decision.name for decision in patient.declared()))


async def _people(patient: _Patient) -> list[Check]:
    if not patient.settings.people:
        return _ok("people", "no address book is named: nobody is told what needs them (docs/notifications.md)")
    path = patient.settings.path(patient.settings.people)
    book = read_book(path)
    open_channels(book, path.parent, patient.clock)
    missing = unreached(book, patient.declared())
    if missing:
        return [
            each for what in missing for each in _warn("people", what, why="the address book lacks it", fix="add it")
        ]
    return _ok("people", f"{len(book.people)} people in {len(book.groups)} groups can be told")


async def _four_eyes(patient: _Patient) -> list[Check]:
    gates = [(decision.name, decision.gate) for decision in patient.declared()]
    several = [name for name, gate in gates if gate is not None and (gate.four_eyes or gate.approvals > 1)]
    if not several or await _knows_people(patient.settings):
        return _ok("four eyes", f"{len(several)} gates want several people")
    return _warn(
        "four eyes",
        f"{', '.join(several)} want several people, but nobody is enrolled",
        why="without keys whoever is at this machine can say any name",
        fix="steward access claim, then enrol people (docs/access.md)",
    )


async def _knows_people(settings: Settings) -> bool:
    path = ledger_path(settings)
    if path is None or not path.exists():
        return False
    reader = LedgerReader(path)
    try:
        return bool((await Directory.load(reader)).identities)
    finally:
        await reader.close()


async def _folder(patient: _Patient) -> list[Check]:
    checks: list[Check] = []
    path = ledger_path(patient.settings)
    for name, folder in (
        ("data folder", patient.settings.path(patient.settings.data_dir)),
        ("ledger folder", path and path.parent),
    ):
        if folder is not None:
            checks += await asyncio.to_thread(_writable, name, folder)
    return checks


def _writable(name: str, folder: Path) -> list[Check]:
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    probe = existing / ".steward-doctor"
    try:
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        return _fail(
            name, f"{existing} cannot be written", why=str(error), fix="change its owner, or set another data_dir"
        )
    free = shutil.disk_usage(existing).free
    what = f"{folder} is writable, {free / 1024**3:,.1f} GiB free"
    if free < NO_SPACE:
        return _fail(name, what, why="a full disk stops all decisions", fix="make space")
    if free < LITTLE_SPACE:
        return _warn(name, what, why="a full disk stops all decisions", fix="make space soon")
    return _ok(name, what)


async def _ledger(patient: _Patient) -> list[Check]:
    path = ledger_path(patient.settings)
    if path is None:
        why = "it is gone when the process ends"
        return _warn(
            "ledger", f"the ledger is {masked(patient.settings.ledger)}", why=why, fix="use sqlite:///steward.db"
        )
    if not path.exists():
        return _ok("ledger", f"{path} will be made at the first start")
    reader = LedgerReader(path)
    try:
        size = await reader.size()
        last = (await reader.read(size - 1, 1))[0] if size else None
    finally:
        await reader.close()
    if last is None:
        return _ok("ledger", f"{path} is empty")
    # The proof of the last entry leads to the root of the whole tree: quick, and as good as the head is.
    broken = [
        str(each) for proven in await asyncio.to_thread(verify_entry, path, last.run_id) for each in proven.breaks
    ]
    if broken:
        return _fail("ledger", f"{path} does not verify", why="; ".join(broken), fix="run: steward verify --all")
    # Ids of releases are made of a name, and tell no time.
    written = EPOCH + timedelta(milliseconds=last.run_id.int >> 80) if last.run_id.version == 7 else EPOCH
    return [*_ok("ledger", f"{path} has {size:,} entries, the last ones verify"), *_time(patient.clock.now(), written)]


def _time(now: datetime, last: datetime) -> list[Check]:
    """Compare the clock with the last run's id, which holds the time it was made."""
    what = f"it is {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < last - _JUMP:
        why = f"the ledger's last run was made at {last:%Y-%m-%d %H:%M:%S} UTC: the clock was set back"
        return _warn("clock", what, why=why, fix="correct the clock (NTP); ids stay in order meanwhile")
    return _ok("clock", what)


async def _key(patient: _Patient) -> list[Check]:
    path = ledger_path(patient.settings)
    key = None if path is None else path.with_name(f"{path.name}.key")
    if key is None or not key.exists():
        return _ok("key", "the signing key will be made at the first start")
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        why = f"its mode is {mode:04o}; whoever reads it can forge checkpoints"
        return _fail("key", f"the signing key {key} is open to others", why=why, fix=f"chmod 600 {key}")
    return _ok("key", f"{key} is for its owner only ({mode:04o})")


async def _models(patient: _Patient) -> list[Check]:
    registry = patient.settings.path(patient.settings.registry)
    models = FolderRegistry(registry)
    names = models.names() if registry.is_dir() else ()
    changed: list[Check] = []
    for name in names:
        for each in models.versions(name):
            try:
                models.read(name, each)
            except IntegrityError as error:
                changed += _fail("models", f"{name} version {each}: {error.what}", why=error.why, fix=error.fix)
    whole = _ok("models", f"{len(names)} registered in {registry}: {', '.join(names) or 'none'}; all as registered")
    return [*(changed or whole), *_trust(patient.settings)]


def _trust(settings: Settings) -> list[Check]:
    if not settings.trust:
        return _ok("trust", "no keys are asked for: whatever is registered may answer")
    try:
        trust = Trust.read(settings.path(settings.trust))
    except StewardError as error:
        return _fail("trust", error.what, why=error.why, fix=error.fix)
    names = ", ".join(each.name for each in trust.keys.values() if each.key.id not in trust.revoked.keys)
    if not names:
        return _fail("trust", "nobody is trusted, so no model answers", fix="steward models keys trust NAME FILE")
    return _ok("trust", f"what was signed by {names} may answer")


async def _mode(patient: _Patient) -> list[Check]:
    if is_governed(patient.settings):
        return _ok("mode", "governed: only signed releases decide that a second person agreed to")
    return _ok("mode", "development: whatever a process is started with decides, and each record says so")


async def _attribution(patient: _Patient) -> list[Check]:
    declared = [each for each in patient.declared() if each.attribution is not Attribution.OFF]
    registry = open_registry(patient.settings) if declared else None
    checks = []
    for decision in declared:
        assert registry is not None
        found = explaining(decision, {model.name: registry.load(model) for model in decision.models})
        what = f"{decision.name} is explained {found}"
        checks += (
            _warn(
                "attribution",
                what,
                why="records are without what moved the answer, until it is computed",
                fix="pip install 'steward-aios[shap]', a smaller model, or a larger explain_within",
            )
            if found.is_over_budget
            else _ok("attribution", what)
        )
    return checks


async def _port(patient: _Patient) -> list[Check]:
    place = f"{patient.settings.host}:{patient.settings.port}"
    try:
        server = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, patient.settings.host, patient.settings.port
        )
    except OSError as error:
        if patient.served_port == patient.settings.port:
            return _ok("port", f"{place} is served")
        why = error.strerror or str(error)
        if patient.served_port is not None:
            what = f"{place} is not free; this project is served on port {patient.served_port}"
            return _warn("port", what, why=why, fix="steward serve --port, as before, or set another port")
        return _fail("port", f"{place} is not free", why=why, fix="steward serve --port 0 takes a free one")
    server.close()
    await server.wait_closed()
    if patient.settings.host not in ("127.0.0.1", "::1", "localhost"):
        what = f"{place} is free, and open to the network"
        if patient.settings.ssl_certfile:
            return _ok("port", f"{what}, with TLS")
        why = "without TLS everybody on the way can read keys and decisions"
        return _warn("port", what, why=why, fix="set ssl_certfile, or use 127.0.0.1 behind a proxy that speaks TLS")
    return _ok("port", f"{place} is free")


_LOOKS: Final[dict[str, Callable[[_Patient], Awaitable[Sequence[Check]]]]] = {
    "python": _python,
    "versions": _versions,
    "engines": _engines,
    "decisions": _decisions,
    "people": _people,
    "four eyes": _four_eyes,
    "folder": _folder,
    "ledger": _ledger,
    "key": _key,
    "models": _models,
    "mode": _mode,
    "attribution": _attribution,
    "port": _port,
}
