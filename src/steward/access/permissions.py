"""What can be allowed, and the built-in table of what each role allows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Permission(StrEnum):
    """What a caller wants to do. Every route, command and bus door names one.

    Example:
        >>> Permission("approve").value
        'approve'
    """

    INVOKE = "invoke"
    """Ask for decisions, send events, outcomes and signals; take back, end or let go on what was begun."""
    READ = "read"
    """See decisions, records, approvals and values."""
    APPROVE = "approve"
    """Answer for a person who is asked."""
    PUBLISH = "publish"
    """Put models and releases into the registry."""
    PROMOTE = "promote"
    """Give a release its share of the traffic, or take it back."""
    STOP = "stop"
    """Stop what is dispatched, or ask for it to go on."""
    VERIFY = "verify"
    """Check the ledger's proofs and checkpoints."""
    EXPORT = "export"
    """Take records out in bulk."""
    ADMINISTER = "administer"
    """Enrol identities, give roles, issue and revoke keys."""


class Role(StrEnum):
    """A job that somebody has, of all or of some decisions.

    Example:
        >>> sorted(permission.value for permission in TABLE[Role.SERVICE])
        ['invoke', 'read']
    """

    OPERATOR = "operator"
    APPROVER = "approver"
    MODEL_OWNER = "model-owner"
    PUBLISHER = "publisher"
    AUDITOR = "auditor"
    PRODUCT_LEADER = "product-leader"
    ADMINISTRATOR = "administrator"
    SERVICE = "service"


_P = Permission
TABLE: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.OPERATOR: frozenset({_P.INVOKE, _P.READ, _P.STOP, _P.VERIFY}),
        Role.APPROVER: frozenset({_P.READ, _P.APPROVE, _P.STOP, _P.VERIFY}),
        Role.MODEL_OWNER: frozenset({_P.READ, _P.PUBLISH, _P.VERIFY}),
        Role.PUBLISHER: frozenset({_P.READ, _P.PUBLISH, _P.PROMOTE, _P.VERIFY}),
        Role.AUDITOR: frozenset({_P.READ, _P.VERIFY, _P.EXPORT}),
        Role.PRODUCT_LEADER: frozenset({_P.READ, _P.STOP, _P.VERIFY, _P.EXPORT}),
        # Who hands out the roles decides nothing: neither invoke nor approve, publish or promote.
        Role.ADMINISTRATOR: frozenset({_P.READ, _P.STOP, _P.VERIFY, _P.ADMINISTER}),
        Role.SERVICE: frozenset({_P.INVOKE, _P.READ}),
    }
)
"""The default, and the oracle that every other authorizer is compared with."""
