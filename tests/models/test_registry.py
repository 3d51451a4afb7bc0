from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.models.artefacts import INPUTS, clock, lightgbm_text, linear_file

from steward.clock import VirtualClock
from steward.decision.model import Model
from steward.errors import DeclarationError, EngineError, IntegrityError, NotFound
from steward.models import folders
from steward.models.manifest import Trained, digest_of
from steward.models.registry import FolderRegistry, Registered


@pytest.fixture
def models(tmp_path: Path) -> FolderRegistry:
    return FolderRegistry(tmp_path / "models")


def register(models: FolderRegistry, intercept: float = 0.25, name: str = "load", **changes: Any) -> Registered:
    arguments: dict[str, Any] = {
        "kind": "linear",
        "files": {"model.json": linear_file(intercept)},
        "inputs": INPUTS,
        "task": "regression",
        "clock": clock(),
        **changes,
    }
    return models.register(name, **arguments)


def test_what_is_registered_is_loaded(models: FolderRegistry) -> None:
    made = register(models)
    loaded = models.load("load")
    assert (loaded.name, loaded.version, loaded.digest, loaded.inputs) == ("load", "1", made.digest, INPUTS)
    assert made.path.name == made.digest.replace(":", "-")
    assert digest_of((made.path / "manifest.json").read_bytes()) == made.digest
    assert loaded.predict_one([0.0] * 5) == 0.25


def test_a_lightgbm_model_goes_the_same_way(models: FolderRegistry) -> None:
    register(models, kind="lightgbm", files={"model.txt": lightgbm_text()}, task="binary")
    assert 0.0 < models.load("load").predict_one([0.0] * 5) < 1.0


def test_versions_count_up_and_names_are_sorted(models: FolderRegistry) -> None:
    assert [register(models, at).version for at in range(11)] == [str(at + 1) for at in range(11)]
    register(models, name="a.price-2")
    assert models.names() == ("a.price-2", "load")
    assert models.versions("load")[-2:] == ("10", "11")
    assert models.load("load").predict_one([0.0] * 5) == 10.0


def test_each_way_to_name_a_version(models: FolderRegistry) -> None:
    old, new = register(models, 1.0), register(models, 2.0)
    for version, expected in [("1", old), ("2", new), ("latest", new), (old.digest, old), (new.digest, new)]:
        assert models.show("load", version) == expected
        assert models.load("load", version).digest == expected.digest
        assert models.load(Model("load", version=version)).digest == expected.digest


def test_the_same_content_is_the_same_version(models: FolderRegistry, tmp_path: Path) -> None:
    first = register(models)
    register(models, 2.0)
    later = VirtualClock(datetime(2027, 1, 1, tzinfo=UTC))
    before = sorted(tmp_path.rglob("*"))
    assert register(models, clock=later) == first
    assert sorted(tmp_path.rglob("*")) == before
    assert register(models, metrics={"mape_pct": 3.1}).version == "3"


def test_what_it_was_trained_on_is_kept(models: FolderRegistry) -> None:
    start = datetime(2017, 1, 1, tzinfo=UTC)
    trained = Trained(since=start, until=start + timedelta(days=364), rows=8736, data="sha256:" + "a" * 64)
    made = register(models, metrics={"mape_pct": 3.1}, trained=trained)
    shown = models.show("load").manifest
    assert (shown.trained, dict(shown.metrics), shown.created_at) == (trained, {"mape_pct": 3.1}, clock().now())
    assert b'"from": "2017-01-01T00:00:00Z"' in (made.path / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../load",
        "a/b",
        "/etc",
        "Load",
        "lo ad",
        "-load",
        "load-",
        "a..b",
        "a\0b",
        "é",
        "a" * 200,
        "load\n",
    ],
)
def test_a_name_that_is_a_path_is_refused(models: FolderRegistry, name: str) -> None:
    register(models)
    with pytest.raises(DeclarationError, match="cannot be registered"):
        register(models, name=name)
    for ask in (models.load, models.show, models.versions):
        with pytest.raises(NotFound):
            ask(name)


@pytest.mark.parametrize(
    "version", ["0", "2", "01", "-1", "1.0", "../1", "", "٣", "sha256:" + "0" * 64, "sha256:../.."]
)
def test_a_version_that_is_not_there(models: FolderRegistry, version: str) -> None:
    register(models)
    with pytest.raises(NotFound, match="choose one of the versions 1, or 'latest'"):
        models.load("load", version)


