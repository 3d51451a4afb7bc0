"""The process that runs a :class:`~steward.runtime.runtime.Runtime`, and starts again after it died."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from steward.decision.decision import Decision
from steward.errors import EngineError
from steward.models.registry import Registry
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.testing.simulation.disk import SimulatedDisk, SimulatedLedger
from steward.testing.simulation.process import Process
from steward.testing.simulation.world import Simulation

T = TypeVar("T")
_SETTINGS: Final = Settings(ledger="memory://", snapshot_every_s=86_400.0)
_BOOT: Final = timedelta(seconds=5)


class Server:
    """A runtime on a simulated disk, supervised: whenever it dies it is started again.

    Args:
        simulation: Whose time, chance and faults it has.
        decisions: What it runs.
        settings: The runtime's; the ledger that they name is not used.
        registry: Where models come from.
        challengers: Other declarations of what it runs, which a rollout may give a share.

    Attributes:
        disk: What outlives the process.
        starts: How often it was started.

    Example:
        >>> from steward.testing.scenarios.small import refund
        >>> async def world(simulation: Simulation) -> int:
        ...     server = Server(simulation, [refund])
        ...     await server.boot()
        ...     server.kill()
        ...     await server.boot()
        ...     return server.starts
        >>> Simulation(seed=1).run(world)
        2
    """

    def __init__(
        self,
        simulation: Simulation,
        decisions: Sequence[Decision[Any, Any, Any]],
        *,
        settings: Settings = _SETTINGS,
        registry: Registry | None = None,
        challengers: Sequence[Decision[Any, Any, Any]] = (),
    ) -> None:
        self.disk, self.starts = SimulatedDisk(simulation), 0
        self._simulation, self._decisions, self._challengers = simulation, decisions, challengers
        self._former: Sequence[Decision[Any, Any, Any]] = ()
        self._settings, self._registry = settings, registry
        self._process: Process | None = None
        self._runtime: Runtime | None = None
        self._down = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether it takes requests."""
        return self._runtime is not None

    async def boot(self) -> None:
        """Start the process and open the runtime.

        Raises:
            ConnectionError: It died before it was ready.
            EngineError: The runtime could not be opened.
        """
        self._down.clear()
        self.starts += 1
        self._simulation.trace.note("boot", self.starts)
        await self.disk.recover()
        self._process = Process("the server", died=self._died)
        self._runtime = await self._process.ask(self._open)

    async def _open(self) -> Runtime:
        runtime = await Runtime.open(
            self._decisions,
            settings=self._settings,
            clock=self._simulation.new_clock(),
            ledger=SimulatedLedger(self._simulation, self.disk),
            registry=self._registry,
            challengers=self._challengers,
            former=self._former,
        )
        runtime.start()
        self._failing = asyncio.get_running_loop().create_task(self._end_on_failure(runtime))
        return runtime

    async def _end_on_failure(self, runtime: Runtime) -> None:
        """End the process when its background work has failed, as a supervised server does."""
        try:
            await runtime.failed()
        except EngineError as error:
            self._simulation.trace.note("failed", error.code)
            if error.retryable:
                self._simulation.violate("what may pass has ended the background work", why=str(error))
            self.kill()
        except Exception as error:
            self._simulation.violate("a defect has ended the background work", why=f"{type(error).__name__}: {error}")

    async def call(self, work: Callable[[Runtime], Coroutine[Any, Any, T]]) -> T:
        """Do ``work`` inside the server on behalf of somebody outside, as a request does.

        Raises:
            ConnectionError: It is down, or died before it could answer.
        """
        process, runtime = self._process, self._runtime
        if process is None or runtime is None:
            raise ConnectionRefusedError("the server is down")
        return await process.ask(lambda: work(runtime))

    def kill(self, *, after_steps: int = 0) -> None:
        """Kill the process: now, or when so many more of its steps have run."""
        if self._process is not None and not self._process.dead:
            if after_steps:
                self._process.fuse = after_steps
            else:
                self._process.kill()

    def _died(self) -> None:
        self._simulation.trace.note("died", self.starts)
        if self._runtime is not None:
            self._runtime.views.close()
        self._runtime = None
        self._down.set()

    async def supervise(self) -> None:
        """Start it, and start it again whenever it died or could not start; never returns."""
        chance = self._simulation.chance
        while True:
            try:
                await self.boot()
            except (ConnectionError, EngineError) as error:
                self._simulation.trace.note("not up", type(error).__name__)
                self.kill()
            else:
                await self._down.wait()
            await asyncio.sleep(chance.random() * _BOOT.total_seconds())
