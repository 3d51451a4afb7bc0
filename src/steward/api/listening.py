"""What a server needs before it listens: its certificate, and somebody who may sign in."""

from __future__ import annotations

import ssl

from steward.access.addresses import is_loopback
from steward.errors import DeclarationError, EngineError
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """Return the server's side of TLS as the settings say it; ``None`` if it speaks plain HTTP.

    With ``ssl_ca_certs`` clients may show a certificate that one of these authorities has signed. One that shows none
    can still sign in with a key or token.

    Raises:
        DeclarationError: The settings do not fit together.
        EngineError: A file cannot be used.

    Example:
        >>> tls_of(Settings()) is None
        True
    """
    certificate, key, authorities = settings.ssl_certfile, settings.ssl_keyfile, settings.ssl_ca_certs
    if not certificate:
        if key or authorities:
            raise DeclarationError(
                "a server without a certificate speaks no TLS", fix="set ssl_certfile too", field="ssl_certfile"
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password of its own, OpenSSL would ask on the terminal; an empty one is refused at once.
        context.load_cert_chain(settings.path(certificate), settings.path(key) if key else None, password="")
        if authorities:
            context.load_verify_locations(settings.path(authorities))
            context.verify_mode = ssl.CERT_OPTIONAL
    except OSError as error:  # ssl.SSLError is one
        raise EngineError(
            "the files of the server's certificate cannot be used",
            why=str(error),
            fix="give PEM files: ssl_certfile, ssl_keyfile without a password, ssl_ca_certs",
            code="cannot-listen",
            field="ssl_certfile",
        ) from error
    return context


def needs_first_key(runtime: Runtime, host: str) -> bool:
    """Tell whether a server on this address has to show a one-time key, as nobody could administer without it."""
    alone = is_loopback(host) and not runtime.settings.access
    return not alone and not runtime.guard.directory.claimed


def refuse_strangers(host: str) -> DeclarationError:
    """Return the error for a server that would serve others, where nobody could see the one-time key."""
    return DeclarationError(
        f"without identities the server listens to this machine only, not on {host}",
        why="anybody who reaches it could do everything",
        fix="make yourself the administrator first: steward access claim --id you; or listen on 127.0.0.1",
        field="host",
    )
