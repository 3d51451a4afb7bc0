"""A bound policy chooses the declared type, names the row, and takes no value for what it is not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from msgspec import Struct

from steward import Decision, Event, Feature, Features, Prediction, Risk, Rules
from steward.clock import VirtualClock
from steward.errors import DeclarationError, StewardError
from steward.features.online import OnlineFeatures
from steward.loop.act import choice_type
from steward.loop.bind import bind
from steward.loop.prepare import prepare
from steward.models.registry import FolderRegistry
from steward.policies import jdm
from steward.policies.bound import Bound
from steward.policies.demo import REFUNDS
from steward.policies.policy import Policy

RISK = Prediction(value=0.1)


class Setpoint(Struct, frozen=True):
    power_mw: float


class Refund(Event):
    amount_eur: float
    segment: str
    prediction: float


def declared(policy: Rules[str]) -> Decision[Refund, None, str]:
    features = (Feature[Refund]("amount_eur"), Feature[Refund]("segment"), Feature[Refund]("prediction"))
    return Decision(
        name="pay.refund",
        owner="payments",
        purpose="Pay",
        risk=Risk.LOW,
        event=Refund,
        features=features,
        policy=policy,
    )


@pytest.mark.parametrize("amount", [20.0, 20, Decimal(20), np.float64(20), np.int64(20)])
def test_numbers_of_every_kind_are_numbers(amount: float) -> None:
    choice = Bound(Policy.read(REFUNDS), str)(Features(amount_eur=amount, segment="new"), RISK)
    assert (choice.value, choice.rule) == ("pay", "small")
    assert choice.reasons == ("Refunds: Amount at most 50 and Fraud risk at most risk",)


@pytest.mark.parametrize("amount", ["20", True, float("nan"), float("inf"), 1e16, -1.0, None])
def test_a_value_that_is_none_is_an_error_and_no_other_row(amount: float) -> None:
    with pytest.raises(StewardError) as refused:
        Bound(Policy.read(REFUNDS))(Features(amount_eur=amount, segment="new"), RISK)
    assert refused.value.code == "policy-input"


def test_a_float_is_what_it_is_and_not_its_first_digits() -> None:
    document = REFUNDS.replace(b'"<= 50"', b'"<= 0.3"').replace(b'"(50..', b'"(0.3..')
    choice = Bound(Policy.read(document))(Features(amount_eur=0.1 + 0.2, segment="new"), RISK)
    assert choice.rule == "rest"


def test_a_row_that_writes_no_choice_of_the_type_is_found_when_it_is_bound() -> None:
    with pytest.raises(DeclarationError, match="small"):
        Bound(Policy.read(REFUNDS), Setpoint)
    struct = REFUNDS.replace(b'"field":"choice"', b'"field":"power_mw"')
    for word, number in ((b"'pay'", b"4"), (b"'refuse'", b"0"), (b"'review'", b"1.5")):
        struct = struct.replace(b'"' + word + b'"', b'"' + number + b'"')
    assert Bound(Policy.read(struct), Setpoint)(Features(amount_eur=20.0, segment="new"), RISK).value == Setpoint(4.0)


def test_no_row_that_fits_is_an_error() -> None:
    document = REFUNDS.replace(b'{"_id":"rest","c":"\'review\'"}', b'{"_id":"rest","a":"> 900","c":"\'review\'"}')
    with pytest.raises(StewardError) as refused:
        Bound(Policy.read(document))(Features(amount_eur=600.0, segment="new"), RISK)
    assert refused.value.code == "policy-no-rule"


def test_a_registered_policy_decides_and_its_digest_is_in_the_release(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path)
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    digests = []
    for content in (REFUNDS, REFUNDS.replace(b'"500"', b'"400"')):
        policy = Policy.read(content)
        made = registry.register(
            "refund-rules",
            kind=jdm.KIND,
            task="policy",
            files={jdm.FILE: policy.canonical()},
            inputs=policy.inputs,
            clock=clock,
            check=lambda manifest, digest, files: Bound(Policy.read(files[jdm.FILE])),
        )
        digests.append(made.digest)
    decision = declared(Rules("refund-rules", choices=str))
    first, second = (prepare(bind(decision, registry, each), {}, OnlineFeatures(())) for each in ("1", "latest"))
    assert [first.policy_hash, second.policy_hash] == digests
    assert first.release != second.release
    assert first.decision.fingerprint == decision.fingerprint
    features = Features(amount_eur=450.0, segment="gold", prediction=0.1)
    assert [each.choose(features, RISK).value for each in (first, second)] == ["pay", "review"]


def test_rules_in_a_file_are_part_of_the_declaration(tmp_path: Path) -> None:
    file = tmp_path / "refunds.json"
    file.write_bytes(REFUNDS)
    one = declared(Rules.of(file, choices=str))
    file.write_bytes(REFUNDS.replace(b'"500"', b'"400"'))
    assert declared(Rules.of(file, choices=str)).fingerprint != one.fingerprint
    assert choice_type(one.policy) is str
    features = Features(amount_eur=20.0, segment="new", prediction=0.1)
    assert bind(one, FolderRegistry(tmp_path)).policy(features, RISK).value == "pay"


def test_a_policy_that_reads_what_is_no_feature_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "refunds.json"
    file.write_bytes(REFUNDS.replace(b"segment", b"sgment"))
    with pytest.raises(DeclarationError, match="did you mean 'segment'"):
        bind(declared(Rules.of(file, choices=str)), FolderRegistry(tmp_path))
