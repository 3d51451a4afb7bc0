"""Models come in and go out unchanged, or not at all: a corpus of hostile uploads is refused, nothing left behind."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pytest
from tests.models.artefacts import INPUTS, clock, lightgbm_text, linear_file
from tests.models.hostile import containers, manifests, plain, structure
from tests.models.hostile_models import models as hostile_models

from steward.clock import SystemClock
from steward.errors import Conflict, ContractError, Distrusted, EngineError, IntegrityError, StewardError
from steward.models.folders import read_statements
from steward.models.registry import FolderRegistry, Registered
from steward.models.sandbox.limited import Limits
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import trust_key
from steward.models.untrusted.intake import draft, register, take_in, take_out, told
from steward.models.untrusted.intake_process import check_archive
from steward.models.untrusted.spool import spool

CORPUS = dict([*structure(), *containers(), *manifests(), *hostile_models()])
CODES = {"model-archive", "model-format", "model-unsafe", "integrity", "engine", "engine-not-installed"}


def file_of(content: bytes) -> IO[bytes]:
    file = TemporaryFile()  # noqa: SIM115 - who asks for it closes it
    file.write(content)
    file.seek(0)
    return file


def made(registry: FolderRegistry, intercept: float = 0.25) -> Registered:
    known = draft("load", kind="linear", task="regression", inputs=INPUTS)
    with file_of(linear_file(intercept)) as file:
        return register(registry, known, {"model.json": file}, clock=clock())


def exported(found: Registered) -> bytes:
    with TemporaryFile() as file:
        take_out(found, file)
        file.seek(0)
        return file.read()


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 200
    with file_of(plain()) as file:
        assert check_archive(file) == b""  # what the corpus was made of is good


@pytest.mark.parametrize("what", CORPUS)
def test_a_hostile_upload_is_refused(what: str) -> None:
    """Read here, and not in a process of its own: what reads it must not rely on that."""
    with file_of(CORPUS[what]()) as file, pytest.raises((StewardError, RecursionError)) as caught:
        check_archive(file)
    if isinstance(caught.value, StewardError):
        assert caught.value.code in CODES, caught.value
        assert caught.value.fix


SOME = [*CORPUS][:: len(CORPUS) // 8]


@pytest.mark.parametrize("what", SOME)
def test_a_hostile_upload_leaves_nothing_behind(tmp_path: Path, what: str) -> None:
    _refused(tmp_path, CORPUS[what])


@pytest.mark.deep
@pytest.mark.parametrize("what", CORPUS)
def test_every_hostile_upload_leaves_nothing_behind(tmp_path: Path, what: str) -> None:
    _refused(tmp_path, CORPUS[what])


def _refused(folder: Path, make: Callable[[], bytes]) -> None:
    opened = len(os.listdir("/proc/self/fd"))
    with file_of(make()) as file, pytest.raises((ContractError, IntegrityError, EngineError)) as caught:
        take_in(FolderRegistry(folder / "models"), file, clock=clock())
    assert caught.value.fix
    assert not (folder / "models").exists()
    assert len(os.listdir("/proc/self/fd")) == opened


def test_what_is_exported_is_imported_as_it_was(tmp_path: Path) -> None:
    mine, theirs = FolderRegistry(tmp_path / "mine"), FolderRegistry(tmp_path / "theirs")
    made(mine, 1.0)
    found = made(mine, 2.0)
    anna = PrivateKey.of_seed(bytes(32))
    mine.sign("load", key=anna, clock=clock())
    content = exported(found)
    assert content == exported(found)
    for _ in range(2):
        with file_of(content) as file:
            came = take_in(theirs, file, clock=clock())
        assert (came.version, came.digest, came.manifest) == ("2", found.digest, found.manifest)
    assert theirs.versions("load") == ("2",)
    assert read_statements(came.path.parent) == read_statements(found.path.parent) != {}
    assert exported(came) == content
    assert theirs.load("load").predict_one([0.0] * 5) == 2.0


def test_statements_come_later_too(tmp_path: Path) -> None:
    mine, theirs = FolderRegistry(tmp_path / "mine"), FolderRegistry(tmp_path / "theirs")
    found = made(mine)
    for _ in range(2):
        with file_of(exported(found)) as file:
            came = take_in(theirs, file, clock=clock())
        mine.sign("load", key=PrivateKey.of_seed(bytes(32)), clock=clock())
    assert read_statements(came.path.parent) == read_statements(found.path.parent) != {}


def test_another_model_in_its_place_is_a_conflict(tmp_path: Path) -> None:
    found, theirs = made(FolderRegistry(tmp_path / "mine"), 1.0), FolderRegistry(tmp_path / "theirs")
    kept = made(theirs, 2.0)
    with file_of(exported(found)) as file, pytest.raises(Conflict, match="is another model here"):
        take_in(theirs, file, clock=clock())
    assert theirs.show("load") == kept


def test_what_was_changed_is_not_exported(tmp_path: Path) -> None:
    found = made(FolderRegistry(tmp_path))
    (found.path / "model.json").chmod(0o644)
    (found.path / "model.json").write_bytes(linear_file(9.0))
    with pytest.raises(IntegrityError, match=r"model\.json"):
        exported(found)


def test_files_are_registered_once(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "models")
    assert [made(registry).version, made(registry).version, made(registry, 1.0).version] == ["1", "1", "2"]
    assert made(registry).manifest.checked
    assert [name for name in os.listdir(registry.root / "load") if name.startswith(".")] == []


def _text(text: str) -> bytes:
    return b"L" + len(text).to_bytes(8, "big") + text.encode()


_UBJSON = b"{" + _text("learner") + b"{" + _text("feature_names") + b"[S" + _text("a") + b"S" + _text("b") + b"]}}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (linear_file(), ("linear", "model.json", INPUTS)),
        (lightgbm_text(trees=1), ("lightgbm", "model.txt", INPUTS)),
        (b'{"learner":{"feature_names":["a","b"]}}', ("xgboost", "model.json", ("a", "b"))),
        (_UBJSON, ("xgboost", "model.ubj", ("a", "b"))),
        (b'{"classes":[]}', ("", "notes.json", ())),
    ],
    ids=["linear", "lightgbm", "xgboost", "ubjson", "json"],
)
def test_a_file_tells_what_it_is(content: bytes, expected: tuple[object, ...]) -> None:
    with file_of(content) as file:
        found = told("notes.json", file)
    assert (found.kind, found.name, found.inputs) == expected


def test_a_spool_takes_up_to_its_quota(tmp_path: Path) -> None:
    with spool(tmp_path / "models", quota_bytes=10) as upload:
        upload.write(b"x" * 10)
        assert list(tmp_path.iterdir()) == [], "a file without a name"
        with pytest.raises(ContractError, match="larger than 10 bytes"):
            upload.write(b"x")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    code = (
        "import sys, resource\nfrom pathlib import Path\nfrom steward.models.untrusted.spool import spool\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "with spool(Path(sys.argv[1]), quota_bytes=1 << 30) as upload:\n"
        "    for _ in range(3): upload.write(bytes(1 << 20))\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "EngineError: an upload cannot be written" in run.stderr


_MEASURED = """
import sys
from pathlib import Path
from steward.clock import SystemClock
from steward.models.untrusted.intake import draft, register, take_in, take_out
from steward.models.untrusted.spool import spool
from steward.models.signing.trust import trust_key
from steward.models.registry import FolderRegistry

