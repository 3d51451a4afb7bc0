"""The transport: goes to the address that was checked, proves the name, and believes nothing without bounds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.downstream.receiver import Receiver, answer

from steward.downstream.addresses import Allowed, Target
from steward.downstream.transport import MAX_ANSWER_BYTES, MAX_BODY_BYTES, HttpAnswer, Transport
from steward.errors import DeclarationError, EngineError

HERE = Allowed.of(["127.0.0.1"])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.open()
    yield receiver
    await receiver.close()


class Resolver:
    """Answers with the next list of addresses each time, and with the last one from then on."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def get(transport: Transport, url: str, within_s: float = 30.0, **more: Any) -> HttpAnswer:
    return await transport.send("GET", Target.of(url), (), b"", within_s=within_s, **more)


async def test_it_sends_what_it_was_given_and_reads_the_answer(receiver: Receiver) -> None:
    receiver.says = lambda asked: answer(201, b'{"a":1}', Content_Type="application/json", X_Twice="1")
    url = f"http://plant.test:{receiver.port}/v1?a=b"
    transport = Transport(allowed=HERE, ports=[receiver.port], resolve=Resolver(["127.0.0.1"]))
    got = await transport.send("POST", Target.of(url), [("X-One", "1")], b"body", within_s=30)
    assert (got.status, got.body, got.headers["content-type"]) == (201, b'{"a":1}', "application/json")
    asked = receiver.asked[0]
    assert (asked.line, asked.body) == ("POST /v1?a=b HTTP/1.1", b"body")
    assert asked.headers["host"] == f"plant.test:{receiver.port}"
    assert (asked.headers["x-one"], asked.headers["content-length"], asked.headers["connection"]) == ("1", "4", "close")


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["fe80::1%eth0"]]
)
async def test_one_address_that_is_denied_denies_the_host(receiver: Receiver, addresses: list[str]) -> None:
    transport = Transport(ports=[receiver.port], resolve=Resolver(addresses))
    with pytest.raises(DeclarationError) as caught:
        await get(transport, f"https://plant.test:{receiver.port}/")
    assert caught.value.code == "address-denied"
    assert receiver.connections == 0


async def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(receiver: Receiver) -> None:
    """DNS rebinding: public when it is checked, this machine when it is called."""
    resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
    transport = Transport(allowed=HERE, ports=[receiver.port], resolve=resolver)
    assert (await get(transport, f"http://plant.test:{receiver.port}/")).status == 204
    assert resolver.asked == 1  # for each request once: what was checked is what was called
    with pytest.raises(DeclarationError, match=r"127\.0\.0\.2"):
        await get(transport, f"http://plant.test:{receiver.port}/")
    assert receiver.connections == 1


async def test_a_connection_that_went_elsewhere_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = asyncio.open_connection
    monkeypatch.setattr(asyncio, "open_connection", lambda host, port, **more: connect("127.0.0.1", port, **more))
    transport = Transport(allowed=Allowed.of(["127.0.0.0/8"]), ports=[receiver.port], resolve=Resolver(["127.0.0.9"]))
    with pytest.raises(EngineError, match=r"went to 127\.0\.0\.1") as caught:
        await get(transport, f"http://plant.test:{receiver.port}/")
    assert caught.value.code == "unreachable"
    assert receiver.asked == []


async def test_the_next_address_is_tried_if_one_does_not_answer(receiver: Receiver) -> None:
    transport = Transport(
        allowed=Allowed.of(["127.0.0.0/8"]), ports=[receiver.port], resolve=Resolver(["127.0.0.9", "127.0.0.1"])
    )
    assert (await get(transport, f"http://plant.test:{receiver.port}/")).status == 204


async def test_ports_that_were_not_named_are_refused(receiver: Receiver) -> None:
    with pytest.raises(DeclarationError, match="port"):
        await get(Transport(allowed=HERE), f"http://127.0.0.1:{receiver.port}/")
    assert receiver.connections == 0


async def test_plain_http_goes_to_nobody_on_the_internet() -> None:
    with pytest.raises(DeclarationError, match="without encryption"):
        await get(Transport(allowed=HERE, resolve=Resolver(["93.184.216.34"])), "http://plant.example/")


