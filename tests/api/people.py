"""People and services for the tests of access: one of each role, in and out of the team of ``shop.refund``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from steward.access.identity import Assignment, Identity, Kind
from steward.access.permissions import Role
from steward.api.app import Front, create_app
from steward.runtime.runtime import Runtime

HIDDEN = "shop.refund"
"""The decision that exists for the team ``desk`` only."""
SHOWN = "shop.greeting"


@dataclass
class People:
    """Everybody, and how they show who they are."""

    runtime: Runtime
    front: Front
    ada: Identity
    secrets: dict[str, str] = field(default_factory=dict)
    identities: dict[str, Identity] = field(default_factory=dict)

    def headers(self, name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secrets[name]}"}

    def client(self, name: str | None = None, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """Return a client that shows the key of somebody; without a name, none."""
        shown = {**({} if name is None else self.headers(name)), **(headers or {})}
        transport = httpx.ASGITransport(app=self.front)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=shown)

    async def add(
        self, name: str, *roles: Assignment, teams: tuple[str, ...] = ("desk",), kind: Kind = Kind.PERSON
    ) -> None:
        who = Identity(id=name, kind=kind, display=name.title(), teams=frozenset(teams), roles=roles)
        office = self.runtime.guard.administration
        await office.enrol(self.ada, who)
        self.secrets[name] = (await office.issue_key(self.ada, name, label="test")).secret.reveal()
        self.identities[name] = who


async def populate(runtime: Runtime) -> People:
    """Enrol Ada, who administers, and somebody of each role in each team; limit the decision."""
    guard = runtime.guard
    once = await guard.bootstrap()
    assert once is not None
    key = (await guard.exchange(once.reveal(), id="ada", display="Ada")).secret.reveal()
    ada = await guard.identify({b"authorization": f"Bearer {key}".encode()})
    people = People(runtime, create_app(runtime), ada, {"ada": key}, {"ada": ada})
    for role in Role:
        kind = Kind.SERVICE if role is Role.SERVICE else Kind.PERSON
        for team in ("desk", "other"):
            await people.add(f"{role}.{team}", Assignment(role), teams=(team,), kind=kind)
        await people.add(f"{role}.greets", Assignment(role, (SHOWN,)), kind=kind)
    await people.add("nobody")
    await people.add("victim")
    await guard.administration.limit(ada, HIDDEN, ["desk"])
    return people
