"""Client certificates, over real TLS: through asyncio's transport, as the server's connections have it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.access.pki import Pki
from tests.access.world import NOON, World, person

from steward.access.certificates import ClientCertificate
from steward.access.permissions import Role
from steward.errors import ContractError, Denied

SPIFFE = "spiffe://corp.example/billing"
LATER = datetime(2100, 1, 1, tzinfo=UTC)


async def shown(server: ssl.SSLContext, client: ssl.SSLContext) -> ClientCertificate | None:
    """Connect, and return what the server sees of the client."""
    seen: list[ClientCertificate | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(ClientCertificate.of_connection(writer.transport))
        writer.write(b"x")
        await writer.drain()
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
    try:
        await reader.read()
    finally:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        listening.close()
        await listening.wait_closed()
    return seen[0]


async def test_a_certificate_is_recognised_by_its_names(world: World, pki: Pki) -> None:
    names = (
        x509.UniformResourceIdentifier(SPIFFE),
        x509.DNSName("billing.corp.example"),
        x509.RFC822Name("billing@corp.example"),
    )
    certificate = await shown(pki.server(asks_clients=True), pki.client(pki.issue("billing", *names)))
    assert certificate is not None
    assert certificate.names == (
        f"uri:{SPIFFE}",
        "dns:billing.corp.example",
        "email:billing@corp.example",
        "dn:CN=billing",
    )
    with pytest.raises(Denied) as caught:
        await world.guard.identify({}, certificate=certificate)
    assert caught.value.code == "unauthenticated"
    await world.add(person("billing", Role.SERVICE), subjects=(f"uri:{SPIFFE}",))
    billing = await world.guard.identify({}, certificate=certificate)
    assert (billing.id, billing.credential) == ("billing", "certificate")
    assert world.guard.is_current(billing)
    await world.add(person("other", Role.SERVICE), subjects=("dn:CN=billing",))
    with pytest.raises(Denied):
        await world.guard.identify({}, certificate=certificate)


async def test_without_one_there_is_none(pki: Pki) -> None:
    assert await shown(pki.server(asks_clients=True), pki.client()) is None
    assert await shown(pki.server(), pki.client(pki.issue("billing"))) is None


async def test_one_of_another_authority_does_not_get_through(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    stranger = Pki(folder).issue("billing", x509.UniformResourceIdentifier(SPIFFE))
    with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
        await shown(pki.server(asks_clients=True), pki.client(stranger))


async def test_a_connection_may_outlive_its_certificate(world: World) -> None:
    await world.add(person("billing", Role.SERVICE), subjects=("dns:billing",))
    certificate = ClientCertificate(("dns:billing",), NOON + timedelta(hours=1))
    assert (await world.guard.identify({}, certificate=certificate)).id == "billing"
    world.clock.advance(timedelta(hours=1))
    with pytest.raises(Denied):
        await world.guard.identify({}, certificate=certificate)


async def test_names_of_one_kind_are_not_those_of_another(world: World) -> None:
    await world.add(person("billing", Role.SERVICE), subjects=("dns:billing", "token:corp:7"))
    for names in (("email:billing",), ("uri:billing",), ("dn:billing",), ("dns:Billing",), ()):
        with pytest.raises(Denied):
            await world.guard.identify({}, certificate=ClientCertificate(names, LATER))


def test_an_asgi_server_with_the_tls_extension_will_do(pki: Pki) -> None:
    pem = pki.issue("billing", x509.DNSName("billing")).read_text().partition("-----BEGIN PRIVATE")[0]
    scope = {"extensions": {"tls": {"client_cert_chain": [pem]}}}
    found = ClientCertificate.of_scope(scope)
    assert found is not None
    assert found.names == ("dns:billing", "dn:CN=billing")
    nobody: tuple[dict[str, object], ...] = ({}, {"extensions": {}}, {"extensions": {"tls": {"client_cert_chain": []}}})
    assert [ClientCertificate.of_scope(each) for each in nobody] == [None] * 3


@pytest.mark.parametrize("der", [b"", b"x", b"\x30\x82", b"\x00" * 70_000])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(ContractError):
        ClientCertificate.of(der)
    with pytest.raises(ContractError):
        ClientCertificate.of_scope({"extensions": {"tls": {"client_cert_chain": ["x"]}}})
