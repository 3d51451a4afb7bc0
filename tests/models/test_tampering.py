"""A model that was tampered with never answers: two hundred ways to try it, every one refused."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from steward.errors import Distrusted, IntegrityError
from steward.models.registry import FolderRegistry
from steward.testing.tampering import Tampering, answer, prepare, refusals
from steward.testing.tampering_cases import COUNT, cases

_FAST = Path("/dev/shm")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Yield a folder in memory where there is one: thousands of folders are made and removed."""
    folder = Path(tempfile.mkdtemp(dir=_FAST if _FAST.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def test_every_way_to_tamper_is_refused(scratch: Path) -> None:
    found = refusals(scratch, cases())
    assert len(found) == COUNT == 200
    assert [name for name, error in found.items() if error is None] == []
    assert [*scratch.iterdir()] == []


def test_tampering_is_refused_for_what_it_is(scratch: Path) -> None:
    tried = {case.name: case for case in cases()}
    expected = {
        "bit 0 of byte 0 of manifest.json flipped": IntegrityError,
        "model.json a pipe": IntegrityError,
        "signature.json removed": Distrusted,
        "files and statements of version 2 of load": IntegrityError,
        "another model with all digests right": Distrusted,
        "another model signed by a stranger": Distrusted,
        "another model signed by one whose key was revoked": Distrusted,
        "signature.json of version 1 of load": Distrusted,
        "card.json of version 1 of load": Distrusted,
    }
    found = refusals(scratch, [tried[name] for name in expected])
    assert {name: type(error) for name, error in found.items()} == expected


def test_a_change_that_does_no_harm_is_found_out(scratch: Path) -> None:
    """The corpus itself can fail: what is answered is told."""
    harmless = Tampering("nothing", lambda ground: None)
    assert refusals(scratch, [harmless]) == {"nothing": None}


def test_without_signatures_a_consistent_forgery_would_answer(scratch: Path) -> None:
    """Digests alone cannot find it: that is what signatures are for."""
    ground = prepare(scratch)
    assert answer(ground) == 3.0
    next(case for case in cases() if case.name == "another model with all digests right").change(ground)
    assert FolderRegistry(ground.root).load("load").predict_one([0.0]) == 9.0
    with pytest.raises(Distrusted):
        answer(ground)
