"""Names in client certificates, for services that sign in by mutual TLS.

That the certificate is good was proved in the TLS handshake, against the authorities that the operator gave; here is
only read whose it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from steward.errors import ContractError

_MAX_BYTES = 64 * 1024


class ClientCertificate(Struct, frozen=True):
    """A client's certificate, whose private key the client has shown to have.

    Attributes:
        names: ``uri:``, ``dns:`` and ``email:`` names (subjectAltName), then the whole subject as ``dn:`` (RFC 4514).
        not_after: When it expires; a connection can outlive its certificate.

    Example:
        >>> from datetime import UTC
        >>> ClientCertificate(("uri:spiffe://corp/billing",), datetime(2027, 1, 1, tzinfo=UTC)).names
        ('uri:spiffe://corp/billing',)
    """

    names: tuple[str, ...]
    not_after: datetime

    @classmethod
    def of(cls, der: bytes) -> ClientCertificate:
        """Read a certificate.

        Raises:
            ContractError: It cannot be read.
        """
        from cryptography import x509  # noqa: PLC0415 - only where clients have certificates

        if len(der) > _MAX_BYTES:
            raise ContractError("the client's certificate is too long", code="http.certificate")
        try:
            certificate = x509.load_der_x509_certificate(der)
            return cls(tuple(_names(certificate)), certificate.not_valid_after_utc)
        except ValueError as error:
            raise ContractError("the client's certificate cannot be read", code="http.certificate") from error

    @classmethod
    def of_connection(cls, transport: Transport) -> ClientCertificate | None:
        """Read the certificate of a connection's peer; ``None`` without TLS or without one."""
        tls = transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        return None if der is None else cls.of(der)

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> ClientCertificate | None:
        """Read it from an ASGI scope, of a server that has the TLS extension (uvicorn has not)."""
        from cryptography import x509  # noqa: PLC0415 - as above

        chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain") or ()
        if not chain:
            return None
        try:
            certificate = x509.load_pem_x509_certificate(str(next(iter(chain))).encode())
            return cls(tuple(_names(certificate)), certificate.not_valid_after_utc)
        except ValueError as error:
            raise ContractError("the client's certificate cannot be read", code="http.certificate") from error


class Transport(Protocol):
    """The part of an asyncio transport that knows about TLS."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under ``name``."""
        ...


def _names(certificate: Any) -> list[str]:
    from cryptography import x509  # noqa: PLC0415 - as above

    names: list[str] = []
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        pass
    else:
        kinds = {"uri": x509.UniformResourceIdentifier, "dns": x509.DNSName, "email": x509.RFC822Name}
        for prefix, kind in kinds.items():
            names += [f"{prefix}:{value}" for value in extension.value.get_values_for_type(kind)]
    subject = certificate.subject.rfc4514_string()
    return [*names, f"dn:{subject}"] if subject else names
