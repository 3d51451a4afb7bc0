"""The entrance: lets callers in, and says what each of them may see and do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import UNSET, UnsetType

from steward.access.addresses import is_loopback
from steward.access.certificates import ClientCertificate
from steward.access.guard import Guard
from steward.access.identity import WHOLE, Identity, Kind
from steward.access.local import LocalGuard
from steward.access.permissions import Permission
from steward.decision.checks import nearest
from steward.errors import ContractError, Denied, NotFound
from steward.ledger.run import Run, unknown_run
from steward.runtime.parts import Origin
from steward.runtime.runtime import Runtime

AnyGuard = Guard | LocalGuard


class Peer(NamedTuple):
    """The other end of a connection.

    Attributes:
        address: Its address; empty if that is not known.
        certificate: The certificate it showed, verified by TLS.

    Example:
        >>> Peer("192.0.2.7").certificate is None
        True
    """

    address: str = ""
    certificate: ClientCertificate | None = None


UNKNOWN_PEER: Final = Peer()
PEER: Final = "steward.peer"
"""Where the server puts the peer into an ASGI scope."""


def peer_of(scope: Mapping[str, Any]) -> Peer:
    """Return the other end of an ASGI connection, under whatever server.

    Example:
        >>> peer_of({"client": ("192.0.2.7", 51234)}).address
        '192.0.2.7'
    """
    known: Peer | None = scope.get(PEER)
    if known is not None:
        return known
    client = scope.get("client")
    return Peer(client[0] if client else "", ClientCertificate.of_scope(scope))


class Entrance:
    """Recognises callers, with the guard that is right now.

    On a machine's own address, and as long as there has never been an administrator nor a token's issuer, everybody at
    the machine is ``local``. From the first administrator on, the guard of identities decides.

    Args:
        runtime: Whose decisions and guard.
        host: The address that the server listens on.
    """

    def __init__(self, runtime: Runtime, host: str) -> None:
        self._runtime = runtime
        self._guard = runtime.guard
        # Whoever configures issuers knows identities, if only their names elsewhere.
        alone = is_loopback(host) and not runtime.settings.access
        self._local = LocalGuard(host, runtime.clock) if alone else None
        self._proxies = frozenset(runtime.settings.trusted_proxies)

    @property
    def guard(self) -> AnyGuard:
        """Who decides now."""
        local = self._local
        return self._guard if local is None or self._guard.directory.claimed else local

    @property
    def is_local(self) -> bool:
        """Whether no identities are known, so that everybody at the machine may do everything."""
        return self._local is not None and not self._guard.directory.claimed

    def admit_at_once(self, headers: Mapping[bytes, bytes], peer: Peer) -> Caller | None:
        """Return who sends a request where that is known without waiting; else :meth:`admit` has to tell."""
        guard = self.guard
        # Behind a proxy all come from its address, which is no reason to take them for somebody at this machine.
        identity = None if self._proxies else guard.recognise(headers, peer.address)
        return None if identity is None else Caller(identity, guard, self._runtime)

    async def admit(self, headers: Mapping[bytes, bytes], method: str, peer: Peer) -> Caller:
        """Return who sends a request.

        Raises:
            Denied: Nobody is recognised; see :meth:`steward.access.guard.Guard.identify`.
        """
        guard = self.guard
        address = self.address_of(peer, headers) if self._proxies else peer.address
        identity = await guard.identify(headers, method=method, address=address, certificate=peer.certificate)
        return Caller(identity, guard, self._runtime)

    def is_current(self, caller: Caller) -> bool:
        """Tell whether somebody who was let in a while ago still would be, with the same rights; for open streams."""
        guard = caller._guard
        return guard is self.guard and guard.is_current(caller.identity)

    def address_of(self, peer: Peer, headers: Mapping[bytes, bytes]) -> str:
        """Return where a request comes from: of a trusted proxy, the last address it names that is none itself."""
        if peer.address not in self._proxies:
            return peer.address
        named = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        strangers = (each for each in map(str.strip, reversed(named)) if each and each not in self._proxies)
        return next(strangers, peer.address)


class Caller:
    """Somebody who was let in, and what they may.

    Attributes:
        identity: Who it is.
    """

    __slots__ = ("_guard", "_runtime", "identity")

    def __init__(self, identity: Identity, guard: AnyGuard, runtime: Runtime) -> None:
        self.identity, self._guard, self._runtime = identity, guard, runtime

    def require(self, permission: Permission, decision: str = "") -> None:
        """Return if the caller may do something with a decision, or without one with the whole installation.

        Raises:
            NotFound: There is no such decision, or not for the caller, who cannot tell which.
            Denied: The caller may not.
        """
        guard = self._guard
        if decision in self._runtime.decisions and guard.allows(self.identity, permission, decision):
            return
        if not decision:
            guard.require(self.identity, permission, WHOLE)
        elif decision not in self._runtime.decisions:
            raise self.unknown(decision)
        else:
            resource = guard.resource(decision)
            guard.require(self.identity, permission, resource, missing=lambda: self.unknown(decision))

    def require_run(self, permission: Permission, run: Run, run_id: UUID) -> None:
        """Do the same for a run's decision.

        Raises:
            NotFound: The very error of an id that does not exist.
            Denied: The caller may not.
        """
        resource = self._guard.resource(run.record.decision)
        self._guard.require(self.identity, permission, resource, missing=lambda: unknown_run(run_id))

    def may(self, permission: Permission, decision: str) -> bool:
        """Tell whether the caller may do something with a decision; for lists, as nothing is noted."""
        return self._guard.allows(self.identity, permission, decision)

    def sees(self, decision: str) -> bool:
        """Tell whether a decision exists for the caller."""
        return self.identity.sees(self._guard.resource(decision))

    @property
    def sees_everything(self) -> bool:
        """Whether no decision is hidden from the caller; then the entries about who may what hide nothing either."""
        return self.is_local or all(map(self.sees, self._runtime.guard.directory.limits()))

    def unknown(self, decision: str) -> NotFound:
        """Return the error for a decision that is unknown, or hidden: the hint is made of what the caller sees."""
        seen = [name for name in self._runtime.decisions if self.sees(name)]
        return NotFound(f"no decision is named {decision!r}", fix=nearest(decision, seen), field="name")

    def readable(self, permission: Permission = Permission.READ) -> frozenset[str] | None:
        """Return the decisions that the caller may read, also former ones; ``None`` for all there are."""
        if self.is_local:
            return None
        runtime = self._runtime
        return frozenset(n for n in {*runtime.decisions, *runtime.views.decisions()} if self.may(permission, n))

    def origin(self, trace: str | None) -> Origin:
        """Return where the caller's event came from."""
        return Origin(source="http", trace_id=trace, by=None if self.is_local else self.identity.id)

    def person(self, named: str | UnsetType) -> str:
        """Return who answers: the caller, who must be a person and cannot name anybody else.

        Args:
            named: Whom the request names; while no identities are known, whoever it says.

        Raises:
            ContractError: It names somebody else (``code`` is ``not-yourself``).
            Denied: A service cannot answer for a person.
        """
        identity = self.identity
        if self.is_local:
            return identity.id if isinstance(named, UnsetType) else named
        if named not in (UNSET, identity.id):
            raise ContractError(
                f"{identity.id} cannot answer for {named}", fix="leave by out", code="not-yourself", field="by"
            )
        self.require_person()
        return identity.id

    def require_person(self) -> None:
        """Refuse a service: somebody must answer for this.

        Raises:
            Denied: The caller is a service.
        """
        if self.identity.kind is not Kind.PERSON and not self.is_local:
            raise Denied(
                f"{self.identity.id} is a service and cannot answer for a person", fix="let a person answer", field="by"
            )

    def is_session_older(self, than: timedelta) -> bool:
        """Tell whether the caller signed in longer ago; keys, tokens and certificates are shown with each request."""
        return self._runtime.guard.sessions.is_older(self.identity, than)

    @property
    def teams(self) -> frozenset[str]:
        """The groups that the caller answers for; ``*`` for all."""
        return self.identity.teams

    @property
    def is_local(self) -> bool:
        """Whether it is whoever is at this machine, as no identities are known."""
        return isinstance(self._guard, LocalGuard)
