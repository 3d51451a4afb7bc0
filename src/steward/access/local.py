"""The guard of a development machine: without identities, and for this machine only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from steward.access.addresses import is_loopback
from steward.access.asking import Asking
from steward.access.attempts import Notes
from steward.access.authorizer import TableAuthorizer, Verdict
from steward.access.certificates import ClientCertificate
from steward.access.cookies import own_site
from steward.access.directory import Directory
from steward.access.identity import EVERY, WHOLE, Assignment, Identity, Kind, Resource
from steward.access.permissions import Permission, Role
from steward.clock import Clock
from steward.errors import DeclarationError, Denied

LOCAL: Final = Identity(
    id="local",
    kind=Kind.PERSON,
    display="Whoever is at this machine",
    teams=frozenset({EVERY}),
    tenants=frozenset({EVERY}),
    roles=tuple(Assignment(role) for role in Role),
    credential="local",
)
"""Everybody, where no identities are configured."""
_PROXIES: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})
_UNUSUAL: Final = _PROXIES | {b"origin", b"sec-fetch-site"}
_EVERYTHING: Final = Verdict(True, "whoever is at this machine may do everything")


class LocalGuard(Asking):
    """Takes every program of this machine for the identity ``local``, which has all roles.

    Requests that come through a proxy, from another address or from another site's pages are refused, as these are not
    made by who is at the machine.

    Args:
        host: The address that the server listens on.
        clock: Says when.

    Raises:
        DeclarationError: The server would listen to other machines.

    Example:
        >>> import asyncio
        >>> from steward.clock import SystemClock
        >>> asyncio.run(LocalGuard("127.0.0.1", SystemClock()).identify({}, address="127.0.0.1")).id
        'local'
        >>> LocalGuard("0.0.0.0", SystemClock())
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: without identities the server listens to this machine only, not on 0.0.0.0...
    """

    def __init__(self, host: str, clock: Clock) -> None:
        if not is_loopback(host):
            raise DeclarationError(
                f"without identities the server listens to this machine only, not on {host}",
                why="anybody who reaches it could do everything",
                fix="configure access, or listen on 127.0.0.1",
                field="host",
            )
        super().__init__(TableAuthorizer(), Directory(), Notes(), clock)
        self._near = {"", "127.0.0.1"}

    def recognise(self, headers: Mapping[bytes, bytes], address: str = "") -> Identity | None:
        """Return ``local`` for a program of this machine; ``None`` if only :meth:`identify` can tell."""
        return LOCAL if address in self._near and _UNUSUAL.isdisjoint(headers) else None

    async def identify(
        self,
        headers: Mapping[bytes, bytes],
        *,
        method: str = "GET",
        address: str = "",
        certificate: ClientCertificate | None = None,
    ) -> Identity:
        """Return ``local``.

        Raises:
            Denied: The request is not made by who is at this machine.
        """
        if (address not in self._near and not is_loopback(address)) or not _PROXIES.isdisjoint(headers):
            raise Denied(
                "without identities only this machine is served",
                why="the request comes from another one, or through a proxy",
                fix="configure access",
                code="unauthenticated",
            )
        from_a_page = b"origin" in headers or b"sec-fetch-site" in headers
        if from_a_page:
            self.check_site(method, headers)
        return LOCAL

    def check_site(self, method: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a request that would change something and was not sent by a page of ours.

        Raises:
            Denied: It was not; ``code`` is ``cross-site``.
        """
        verdict = own_site(method, headers)
        if not verdict.allowed:
            raise Denied("the request was refused", why=verdict.why, fix="use the console's pages", code="cross-site")

    def may(self, identity: Identity, permission: Permission, resource: Resource = WHOLE) -> Verdict:
        """Return that ``local`` may do everything, and nobody else anything."""
        return _EVERYTHING if identity is LOCAL else super().may(identity, permission, resource)

    def allows(self, identity: Identity, permission: Permission, decision: str) -> bool:
        """Tell that ``local`` may do everything."""
        return identity is LOCAL

    def is_current(self, identity: Identity) -> bool:
        """Tell whether somebody is still known: ``local`` always is."""
        return identity is LOCAL

    async def sweep(self) -> int:
        """Forget what was refused; nothing is written, as there is nobody to be told apart."""
        self._notes.take(self._clock.now())
        return 0
