"""Every route names what it needs, and asks for it: all routes x roles x teams, with the table of roles as oracle."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from tests.api.conftest import BIG, REFUND
from tests.api.people import HIDDEN, SHOWN, People, populate
from tests.api.walk import routes_of

from steward.access.authorizer import TableAuthorizer
from steward.access.identity import WHOLE, Identity, Kind, Resource
from steward.api.cold import cold_app
from steward.api.doors import DOORS, Door, Of
from steward.api.entrance import Entrance
from steward.api.routes import HOT
from steward.api.service import Service
from steward.runtime.runtime import Runtime

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/v2"),
    ("GET", "/v2/health/live"),
    ("GET", "/v2/health/ready"),
    ("GET", "/docs"),
    ("GET", "/docs/{name}"),
    ("POST", "/v1/session"),
    ("DELETE", "/v1/session"),
    ("POST", "/v1/access/claim"),
}
"""What anybody may use; a new one is written down here too, on purpose."""


_ASKING = [("POST", path) for path in ("/v1/events", "/v1/outcomes", "/v1/stops", "/v1/stops/resume")]
"""Routes that ask for themselves, for the decision in their body."""


@pytest.fixture
async def people(runtime: Runtime) -> People:
    return await populate(runtime)


def test_every_route_names_its_permission_and_every_door_is_a_route(runtime: Runtime) -> None:
    app = cold_app(Service(runtime, Entrance(runtime, "127.0.0.1")))
    routes = routes_of(app)
    routes |= {("POST", route.path) for route in HOT}
    assert routes - DOORS.keys() == set(), "these routes name no permission: add them to steward.api.doors"
    assert DOORS.keys() - routes == set(), "these doors lead nowhere"


def test_what_anybody_may_use_is_known(runtime: Runtime) -> None:
    assert {route for route, door in DOORS.items() if door.of is Of.ANYBODY} == PUBLIC
    for (_, path), door in DOORS.items():
        assert (door.permission is None) == (door.of in (Of.ANYBODY, Of.SELF))
        assert (door.of is Of.RUN) <= ("{decision_id}" in path)
        assert (door.of is Of.DECISION) <= ("{name}" in path)


async def test_a_route_that_is_not_in_the_table_is_open_to_nobody(runtime: Runtime) -> None:
    app = cold_app(Service(runtime, Entrance(runtime, "127.0.0.1")))
    app.add_api_route("/v1/forgotten", lambda: "secret", methods=["GET"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
        response = await client.get("/v1/forgotten")
    assert response.status_code == 403
    assert "secret" not in response.text


class Ask:
    """A request for each door, about the hidden decision or the other one."""

    def __init__(self, runs: dict[str, str], topics: Mapping[str, frozenset[str]]) -> None:
        self.runs, self.topics = runs, topics

    def of(self, route: tuple[str, str], decision: str) -> dict[str, Any]:
        method, path = route
        event = REFUND if decision == HIDDEN else {"customer": "c"}
        outcome = {"order_id": "A-1", "kept_eur": 5.0}
        reason = {"reason": "because"}
        bodies: dict[str, Any] = {
            "/v1/decisions/{name}": event,
            "/v1/decisions/{name}/batch": [event],
            "/v1/outcomes": {"decision": decision, "outcome_id": "o", "outcome": outcome},
            "/v1/stops": {"decision": decision, **reason},
            "/v1/stops/resume": {"decision": decision, **reason},
            "/v1/access/identities": {"id": "eve", "display": "Eve"},
            "/v1/access/keys": {"identity": "victim", "label": "x"},
            "/v1/access/limits/{decision}": {"teams": ["desk"]},
            "/v1/access/keys/{prefix}/rotate": {},
            "/v1/access/identities/{identity}": {},
        }
        filled = path.replace("{name}", decision).replace("{decision_id}", self.runs[decision])
        filled = filled.replace("{decision}", HIDDEN).replace("{identity}", "victim").replace("{prefix}", "0" * 12)
        content: dict[str, Any] = {"json": bodies.get(path, reason)} if method not in ("GET", "DELETE") else {}
        if path == "/v1/events":
            kind = next(topic for topic, fed in self.topics.items() if fed == {decision})
            content = {
                "content": json.dumps({"specversion": "1.0", "id": "1", "source": "t", "type": kind, "data": event}),
                "headers": {"content-type": "application/cloudevents+json"},
            }
        return {"method": method, "url": filled, **content}


def expected(door: Door, who: Identity, decision: str) -> str:
    """Return what the table says: ``in``, ``hidden`` or ``denied``."""
    if door.permission is None:
        return "in"
    hidden = decision == HIDDEN and not who.teams & {"desk", "*"}
    if door.of is Of.WHOLE:
        resource = WHOLE
    elif hidden:
        return "hidden"
    else:
        resource = Resource(decision)
    if door.by_person and who.kind is Kind.SERVICE:
        return "denied"
    return "in" if TableAuthorizer().allows(who, door.permission, resource).allowed else "denied"


async def test_all_routes_for_all_roles_and_teams_as_the_table_says(people: People) -> None:
    runs = {}
    async with people.client("operator.desk") as client:
        for name, event in ((HIDDEN, BIG), (SHOWN, {"customer": "c"})):
            runs[name] = (await client.post(f"/v1/decisions/{name}", json=event)).json()["decision_id"]
    ask, asked, wrong = Ask(runs, people.runtime.topics), 0, []
    callers = [(name, who) for name, who in people.identities.items() if name != "victim"]
    named = [(route, door) for route, door in DOORS.items() if door.of not in (Of.ANYBODY, Of.EACH)]
    named += [(route, DOORS[route]) for route in _ASKING]
    for (name, who), (route, door), decision in itertools.product(callers, named, (HIDDEN, SHOWN)):
        async with people.client(name) as client:
            response = await client.request(**ask.of(route, decision))
        asked += 1
        want = expected(door, who, decision)
        denied = response.status_code == 403 and response.json()["code"] == "denied"
        hidden = response.status_code == 404 and door.of is not Of.WHOLE
        got = "denied" if denied else "hidden" if hidden else "in"
        assert response.status_code < 500
        if got != want:
            wrong.append((name, route, decision, want, got, response.status_code, response.text[:200]))
    assert wrong == [], "\n".join(map(str, wrong))
    assert asked > 800
