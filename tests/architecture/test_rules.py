"""The rules of the house, as tests: sizes, names, forbidden calls, documented classes, frozen public names."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "steward"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
P95_FUNCTION_LINES = 40
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "manager", "base", "misc"}

# Where time, chance, sockets and threads may be touched: the clock and the engines, each with its reason.
ENGINES = {
    "clock.py": "the port of time, ids and chance",
    "ledger/sqlite": "an engine: one writer thread",
    "models/engines/lightgbm": "an engine: handles for each thread",
    "models/attribution/explaining.py": "measures what attribution costs",
    "models/engines/skops": "an engine: one process, asked by one thread at a time",
    "api/server.py": "the socket that the server listens on",
    "downstream/transport.py": "an engine: resolves names and connects",
    "serving/inprocess.py": "an engine: measures how a model answers",
    "cli/": "a face: looks at processes and ports of this machine",
    "runtime/doctor.py": "looks at the machine: its ports and its clock",
    "cases/grid/live/demo": "a face: paces the demo by the wall clock",
}
FORBIDDEN_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "uuid.uuid1",
    "uuid.uuid4",
    "os.urandom",
    "os.getrandom",
}
FORBIDDEN_MODULES = {"random", "secrets", "socket", "threading", "multiprocessing"}
FORBIDDEN_EVERYWHERE = {"eval", "exec", "pickle", "cPickle", "joblib", "dill", "marshal", "shelve"}


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{relative(path)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_fits_on_few_screens(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_FILE_LINES


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_of_tests_fits_on_few_screens(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


def test_functions_are_short() -> None:
    sizes = {name: lines for path in SOURCES for name, lines in functions(path)}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_FUNCTION_LINES} == {}
    ordered = sorted(sizes.values())
    assert ordered[int(len(ordered) * 0.95)] <= P95_FUNCTION_LINES


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_names_say_something(path: Path) -> None:
    assert not FORBIDDEN_NAMES & {path.stem, *path.relative_to(PACKAGE).parent.parts}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def calls(module: ast.Module) -> set[str]:
    """Return what is called by its full name, whatever it was imported as."""
    known: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            known |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            found.add(".".join(filter(None, (known.get(first, first), rest))))
    return found


def forbidden_calls(module: ast.Module) -> set[str]:
    return {call for call in calls(module) if any(call == bad or call.endswith("." + bad) for bad in FORBIDDEN_CALLS)}


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.time()",
        "import time as t; t.sleep(1)",
        "from time import time; time()",
        "from time import perf_counter as now; now()",
        "from datetime import datetime; datetime.now()",
        "from datetime import datetime as dt; dt.now()",
        "import datetime; datetime.datetime.now()",
        "from uuid import uuid4; uuid4()",
        "import uuid; uuid.uuid4()",
        "from os import urandom; urandom(8)",
    ],
)
def test_a_forbidden_call_is_found_under_every_name(code: str) -> None:
    assert forbidden_calls(ast.parse(code))


@pytest.mark.parametrize("path", [p for p in SOURCES if not relative(p).startswith(tuple(ENGINES))], ids=relative)
def test_time_chance_and_threads_come_through_ports(path: Path) -> None:
    assert forbidden_calls(tree(path)) == set()
    assert imported(path) & FORBIDDEN_MODULES == set()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_loads_code_from_data(path: Path) -> None:
    assert (imported(path) | calls(tree(path))) & FORBIDDEN_EVERYWHERE == set()


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_every_exception_to_the_rules_exists(engine: str) -> None:
    assert any(relative(path).startswith(engine) for path in SOURCES)


def public_classes(path: Path) -> Iterator[ast.ClassDef]:
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node


def is_protocol(node: ast.ClassDef) -> bool:
    """A protocol is a promise without code; its conformance suite is its example."""
    return any("Protocol" in ast.unparse(parent) for parent in node.bases)


# What users import; the classes of all other modules are wiring that only Steward itself calls.
PUBLIC = (
    "decision/",
    "errors.py",
    "clock.py",
    "records.py",
    "entries/",
    "wire.py",
    "ledger/port.py",
    "ledger/run.py",
    "ledger/sqlite.py",
    "ledger/memory.py",
    "ledger/merkle.py",
    "ledger/note.py",
    "ledger/verify.py",
    "bus/",
    "models/",
    "features/online.py",
    "features/history.py",
    "features/row.py",
    "insight/rows.py",
    "insight/views.py",
    "runtime/runtime.py",
    "runtime/settings.py",
    "runtime/engines.py",
    "runtime/replay.py",
    "testing/",
)


def test_every_public_class_has_an_example() -> None:
    lacking = [
        f"{relative(path)}: {node.name}"
        for path in SOURCES
        if relative(path).startswith(PUBLIC)
        for node in public_classes(path)
        if not is_protocol(node) and ">>>" not in (ast.get_docstring(node) or "")
    ]
    assert lacking == []


def test_public_names_are_frozen() -> None:
    import steward

    assert sorted(steward.__all__) == (Path(__file__).parent / "public_names.txt").read_text().split()


def test_importing_steward_is_light() -> None:
    code = (
        "import sys; import steward; "
        "heavy = {'pandas', 'lightgbm', 'polars', 'fastapi', 'highspy', 'uvicorn', 'numpy', 'rich', 'typer'}; "
        "print(','.join(sorted(heavy & set(sys.modules))))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == ""


def test_every_room_keeps_to_its_floor() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_every_room_has_a_floor() -> None:
    """The linter leaves a room alone that no floor names."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = rules["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {room.strip() for floor in floors for room in floor.split("|")}
    rooms = {"steward." + path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in SOURCES}
    assert rooms - named == {"steward.__init__", "steward.__main__"}
