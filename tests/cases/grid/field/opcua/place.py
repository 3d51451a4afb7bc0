"""A plant with its OPC UA server, and what makes clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.cases.grid.field.network import Heard
from tests.cases.grid.field.test_world import CALM, LAYOUT, MADRID, MIDNIGHT

from steward.cases.grid.battery import Battery
from steward.cases.grid.field.lazily import lazily
from steward.cases.grid.field.opcua.client import OpcUaClient
from steward.cases.grid.field.opcua.identity import ClientSecurity, Identity, ServerSecurity, TrustList, User
from steward.cases.grid.field.opcua.server import OpcUaServer
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.source import Backoff
from steward.cases.grid.field.world import FieldPlant
from steward.clock import SystemClock

asyncua, ua = lazily("asyncua"), lazily("asyncua.ua")
LOAD = Point("es.feeder-1", "load_mw")
SECOND = timedelta(seconds=1)
SOON = timedelta(milliseconds=20)
QUICKLY, SELDOM = Backoff(first=SOON, longest=SOON), Backoff(first=30 * SECOND)


class Place:
    """A plant with its server, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.folder = SystemClock(), folder
        now = self.clock.now()
        self.identity, self.bridge, self.stranger = (
            Identity.made(folder, name, now=now) for name in ("plant", "bridge", "stranger")
        )
        self.expired = Identity.made(folder, "expired", now=now - timedelta(days=1_000))
        self.world = self.new_world()
        self.server = OpcUaServer(
            LAYOUT,
            self,
            security=ServerSecurity(
                identity=self.identity,
                trusted=TrustList.of([self.bridge.certificate, self.expired.certificate]),
                users={"ana": User("s3cret", may_order=True), "ben": User("look"), "nil": User("")},
            ),
            clock=self.clock,
            port=0,
        )

    def new_world(self) -> FieldPlant:
        self.world = FieldPlant(
            LAYOUT, MADRID, Battery(), conditions=lambda at: CALM, start=MIDNIGHT, step=10 * SECOND, seed=1
        )
        return self.world

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    def security(self, **changes: Any) -> ClientSecurity:
        usual = ClientSecurity(identity=self.bridge, server=self.identity.certificate, user="ana", password="s3cret")
        return replace(usual, **changes)

    def client(self, heard: Heard, *, port: int | None = None, **options: Any) -> OpcUaClient:
        url = self.server.url if port is None else f"opc.tcp://127.0.0.1:{port}/steward/"
        usual = {"security": self.security(), "points": LAYOUT.points, "backoff": QUICKLY, "take": heard.take}
        options = {**usual, "on_gap": heard.tell_gap, **options}
        return OpcUaClient(
            url,
            options.pop("points"),
            options.pop("take"),
            clock=self.clock,
            publishing=SOON,
            watch=timedelta(seconds=0.2),
            **options,
        )

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator[tuple[OpcUaClient, Heard]]:
        heard = Heard()
        async with self.client(heard, **options).running() as client:
            yield client, heard

    def node(self, point: Point) -> Any:
        return ua.NodeId(point.name, 2)

    def say(self, value: Any) -> None:
        """Let a point say whatever is wanted, also what no server should."""
        node = self.server._server.iserver.aspace[self.node(LOAD)]
        node.attributes[ua.AttributeIds.Value].value = value
