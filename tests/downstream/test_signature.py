"""Signatures: as Standard Webhooks has them, several while a secret is exchanged, and no secret is ever shown."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.access.tokens import Secret
from steward.downstream.signature import FromEnvironment, key_of, sign
from steward.errors import DeclarationError, EngineError

AT = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
OLD, NEW = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Secret("whsec_" + b64encode(bytes(range(32))).decode())


def test_the_vector_of_the_reference_libraries() -> None:
    """The one that all libraries of standard-webhooks/standard-webhooks test."""
    assert sign([OLD], "msg_p5jXN8AQM9LWM0D4loKWxJek", AT, b'{"test": 2432232314}') == [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]


def test_two_secrets_give_two_signatures() -> None:
    both = sign([NEW, OLD], "msg_1", AT, b"{}")[2][1].split(" ")
    assert both == [sign([secret], "msg_1", AT, b"{}")[2][1] for secret in (NEW, OLD)]


@given(st.binary(max_size=200), st.integers(0, 2**32).map(lambda s: datetime.fromtimestamp(s, UTC)))
def test_whoever_has_the_key_can_check_it(body: bytes, at: datetime) -> None:
    (_, message_id), (_, timestamp), (_, signature) = sign([NEW], "msg_1", at, body)
    signed = f"{message_id}.{timestamp}.".encode() + body
    assert b64decode(signature.removeprefix("v1,")) == hmac.digest(bytes(range(32)), signed, "sha256")
    assert abs(int(timestamp) - at.timestamp()) < 1


def test_an_id_cannot_move_the_boundary() -> None:
    with pytest.raises(DeclarationError, match="full stops"):
        sign([NEW], "msg_1.1614265330", AT, b"{}")
    with pytest.raises(DeclarationError):
        sign([], "msg_1", AT, b"{}")


@pytest.mark.parametrize("text", ["", "hunter2", "whsec_", "whsec_aHVudGVyMg==", "whsec_" + "A" * 92, "whsec_!!!!"])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        key_of(Secret(text))
    assert text in ("", "whsec_") or text not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)


def test_a_secret_of_the_environment_is_read_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = FromEnvironment("STEWARD_TEST_WEBHOOK")
    monkeypatch.delenv("STEWARD_TEST_WEBHOOK", raising=False)
    with pytest.raises(EngineError, match="STEWARD_TEST_WEBHOOK"):
        secret.reveal()
    monkeypatch.setenv("STEWARD_TEST_WEBHOOK", OLD.reveal())
    assert key_of(secret) == key_of(OLD)
    assert OLD.reveal() not in repr(secret)
