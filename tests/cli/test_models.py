"""The commands of models: who signs, who is trusted, what is stated, and how each refusal ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.test_main import data, refusal, steward
from tests.models.artefacts import INPUTS, clock, linear_file

from steward.models.registry import FolderRegistry
from steward.models.signing.keys import PrivateKey

CARD = """
purpose = "Forecast tomorrow's load."
data = "Metered load of 2017."
limits = ["Not tried on holidays."]
owner = "grid team"
author = "anna"
metrics = [{name = "mae_mw", value = 412.5}, {name = "mae_mw", value = 655.0, segment = "weekend"}]
[validation]
by = "ben"
at = 2026-01-02T00:00:00Z
finding = "held-out weeks agree"
accepted = true
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two versions of a model, whose setting trust names a folder that is not there yet."""
    (tmp_path / "steward.toml").write_text('trust = "trusted"\n')
    (tmp_path / "card.toml").write_text(CARD)
    monkeypatch.chdir(tmp_path)
    models = FolderRegistry(tmp_path / ".steward" / "models")
    for intercept in (1.0, 2.0):
        files = {"model.json": linear_file(intercept)}
        models.register("load", kind="linear", files=files, inputs=INPUTS, task="regression", clock=clock())
    return tmp_path


@pytest.fixture
def people(place: Path) -> Path:
    """The same with the keys of anna and ben, who are trusted."""
    for name, kind in (("anna", "ed25519"), ("ben", "p256")):
        made = data("models", "keys", "new", name, "--kind", kind)
        assert data("models", "keys", "trust", name, made["public"])["id"] == made["id"]
    return place


def test_from_a_key_to_a_model_that_may_be_published(people: Path) -> None:
    assert refusal("models", "sign", "load", code=1)["code"] == "conflict"  # whose key?
    signed = data("models", "sign", "load", "--version", "1", "--key", "anna")
    assert signed["version"] == "1"
    assert data("models", "show", "load", "--version", "1")["statements"]["signature.json"].startswith("anna (")
    stated = data("models", "card", "load", "--version", "1", "--file", "card.toml", "--key", "ben")
    assert stated == {"name": "load", "version": "1", "missing": []}
    shown = data("models", "show", "load", "--version", "1")
    assert shown["missing"] == []
    assert (shown["digest"], shown["manifest"]["kind"]) == (signed["digest"], "linear")
    page = steward("models", "card", "load", "--version", "1")
    assert "## Validation\n\n* accepted by ben" in page.stdout
    assert data("models", "card", "load", "--version", "1")["owner"] == "grid team"
    table = steward("models", "show", "load", "--version", "1").stdout
    assert "ben (" in table


def test_what_does_not_hold_ends_with_its_own_exit_code(people: Path) -> None:
    data("models", "sign", "load", "--version", "1", "--key", "anna")
    told = data("models", "verify", code=6)
    assert told["trust"] is True
    assert [(row["version"], row["holds"]) for row in told["models"]] == [("1", True), ("2", False)]
    assert "is not signed" in told["models"][1]["told"]
    data("models", "sign", "load", "--key", "ben")
    assert steward("models", "verify").exit_code == 0
    assert data("models", "verify", "load", "--openssf")["models"][1]["told"] == "ben"
    model = next((people / ".steward" / "models" / "load" / "2").glob("sha256-*/model.json"))
    model.chmod(0o644)
    model.write_bytes(model.read_bytes().replace(b"2.0", b"9.0"))
    table = steward("models", "verify", "load")
    assert table.exit_code == 6
    assert "model.json was changed" in table.stdout
    assert refusal("models", "show", "load", code=6)["code"] == "integrity"
    assert refusal("models", "sign", "load", "--key", "anna", code=6)["code"] == "integrity"


def test_who_is_revoked_signs_no_more(people: Path) -> None:
    digest = data("models", "sign", "load", "--version", "1", "--key", "anna")["digest"]
    data("models", "sign", "load", "--version", "2", "--key", "ben")
    data("models", "keys", "revoke", "anna", "--reason", "the laptop was stolen")
    rows = {row["name"]: row["state"] for row in data("models", "keys", "list") if row["state"] != "yours"}
    assert "the laptop was stolen" in rows["anna"]
    assert rows["ben"] == "trusted"
    data("models", "verify", "load", "--version", "2")
    assert "the laptop was stolen" in data("models", "verify", "load", code=6)["models"][0]["told"]
    data("models", "keys", "revoke", digest, "--reason", "wrong labels")
    data("models", "sign", "load", "--version", "1", "--key", "ben")
    assert "wrong labels" in data("models", "verify", "load", code=6)["models"][0]["told"]
    assert digest in steward("models", "keys", "list").stdout
    assert refusal("models", "keys", "revoke", "carl", "--reason", "x", code=3)["field"] == "key"


def test_where_a_model_comes_from_is_stated_and_shown(people: Path) -> None:
    made = {"builder": "nightly", "finished_at": "2026-01-01T00:00:00Z", "parameters": {"trees": 100}}
    (people / "made.json").write_text(json.dumps(made))
    assert refusal("models", "provenance", "load", code=3)["code"] == "not-found"
    steward("models", "provenance", "load", "--file", "made.json", "--key", "anna")
    assert data("models", "provenance", "load") == made
    assert "anna" in steward("models", "provenance", "load").stdout
    (people / "made.json").write_text("{}")
    told = refusal("models", "provenance", "load", "--file", "made.json", "--key", "anna", code=1)
    assert told["field"] == "provenance"


def test_a_signature_from_elsewhere_is_verified_before_it_is_taken_in(people: Path) -> None:
    interop = pytest.importorskip("steward.models.signing.interop")
    pytest.importorskip("model_signing", exc_type=ImportError)
    folder = next((people / ".steward" / "models" / "load" / "2").glob("sha256-*"))
    (people / "model.sig").write_bytes(interop.sign_elsewhere(folder, people / ".steward" / "signing" / "ben.key"))
    assert refusal("models", "sign", "load", "--version", "1", "--signature", "model.sig", code=6)["code"] == (
        "model-distrusted"
    )
    data("models", "sign", "load", "--signature", "model.sig")
    data("models", "verify", "load", "--version", "2", "--openssf")
    untrusting = ("-s", "trust=", "models", "sign", "load", "--signature", "model.sig")
    assert refusal(*untrusting, code=1)["field"] == "trust"


def test_without_a_trust_only_digests_are_compared(place: Path) -> None:
    table = steward("-s", "trust=", "models", "verify")
    assert table.exit_code == 0
    assert "only digests were compared" in table.stderr
    assert refusal("models", "verify", code=1)["field"] == "trust"  # set, and not there
    assert refusal("-s", "trust=", "models", "keys", "revoke", "anna", "--reason", "x", code=1)["field"] == "trust"


def test_a_private_key_stays_its_owners(people: Path) -> None:
    folder = people / ".steward" / "signing"
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {
        "anna.key": 0o600,
        "ben.key": 0o600,
    }
    said = steward("models", "keys", "new", "carl").output + steward("models", "keys", "list").output
    for secret in [path.read_text().splitlines()[1] for path in folder.glob("*.key")]:
        assert secret not in said
    assert refusal("models", "keys", "new", "anna", code=1)["code"] == "conflict"
    (folder / "anna.key").chmod(0o644)
    assert refusal("models", "sign", "load", "--key", "anna", code=5)["code"] == "denied"
    assert "open to others" in steward("models", "keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        (("show", "laod"), 3, "model"),
        (("sign", "load", "--key", "carl"), 3, "key"),
        (("card", "load"), 3, "card"),
        (("card", "load", "--file", "none.toml", "--key", "ben"), 3, ""),
        (("keys", "new", "Anna"), 1, "name"),
        (("keys", "new", "carl", "--kind", "rsa"), 1, "kind"),
        (("keys", "trust", "carl", "none.pem"), 3, ""),
        (("keys", "trust", "carl", ".steward/signing/anna.key"), 1, "key"),
        (("keys", "trust", "anna", ".steward/signing/ben.pem"), 1, "name"),
    ],
)
def test_what_cannot_be_done_says_so(people: Path, arguments: tuple[str, ...], code: int, field: str) -> None:
    told = refusal("models", *arguments, code=code)
    assert told.get("field", "") == field
    assert told["what"]
    assert told["next"]


def test_who_has_no_key_is_told_how_to_make_one(place: Path) -> None:
    (place / "trusted").mkdir()
    assert "keys new" in refusal("models", "sign", "load", code=3)["next"]
    assert "keys new" in steward("models", "keys", "list").stderr
    data("models", "keys", "new", "anna")
    assert data("models", "sign", "load")["key"] == PrivateKey.read(place / ".steward/signing/anna.key").id
    outside = shutil.copy(place / ".steward/signing/anna.key", place / "elsewhere.pem")
    assert data("models", "sign", "load", "--key", str(outside))["version"] == "2"