async def test_redirects_proxies_and_cookies_are_not_for_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    receiver.says = lambda asked: answer(302, Location="http://169.254.169.254/", Set_Cookie="a=b")
    transport = Transport(allowed=HERE, ports=[receiver.port])
    for _ in range(2):
        assert (await get(transport, f"http://127.0.0.1:{receiver.port}/")).status == 302
    assert [asked.headers.get("cookie") for asked in receiver.asked] == [None, None]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", "cut-off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "answer-unreadable"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "answer-unreadable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "answer-unreadable"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 64 * 1024, "answer-unreadable"),
        (answer(200, b"a" * (MAX_ANSWER_BYTES + 1)), "answer-unreadable"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (MAX_ANSWER_BYTES + 1), "answer-unreadable"),
    ],
)
async def test_what_is_no_answer_is_told_apart(receiver: Receiver, said: bytes, code: str) -> None:
    receiver.says = lambda asked: said
    with pytest.raises(EngineError) as caught:
        await get(Transport(allowed=HERE, ports=[receiver.port]), f"http://127.0.0.1:{receiver.port}/")
    assert (caught.value.code, caught.value.retryable) == (code, True)


async def test_the_largest_answer_is_read(receiver: Receiver) -> None:
    receiver.says = lambda asked: b"HTTP/1.1 100 Continue\r\n\r\n" + answer(200, b"a" * MAX_ANSWER_BYTES)
    got = await get(Transport(allowed=HERE, ports=[receiver.port]), f"http://127.0.0.1:{receiver.port}/")
    assert len(got.body) == MAX_ANSWER_BYTES


async def test_a_body_without_bound_is_not_sent() -> None:
    with pytest.raises(EngineError, match="too large"):
        await Transport().send("POST", Target.of("https://plant.example/"), (), b"a" * (MAX_BODY_BYTES + 1), within_s=1)


async def test_who_hangs_is_given_up(receiver: Receiver) -> None:
    receiver.says = lambda asked: None
    with pytest.raises(TimeoutError):
        await get(Transport(allowed=HERE, ports=[receiver.port]), f"http://127.0.0.1:{receiver.port}/", 0.02)


async def test_who_is_not_there_was_not_reached(receiver: Receiver) -> None:
    await receiver.close()
    with pytest.raises(EngineError) as caught:
        await get(Transport(allowed=HERE, ports=[receiver.port]), f"http://127.0.0.1:{receiver.port}/")
    assert (caught.value.code, caught.value.retryable) == ("unreachable", True)


async def test_a_host_without_addresses_was_not_reached() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    for resolve in (unknown, Resolver([])):
        with pytest.raises(EngineError) as caught:
            await get(Transport(resolve=resolve), "https://plant.example/")
        assert caught.value.code == "unreachable"


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """Make a self-signed certificate for ``name``; return a server's context, and the file to trust."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.9"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, trusted = folder / "server.pem", folder / "ca.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(trusted.read_bytes() + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, trusted


async def test_tls_proves_the_name_though_the_address_is_pinned(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, "plant.test")
    names: list[str | None] = []

    def seen(sock: object, name: str | None, of: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = seen
    receiver = Receiver()
    await receiver.open(context)
    mine = ssl.create_default_context(cafile=str(trusted))
    transport = Transport(allowed=HERE, ports=[receiver.port], context=mine, resolve=Resolver(["127.0.0.1"]))
    assert (await get(transport, f"https://plant.test:{receiver.port}/")).status == 204
    assert names == ["plant.test"]
    for other in (f"https://other.test:{receiver.port}/", f"https://127.0.0.1:{receiver.port}/"):
        with pytest.raises(EngineError, match="certificate"):
            await get(transport, other)
    with pytest.raises(EngineError, match="certificate"):  # of an authority that nobody trusts
        await get(
            Transport(allowed=HERE, ports=[receiver.port], resolve=Resolver(["127.0.0.1"])),
            f"https://plant.test:{receiver.port}/",
        )
    assert len(receiver.asked) == 1
    await receiver.close()
