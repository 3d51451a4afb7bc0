"""The one table of who may use which route: what is not in it is open to nobody, and a test names it.

A new route takes one line here::

    ("POST", "/v1/decisions/{decision_id}/redrive"): Door(Permission.INVOKE, Of.RUN, by_person=True),

``Of`` says what the permission is asked for. The check is made before the route is called, for ``DECISION`` from the
part ``{name}`` of the path and for ``RUN`` from its part ``{decision_id}``; other teams get the answer of a name or id
that does not exist. A route of ``EACH`` asks for itself, by the caller that it is given::

    async def list_runs(service: Serving, caller: Calling) -> Response:
        shown = caller.readable()   # the names it may read, None for all

    caller.require(Permission.INVOKE, sent.decision)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from steward.access.permissions import Permission


class Of(StrEnum):
    """What a route's permission is asked for.

    Example:
        >>> Of.RUN.value
        'run'
    """

    WHOLE = "whole"
    """The installation: needs a role for ``*``."""
    DECISION = "decision"
    """The decision that the path names as ``{name}``."""
    RUN = "run"
    """The decision of the run that the path names as ``{decision_id}``."""
    EACH = "each"
    """Each thing that is read or written, one by one: the route asks, and leaves out what is not for the caller."""
    SELF = "self"
    """Nothing but the caller: it must be somebody."""
    ANYBODY = "anybody"
    """Nobody needs to sign in."""


class Door(NamedTuple):
    """What a route needs.

    Attributes:
        permission: What the caller must be allowed; ``None`` for ``SELF`` and ``ANYBODY``.
        of: What for.
        by_person: Whether only a person may, whatever a service is allowed: somebody answers for it.

    Example:
        >>> DOORS["GET", "/v1/ledger/entries"]
        Door(permission=<Permission.EXPORT: 'export'>, of=<Of.WHOLE: 'whole'>, by_person=False)
    """

    permission: Permission | None
    of: Of
    by_person: bool = False


_P = Permission
_PUBLIC = Door(None, Of.ANYBODY)
_OWN = Door(None, Of.SELF)
_OFFICE = Door(_P.ADMINISTER, Of.WHOLE)
DOORS: Final[Mapping[tuple[str, str], Door]] = {
    # Deciding, on the hot way
    ("POST", "/v1/decisions/{name}"): Door(_P.INVOKE, Of.DECISION),
    ("POST", "/v1/decisions/{name}/batch"): Door(_P.INVOKE, Of.DECISION),
    ("POST", "/v1/events"): Door(_P.INVOKE, Of.EACH),
    ("POST", "/v1/outcomes"): Door(_P.INVOKE, Of.EACH),
    # Reading
    ("GET", "/v1/decisions"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/decisions/{decision_id}"): Door(_P.READ, Of.RUN),
    ("GET", "/v1/decisions/{decision_id}/proof"): Door(_P.VERIFY, Of.RUN),
    # It reads: nothing is written, and nothing acts.
    ("POST", "/v1/decisions/{decision_id}/what-if"): Door(_P.READ, Of.RUN),
    ("POST", "/v1/decisions/{decision_id}/counterfactuals"): Door(_P.READ, Of.RUN),
    ("GET", "/v1/declarations"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/value"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/inventory"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/ledger/checkpoint"): Door(_P.VERIFY, Of.WHOLE),
    ("GET", "/v1/ledger/verification"): Door(_P.VERIFY, Of.WHOLE),
    ("POST", "/v1/ledger/verification"): Door(_P.VERIFY, Of.WHOLE),
    ("GET", "/v1/ledger/entries"): Door(_P.EXPORT, Of.WHOLE),
    # Models; each route asks for the decisions that use the model, or where none does for the installation.
    ("GET", "/v1/models"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/models/{name}"): Door(_P.READ, Of.EACH),
    ("POST", "/v1/models/{name}"): Door(_P.PUBLISH, Of.EACH),
    ("GET", "/v1/models/{name}/{version}"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/models/{name}/{version}/export"): Door(_P.READ, Of.EACH),
    # People
    ("GET", "/v1/approvals"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/approvals/{decision_id}"): Door(_P.READ, Of.RUN),
    ("POST", "/v1/approvals/{decision_id}/approve"): Door(_P.APPROVE, Of.RUN),
    ("POST", "/v1/approvals/{decision_id}/reject"): Door(_P.APPROVE, Of.RUN),
    ("POST", "/v1/approvals/{decision_id}/change"): Door(_P.APPROVE, Of.RUN),
    ("POST", "/v1/approvals/{decision_id}/question"): Door(_P.APPROVE, Of.RUN),
    ("POST", "/v1/approvals/{decision_id}/reply"): Door(_P.READ, Of.RUN),
    ("POST", "/v1/approvals/{decision_id}/escalate"): Door(_P.APPROVE, Of.RUN),
    ("POST", "/v1/approvals/{decision_id}/snooze"): Door(_P.APPROVE, Of.RUN),
    ("GET", "/v1/people"): Door(_P.EXPORT, Of.EACH),
    # The stop switch
    ("GET", "/v1/stops"): Door(_P.READ, Of.EACH),
    ("POST", "/v1/stops"): Door(_P.STOP, Of.EACH),
    ("POST", "/v1/stops/resume"): Door(_P.STOP, Of.EACH),
    ("POST", "/v1/decisions/{decision_id}/undo"): Door(_P.STOP, Of.RUN),
    # Effects
    ("POST", "/v1/decisions/{decision_id}/abort"): Door(_P.STOP, Of.RUN),
    ("POST", "/v1/decisions/{decision_id}/redrive"): Door(_P.INVOKE, Of.RUN, by_person=True),
    ("POST", "/v1/decisions/{decision_id}/signals/{signal}"): Door(_P.INVOKE, Of.RUN),
    ("GET", "/v1/dead-letters"): Door(_P.READ, Of.EACH),
    ("POST", "/v1/dead-letters/{offset}/redrive"): Door(_P.INVOKE, Of.WHOLE, by_person=True),
    # Releases and rollouts: whoever changes what decides must be a person, who answers for it
    ("GET", "/v1/releases"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/releases/{name}"): Door(_P.READ, Of.DECISION),
    ("GET", "/v1/releases/{name}/history"): Door(_P.READ, Of.DECISION),
    ("POST", "/v1/releases/{name}/draft"): Door(_P.PUBLISH, Of.DECISION),
    ("POST", "/v1/releases/{name}"): Door(_P.PUBLISH, Of.DECISION, by_person=True),
    ("POST", "/v1/releases/{name}/approve"): Door(_P.PUBLISH, Of.DECISION, by_person=True),
    ("GET", "/v1/rollouts"): Door(_P.READ, Of.EACH),
    ("GET", "/v1/rollouts/{name}"): Door(_P.READ, Of.DECISION),
    ("POST", "/v1/rollouts/{name}"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    ("POST", "/v1/rollouts/{name}/share"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    ("POST", "/v1/rollouts/{name}/promote"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    ("POST", "/v1/rollouts/{name}/stop"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    ("POST", "/v1/rollouts/{name}/rollback"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    # Who is there, and who may what
    ("GET", "/v1/whoami"): _OWN,
    ("POST", "/v1/session"): _PUBLIC,
    ("DELETE", "/v1/session"): _PUBLIC,
    ("POST", "/v1/access/claim"): _PUBLIC,
    ("GET", "/v1/access/identities"): _OFFICE,
    ("POST", "/v1/access/identities"): _OFFICE,
    ("PATCH", "/v1/access/identities/{identity}"): _OFFICE,
    ("POST", "/v1/access/identities/{identity}/revoke"): _OFFICE,
    ("GET", "/v1/access/keys"): _OFFICE,
    ("POST", "/v1/access/keys"): _OFFICE,
    # One's own key anybody may end or replace; the administration asks.
    ("POST", "/v1/access/keys/{prefix}/rotate"): Door(_P.ADMINISTER, Of.EACH),
    ("POST", "/v1/access/keys/{prefix}/revoke"): Door(_P.ADMINISTER, Of.EACH),
    ("GET", "/v1/access/limits"): _OFFICE,
    ("PUT", "/v1/access/limits/{decision}"): _OFFICE,
    ("GET", "/v1/access/refusals"): _OFFICE,
    # Models by themselves, in the protocol of others
    ("GET", "/v2"): _PUBLIC,
    ("GET", "/v2/health/live"): _PUBLIC,
    ("GET", "/v2/health/ready"): _PUBLIC,
    ("GET", "/v2/models/{name}"): Door(_P.READ, Of.EACH),
    ("GET", "/v2/models/{name}/ready"): Door(_P.READ, Of.EACH),
    ("POST", "/v2/models/{name}/infer"): Door(_P.INVOKE, Of.EACH),
    ("GET", "/v2/models/{name}/versions/{version}"): Door(_P.READ, Of.EACH),
    ("GET", "/v2/models/{name}/versions/{version}/ready"): Door(_P.READ, Of.EACH),
    ("POST", "/v2/models/{name}/versions/{version}/infer"): Door(_P.INVOKE, Of.EACH),
    # Machines that watch, and the description
    ("GET", "/healthz"): _PUBLIC,
    ("GET", "/readyz"): _PUBLIC,
    ("GET", "/metrics"): Door(_P.READ, Of.EACH),
    ("GET", "/openapi.json"): Door(_P.READ, Of.EACH),
    ("GET", "/docs"): _PUBLIC,
    ("GET", "/docs/{name}"): _PUBLIC,
}
"""What each route needs, by method and path as declared."""
