"""E-mail, against a real SMTP server."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.people.mailbox import Mailbox, serving, sign_in

from steward.errors import DeclarationError, EngineError
from steward.people.book import Smtp
from steward.people.notice import Notice
from steward.people.smtp import SmtpChannel

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOTICE = Notice(
    id="7",
    about="asked",
    decision="grid.dispatch",
    run_id=UUID(int=1),
    to=("desk",),
    title="[Steward] grid.dispatch asks: até 12:10",
    lines=("At stake: 900.00 EUR.", "Größe: 4 MW"),
    at=NOON,
    deadline=NOON + timedelta(minutes=10),
)


def plain(port: int) -> SmtpChannel:
    server = Smtp(host="127.0.0.1", port=port, sender="steward@example.org", plain=True)
    return SmtpChannel(server, page="https://steward.example", timeout_s=5)


async def test_a_notice_arrives_whole() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        await plain(port).send(NOTICE, "ana@example.org")
    (message,) = mailbox.messages
    assert mailbox.recipients == ["ana@example.org"]
    assert (message["From"], message["To"], message["Auto-Submitted"]) == (
        "steward@example.org",
        "ana@example.org",
        "auto-generated",
    )
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode() == (
        "At stake: 900.00 EUR.\r\nGröße: 4 MW\r\n\r\n"
        "Open it: https://steward.example/approvals/00000000-0000-0000-0000-000000000001\r\n"
    )


async def test_each_address_has_an_id_of_its_own() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        for address in ("ana@example.org", "bo@example.org"):
            await plain(port).send(NOTICE, address)
    first, second = [message["Message-ID"] for message in mailbox.messages]
    assert first != second


async def test_a_server_that_hangs_is_told() -> None:
    mailbox = Mailbox()
    mailbox.hang_s = 30
    with serving(mailbox) as port:
        server = Smtp(host="127.0.0.1", port=port, sender="steward@example.org", plain=True)
        with pytest.raises(EngineError, match="timed out"):
            await SmtpChannel(server, timeout_s=0.2).send(NOTICE, "ana@example.org")


async def test_a_line_break_in_a_title_makes_no_header() -> None:
    mailbox = Mailbox()
    sly = Notice(**{**{name: getattr(NOTICE, name) for name in NOTICE.__struct_fields__}, "title": "a\r\nBcc: x@y.z"})
    with serving(mailbox) as port:
        await plain(port).send(sly, "ana@example.org")
    assert mailbox.messages[0]["Bcc"] is None
    assert mailbox.messages[0]["Subject"] == "a Bcc: x@y.z"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(encoding))
    return path


async def test_it_signs_in_over_tls_only(certificate: Path) -> None:
    mailbox, theirs = Mailbox(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)
    options = {"tls_context": theirs, "require_starttls": True, "authenticator": sign_in, "auth_required": True}
    with serving(mailbox, **options) as port:
        server = Smtp(host="127.0.0.1", port=port, sender="steward@example.org", user="steward")
        ours = ssl.create_default_context(cafile=str(certificate))
        await SmtpChannel(server, password="s3cret", context=ours).send(NOTICE, "ana@example.org")
        with pytest.raises(EngineError, match="535") as raised:
            await SmtpChannel(server, password="guess", context=ours).send(NOTICE, "ana@example.org")
        assert not raised.value.retryable
        with pytest.raises(EngineError, match="certificate verify failed"):
            await SmtpChannel(server, password="s3cret").send(NOTICE, "ana@example.org")
    assert len(mailbox.messages) == 1


def test_no_tls_only_on_this_machine() -> None:
    with pytest.raises(DeclarationError, match="without TLS"):
        SmtpChannel(Smtp(host="192.0.2.1", sender="s@example.org", plain=True))
