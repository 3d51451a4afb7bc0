"""An engine: the same questions answered by Cedar policies, for those who write their own (extra ``cedar``).

Cedar itself allows when a ``forbid`` policy fails to evaluate, as that policy is then left out. Here any error is a no.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from steward.access.authorizer import Verdict
from steward.access.identity import EVERY, Identity, Resource, covers
from steward.access.permissions import TABLE, Permission, Role
from steward.errors import DeclarationError

if TYPE_CHECKING:
    from cedarpy import Entities

_CACHED: Final = 1_000
_ACTIONS = ", ".join(f'"{permission}"' for permission in Permission)
SCHEMA: Final = f"""
entity Group;
entity Role;
entity Decision in [Group] = {{ "teams": Set<String>, "tenant": String }};
entity Identity in [Role] = {{
    "kind": String,
    "teams": Set<String>,
    "tenants": Set<String>,
    "scoped": Bool,
    "scope_permissions": Set<String>,
}};
action {_ACTIONS} appliesTo {{ principal: [Identity], resource: [Decision], context: {{ "permission": String }} }};
"""
"""What policies can speak of.

An identity is in the roles that it holds of the very decision that is asked about. A decision is in the groups of all
patterns that cover it: ``grid.*`` and ``*``. A scope that does not cover the decision has no permissions.
"""

_ISOLATION = f"""
@id("it belongs to another team")
forbid (principal, action, resource) unless {{
    resource.teams.isEmpty() || principal.teams.contains("{EVERY}") || principal.teams.containsAny(resource.teams)
}};
@id("it belongs to another tenant")
forbid (principal, action, resource) unless {{
    resource.tenant == "" || principal.tenants.contains("{EVERY}") || principal.tenants.contains(resource.tenant)
}};
@id("the credential's scope does not reach that far")
forbid (principal, action, resource) unless {{
    !principal.scoped || principal.scope_permissions.contains(context.permission)
}};
"""


def policies_of(table: Mapping[Role, frozenset[Permission]] = TABLE) -> str:
    """Return the policies that say what a table of roles says.

    Example:
        >>> print(policies_of({Role.SERVICE: frozenset({Permission.INVOKE})}).splitlines()[-4])
        @id("service")
    """
    permits = [
        f'@id("{role}")\n'
        f'permit (principal in Role::"{role}",\n'
        f"action in [{', '.join(f'Action::{json.dumps(each)}' for each in sorted(permissions))}], resource);\n"
        for role, permissions in table.items()
        if permissions
    ]
    return _ISOLATION + "\n".join(permits) + "\n"


class CedarAuthorizer:
    """Asks Cedar.

    Args:
        policies: In Cedar's language, on :data:`SCHEMA`; by default what the table of roles says.

    Raises:
        DeclarationError: cedarpy is not installed, or the policies do not fit the schema.

    Example:
        >>> from steward.access.identity import Assignment, Kind
        >>> roles = (Assignment(Role.APPROVER, ("grid.*",)),)
        >>> anna = Identity(id="anna", kind=Kind.PERSON, display="Anna", roles=roles)
        >>> CedarAuthorizer().allows(anna, Permission.APPROVE, Resource("grid.dispatch"))
        Verdict(allowed=True, why='approver')
    """

    def __init__(self, policies: str | None = None) -> None:
        try:
            import cedarpy  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise DeclarationError(
                "policies in Cedar need the package cedarpy",
                fix="pip install 'steward-aios[cedar]'",
                field="authorizer",
            ) from error
        text = policies_of() if policies is None else policies
        checked = cedarpy.validate_policies(text, SCHEMA)
        if not checked.validation_passed:
            raise DeclarationError(
                "the policies do not fit the schema",
                why="; ".join(str(error) for error in checked.errors) or "they cannot be read",
                fix="see steward.access.cedar.SCHEMA for what policies can speak of",
                field="policies",
            )
        self._ask, self._entities_of = cedarpy.is_authorized, cedarpy.Entities.from_json_str
        self._policies = cedarpy.PolicySet.from_str(text)
        self._cached: OrderedDict[tuple[Identity, Resource], Entities] = OrderedDict()

    def allows(self, identity: Identity, permission: Permission, resource: Resource) -> Verdict:
        """Return Cedar's verdict; an error in any policy is a no."""
        request = {
            "principal": {"type": "Identity", "id": identity.id},
            "action": {"type": "Action", "id": permission.value},
            "resource": {"type": "Decision", "id": resource.decision},
            "context": {"permission": permission.value},
        }
        # The policies are checked against the schema once; what they are asked about is made here, to fit it.
        result = self._ask(request, self._policies, self._entities(identity, resource))
        diagnostics = result.diagnostics
        if diagnostics.errors:
            return Verdict(False, "a policy failed, which counts as a no")
        names = diagnostics.id_annotations_by_reason
        why = "; ".join(sorted(names.get(reason, reason) for reason in diagnostics.reasons))
        return Verdict(result.allowed, why or "no policy allows it")

    def _entities(self, identity: Identity, resource: Resource) -> Entities:
        key = (identity, resource)
        known = self._cached.get(key)
        if known is None:
            listed = msgspec.json.encode([_principal(identity, resource), _decision(resource)])
            known = self._cached[key] = self._entities_of(listed.decode())
            if len(self._cached) > _CACHED:
                self._cached.popitem(last=False)
        return known


def _principal(identity: Identity, resource: Resource) -> dict[str, Any]:
    name, scope = resource.decision, identity.scope
    roles = dict.fromkeys(held.role for held in identity.roles if covers(held.decisions, name))
    reaches = scope is not None and covers(scope.decisions, name)
    return {
        "uid": {"type": "Identity", "id": identity.id},
        "attrs": {
            "kind": identity.kind.value,
            "teams": sorted(identity.teams),
            "tenants": sorted(identity.tenants),
            "scoped": scope is not None,
            "scope_permissions": sorted(scope.permissions) if scope is not None and reaches else [],
        },
        "parents": [{"type": "Role", "id": role} for role in roles],
    }


def _decision(resource: Resource) -> dict[str, Any]:
    name = resource.decision
    parts = name.split(".")
    covering = [EVERY] if not name else [EVERY, name, *(".".join(parts[:n]) + ".*" for n in range(1, len(parts)))]
    attrs = {"teams": sorted(resource.teams), "tenant": resource.tenant}
    # The groups themselves have nothing to say, so they need not be listed.
    parents = [_uid(pattern) for pattern in covering]
    return {"uid": {"type": "Decision", "id": name}, "attrs": attrs, "parents": parents}


def _uid(pattern: str) -> dict[str, str]:
    return {"type": "Group", "id": pattern}