def most() -> int:
    status = Path("/proc/self/status").read_text()  # what getrusage tells may be of the process before this one
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

root, source = Path(sys.argv[1]), Path(sys.argv[2])
here, there = FolderRegistry(root / "here"), FolderRegistry(root / "there")
known = draft("load", kind="lightgbm", task="binary", inputs=sys.argv[3].split(","))
before = most()
with source.open("rb") as file:
    found = register(here, known, {"model.txt": file}, clock=SystemClock())
with spool(root, quota_bytes=1 << 30) as packed:
    take_out(found, packed.file)
    assert take_in(there, packed.file, clock=SystemClock()).digest == found.digest
print(before, most() - before)
"""


def large_model(folder: Path, trees: int) -> Path:
    """Write a LightGBM model that repeats one tree."""
    text = lightgbm_text(trees=1)
    start, end = text.index(b"Tree=0"), text.index(b"end of trees")
    body = text[start:end].removeprefix(b"Tree=0\n")
    repeated = [b"Tree=%d\n%b" % (at, body) for at in range(trees)]
    sizes = b"tree_sizes=" + b" ".join(b"%d" % len(tree) for tree in repeated)
    head = b"\n".join(sizes if line.startswith(b"tree_sizes=") else line for line in text[:start].split(b"\n"))
    path = folder / "large.txt"
    path.write_bytes(head + b"".join(repeated) + text[end:])
    return path


@pytest.mark.deep
def test_a_large_model_is_never_whole_in_memory(tmp_path: Path) -> None:
    source = large_model(tmp_path, 70_000)
    assert source.stat().st_size > 100 << 20
    command = [sys.executable, "-c", _MEASURED, str(tmp_path), str(source), ",".join(INPUTS)]
    before, grown = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert before < 200
    assert grown < 50, "MiB; the model has more than 100"


def test_a_model_that_needs_more_than_the_limits_is_refused(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "models")
    known = draft("load", kind="linear", task="regression", inputs=INPUTS)
    with file_of(linear_file()) as file, pytest.raises(ContractError) as caught:
        register(registry, known, {"model.json": file}, clock=SystemClock(), limits=Limits(memory_bytes=90 << 20))
    assert caught.value.code == "model-unsafe"
    assert resource.getrlimit(resource.RLIMIT_CORE)  # the limits were those of the process, not ours
    assert not registry.root.exists()


def test_a_manifest_that_changes_meanwhile_is_not_exported(tmp_path: Path) -> None:
    found = made(FolderRegistry(tmp_path))
    (found.path / "manifest.json").chmod(0o644)
    (found.path / "manifest.json").write_bytes((found.path / "manifest.json").read_bytes() + b"\n")
    with pytest.raises(IntegrityError, match=r"manifest\.json was changed"):
        exported(found)


def test_with_a_trust_only_what_is_signed_comes_in(tmp_path: Path) -> None:
    mine, anna = FolderRegistry(tmp_path / "mine"), PrivateKey.of_seed(bytes(32))
    (tmp_path / "trust").mkdir()
    trust_key(tmp_path / "trust", "anna", anna.public)
    theirs = FolderRegistry(tmp_path / "theirs", tmp_path / "trust")
    found = made(mine)
    with file_of(exported(found)) as file, pytest.raises(Distrusted, match="is not signed"):
        take_in(theirs, file, clock=clock())
    assert not theirs.root.exists()
    mine.sign("load", key=anna, clock=clock())
    with file_of(exported(found)) as file:
        take_in(theirs, file, clock=clock())
    assert theirs.fetch("load").signed_by == anna.id
