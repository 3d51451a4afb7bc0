from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.models.vouching import House, key_of

from steward.errors import DeclarationError, Distrusted, EngineError
from steward.models.signing.trust import MAX_KEYS, Revoked, Trust, revoke, trust_key

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_each_file_is_a_key_and_says_whose(tmp_path: Path) -> None:
    house = House.at(tmp_path)
    (house.trusted / "README.md").write_text("whom we trust")
    trust = house.trust
    assert {each.name: id for id, each in trust.keys.items()} == {
        "anna": key_of("anna").id,
        "ben": key_of("ben", "p256").id,
    }
    assert trust.revoked.keys == {}


def test_a_folder_that_is_not_there_trusts_nobody_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("none", "file"):
        with pytest.raises(DeclarationError, match=r"no folder .* of trusted keys") as caught:
            Trust.read(tmp_path / folder)
        assert caught.value.field == "trust"
    (tmp_path / "empty").mkdir()
    assert Trust.read(tmp_path / "empty").keys == {}


@pytest.mark.parametrize("name", ["", ".", "Anna", "a/b", "a b", "-a", "a..b", "a" * 65, "ännä"])
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeclarationError, match="cannot name a key's owner"):
        trust_key(tmp_path, name, key_of("anna").public)


def test_what_is_no_public_key_is_refused_by_its_file(tmp_path: Path) -> None:
    house = House.at(tmp_path)
    key_of("eve").write(house.trusted / "eve.pem")
    with pytest.raises(DeclarationError, match=r"eve\.pem: this is a private key"):
        _ = house.trust
    (house.trusted / "eve.pem").unlink()
    (house.trusted / "eve.pem").write_text("anna")
    with pytest.raises(DeclarationError, match=r"eve\.pem: a public key cannot be read"):
        _ = house.trust


@pytest.mark.parametrize("what", [".", "anna.pem", "revoked.json"])
def test_what_everybody_can_write_decides_nothing(tmp_path: Path, what: str) -> None:
    house = House.at(tmp_path)
    revoke(house.trusted, key_of("eve").id, reason="unknown", at=NOW)
    (house.trusted / what).chmod(0o777)
    with pytest.raises(DeclarationError, match=r"everybody may write to it.*chmod o-w"):
        _ = house.trust


def test_revoking_takes_effect_at_once_and_stays(tmp_path: Path) -> None:
    house = House.at(tmp_path)
    digest = "sha256:" + "0" * 64
    revoke(house.trusted, key_of("anna").id, reason="lost", at=NOW)
    revoke(house.trusted, digest, reason="wrong labels", at=NOW)
    revoke(house.trusted, key_of("anna").id, reason="never mind", at=datetime(2027, 1, 1, tzinfo=UTC))
    trust = house.trust
    assert trust.revoked.keys == {key_of("anna").id: Revoked(NOW, "lost")}
    with pytest.raises(Distrusted, match=r"model 'a' version 1 was revoked on 2026-03-01. Why: wrong labels"):
        trust.require(digest, "model 'a' version 1")
    trust.require("sha256:" + "1" * 64, "model 'a' version 2")
    assert not list(house.trusted.glob(".*"))


@pytest.mark.parametrize(
    ("what", "reason"), [("anna", "lost"), ("sha256:0", "lost"), ("A" * 64, "lost"), ("a" * 64, " ")]
)
def test_what_cannot_be_revoked_changes_nothing(tmp_path: Path, what: str, reason: str) -> None:
    house = House.at(tmp_path)
    with pytest.raises(DeclarationError, match="cannot be revoked"):
        revoke(house.trusted, what, reason=reason, at=NOW)
    assert not (house.trusted / "revoked.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": {"x": {}}}', '{"extra": {}}', '{"keys": null}'])
def test_a_list_of_the_revoked_that_cannot_be_read_is_not_passed_over(tmp_path: Path, content: str) -> None:
    house = House.at(tmp_path)
    (house.trusted / "revoked.json").write_text(content)
    with pytest.raises(EngineError, match=r"revoked\.json cannot be read"):
        _ = house.trust
    with pytest.raises(EngineError):
        revoke(house.trusted, "a" * 64, reason="lost", at=NOW)
    assert (house.trusted / "revoked.json").read_text() == content


def test_the_list_of_the_revoked_is_for_people_too(tmp_path: Path) -> None:
    revoke(tmp_path, "a" * 64, reason="lost", at=NOW)
    told = json.loads((tmp_path / "revoked.json").read_text())
    assert told["keys"]["a" * 64] == {"at": "2026-03-01T00:00:00Z", "reason": "lost"}


def test_more_keys_than_people_are_refused(tmp_path: Path) -> None:
    pem = key_of("anna").public.to_pem()
    for at in range(MAX_KEYS + 1):
        (tmp_path / f"k{at}.pem").write_bytes(pem)
    with pytest.raises(DeclarationError, match="more than 256 keys"):
        Trust.read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EngineError, match="cannot be written"):
        trust_key(tmp_path, "anna", key_of("anna").public)
