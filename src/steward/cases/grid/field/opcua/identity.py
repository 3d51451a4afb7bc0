"""Who speaks: certificates made here, and the list of those that are trusted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from steward.errors import ContractError

_KEY_BITS = 2048
_VALID_FOR = timedelta(days=825)
_CLOCKS_DIFFER_BY = timedelta(hours=1)


@dataclass(frozen=True)
class Identity:
    """An application's certificate and its private key, each a file in PEM.

    Args:
        uri: The application's URI, as in its certificate.
        certificate: To be given to those who shall trust it.
        key: To be kept; only its owner can read it.

    Example:
        >>> Identity("urn:steward:plant", Path("plant.pem"), Path("plant.key.pem")).uri
        'urn:steward:plant'
    """

    uri: str
    certificate: Path
    key: Path

    @classmethod
    def made(cls, folder: Path, name: str, *, now: datetime) -> Identity:
        """Return the identity of that name in a folder; it is made, and signs itself, unless a valid one is there.

        Raises:
            ContractError: Its file is there, but is no certificate.
        """
        identity = cls(f"urn:steward:{name}", folder / f"{name}.pem", folder / f"{name}.key.pem")
        if not (identity.certificate.exists() and _is_valid(identity.certificate, now)):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
            _write_privately(identity.key, _private(key))
            signed = _certificate(name, identity.uri, key, now)
            identity.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return identity

    def loaded(self) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
        """Return certificate and key; they are read again only when the key's file has changed.

        Raises:
            ContractError: One of them is not there, or something else.
        """
        try:
            changed_ns = self.key.stat().st_mtime_ns
        except OSError as error:
            raise ContractError(f"{self.key} cannot be read", why=str(error), fix="give a key in PEM") from error
        return _loaded(self, changed_ns)


@dataclass(frozen=True)
class TrustList:
    """The certificates that are trusted, each by its very bytes; whoever is not on it is refused.

    There are no authorities on it: a certificate signed by a trusted one is not trusted for that.

    Example:
        >>> TrustList().trusts(b"whoever")
        False
    """

    certificates: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, paths: Iterable[Path]) -> TrustList:
        """Read a list from PEM files.

        Raises:
            ContractError: One of them is no certificate.
        """
        return cls(frozenset(map(certificate_of, paths)))

    def trusts(self, der: bytes | None) -> bool:
        """Return whether a certificate is on the list."""
        return der in self.certificates


@dataclass(frozen=True)
class User:
    """Who may log in, and whether to give orders or only to look.

    Example:
        >>> User("s3cret").may_order
        False
    """

    password: str = field(repr=False)
    may_order: bool = False


@dataclass(frozen=True, kw_only=True)
class ServerSecurity:
    """How a server proves who it is, and whom it lets in.

    Args:
        identity: Its own.
        trusted: The clients' certificates.
        users: By name. A client needs both: a trusted certificate and a user's password.
        anonymous: Lets everybody look who reaches the port, without certificate, password or encryption. Nobody gives
            orders that way.

    Example:
        >>> identity = Identity("urn:steward:plant", Path("plant.pem"), Path("plant.key.pem"))
        >>> ServerSecurity(identity=identity, users={"ana": User("s3cret", may_order=True)}).anonymous
        False
    """

    identity: Identity
    trusted: TrustList = TrustList()
    users: Mapping[str, User] = field(default_factory=dict)
    anonymous: bool = False


@dataclass(frozen=True, kw_only=True)
class ClientSecurity:
    """How a client proves who it is, and which server it talks to.

    Args:
        identity: Its own.
        server: The server's certificate: no other one is talked to.
        user: Its name.
        password: Its password.

    Example:
        >>> identity = Identity("urn:steward:bridge", Path("bridge.pem"), Path("bridge.key.pem"))
        >>> ClientSecurity(identity=identity, server=Path("plant.pem"), user="ana", password="s3cret").user
        'ana'
    """

    identity: Identity
    server: Path
    user: str
    password: str = field(repr=False)


def paired(folder: Path, *, now: datetime, user: str = "steward") -> tuple[ServerSecurity, ClientSecurity]:
    """Return how a plant and one client on the same machine know each other; keys and password are made at first.

    Args:
        folder: Where they are kept, readable for its owner only.
        now: From when on the certificates are valid.
        user: The client's name.
    """
    plant, client = (Identity.made(folder, name, now=now) for name in ("plant", user))
    secret = folder / f"{user}.password"
    if not secret.exists():
        _write_privately(secret, AESGCM.generate_key(bit_length=128).hex().encode())
    password = secret.read_text(encoding="ascii")
    trusted = TrustList.of([client.certificate])
    server = ServerSecurity(identity=plant, trusted=trusted, users={user: User(password, may_order=True)})
    return server, ClientSecurity(identity=client, server=plant.certificate, user=user, password=password)


def certificate_of(path: Path) -> bytes:
    """Return a certificate in a PEM file as DER.

    Raises:
        ContractError: There is none.
    """
    try:
        read = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ContractError(f"{path} is no certificate", why=str(error), fix="give a PEM file") from error
    return read.public_bytes(serialization.Encoding.DER)


def _is_valid(path: Path, now: datetime) -> bool:
    certificate = x509.load_der_x509_certificate(certificate_of(path))
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


@lru_cache(maxsize=16)
def _loaded(identity: Identity, changed_ns: int) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """Read an identity; checking its key takes 40 ms, which a connection that comes and goes should not cost."""
    try:
        key = serialization.load_pem_private_key(identity.key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ContractError(f"{identity.key} is no key", why=str(error), fix="give a key in PEM") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ContractError(f"{identity.key} is no RSA key", why="OPC UA's Basic256Sha256 needs one")
    return x509.load_der_x509_certificate(certificate_of(identity.certificate)), key


def _certificate(name: str, uri: str, key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    """Make a certificate with all that OPC UA (part 6, 6.2.2) asks of an application's."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName("localhost")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER_BY)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(both, critical=False)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )


def _private(key: rsa.RSAPrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _write_privately(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
