"""Cedar answers as the table does, and whatever goes wrong in it is a no."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.access.authorizer import Authorizer, TableAuthorizer
from steward.access.cedar import CedarAuthorizer, policies_of
from steward.access.identity import Assignment, Identity, Kind, Resource, Scope
from steward.access.permissions import Permission, Role
from steward.errors import DeclarationError
from steward.testing.conformance.access import EVERYTHING, AuthorizerConformance, somebody


class TestCedar(AuthorizerConformance):
    def make(self) -> Authorizer:
        return CedarAuthorizer()


names = st.sampled_from(["grid", "grid.dispatch", "grid.battery.dispatch", "gridlock", "pay.release", "pay"])
patterns = st.lists(
    st.one_of(names, st.just("*"), st.sampled_from(["grid.*", "grid.battery.*", "pay.*"])), max_size=3
).map(tuple)
groups = st.frozensets(st.sampled_from(["grid", "payments", "gr", "*", 'a"b', "Ä"]), max_size=3)
scopes = st.builds(Scope, st.frozensets(st.sampled_from(Permission)), patterns)
identities = st.builds(
    Identity,
    id=st.sampled_from(["anna", "corp:auth0|7", 'x"y\\z', "line\nbreak"]),
    kind=st.sampled_from(Kind),
    display=st.just("x"),
    teams=groups,
    tenants=groups,
    roles=st.lists(st.builds(Assignment, st.sampled_from(Role), patterns), max_size=3).map(tuple),
    scope=st.none() | scopes,
)
# A resource is never of the team "*", which stands for all of them.
teams = groups.map(lambda names: names - {"*"})
resources = st.builds(Resource, st.one_of(st.just(""), names), teams, st.sampled_from(["", "grid", "payments", 'a"b']))
CEDAR, TABLE = CedarAuthorizer(), TableAuthorizer()


@settings(max_examples=400, deadline=None)
@given(identities, st.sampled_from(Permission), resources)
def test_cedar_and_the_table_agree(identity: Identity, permission: Permission, resource: Resource) -> None:
    expected = TABLE.allows(identity, permission, resource).allowed
    assert CEDAR.allows(identity, permission, resource).allowed is expected


@pytest.mark.deep
@settings(max_examples=20_000, deadline=None)
@given(identities, st.sampled_from(Permission), resources)
def test_cedar_and_the_table_agree_on_many(identity: Identity, permission: Permission, resource: Resource) -> None:
    expected = TABLE.allows(identity, permission, resource).allowed
    assert CEDAR.allows(identity, permission, resource).allowed is expected


def test_a_forbid_that_fails_is_a_no() -> None:
    """Cedar itself would allow: the failing policy would be as if it were not there."""
    import cedarpy

    failing = '@id("fails") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };'
    anna, resource = somebody(*EVERYTHING), Resource("grid.dispatch")
    strict = CedarAuthorizer(policies_of() + failing)
    verdict = strict.allows(anna, Permission.READ, resource)
    assert verdict == (False, "a policy failed, which counts as a no")
    bare = cedarpy.is_authorized(
        {"principal": 'User::"a"', "action": 'Action::"b"', "resource": 'R::"c"', "context": {}},
        "permit (principal, action, resource);" + failing,
        [],
    )
    assert bare.allowed, "if Cedar has changed this, our own rule is not needed any more"
    assert bare.diagnostics.errors


@pytest.mark.parametrize(
    "policies",
    [
        "permit (principal, action, resource) when { principal.salary > 3 };",
        'permit (principal == User::"anna", action, resource);',
        'permit (principal, action == Action::"destroy", resource);',
        "permit (principal, action, resource",
        "permit (principal, action, resource) when { resource.teams == 7 && resource.tenant > 1 };",
    ],
)
def test_policies_that_do_not_fit_are_refused_at_the_start(policies: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        CedarAuthorizer(policies)
    assert refused.value.field == "policies"


def test_no_policies_allow_nothing() -> None:
    verdict = CedarAuthorizer("").allows(somebody(*EVERYTHING), Permission.READ, Resource("grid.dispatch"))
    assert verdict == (False, "no policy allows it")


def test_own_policies_can_say_more() -> None:
    own = """
    @id("services-read")
    permit (principal, action == Action::"read", resource) when { principal.kind == "service" };
    """
    cedar = CedarAuthorizer(own)
    service = Identity(id="billing", kind=Kind.SERVICE, display="Billing")
    assert cedar.allows(service, Permission.READ, Resource("pay.release")) == (True, "services-read")
    assert not cedar.allows(service, Permission.INVOKE, Resource("pay.release")).allowed
    assert not cedar.allows(somebody(*EVERYTHING), Permission.READ, Resource("pay.release")).allowed


def test_what_is_remembered_is_bounded() -> None:
    cedar = CedarAuthorizer()
    for number in range(1_100):
        who = Identity(id=f"s{number}", kind=Kind.SERVICE, display="s", roles=(Assignment(Role.SERVICE),))
        assert cedar.allows(who, Permission.INVOKE, Resource("pay.release")).allowed
    assert len(cedar._cached) == 1_000


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['cedarpy'] = None\n"
        "from steward.access.cedar import CedarAuthorizer\n"
        "try: CedarAuthorizer()\n"
        "except Exception as error: print(type(error).__name__, error.fix)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "DeclarationError pip install 'steward-aios[cedar]'"
