from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.models.artefacts import clock
from tests.models.vouching import House, key_of, statement

from steward.errors import DeclarationError, Distrusted
from steward.models.signing.card import Card, Metric, Validation, parse_card, publishable, read_card, sign_card
from steward.models.signing.dsse import Envelope, cosign, sign

ANNA, BEN, EVE = key_of("anna"), key_of("ben", "p256"), key_of("eve")
LOOKED = Validation(by="ben", at=datetime(2026, 1, 2, tzinfo=UTC), finding="held-out weeks agree", accepted=True)
WHOLE = Card(
    purpose="Forecast tomorrow's load.",
    out_of_scope=("Islands.",),
    data="Metered load of 2017.",
    metrics=(Metric(name="mae_mw", value=412.5, rows=8760), Metric(name="mae_mw", value=655.0, segment="weekend")),
    limits=("Not tried on holidays.",),
    owner="grid team",
    author="anna",
    validation=LOOKED,
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path)


def put(house: House, card: Card = WHOLE, *keys: str, to: str = "") -> None:
    found = house.open.read("load")
    owners = [BEN if key == "ben" else key_of(key) for key in keys or ("ben",)]
    content = sign_card(card, found.name, found.version, to or found.digest, *owners)
    house.open.attach(found, "card.json", content, clock=clock())


def missing(house: House) -> tuple[str, ...]:
    return publishable(house.open.read("load"), house.trust)


def test_a_whole_card_that_somebody_else_signed_lets_a_model_be_published(house: House) -> None:
    house.register(key=ANNA)
    put(house)
    assert missing(house) == ()
    assert publishable(house.open.read("load")) == ()
    told = read_card(house.strict.fetch("load"), house.trust)
    assert told is not None
    assert told[0] == WHOLE
    assert [each.name for each in told[1]] == ["ben"]


def test_without_a_card_nothing_is_published(house: House) -> None:
    house.register(key=ANNA)
    assert missing(house) == ("it has no card; steward models card load --version 1 --file FILE",)
    assert publishable(house.open.read("load")) == missing(house)
    assert read_card(house.open.read("load")) is None


def test_each_part_that_is_not_said_is_named(house: House) -> None:
    house.register(key=ANNA)
    put(house, Card())
    assert missing(house) == tuple(
        f"its card does not tell: {part}"
        for part in ("purpose", "data", "metrics", "metrics by segment", "limits", "owner", "author", "validation")
    )
    put(house, replace(WHOLE, owner="  ", metrics=WHOLE.metrics[:1]))
    assert missing(house) == ("its card does not tell: metrics by segment", "its card does not tell: owner")


@pytest.mark.parametrize(
    ("card", "keys", "says"),
    [
        (replace(WHOLE, validation=replace(LOOKED, by="anna")), ("anna",), "anna has validated their own work"),
        (replace(WHOLE, author=" BEN "), ("ben",), "ben has validated their own work"),
        (replace(WHOLE, validation=replace(LOOKED, accepted=False)), ("ben",), "ben has not accepted it: held-out"),
        (WHOLE, ("anna",), "its card says that ben validated it, and is signed by anna only"),
        (WHOLE, ("eve",), "is not trusted"),
        (WHOLE, ("ben", "eve"), ""),
        (WHOLE, ("anna", "ben"), ""),
    ],
)
def test_somebody_else_must_have_looked_at_it(house: House, card: Card, keys: tuple[str, ...], says: str) -> None:
    house.register(key=ANNA)
    put(house, card, *keys)
    found = " ".join(missing(house))
    assert says in found
    assert bool(found) == bool(says)


def test_whoever_signed_the_version_does_not_sign_its_validation(house: House) -> None:
    house.register(key=BEN)
    put(house)
    assert missing(house) == ("ben has signed both the version and its validation; another person's key must sign one",)
    house.open.sign("load", key=ANNA, clock=clock())
    assert missing(house) == ()


def test_an_unsigned_version_is_not_published(house: House) -> None:
    house.register()
    put(house)
    assert "is not signed" in " ".join(missing(house))
    assert publishable(house.open.read("load")) == ()


def test_a_card_of_another_model_is_refused(house: House) -> None:
    made = house.register(key=ANNA)
    put(house, WHOLE, "ben", to="sha256:" + "0" * 64)
    for trust in (house.trust, None):
        with pytest.raises(Distrusted, match="the card of model 'load' version 1 is about something else"):
            read_card(house.open.read("load"), trust)
        assert "something else" in " ".join(publishable(house.open.read("load"), trust))
    content = sign("application/json", statement(made, "card.json").read_bytes(), BEN).to_bytes()
    house.open.attach(made, "card.json", content, clock=clock())
    with pytest.raises(Distrusted, match="signed as something else"):
        read_card(house.open.read("load"), house.trust)


def test_a_second_person_may_add_a_signature(house: House) -> None:
    made = house.register(key=ANNA)
    put(house, WHOLE, "anna")
    envelope = Envelope.read(statement(made, "card.json").read_bytes())
    house.open.attach(made, "card.json", cosign(envelope, BEN).to_bytes(), clock=clock())
    assert missing(house) == ()


TOML = b"""
purpose = "Forecast tomorrow's load."
metrics = [
  {name = "mae_mw", value = 412.5},
  {name = "mae_mw", value = 655.0, segment = "weekend", low = 600, high = 710},
]
[validation]
by = "ben"
at = 2026-01-02T00:00:00Z
finding = "held-out weeks agree"
accepted = true
"""


def test_a_person_writes_it_as_json_or_toml() -> None:
    card = parse_card(TOML, toml=True)
    assert card.validation == LOOKED
    assert card.metrics[1] == Metric(name="mae_mw", value=655.0, segment="weekend", low=600.0, high=710.0)
    assert parse_card(msgspec.json.encode(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    "change",
    [
        {"purpos": "x"},
        {"metrics": [{"name": "auc", "value": "high"}]},
        {"metrics": [{"name": "", "value": 1.0}]},
        {"limits": [""]},
        {"purpose": "x" * 4001},
        {"validation": {"by": "ben", "at": "2026-01-02T00:00:00", "finding": "x", "accepted": True}},
        {"owner": "grid\u202eteam"},
        {"limits": ["none\u200b"]},
        {"purpose": "bell\a"},
        {"metrics": [{"name": "au\u2066c", "value": 1.0}]},
    ],
)
def test_what_does_not_fit_or_cannot_be_seen_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="model card"):
        parse_card(msgspec.json.encode({**msgspec.to_builtins(WHOLE), **change}))


@pytest.mark.parametrize(("content", "toml"), [(b"", False), (b"{", False), (b"a = ", True), (b"\xff", True)])
def test_what_is_no_card_is_refused(content: bytes, toml: bool) -> None:
    with pytest.raises(DeclarationError, match="this is not a model card"):
        parse_card(content, toml=toml)