def test_a_name_nearly_right_is_suggested(models: FolderRegistry) -> None:
    with pytest.raises(NotFound, match="register it first"):
        models.load("load")
    register(models)
    with pytest.raises(NotFound, match="did you mean 'load'"):
        models.load("laod")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"files": {}}, "at least one file"),
        ({"files": {"../model.json": b""}}, "cannot name a model's file"),
        ({"files": {"Manifest.json": b""}}, "cannot name a model's file"),
        ({"files": {".hidden": b""}}, "cannot name a model's file"),
        ({"inputs": ()}, "distinct names"),
        ({"inputs": ("a", "a")}, "distinct names"),
        ({"task": "ranking"}, "task"),
        ({"metrics": {"auc": float("nan")}}, "metrics"),
        ({"metrics": {"auc": float("inf")}}, "metrics"),
    ],
)
def test_an_argument_that_is_not_valid_is_named(models: FolderRegistry, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        register(models, **changes)
    assert models.names() == ()


def test_what_cannot_be_loaded_is_not_registered(models: FolderRegistry) -> None:
    with pytest.raises(IntegrityError, match="truncated"):
        register(models, files={"model.json": linear_file()[:-1]})
    with pytest.raises(NotFound, match="did you mean 'linear'"):
        register(models, kind="liner")
    assert models.names() == ()


def test_a_file_too_large_is_refused(models: FolderRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.models.registry.MAX_FILE_BYTES", 10)
    with pytest.raises(DeclarationError, match="larger than 10 bytes"):
        register(models)


def test_inputs_of_the_declaration_must_fit(models: FolderRegistry) -> None:
    register(models)
    assert models.load(Model("load", inputs=INPUTS)).inputs == INPUTS
    assert models.load(Model("load", inputs=("a", "b", "c", "d", "e"))).inputs == INPUTS
    with pytest.raises(DeclarationError, match="another order"):
        models.load(Model("load", inputs=INPUTS[::-1]))
    with pytest.raises(DeclarationError, match="takes 5 inputs, 1 are declared"):
        models.load(Model("load", inputs=("load_mw",)))


def flip(path: Path, at: int = -20) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def link_instead(path: Path, made: Path) -> None:
    target = made.parents[3] / "elsewhere"
    path.rename(target)
    path.symlink_to(target)


def pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def consistent_forgery(made: Path) -> None:
    """Change the file and the manifest's digest of it, but not the folder's name."""
    old = (made / "model.json").read_bytes()
    new = old.replace(b'"intercept":0.25', b'"intercept":9.25')
    for path, before, after in [
        (made / "model.json", old, new),
        (made / "manifest.json", digest_of(old)[7:].encode(), digest_of(new)[7:].encode()),
    ]:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(before, after))


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of the model": (lambda made: flip(made / "model.json"), r"model\.json was changed"),
    "a byte of the manifest": (lambda made: flip(made / "manifest.json"), r"manifest\.json was changed"),
    "a byte more": (lambda made: append(made / "model.json"), r"model\.json is larger than"),
    "a byte less": (lambda made: truncate(made / "model.json"), r"model\.json was changed"),
    "model and manifest together": (consistent_forgery, r"manifest\.json was changed"),
    "an extra file": (lambda made: (made / "extra.py").write_text("boo"), r"extra\.py was not registered"),
    "an extra folder": (lambda made: (made / "extra").mkdir(), "extra was not registered"),
    "a hidden file": (lambda made: (made / ".DS_Store").write_text("x"), r"\.DS_Store was not registered"),
    "a missing file": (lambda made: (made / "model.json").unlink(), r"model\.json is missing"),
    "a missing manifest": (lambda made: (made / "manifest.json").unlink(), r"manifest\.json is missing"),
    "a renamed file": (lambda made: (made / "model.json").rename(made / "model.bak"), r"model\.bak was not"),
    "a linked file": (lambda made: link_instead(made / "model.json", made), r"model\.json is a link"),
    "a linked manifest": (lambda made: link_instead(made / "manifest.json", made), r"manifest\.json is a link"),
    "a pipe": (lambda made: pipe_instead(made / "model.json"), r"model\.json is not a regular file"),
    "a second digest": (lambda made: (made.parent / "sha256-0").mkdir(), "must hold one folder"),
    "no digest": (shutil.rmtree, "holds nothing"),
    "another digest": (lambda made: made.rename(made.with_name("sha256-" + "0" * 64)), "was changed"),
    "a folder that is a link": (lambda made: link_instead(made, made), "not a link"),
    "a version that is a link": (lambda made: link_instead(made.parent, made), "not a link"),
    "a name that is a link": (lambda made: link_instead(made.parent.parent, made), "not a link"),
    "a file in place of a version": (lambda made: file_instead(made.parent), "must be a folder"),
}


