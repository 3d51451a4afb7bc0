"""What a registry with a trust refuses: everything that a trusted key has not signed, however it came there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.models.artefacts import clock
from tests.models.vouching import House, key_of, statement

from steward.errors import Conflict, DeclarationError, Distrusted, EngineError, IntegrityError
from steward.models import folders
from steward.models.manifest import FileFacts
from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.trust import revoke

ANNA, BEN, EVE = key_of("anna"), key_of("ben", "p256"), key_of("eve")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path)


def test_what_is_signed_is_loaded(house: House) -> None:
    made = house.register(key=ANNA)
    assert house.strict.load("load").predict_one([0.0] * 5) == 0.25
    found = house.strict.fetch("load")
    assert (found.signed_by, found.digest, *found.statements) == (ANNA.id, made.digest, "signature.json")
    assert FileFacts.of(found.files["model.json"], "model.json") == found.manifest.files["model.json"]
    assert house.open.fetch("load").signed_by == ""


def test_each_version_needs_its_own_signature(house: House) -> None:
    house.register(1.0, key=BEN)
    house.register(2.0)
    assert house.strict.load("load", "1").predict_one([0.0] * 5) == 1.0
    with pytest.raises(Distrusted, match=r"version 2 is not signed.*steward models sign load --version 2"):
        house.strict.load("load")
    house.open.sign("load", key=ANNA, clock=clock())
    assert house.strict.load("load").predict_one([0.0] * 5) == 2.0


def test_registering_again_signs_what_is_there(house: House) -> None:
    first = house.register()
    assert house.register(key=ANNA) == first
    assert house.strict.fetch("load").signed_by == ANNA.id
    house.register(key=BEN)
    assert house.strict.fetch("load").signed_by == BEN.id


def resign(house: House, made: Registered, key: str) -> None:
    house.open.sign(made.name, made.version, key=key_of(key), clock=clock())


def swap(house: House, made: Registered) -> None:
    """Put version 1's folder, with its own valid signature, into the place of version 2."""
    old = house.open.show("load", "1").path.parent
    shutil.rmtree(made.path.parent)
    shutil.copytree(old, made.path.parent)


def borrow(house: House, made: Registered, name: str, version: str) -> None:
    other = house.open.show(name, version)
    statement(made).unlink()
    shutil.copy(statement(other), statement(made))


def forge(house: House, made: Registered) -> None:
    """Change the model, its manifest and its folder's name consistently, as whoever can write there could."""
    content = (made.path / "model.json").read_bytes().replace(b'"intercept":2.0', b'"intercept":9.0')
    manifest = (made.path / "manifest.json").read_bytes()
    old, new = made.manifest.files["model.json"].sha256, FileFacts.of(content).sha256
    manifest = manifest.replace(old.encode(), new.encode())
    for name, data in (("model.json", content), ("manifest.json", manifest)):
        (made.path / name).chmod(0o644)
        (made.path / name).write_bytes(data)
    made.path.rename(made.path.with_name(f"sha256-{FileFacts.of(manifest).sha256}"))


def edit(made: Registered, change: Callable[[bytes], bytes]) -> None:
    path = statement(made)
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))


def flip(content: bytes, at: bytes, behind: int) -> bytes:
    place = content.index(at) + len(at) + behind
    return content[:place] + (b"A" if content[place : place + 1] != b"A" else b"B") + content[place + 1 :]


