from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.models.artefacts import clock
from tests.models.vouching import House, key_of, statement

from steward.errors import DeclarationError, Distrusted
from steward.models.manifest import Trained
from steward.models.signing.dsse import IN_TOTO, sign
from steward.models.signing.provenance import Provenance, parse_provenance, read_provenance, sign_provenance

ANNA, EVE = key_of("anna"), key_of("eve")
START = datetime(2017, 1, 1, tzinfo=UTC)
MADE = Provenance(
    builder="https://ci.example.com/train/7",
    started_at=START + timedelta(days=400),
    finished_at=START + timedelta(days=400, minutes=3),
    repository="https://git.example.com/grid/models",
    commit="c" * 40,
    trained=Trained(since=START, until=START + timedelta(days=365), rows=8760, data="sha256:" + "d" * 64),
    features={"load_mw_last": "sha256:ab", "hour_of_day": "sha256:cd"},
    parameters={"trees": 100, "rate": 0.05, "objective": "l1", "early_stopping": False, "seed": None},
    metrics={"mae_mw": 412.5},
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path)


def state(house: House, made: Provenance = MADE, version: str = "latest", key: str = "anna", to: str = "") -> None:
    found = house.open.read("load", version)
    digest = to or found.digest
    content = sign_provenance(made, found.name, found.version, digest, key_of(key))
    house.open.attach(found, "provenance.json", content, clock=clock())


def test_what_was_stated_is_read_and_who_stated_it(house: House) -> None:
    house.register(key=ANNA)
    assert read_provenance(house.strict.fetch("load"), house.trust) is None
    state(house)
    told = read_provenance(house.strict.fetch("load"), house.trust)
    assert told is not None
    assert told[0] == MADE
    assert [each.name for each in told[1]] == ["anna"]
    assert read_provenance(house.open.fetch("load")) == (MADE, ())


def test_what_is_not_known_is_left_out(house: House) -> None:
    house.register()
    least = Provenance(builder="a notebook", finished_at=START)
    state(house, least)
    told = read_provenance(house.open.fetch("load"), house.trust)
    assert told is not None
    assert told[0] == least


def test_the_shape_is_slsas(house: House) -> None:
    made = house.register()
    state(house)
    envelope = json.loads(statement(made, "provenance.json").read_text())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert json.loads(b64decode(envelope["payload"])) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "load/1", "digest": {"sha256": made.digest[7:]}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://steward-aios.github.io/model-training/v1",
                "externalParameters": {
                    "features": {"load_mw_last": "sha256:ab", "hour_of_day": "sha256:cd"},
                    "parameters": {
                        "trees": 100,
                        "rate": 0.05,
                        "objective": "l1",
                        "early_stopping": False,
                        "seed": None,
                    },
                },
                "resolvedDependencies": [
                    {
                        "name": "training-data",
                        "digest": {"sha256": "d" * 64},
                        "annotations": {"from": "2017-01-01T00:00:00Z", "to": "2018-01-01T00:00:00Z", "rows": 8760},
                    },
                    {
                        "name": "code",
                        "uri": "git+https://git.example.com/grid/models",
                        "digest": {"gitCommit": "c" * 40},
                    },
                ],
            },
            "runDetails": {
                "builder": {"id": "https://ci.example.com/train/7"},
                "metadata": {"startedOn": "2018-02-05T00:00:00Z", "finishedOn": "2018-02-05T00:03:00Z"},
                "steward_metrics": {"mae_mw": 412.5},
            },
        },
    }


def test_a_provenance_of_something_else_is_refused(house: House) -> None:
    house.register(1.0, key=ANNA)
    made = house.register(2.0, key=ANNA)
    for key, to, says in [
        ("anna", "sha256:" + "0" * 64, "is about something else"),
        ("anna", house.open.show("load", "1").digest, "is about something else"),
        ("eve", "", f"the key {EVE.id[:12]} is not trusted"),
    ]:
        state(house, key=key, to=to)
        with pytest.raises(Distrusted, match=says):
            read_provenance(house.open.read("load"), house.trust)
    state(house)
    path = statement(made, "provenance.json")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"payload":"ey', b'"payload":"ez'))
    with pytest.raises(Distrusted):
        read_provenance(house.open.read("load"), house.trust)


def test_the_signature_of_the_files_is_no_provenance(house: House) -> None:
    made = house.register(key=ANNA)
    bundle = json.loads(statement(made).read_text())
    house.open.attach(made, "provenance.json", json.dumps(bundle["dsseEnvelope"]).encode(), clock=clock())
    with pytest.raises(Distrusted, match="cannot be read"):
        read_provenance(house.open.read("load"), house.trust)


def test_another_builders_provenance_is_read_as_far_as_it_goes(house: House) -> None:
    made = house.register()
    theirs: dict[str, Any] = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": made.digest[7:]}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {"ref": "refs/heads/main"}},
                "internalParameters": {"github": {}},
                "resolvedDependencies": [{"uri": "git+https://github.com/a/b", "digest": {"gitCommit": "a" * 40}}],
            },
            "runDetails": {
                "builder": {"id": "https://github.com/actions/runner", "version": {}},
                "metadata": {"invocationId": "1", "finishedOn": "2026-01-01T00:00:00Z"},
            },
        },
    }
    house.open.attach(
        made, "provenance.json", sign(IN_TOTO, msgspec.json.encode(theirs), ANNA).to_bytes(), clock=clock()
    )
    told = read_provenance(house.open.read("load"), house.trust)
    assert told is not None
    assert (told[0].builder, told[0].parameters, told[0].commit) == (
        "https://github.com/actions/runner",
        {},
        msgspec.UNSET,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"builder": ""},
        {"builder": None},
        {"finished_at": "2026-01-01T00:00:00"},
        {"commit": "main"},
        {"parameters": {"a": {}}},
        {"metrics": {"a": "good"}},
        {"extra": 1},
        {"trained": {"rows": 1}},
    ],
)
def test_what_a_person_writes_is_read_strictly(change: dict[str, Any]) -> None:
    good = msgspec.to_builtins(MADE)
    assert parse_provenance(msgspec.json.encode(good)) == MADE
    with pytest.raises(DeclarationError, match="this is not a provenance"):
        parse_provenance(msgspec.json.encode({**good, **change}))