def append(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"\n")


def truncate(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])


def file_instead(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("3")


@pytest.mark.parametrize("how", TAMPERINGS)
def test_tampering_is_found(models: FolderRegistry, how: str) -> None:
    made = register(models)
    models.load("load")
    tamper, says = TAMPERINGS[how]
    tamper(made.path)
    with pytest.raises(IntegrityError, match=says) as caught:
        models.load("load")
    assert "Next: restore" in str(caught.value)


def test_an_old_version_in_a_new_ones_place_is_found(models: FolderRegistry) -> None:
    old, new = register(models, 1.0), register(models, 2.0)
    shutil.rmtree(new.path)
    shutil.copytree(old.path, new.path.parent / old.path.name)
    with pytest.raises(IntegrityError, match="it is version 1 of 'load', moved here"):
        models.load("load")
    assert models.load("load", "1").digest == old.digest


def test_a_model_under_anothers_name_is_found(models: FolderRegistry, tmp_path: Path) -> None:
    register(models)
    shutil.copytree(tmp_path / "models" / "load", tmp_path / "models" / "price")
    with pytest.raises(IntegrityError, match="version 1 of 'load', moved here"):
        models.load("price")


def test_a_broken_version_does_not_hide_the_others(models: FolderRegistry) -> None:
    old, new = register(models, 1.0), register(models, 2.0)
    flip(new.path / "manifest.json")
    assert models.load("load", old.digest).digest == old.digest
    assert models.versions("load") == ("1", "2")


def test_two_writers_never_share_a_version(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def write(at: int) -> list[str]:
        models = FolderRegistry(tmp_path)
        mine = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC), seed=at)
        start.wait()
        return [register(models, 10.0 * at + turn, clock=mine).version for turn in range(3)]

    with ThreadPoolExecutor(8) as pool:
        versions = [version for made in pool.map(write, range(8)) for version in made]
    assert sorted(versions, key=int) == [str(at) for at in range(1, 25)]
    models = FolderRegistry(tmp_path)
    assert len({models.load("load", version).predict_one([0.0] * 5) for version in versions}) == 24
    assert not list(tmp_path.rglob(".draft*"))


@pytest.mark.parametrize("step", ["_write_file", "_sync_folder"])
def test_a_full_disk_leaves_nothing_behind(
    models: FolderRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str
) -> None:
    register(models, 1.0)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folders, step, full)
        with pytest.raises(EngineError, match="could not be written") as caught:
            register(models, 2.0)
    assert caught.value.retryable
    assert models.versions("load") == ("1",)
    assert not list(tmp_path.rglob(".draft*"))
    assert register(models, 2.0).version == "2"


def test_every_byte_is_on_the_disk_before_the_name(models: FolderRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def watched_fsync(handle: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def watched_rename(old: Path, new: Path) -> Path:
        done.append("rename")
        return rename(old, new)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "rename", watched_rename)
    made = register(models)
    draft = next(name for name in done if name.startswith(".draft-"))
    assert done == ["model.json", "manifest.json", made.path.name, draft, "rename", "load", "models"]


def test_files_are_read_only(models: FolderRegistry) -> None:
    made = register(models)
    assert {path.stat().st_mode & 0o222 for path in made.path.iterdir()} == {0}


def test_an_abandoned_draft_is_not_a_version(models: FolderRegistry, tmp_path: Path) -> None:
    (tmp_path / "models" / "load" / ".draft-1").mkdir(parents=True)
    (tmp_path / "models" / "notes.txt").write_text("hello")
    assert models.names() == ()
    assert register(models).version == "1"


def test_listing_needs_no_engine(models: FolderRegistry, tmp_path: Path) -> None:
    register(models)
    code = (
        "import sys\nfrom pathlib import Path\nfrom steward.models.registry import FolderRegistry\n"
        "models = FolderRegistry(Path(sys.argv[1]))\n"
        "print(models.names(), models.versions('load'), models.show('load').manifest.kind)\n"
        "print(sorted({'numpy', 'lightgbm', 'ctypes'} & set(sys.modules)))"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "models")]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0] == "('load',) ('1',) linear"
    assert "lightgbm" not in said[1]
    assert "numpy" not in said[1]