def link(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def instead(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)


TAMPERINGS: dict[str, tuple[Callable[[House, Registered], object], str]] = {
    "forged consistently": (forge, "anna signed other bytes of manifest.json"),
    "an old version with its signature": (swap, "it is version 1 of 'load', moved here"),
    "the old version's signature": (lambda h, m: borrow(h, m, "load", "1"), "signed other bytes of manifest.json"),
    "another model's signature": (lambda h, m: borrow(h, m, "price", "1"), "signed other bytes of manifest.json"),
    "no signature": (lambda h, m: statement(m).unlink(), "is not signed"),
    "no statements": (lambda h, m: shutil.rmtree(statement(m).parent), "is not signed"),
    "signed by a stranger": (lambda h, m: resign(h, m, "eve"), f"the key {EVE.id[:12]} is not trusted"),
    "the key taken away": (lambda h, m: (h.trusted / "anna.pem").unlink(), f"the key {ANNA.id[:12]} is not trusted"),
    "the key revoked": (
        lambda h, m: revoke(h.trusted, ANNA.id, reason="lost", at=NOW),
        "the key of anna was revoked on 2026-03-01: lost",
    ),
    "the version revoked": (
        lambda h, m: revoke(h.trusted, m.digest, reason="wrong labels", at=NOW),
        "model 'load' version 2 was revoked on 2026-03-01. Why: wrong labels",
    ),
    "a letter of the signature": (lambda h, m: edit(m, lambda b: flip(b, b'"sig":"', 20)), "not the key's of anna"),
    "a letter of what is signed": (
        lambda h, m: edit(m, lambda b: flip(b, b'"payload":"', 20)),
        "not the key's of anna|cannot be read",
    ),
    "signature cut off": (lambda h, m: edit(m, lambda b: b[:-20]), "cannot be read"),
    "signature empty": (lambda h, m: edit(m, lambda b: b""), "cannot be read"),
    "signature far too large": (lambda h, m: edit(m, lambda b: b" " * (5 << 20)), "larger than 4194304 bytes"),
    "signature a link": (lambda h, m: link(statement(m), h.root / "elsewhere"), "is a link"),
    "statements a link": (lambda h, m: link(statement(m).parent, h.root / "elsewhere"), "not a link"),
    "statements a file": (
        lambda h, m: instead(statement(m).parent, lambda path: path.write_text("signed")),
        "must be a folder",
    ),
    "signature a folder": (lambda h, m: instead(statement(m), Path.mkdir), "not a regular file"),
    "signature a pipe": (lambda h, m: instead(statement(m), os.mkfifo), "not a regular file"),
    "a hidden statement": (lambda h, m: statement(m, ".DS_Store").touch(), "DS_Store is no statement"),
    "a foreign statement": (lambda h, m: statement(m, "notes.json").touch(), "notes.json is no statement"),
    "signature renamed": (lambda h, m: statement(m).rename(statement(m, "signature.sig")), "is no statement"),
    "a hidden file beside": (lambda h, m: (m.path.parent / ".DS_Store").touch(), "must hold one folder"),
    "an extra file": (lambda h, m: (m.path / "extra.py").touch(), "was not registered"),
    "a missing file": (lambda h, m: (m.path / "model.json").unlink(), "is missing"),
    "a renamed file": (lambda h, m: (m.path / "model.json").rename(m.path / "other.json"), "was not registered"),
    "a linked file": (lambda h, m: link(m.path / "model.json", h.root / "elsewhere"), "is a link"),
}


@pytest.mark.parametrize("how", TAMPERINGS)
def test_tampering_is_refused(house: House, how: str) -> None:
    house.register(1.0, key=ANNA)
    house.register(1.0, name="price", key=ANNA)
    made = house.register(2.0, key=ANNA)
    assert house.strict.load("load").version == "2"
    tamper, says = TAMPERINGS[how]
    tamper(house, made)
    for ask in (house.strict.load, house.strict.fetch):
        with pytest.raises(IntegrityError, match=says) as caught:
            ask("load", "2")
        assert caught.value.fix


def test_the_trust_is_read_each_time(house: House) -> None:
    house.register(key=ANNA)
    strict = house.strict
    strict.load("load")
    revoke(house.trusted, ANNA.id, reason="lost", at=NOW)
    with pytest.raises(Distrusted):
        strict.load("load")
    house.open.sign("load", key=BEN, clock=clock())
    strict.load("load")
    shutil.rmtree(house.trusted)
    with pytest.raises(DeclarationError, match="no folder"):
        strict.load("load")


def test_what_is_broken_is_not_signed(house: House) -> None:
    made = house.register()
    (made.path / "model.json").chmod(0o644)
    (made.path / "model.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="was changed"):
        house.open.sign("load", key=ANNA, clock=clock())
    assert not statement(made).exists()


def test_only_statements_stand_beside_a_version(house: House) -> None:
    made = house.register()
    for name in ("../model.json", "notes.json", ""):
        with pytest.raises(DeclarationError, match="is no statement"):
            house.open.attach(made, name, b"{}", clock=clock())


def test_a_full_disk_keeps_the_former_signature(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = house.register(key=ANNA)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("_write_file", "_sync_folder"):
        with monkeypatch.context() as patched:
            patched.setattr(folders, step, full)
            with pytest.raises(EngineError, match="could not be written") as caught:
                house.open.attach(made, "card.json", b"{}", clock=clock())
        assert caught.value.retryable
    assert house.strict.fetch("load").signed_by == ANNA.id
    assert not list(house.root.rglob(".draft*"))


def test_a_signature_is_whole_at_every_moment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read while a signature is replaced is the former one or the new one."""
    made = house.register(key=ANNA)
    seen: list[str] = []
    replace = Path.replace

    def watched(old: Path, new: Path) -> Path:
        seen.append(house.strict.fetch("load").signed_by)
        return replace(old, new)

    monkeypatch.setattr(Path, "replace", watched)
    house.open.sign("load", made.version, key=BEN, clock=clock())
    assert [*seen, house.strict.fetch("load").signed_by] == [ANNA.id, BEN.id]


def pieces(content: bytes) -> Iterable[bytes]:
    return (content[at : at + 100] for at in range(0, len(content), 100))


def test_what_was_registered_elsewhere_is_taken_in_as_it_is(house: House, tmp_path: Path) -> None:
    house.register(1.0)
    made = house.register(2.0, key=ANNA)
    there = FolderRegistry(tmp_path / "there", house.trusted)
    content = (made.path / "manifest.json").read_bytes()
    files = {"model.json": (made.path / "model.json").read_bytes()}
    stated = {"signature.json": statement(made).read_bytes()}
    taken = there.adopt(content, {name: pieces(data) for name, data in files.items()}, stated, clock=clock())
    assert (taken.version, taken.digest) == ("2", made.digest)
    assert there.fetch("load").signed_by == ANNA.id
    assert there.adopt(content, files, stated, clock=clock()) == taken
    assert there.versions("load") == ("2",)


def test_what_is_taken_in_is_verified_first(house: House, tmp_path: Path) -> None:
    made, other = house.register(1.0, key=ANNA), house.register(1.0, name="price", key=EVE)
    there = FolderRegistry(tmp_path / "there", house.trusted)
    content = (made.path / "manifest.json").read_bytes()
    good = (made.path / "model.json").read_bytes()
    stated = {"signature.json": statement(made).read_bytes()}
    foreign = {"signature.json": statement(other).read_bytes()}
    for data in (good[:-1], good + b"\n", good.replace(b"1.0", b"2.0"), b""):
        with pytest.raises(IntegrityError, match=r"model\.json is not the file"):
            there.adopt(content, {"model.json": pieces(data)}, stated, clock=clock())
    for files in ({}, {"model.json": good, "more.json": good}):
        with pytest.raises(IntegrityError, match="not those that"):
            there.adopt(content, files, stated, clock=clock())
    for nothing in ({}, foreign):
        with pytest.raises(Distrusted):
            there.adopt(content, {"model.json": good}, nothing, clock=clock())
    assert there.names() == ()
    assert not list((tmp_path / "there").rglob("*.json"))


def test_a_version_that_is_another_model_is_not_replaced(house: House, tmp_path: Path) -> None:
    made = house.register(1.0, key=ANNA)
    there = House.at(tmp_path / "there")
    there.register(2.0)
    content, good = (made.path / "manifest.json").read_bytes(), (made.path / "model.json").read_bytes()
    with pytest.raises(Conflict, match="is another model here"):
        there.open.adopt(content, {"model.json": good}, {}, clock=clock())
    assert there.open.load("load").predict_one([0.0] * 5) == 2.0


def test_a_signature_says_nothing_of_where_it_lies(house: House) -> None:
    made = house.register(key=ANNA)
    told = json.loads(statement(made).read_text())
    assert str(house.root) not in json.dumps(told)


def test_what_is_too_large_is_not_read_to_its_end(house: House, tmp_path: Path) -> None:
    made = house.register(key=ANNA)
    read: list[int] = []

    def endless() -> Iterable[bytes]:
        for at in range(1000):
            read.append(at)
            yield b" " * 1000

    content, stated = (made.path / "manifest.json").read_bytes(), {"signature.json": statement(made).read_bytes()}
    with pytest.raises(IntegrityError, match=r"model\.json is not the file"):
        FolderRegistry(tmp_path / "there").adopt(content, {"model.json": endless()}, stated, clock=clock())
    assert len(read) <= 2
