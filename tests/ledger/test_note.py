"""Signed notes: the published example, and every way to spoil one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steward.errors import IntegrityError
from steward.ledger.note import Signer, Verifier, checkpoint_text, parse_checkpoint
from steward.ledger.verify_proofs import open_checkpoint

VECTOR = Path(__file__).parents[3] / "shared" / "vectors" / "signed-note.json"
SIGNER = Signer.of_seed("steward.example/ledger", bytes(range(32)))


@pytest.fixture
def vector() -> dict[str, str]:
    if not VECTOR.exists():
        pytest.skip(f"the published vectors are not there: {VECTOR}")
    found: dict[str, str] = json.loads(VECTOR.read_text())
    return found


def test_the_published_note_is_made_and_opened(vector: dict[str, str]) -> None:
    signer = Signer(vector["skey"])
    note = vector["text"] + "\n" + vector["signature_line"] + "\n"
    assert signer.vkey == vector["vkey"]
    assert signer.sign(vector["text"]) == note
    assert Verifier(vector["vkey"]).open(note) == vector["text"]


def test_a_key_survives_its_encoding() -> None:
    made = Signer.generate("steward.example/a")
    again = Signer(made.skey + "\n")
    assert again.vkey == made.vkey
    assert again.sign("text\n") == made.sign("text\n")
    assert Signer.generate("steward.example/a").skey != made.skey


def test_every_changed_byte_of_a_note_is_found() -> None:
    note = SIGNER.sign(checkpoint_text(SIGNER.name, 7, bytes(range(32)))).encode()
    verifier = Verifier(SIGNER.vkey)
    for place in range(len(note)):
        spoiled = (note[:place] + bytes([note[place] ^ 1]) + note[place + 1 :]).decode(errors="replace")
        with pytest.raises(IntegrityError):
            verifier.open(spoiled)
        with pytest.raises(ValueError, match=r"."):
            open_checkpoint(spoiled, SIGNER.vkey)


def test_other_signatures_on_a_note_are_passed_over() -> None:
    text = checkpoint_text(SIGNER.name, 7, bytes(32))
    witness = Signer.of_seed("witness.example", bytes(32)).sign(text).rsplit("\n\n")[1]
    note = SIGNER.sign(text) + witness
    assert Verifier(SIGNER.vkey).open(note) == text
    assert open_checkpoint(note, SIGNER.vkey).size == 7
    with pytest.raises(IntegrityError, match="not signed by other"):
        Verifier(Signer.of_seed("other.example", bytes(32)).vkey).open(note)
    same_name = Signer.of_seed(SIGNER.name, bytes(32))
    with pytest.raises(IntegrityError, match="not signed by"):
        Verifier(same_name.vkey).open(note)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(IntegrityError, match="cannot name"):
        Signer.of_seed(name, bytes(32))


@pytest.mark.parametrize(
    "key",
    ["", "x", "a+b", "a+zz+AQ==", "steward+00000000+!!!", SIGNER.vkey[:-8], SIGNER.vkey.replace("+", "+0", 1)],
)
def test_malformed_keys_are_refused(key: str) -> None:
    with pytest.raises(IntegrityError):
        Verifier(key)
    with pytest.raises(IntegrityError):
        Signer("PRIVATE+KEY+" + key)
    with pytest.raises(ValueError, match=r"."):
        open_checkpoint(SIGNER.sign("a\n"), key)


def test_keys_with_the_wrong_id_are_refused() -> None:
    name, key_id, rest = SIGNER.vkey.split("+", 2)
    wrong = f"{name}+{int(key_id, 16) ^ 1:08x}+"
    with pytest.raises(IntegrityError, match="id does not fit"):
        Verifier(wrong + rest)
    with pytest.raises(IntegrityError, match="id does not fit"):
        Signer("PRIVATE+KEY+" + wrong + SIGNER.skey.rsplit("+", 1)[1])
    with pytest.raises(IntegrityError, match="not a private"):
        Signer(SIGNER.vkey)


def test_text_without_a_last_newline_is_not_signed() -> None:
    with pytest.raises(IntegrityError, match="newline"):
        SIGNER.sign("text")


@pytest.mark.parametrize("text", ["", "o\n", "o\n1\n", "o\n01\nAAAA\n", f"o\n-1\n{'A' * 43}=\n", f"\n1\n{'A' * 43}=\n"])
def test_malformed_heads_are_refused(text: str) -> None:
    with pytest.raises(IntegrityError, match="checkpoint cannot be read"):
        parse_checkpoint(text)


def test_a_head_is_read_as_written() -> None:
    text = checkpoint_text("o.example", 12, bytes(range(32)))
    assert parse_checkpoint(text) == ("o.example", 12, bytes(range(32)))
    assert parse_checkpoint(text + "extension\n") == ("o.example", 12, bytes(range(32)))
