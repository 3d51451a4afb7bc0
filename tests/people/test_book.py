"""The address book is read strictly, and shows no secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from steward.errors import DeclarationError
from steward.people.book import AddressBook, Contact, read_book

WHOLE = """
page = "https://steward.example"

[groups.grid-desk]
people = ["ana", "bo"]
rota = { people = ["ana", "bo"], since = 2026-01-05T08:00:00, days = 7, zone = "Europe/Madrid" }
quiet = { start = 22:00:00, end = 06:00:00, zone = "Europe/Madrid" }

[people.ana]
smtp = "ana@example.org"
[people.bo]
apprise = "pover://user@token"

[smtp]
host = "mail.example.org"
sender = "steward@example.org"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "people.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_book_is_read(tmp_path: Path) -> None:
    book = read_book(written(tmp_path, WHOLE))
    desk = book.groups["grid-desk"]
    assert desk.rota is not None
    assert desk.quiet is not None
    assert (desk.people, desk.rota.days, desk.quiet.zone) == (("ana", "bo"), 7, "Europe/Madrid")
    assert book.people["bo"].channels == {"apprise": "pover://user@token"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[people.bo]", "[people.bob]", "how to reach 'bo'"),
        ('smtp = "ana@example.org"', 'smpt = "ana@example.org"', "unknown field `smpt`"),
        ('sender = "steward@example.org"', "", "missing required field `sender`"),
        ("days = 7", "days = 0", r"turns of a day or more"),
        ('zone = "Europe/Madrid" }\nquiet', 'zone = "Mars" }\nquiet', "no time zone 'Mars'"),
        ("[smtp]", "[mail]", "unknown field `mail`"),
        ('page = "', "page = ", "not valid TOML"),
        ('apprise = "pover://user@token"', 'webhook = "https://example.org"', r"there is no \[webhook\]"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in WHOLE
    with pytest.raises(DeclarationError, match=says):
        read_book(written(tmp_path, WHOLE.replace(old, new)))


def test_a_book_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="cannot be read"):
        read_book(tmp_path / "nowhere.toml")


def test_addresses_that_may_hold_secrets_are_not_shown() -> None:
    book = AddressBook(people={"bo": Contact(apprise="pover://user@token")})
    assert "token" not in repr(book)
    assert "apprise" in repr(book)
