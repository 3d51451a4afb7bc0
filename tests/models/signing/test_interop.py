"""The OpenSSF package and Steward come to the same answer, each about what the other has signed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.models.artefacts import clock
from tests.models.vouching import House, key_of, statement

from steward.errors import ContractError, Distrusted, EngineError, IntegrityError
from steward.models.registry import Registered
from steward.models.signing.interop import cross_check, sign_elsewhere
from steward.models.signing.keys import PrivateKey

ANNA, BEN = key_of("anna"), key_of("ben", "p256")


@pytest.fixture
def house(tmp_path: Path) -> House:
    pytest.importorskip("model_signing", reason="the extra `signing` is not installed", exc_type=ImportError)
    return House.at(tmp_path)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    BEN.write(tmp_path / "ben.key")
    return tmp_path / "ben.key"


def test_their_verifier_accepts_ours(house: House) -> None:
    house.register(key=BEN)
    cross_check(house.strict.fetch("load"), BEN.public)


def test_our_verifier_accepts_theirs(house: House, private: Path) -> None:
    made = house.register()
    bundle = sign_elsewhere(made.path, private)
    house.open.attach(made, "signature.json", bundle, clock=clock())
    assert house.strict.fetch("load").signed_by == BEN.id
    assert house.strict.load("load").predict_one([0.0] * 5) == 0.25
    cross_check(house.strict.fetch("load"), BEN.public)


def change(made: Registered) -> None:
    path = made.path / "model.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"0.25", b"9.25"))


def link(made: Registered) -> None:
    path = made.path / "model.json"
    path.rename(made.path.parents[3] / "elsewhere")
    path.symlink_to(made.path.parents[3] / "elsewhere")


TAMPERINGS: dict[str, Callable[[Registered], object]] = {
    "a changed file": change,
    "an extra file": lambda made: (made.path / "extra.py").touch(),
    "a hidden file": lambda made: (made.path / ".DS_Store").touch(),
    "a missing file": lambda made: (made.path / "model.json").unlink(),
    "a renamed file": lambda made: (made.path / "model.json").rename(made.path / "other.json"),
    "a linked file": link,
}


@pytest.mark.parametrize("theirs", [False, True], ids=["signed by us", "signed by them"])
@pytest.mark.parametrize("how", TAMPERINGS)
def test_both_refuse_what_was_tampered_with(house: House, private: Path, how: str, theirs: bool) -> None:
    made = house.register(key=BEN)
    if theirs:
        house.open.attach(made, "signature.json", sign_elsewhere(made.path, private), clock=clock())
    signed = house.strict.fetch("load")
    TAMPERINGS[how](made)
    with pytest.raises(IntegrityError):
        house.strict.fetch("load")
    with pytest.raises(Distrusted, match="model-signing refuses"):
        cross_check(signed, BEN.public)


def test_both_refuse_another_signature_and_another_key(house: House, private: Path) -> None:
    other, made = house.register(1.0, name="price", key=BEN), house.register(2.0, key=BEN)
    house.open.attach(made, "signature.json", statement(other).read_bytes(), clock=clock())
    with pytest.raises(Distrusted, match=r"other bytes of manifest\.json"):
        house.strict.fetch("load")
    with pytest.raises(Distrusted, match="Signature mismatch"):
        cross_check(house.open.read("load"), BEN.public)
    stranger = PrivateKey.new("p256")
    stranger.write(private.with_name("stranger.key"))
    bundle = sign_elsewhere(made.path, private.with_name("stranger.key"))
    house.open.attach(made, "signature.json", bundle, clock=clock())
    with pytest.raises(Distrusted, match="is not trusted"):
        house.strict.fetch("load")
    with pytest.raises(Distrusted, match="Key mismatch"):
        cross_check(house.open.read("load"), BEN.public)


def test_ed25519_is_ours_alone(house: House, tmp_path: Path) -> None:
    made = house.register(key=ANNA)
    with pytest.raises(ContractError, match="knows ECDSA only"):
        cross_check(house.strict.fetch("load"), ANNA.public)
    ANNA.write(tmp_path / "anna.key")
    with pytest.raises(ContractError, match="model-signing cannot sign"):
        sign_elsewhere(made.path, tmp_path / "anna.key")


def test_what_is_not_signed_or_not_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House.at(tmp_path)
    made = house.register()
    with pytest.raises(ContractError, match="is not signed"):
        cross_check(house.open.read("load"), BEN.public)
    monkeypatch.setattr("steward.models.signing.interop.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"steward-aios\[signing\]"):
        sign_elsewhere(made.path, tmp_path / "ben.key")
    assert importlib.util.find_spec("steward.models.signing.interop") is not None
