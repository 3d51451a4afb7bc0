"""Who may use which of the console's routes: the same kind of table as :mod:`steward.api.doors`.

A page that shows several decisions is of ``EACH``: it shows what its viewer may read, and leaves out the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from steward.access.permissions import Permission
from steward.api.desk import WAYS
from steward.api.doors import Door, Of

_P = Permission
_PUBLIC = Door(None, Of.ANYBODY)
_OWN = Door(None, Of.SELF)
_SOMEBODY = Door(_P.READ, Of.EACH)
_OFFICE = Door(_P.ADMINISTER, Of.WHOLE)
DOORS: Final[Mapping[tuple[str, str], Door]] = {
    ("GET", "/"): _SOMEBODY,
    ("GET", "/data/{name}.{ending}"): _SOMEBODY,
    ("GET", "/events"): _SOMEBODY,
    ("GET", "/static/{name:path}"): _PUBLIC,
    ("GET", "/dev/components"): _OWN,
    # Signing in and out
    ("GET", "/sign-in"): _PUBLIC,
    ("POST", "/sign-in"): _PUBLIC,
    ("POST", "/sign-out"): _PUBLIC,
    ("POST", "/claim"): _PUBLIC,
    # How somebody reads, and as whom they act where nobody is enrolled
    ("GET", "/preferences"): _OWN,
    ("POST", "/preferences"): _PUBLIC,
    ("POST", "/acting-as"): _OWN,
    ("GET", "/glossary"): _OWN,
    # Approvals: what each answer needs stands at the desk that takes it
    ("GET", "/approvals"): _SOMEBODY,
    ("GET", "/approvals/{decision_id}"): Door(_P.READ, Of.RUN),
    **{("POST", f"/approvals/{{decision_id}}/{name}"): Door(way.permission, Of.RUN) for name, way in WAYS.items()},
    ("GET", "/decisions"): _SOMEBODY,
    ("GET", "/decisions/news"): _SOMEBODY,
    # One decision; what is done about it needs what the API's routes need
    ("GET", "/decisions/{decision_id}"): Door(_P.READ, Of.RUN),
    ("POST", "/decisions/{decision_id}/undo"): Door(_P.STOP, Of.RUN),
    ("POST", "/decisions/{decision_id}/abort"): Door(_P.STOP, Of.RUN),
    ("POST", "/decisions/{decision_id}/redrive"): Door(_P.INVOKE, Of.RUN, by_person=True),
    ("POST", "/decisions/{decision_id}/signal"): Door(_P.INVOKE, Of.RUN),
    # Reports
    ("GET", "/decisions/{decision_id}/report"): Door(_P.READ, Of.RUN),
    ("GET", "/value/report"): _SOMEBODY,
    # Audit and proofs
    ("GET", "/audit"): Door(_P.VERIFY, Of.WHOLE),
    ("POST", "/audit/verify"): Door(_P.VERIFY, Of.WHOLE),
    ("POST", "/audit/bundle"): Door(_P.VERIFY, Of.WHOLE),
    # The stop switch
    ("GET", "/stop"): _SOMEBODY,
    ("POST", "/stop"): Door(_P.STOP, Of.EACH),
    ("POST", "/resume"): Door(_P.STOP, Of.EACH),
    # Models and releases: what is done about them needs what the API's routes need
    ("GET", "/models"): _SOMEBODY,
    ("GET", "/models/{name}"): _SOMEBODY,
    ("GET", "/compare"): _SOMEBODY,
    ("POST", "/compare/{name}/share"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    ("POST", "/compare/{name}/promote"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    ("POST", "/compare/{name}/stop"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    ("POST", "/compare/{name}/rollback"): Door(_P.PROMOTE, Of.DECISION, by_person=True),
    ("POST", "/compare/{name}/approve"): Door(_P.PUBLISH, Of.DECISION, by_person=True),
    # What decisions are worth
    ("GET", "/inventory"): _SOMEBODY,
    ("GET", "/inventory/{name}"): Door(_P.READ, Of.DECISION),
    ("GET", "/value"): _SOMEBODY,
    # The settings
    ("GET", "/settings"): _SOMEBODY,
    ("GET", "/settings/people"): _OFFICE,
    ("POST", "/settings/people"): _OFFICE,
    ("GET", "/settings/people/{identity}"): _OFFICE,
    ("POST", "/settings/people/{identity}"): _OFFICE,
    ("POST", "/settings/people/{identity}/revoke"): _OFFICE,
    # One's own keys anybody may see, and end or replace; the administration asks.
    ("GET", "/settings/keys"): _OWN,
    ("POST", "/settings/keys"): _OFFICE,
    ("GET", "/settings/keys/{prefix}"): _OWN,
    ("POST", "/settings/keys/{prefix}/rotate"): Door(_P.ADMINISTER, Of.EACH),
    ("POST", "/settings/keys/{prefix}/revoke"): Door(_P.ADMINISTER, Of.EACH),
    ("GET", "/settings/gates"): _SOMEBODY,
    ("POST", "/settings/gates/{decision}/limit"): _OFFICE,
    ("GET", "/settings/notifications"): _SOMEBODY,
    ("GET", "/settings/rights"): _OWN,
    ("GET", "/settings/system"): _OFFICE,
}
"""What each route needs, by method and path as declared."""
